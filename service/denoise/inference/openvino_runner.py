"""A model's file run by OpenVINO on the CPU, in float32 or in bfloat16. The one module that knows openvino.

OpenVINO prepares itself for each new shape, which takes some 6 to 60 ms and a MB where a small picture takes one ms to
run. Small pictures of a model of any size are therefore padded by their own reflection to one of few SIDES, and the
padding is cut off the answer. Near that edge the model answers a little differently than at the picture's own: over
digits in pictures of 36×36 to 100×100 pixels the mean PSNR changed by -0.01 dB (with their edge repeated instead, or
with paper around them, by -0.8). Where the edge cuts digits it is worse, -0.2 dB and up to -2.8, which is why pieces of
pages are run in their own shape.
"""

import contextlib
import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from denoise.errors import SetupError
from denoise.inference.onnx_runner import LARGEST_FOR_ONE_THREAD
from denoise.pictures import Pixels
from denoise.settings import Precision

PROVIDER = "OpenVINO"
NAMES: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}
NATIVE = "BF16"
# Pictures of so many pixels take long enough to run, compared to being prepared for.
OWN_SHAPE_PIXELS = 128 * 128
SIDES = (4, 8, 16, 28, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
# What was prepared for a shape takes some 20 of these places and about a MB in all. With 1500 places a process that ran
# 240 shapes held 377 MB, with 600 it holds 267.
PREPARED_OPERATIONS = 600


class OpenVinoRunner:
    """A model compiled by OpenVINO. Threads may share it."""

    def __init__(self, path: Path, content: bytes, precision: Precision, *, any_size: bool, threads: int) -> None:
        """`content` is what the file at `path` holds. Large pictures, of a model of any size, run with `threads`.

        Raises SetupError when OpenVINO cannot run it.
        """
        self._precision, self._threads = precision, threads if any_size else 1
        self._widening = threading.Lock()
        self._wide: Any = None
        try:
            self._model = _core().read_model(model=content)
            self._idle = [self._compile(1).create_infer_request()]
        except Exception as error:  # OpenVINO's exceptions are RuntimeErrors, and whatever its loading may raise.
            raise SetupError(f"{path} cannot be loaded by OpenVINO: {_cause(error)}") from error
        # A hidden code would be that of the padded picture.
        self._pads = any_size and len(self._model.outputs) == 1

    def run(self, pixels: Pixels) -> Sequence[Pixels]:
        """The model's outputs for a batch, in the file's order."""
        if self._threads > 1 and pixels[0].size > LARGEST_FOR_ONE_THREAD:
            return self._infer(self._widen().create_infer_request(), pixels)
        try:
            request = self._idle.pop()
        except IndexError:  # A compiled model runs one batch at a time; threads that meet here get one each.
            request = self._compile(1).create_infer_request()
        try:
            return self._infer(request, pixels)
        finally:
            self._idle.append(request)

    def give_back(self) -> None:
        """Returns to the system the memory that large pictures took and that is not in use now."""
        compiled = [self._wide] if self._wide else [request.get_compiled_model() for request in list(self._idle)]
        for each in compiled:
            with contextlib.suppress(RuntimeError):  # It has begun to run again.
                each.release_memory()

    def _infer(self, request: Any, pixels: Pixels) -> Sequence[Pixels]:
        height, width = pixels.shape[1:3]
        padded = np.require(_pad(pixels) if self._pads else pixels, np.float32, ("C", "W"))
        request.set_input_tensor(_openvino().Tensor(padded, shared_memory=True))
        restored, *codes = request.infer(share_outputs=False).to_tuple()  # Tensors by name take 0.1 ms to come by.
        return [restored[:, :height, :width], *codes]

    def _widen(self) -> Any:
        """The model for large pictures, which few processes get any of."""
        with self._widening:
            self._wide = self._wide or self._compile(self._threads)
            return self._wide

    def _compile(self, threads: int) -> Any:
        return _core().compile_model(
            self._model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": NAMES[self._precision],
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,  # Workers would all be pinned to the same CPU.
                "CPU_RUNTIME_CACHE_CAPACITY": PREPARED_OPERATIONS,
            },
        )


def is_installed() -> bool:
    """Whether OpenVINO is installed here."""
    return importlib.util.find_spec("openvino") is not None


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively. Raises SetupError when OpenVINO does not work here."""
    try:
        return NATIVE in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except Exception as error:  # OpenVINO's exceptions are RuntimeErrors, and whatever its loading may raise.
        raise SetupError(f"OpenVINO does not work here: {_cause(error)}") from error


def version() -> str:
    """OpenVINO's version, found without loading it."""
    return importlib.metadata.version("openvino")


def _pad(pixels: Pixels) -> Pixels:
    """Small pictures as pictures of two of the SIDES; others as they are, and those with a longer side than all."""
    if pixels[0].size >= OWN_SHAPE_PIXELS:
        return pixels
    rows, columns = (next((side for side in SIDES if side >= length), length) for length in pixels.shape[1:3])
    more = rows - pixels.shape[1], columns - pixels.shape[2]
    return np.pad(pixels, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)), mode="reflect") if any(more) else pixels


def _cause(error: Exception) -> str:
    """The last line of what OpenVINO says, which tells the cause; those before it name its source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@cache
def _openvino() -> Any:
    # Importing OpenVINO reports it to its makers where this package is found, which nothing here needs.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None keeps it from being imported.
    import openvino  # noqa: PLC0415  # It is not there on every system, and takes 0.1 s.

    return openvino


@cache
def _core() -> Any:
    return _openvino().Core()
