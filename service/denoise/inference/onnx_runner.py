"""A model's file run by onnxruntime, on the CPU or on a GPU. The one module that knows onnxruntime."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from denoise.errors import SetupError
from denoise.inference.clock import DIGIT, PICTURES_PER_RUN
from denoise.inference.contract import Description, Tensor
from denoise.pictures import Pixels
from denoise.settings import Precision

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# For pictures of up to so many pixels, waking several threads takes longer than they save.
LARGEST_FOR_ONE_THREAD = 128 * 128
CUDA_OPTIONS = {
    # The default searches again, for most of a second, at every new shape.
    "cudnn_conv_algo_search": "HEURISTIC",
}
# A GPU takes so many digits in a run, whether there are as many or not.
GPU_BATCH = max(PICTURES_PER_RUN)
SMALLEST_INPUT = (1, 8, 8, 1)
ORT_LOGS_FATAL = 4


class OnnxRunner:
    """A model in sessions of onnxruntime's. Threads may share it."""

    def __init__(
        self, path: Path, content: bytes, provider: str, precision: Precision, *, any_size: bool, threads: int
    ) -> None:
        """`content` is what the file at `path` holds. Large pictures, of a model of any size, run with `threads`.

        Raises SetupError when the file, or the provider, cannot be used.
        """
        self._on_gpu = provider == CUDA
        self._session = _session(path, content, provider, 1, precision)
        self._wide = self._session
        self._keeps_memory = any_size and provider == CPU
        if any_size and (self._on_gpu or threads > 1):
            self._wide = _session(path, content, provider, threads, precision)

    def run(self, pixels: Pixels) -> Sequence[Pixels]:
        """The model's outputs for a batch, in the file's order."""
        if self._on_gpu:
            return self._run_on_gpu(pixels)
        session = self._wide if pixels[0].size > LARGEST_FOR_ONE_THREAD else self._session
        outputs: Sequence[Pixels] = session.run(None, {"image": pixels})
        return outputs

    def _run_on_gpu(self, pixels: Pixels) -> Sequence[Pixels]:
        """The same, with every batch of digits filled up to one size.

        A session keeps cuDNN's plans for the last shape that it ran and makes new ones, for some 40 ms, when another
        one comes. So digits have a session of their own, and a GPU takes hardly longer for more of them.
        """
        count = len(pixels)
        if pixels.shape[1:3] != DIGIT or count > GPU_BATCH:
            outputs: Sequence[Pixels] = self._wide.run(None, {"image": pixels})
            return outputs
        filled = np.zeros((GPU_BATCH, *pixels.shape[1:]), np.float32)
        filled[:count] = pixels
        return [output[:count] for output in self._session.run(None, {"image": filled})]

    def give_back(self) -> None:
        """Returns to the system the memory that large pictures took and that is not in use now.

        onnxruntime's arena gives nothing back by itself, and doubles when what is free in it lies in pieces.
        """
        if self._keeps_memory:
            self._wide.run(None, {"image": np.zeros(SMALLEST_INPUT, np.float32)}, _shrinking())


def describe(path: Path, content: bytes) -> Description:
    """The tensors and metadata of a file. Raises SetupError when onnxruntime cannot load it."""
    session = _session(path, content, CPU, 1)
    metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    return Description(_tensors(session.get_inputs()), _tensors(session.get_outputs()), metadata)


def has_cuda() -> bool:
    """Whether the onnxruntime installed here is built with CUDA; a model may still fail to run on a GPU."""
    return CUDA in _onnxruntime().get_available_providers()


def versions() -> dict[str, str]:
    """The versions of onnxruntime and of the CUDA that it was built for, by name."""
    onnxruntime = _onnxruntime()
    found = {"onnxruntime": onnxruntime.__version__}
    if cuda := getattr(onnxruntime, "cuda_version", ""):
        found["CUDA it is built for"] = cuda
    return found


@cache
def _onnxruntime() -> Any:
    """The library, which comes with one of two extras. Raises SetupError when neither was installed."""
    try:
        import onnxruntime  # noqa: PLC0415  # `denoise --version` and `--help` hold without it.
    except ImportError as error:
        raise SetupError(
            "onnxruntime runs the models, and is not installed here: pip install 'denoise-service[cpu]', or "
            f"'denoise-service[cuda]' for an NVIDIA GPU ({error})."
        ) from None
    return onnxruntime


@cache
def _shrinking() -> Any:
    """The options of a run after which the arena gives back what is free in it."""
    options = _onnxruntime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _session(path: Path, content: bytes, provider: str, threads: int, precision: Precision = "float32") -> Any:
    """The `InferenceSession` for a file. Raises SetupError when the file, or the provider, cannot be used."""
    onnxruntime = _onnxruntime()
    if provider == CUDA:
        onnxruntime.preload_dlls()  # CUDA and cuDNN may be Python packages, where no loader looks.
    options = onnxruntime.SessionOptions()
    # onnxruntime would choose by the host's cores, not the container's.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ORT_LOGS_FATAL  # Errors are raised as exceptions as well.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # Idle threads would burn their CPU.
    cuda = CUDA_OPTIONS | {"use_tf32": "1" if precision == "tfloat32" else "0"}  # onnxruntime would use it by itself.
    providers = [(CUDA, cuda), CPU] if provider == CUDA else [CPU]
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
