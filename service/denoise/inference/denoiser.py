"""One ONNX model as a callable, pixels in and pixels out. The one module that knows onnxruntime."""

import base64
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import onnxruntime

from denoise.errors import SetupError
from denoise.pictures import Pixels
from denoise.settings import Device

Task = Literal["reconstruct", "denoise"]

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# A pixel of the answer here may differ so much from Keras' own; float32 everywhere stays far under it.
PROBE_TOLERANCE = 1e-4
# For pictures of up to so many pixels, waking several threads takes longer than they save.
LARGEST_FOR_ONE_THREAD = 128 * 128
CUDA_OPTIONS = {
    # The default searches again, for most of a second, at every new shape.
    "cudnn_conv_algo_search": "HEURISTIC",
    # TF32 has a mantissa of ten bits; it would need a tolerance that hides real faults.
    "use_tf32": "0",
}
SMALLEST_INPUT = (1, 8, 8, 1)
FACTS = ("title", "training_data", "noise", "date")
ORT_LOGS_FATAL = 4
_TASKS: dict[str, Task] = {"reconstruct": "reconstruct", "denoise": "denoise"}  # mypy narrows a name by it.
_SHRINK = onnxruntime.RunOptions()
_SHRINK.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

log = logging.getLogger(__name__)


class Restored(NamedTuple):
    """A model's answer to a batch.

    Attributes:
        pixels: `[batch, height, width, 1]`, 0 … 1.
        code: `[batch, ...]`; None of a model without a hidden code.
    """

    pixels: Pixels
    code: Pixels | None


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    Attributes:
        name: as the model's file has it.
        shape: lengths of its axes; a name stands for a length that may change.
        type: as onnxruntime names it.
    """

    name: str
    shape: tuple[int | str, ...]
    type: str

    def __str__(self) -> str:
        return f"`{self.name}` {self.type} {list(self.shape)}"


class Denoiser:
    """A model that has been loaded and has passed its probe. Threads may share it.

    Attributes:
        name: the file's stem.
        task: `reconstruct` or `denoise`.
        size: height and width of the pictures it takes; None when it takes any.
        inputs, outputs: its tensors, in the file's order.
        provider: where its session really runs, as onnxruntime names it.
        difference: largest difference, per pixel, between its answer to the probe and Keras'.
        sha256: of the file.
        facts: title, training_data, noise, date, as the file tells them.
        scores: on the test digits, by name.
        parameters: how many numbers were trained.
    """

    def __init__(self, path: Path, provider: str, threads: int) -> None:
        """Loads the file and proves it; pictures larger than LARGEST_FOR_ONE_THREAD run with `threads` threads.

        Raises SetupError when it does not hold its contract.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SetupError(f"{path} cannot be read: {error.strerror}.") from None
        self._session = _session(path, content, provider, 1)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.name = path.stem
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.provider: str = self._session.get_providers()[0]
        self.inputs, self.outputs = _tensors(self._session.get_inputs()), _tensors(self._session.get_outputs())
        self.size = _size(path, self.inputs, self.outputs)
        self._wide = self._session
        if self.size is None and provider == CPU and threads > 1:
            self._wide = _session(path, content, provider, threads)
        try:
            self.task: Task = _TASKS[metadata["task"]]
            self.facts = {key: metadata[key] for key in FACTS}
            self.scores = {name: float(value) for name, value in json.loads(metadata["scores"]).items()}
            self.parameters = int(metadata["parameters"])
            shape = json.loads(metadata["probe_shape"])
            probe, expected = (
                np.frombuffer(base64.b64decode(metadata[key]), "<f4").reshape(shape)
                for key in ("probe_input", "probe_restored")
            )
        except KeyError as error:
            raise _broken(path, f"its metadata lack {error} or give it a value that is not known") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise _broken(path, f"its metadata cannot be read: {error}") from error
        try:
            self.difference = float(np.max(np.abs(self(probe).pixels - expected)))
        except Exception as error:  # onnxruntime's exceptions have no base class of their own.
            raise SetupError(f"{path} does not run on {self.provider}: {error}") from error
        if not self.difference <= PROBE_TOLERANCE:
            raise SetupError(
                f"{path} fails its self-check on {self.provider}: its answer to the probe is {self.difference:.2g} "
                f"off, more than {PROBE_TOLERANCE:g}."
            )

    def __call__(self, pixels: Pixels) -> Restored:
        """The answer to a batch `[batch, height, width, 1]`, light ink on black, 0 … 1, of the model's `size`."""
        session = self._wide if pixels[0].size > LARGEST_FOR_ONE_THREAD else self._session
        answers = session.run(None, {"image": pixels})
        named = dict(zip((output.name for output in self.outputs), answers, strict=True))
        return Restored(named["restored"], named.get("code"))

    def give_back(self) -> None:
        """Returns to the system the memory that large pictures took and that is not in use now.

        onnxruntime's arena gives nothing back by itself, and doubles when what is free in it lies in pieces.
        """
        if self.size is None and self.provider == CPU:
            self._wide.run(None, {"image": np.zeros(SMALLEST_INPUT, np.float32)}, _SHRINK)


