"""The ways to run a model: a provider and a precision. Which of them this machine has, and how exact each must be.

There is no int8. onnxruntime's static quantization of `unet_dae`, with its first and last convolutions in float32,
takes 0.38 of the time of float32 with AVX512_VNNI, where bfloat16 takes 0.56. But it loses 0.4 to 2 dB on uneven paper,
up to 0.7 on blur and 3 to 5 on clean digits, whether ranges are calibrated by percentile, by entropy or by extremes;
and no less when only the coarse convolutions are in int8.

There is no float16 on a GPU: it takes a file of its own, and on an H100 batches of up to 64 digits, copied there and
back, took as long as in float32.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from denoise.errors import SetupError
from denoise.inference import onnx_runner, openvino_runner
from denoise.inference.onnx_runner import OnnxRunner
from denoise.inference.openvino_runner import OpenVinoRunner
from denoise.pictures import Pixels
from denoise.settings import AllowedPrecision, Device, Precision


class Way(NamedTuple):
    """A provider, as onnxruntime names its own, and the precision in which it multiplies."""

    provider: str
    precision: Precision

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU runs the model."""
        return self.provider == onnx_runner.CUDA

    def __str__(self) -> str:
        return f"{self.provider} in {self.precision}"


CUDA_TFLOAT32 = Way(onnx_runner.CUDA, "tfloat32")
CUDA = Way(onnx_runner.CUDA, "float32")
CPU = Way(onnx_runner.CPU, "float32")
OPENVINO = Way(openvino_runner.PROVIDER, "float32")
OPENVINO_BFLOAT16 = Way(openvino_runner.PROVIDER, "bfloat16")
# The last one that is open runs every model that keeps the contract: it is what the others are measured by.
ALL = (CUDA_TFLOAT32, CUDA, OPENVINO_BFLOAT16, OPENVINO, CPU)


class Tolerance(NamedTuple):
    """How much pixels of answers may be off: the worst one, and all of them on the mean."""

    largest: float
    mean: float

    def __str__(self) -> str:
        return f"{self.largest:g}, or {self.mean:g} on the mean"


# float32 stays far under its tolerance everywhere. bfloat16 has eight bits: a pixel near a stroke's edge may be off by
# several of 255 steps, and the PSNR of noisy digits changes by some thousandths of a dB. TF32 has eleven bits: on an
# H100 no pixel was off by more than 0.004.
TOLERANCES: Mapping[Precision, Tolerance] = {
    "float32": Tolerance(1e-4, 1e-4),
    "tfloat32": Tolerance(0.01, 0.001),
    "bfloat16": Tolerance(0.05, 0.003),
}


class Runner(Protocol):
    """A model that was loaded to run in a certain way. Threads may share it."""

    def run(self, pixels: Pixels) -> Sequence[Pixels]:
        """The model's outputs for a batch `[batch, height, width, 1]`, in the file's order."""

    def give_back(self) -> None:
        """Returns to the system the memory that large pictures took and that is not in use now."""


class Ways(NamedTuple):
    """The ways that may be tried here, and why each of the others may not."""

    open: tuple[Way, ...]
    closed: Mapping[Way, str]

    def without(self, way: Way, why: str) -> "Ways":
        """The same, but that a way turned out not to work."""
        return Ways(tuple(each for each in self.open if each != way), {**self.closed, way: why})


def find(device: Device, precision: AllowedPrecision) -> Ways:
    """The ways that the settings allow and that this machine may have; whether one works, a model has to prove.

    Raises SetupError when `device` is `cuda` and the onnxruntime installed here knows no CUDA.
    """
    closed = {way: why for way in ALL if (why := _why_not(way, device, precision))}
    if device == "cuda" and CUDA in closed:
        raise SetupError(f"DENOISE_DEVICE=cuda, but {closed[CUDA][0].lower()}{closed[CUDA][1:]}")
    return Ways(tuple(way for way in ALL if way not in closed), closed)


def _why_not(way: Way, device: Device, precision: AllowedPrecision) -> str:
    """Why a way cannot be tried; "" when it can."""
    if way.on_gpu:
        return _why_no_cuda(way, device, precision)
    if device == "cuda":
        return "DENOISE_DEVICE=cuda insists on a GPU."
    return "" if way == CPU else _why_no_openvino(way, precision)


def _why_no_cuda(way: Way, device: Device, precision: AllowedPrecision) -> str:
    if device == "cpu":
        return "DENOISE_DEVICE=cpu uses no GPU."
    if way.precision != "float32" and precision == "float32":
        return "DENOISE_PRECISION=float32 allows no other precision."
    return "" if onnx_runner.has_cuda() else _WITHOUT_CUDA


def _why_no_openvino(way: Way, precision: AllowedPrecision) -> str:
    if precision == "float32":
        return "DENOISE_PRECISION=float32 asks for the same bits everywhere."
    if not openvino_runner.is_installed():
        return "OpenVINO is not installed here."
    try:
        native = openvino_runner.has_bfloat16()
    except SetupError as error:
        return str(error)
    return "" if native or way.precision == "float32" else "The processor does not multiply bfloat16 natively."


_WITHOUT_CUDA = (
    "The onnxruntime installed here is built without CUDA; "
    "an environment made from requirements/cuda.txt has the one with it."
)


def open_file(way: Way, path: Path, content: bytes, *, any_size: bool, threads: int) -> Runner:
    """Loads the file at `path`, which holds `content`, to run in a way. Raises SetupError."""
    if way.provider == openvino_runner.PROVIDER:
        return OpenVinoRunner(path, content, way.precision, any_size=any_size, threads=threads)
    return OnnxRunner(path, content, way.provider, way.precision, any_size=any_size, threads=threads)


def versions() -> dict[str, str]:
    """The versions of what can run models here, by name."""
    openvino = {"OpenVINO": openvino_runner.version()} if openvino_runner.is_installed() else {}
    return onnx_runner.versions() | openvino