def load(folder: Path, device: Device, threads: int) -> dict[str, Denoiser]:
    """Every model in `folder` by name, each on the best provider that `device` allows and that really runs it.

    Raises:
        SetupError: there is no model, a file does not hold its contract, or `device` is `cuda` and there is none.
    """
    if not folder.is_dir():
        raise SetupError(f"There is no folder {folder.absolute()}; DENOISE_MODELS names the folder to serve.")
    paths = sorted(folder.glob("*.onnx"))
    if not paths:
        raise SetupError(f"There is no .onnx file in {folder.absolute()}; DENOISE_MODELS names the folder to serve.")
    if device == "auto" and CUDA not in onnxruntime.get_available_providers():
        log.info("Models run on the CPU: the onnxruntime installed here is built without CUDA.")
        device = "cpu"
    denoisers = {}
    for path in paths:
        if device != "cpu":
            try:
                denoisers[path.stem] = Denoiser(path, CUDA, threads)
                continue
            except SetupError as error:
                if device == "cuda":
                    raise
                log.warning("FALLING BACK TO THE CPU from %s on: %s", path.stem, error)
                device = "cpu"
        denoisers[path.stem] = Denoiser(path, CPU, threads)
    return denoisers


def default(denoisers: Mapping[str, Denoiser], task: Task, named: str | None = None) -> str | None:
    """The name of the model that answers when a request names none: `named`, or else the one with the best PSNR.

    None when no model has that task. Raises SetupError when `named` is no model of that task.
    """
    names = [name for name, denoiser in denoisers.items() if denoiser.task == task]
    if named and named not in names:
        raise SetupError(f"DENOISE_DEFAULT_MODEL={named} is no model that can {task}; there are: {', '.join(names)}.")
    return named or max(names, key=lambda name: denoisers[name].scores.get("psnr", -np.inf), default=None)


def providers() -> list[str]:
    """The providers that the onnxruntime installed here was built for; a model may still fail to run on one."""
    return list(onnxruntime.get_available_providers())


def versions() -> dict[str, str]:
    """The versions of onnxruntime and of the CUDA that it was built for, by name."""
    found = {"onnxruntime": onnxruntime.__version__}
    if cuda := getattr(onnxruntime, "cuda_version", ""):
        found["CUDA it is built for"] = cuda
    return found


def _session(path: Path, content: bytes, provider: str, threads: int) -> onnxruntime.InferenceSession:
    if provider == CUDA:
        if CUDA not in onnxruntime.get_available_providers():
            raise SetupError(
                "DENOISE_DEVICE=cuda, but the onnxruntime installed here is built without CUDA; "
                "an environment made from requirements/cuda.txt has the one with it."
            )
        onnxruntime.preload_dlls()  # CUDA and cuDNN may be Python packages, where no loader looks.
    options = onnxruntime.SessionOptions()
    # onnxruntime would choose by the host's cores, not the container's.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ORT_LOGS_FATAL  # Errors are raised as exceptions as well.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # Idle threads would burn their CPU.
    providers = [(CUDA, CUDA_OPTIONS), CPU] if provider == CUDA else [CPU]
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no base class of their own.
        raise SetupError(f"{path} cannot be loaded: {error}") from error
    # Where there is no CUDA, onnxruntime takes the CPU without an error.
    if session.get_providers()[0] != provider:
        raise SetupError("No GPU that onnxruntime can use was found: the driver, CUDA or cuDNN is missing or too old.")
    return session


def _tensors(arguments: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(Tensor(argument.name, tuple(argument.shape), argument.type) for argument in arguments)


def _size(path: Path, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> tuple[int, int] | None:
    """The height and width that the contract's one input has. Raises SetupError when it is not the contract's."""
    expected = "one float32 input `image` [batch, height, width, 1] and a first output `restored` of the same shape"
    if not inputs or not outputs:
        raise _broken(path, f"{expected} are expected; it has none")
    image, restored = inputs[0], outputs[0]
    if (
        (len(inputs), image.name, restored.name, image.type, restored.type)
        != (1, "image", "restored", "tensor(float)", "tensor(float)")
        or image.shape != restored.shape
        or len(image.shape) != len(("batch", "height", "width", "channel"))
        or not isinstance(image.shape[0], str)
        or image.shape[3] != 1
    ):
        raise _broken(path, f"{expected} are expected; it has {image} and {restored}")
    _, height, width, _ = image.shape
    if isinstance(height, int) and isinstance(width, int):
        return height, width
    return None


def _broken(path: Path, why: str) -> SetupError:
    return SetupError(f"{path} does not keep the models' contract: {why}.")
