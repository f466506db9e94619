"""The ways in which onnxruntime can run a model, on a GPU above all, those that the service does not use among them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import onnxruntime

from denoise.inference.onnx_runner import CPU, CUDA, CUDA_OPTIONS, ORT_LOGS_FATAL
from denoise.pictures import Pixels

WARM_UP_S, TIMED_S = 0.1, 0.15
TF32 = {"use_tf32": "1"}
NHWC = {"prefer_nhwc": "1"}
GRAPH = {"enable_cuda_graph": "1"}
# The models name so what may vary.
AXES = ("batch", "height", "width")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Variant:
    """A way to run a model.

    Attributes:
        options: of the CUDA provider, beside the service's own.
        float16: whether the weights and what is between the layers are float16; inputs and outputs stay float32.
        bound: whether inputs and outputs stay on the device, so that no copy of them is timed.
        threads: of the CPU provider.
    """

    name: str
    provider: str = CUDA
    options: Mapping[str, str] = field(default_factory=dict)
    float16: bool = False
    bound: bool = False
    threads: int = 1

    @property
    def device(self) -> str:
        """Where bound inputs and outputs lie, as onnxruntime calls it."""
        return "cuda" if self.provider == CUDA else "cpu"

    @property
    def of_one_shape(self) -> bool:
        """Whether a session holds for one shape: a CUDA graph is recorded once and played from then on."""
        return GRAPH.items() <= self.options.items()


REFERENCE = Variant("CPU, float32, one thread", CPU)
# What runs on pictures in main memory, as the service does.
COPYING = (
    Variant("CUDA, float32"),
    Variant("CUDA, TF32", options=TF32),
    Variant("CUDA, TF32, NHWC", options=TF32 | NHWC),
    Variant("CUDA, float16", float16=True),
    Variant("CUDA, float16, NHWC", options=NHWC, float16=True),
)
BOUND = (
    Variant("CUDA, float32, bound", bound=True),
    Variant("CUDA, TF32, bound", options=TF32, bound=True),
    Variant("CUDA, float16, bound", float16=True, bound=True),
    Variant("CUDA, float32, bound, CUDA graph", options=GRAPH, bound=True),
    Variant("CUDA, TF32, bound, CUDA graph", options=TF32 | GRAPH, bound=True),
)


def load(path: Path, variant: Variant, shape: tuple[int, ...]) -> Any:
    """The `InferenceSession` of a file, for batches of a shape. Raises what onnxruntime raises."""
    if variant.provider == CUDA:
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = variant.threads
    options.log_severity_level = ORT_LOGS_FATAL
    if variant.of_one_shape:
        for axis, length in zip(AXES, shape, strict=False):
            options.add_free_dimension_override_by_name(axis, length)
    cuda = {**CUDA_OPTIONS, "use_tf32": "0", **variant.options}
    providers = [(CUDA, cuda), CPU] if variant.provider == CUDA else [CPU]
    content = halve(path) if variant.float16 else path.read_bytes()
    session = onnxruntime.InferenceSession(content, options, providers=providers)
    if session.get_providers()[0] != variant.provider:
        raise RuntimeError("There is no GPU that onnxruntime can use.")
    return session


def halve(path: Path) -> bytes:
    """A model's file with float16 in place of float32, except in its inputs and outputs."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415  # One row alone needs it.

    content: bytes = convert_float_to_float16(onnx.load(path), keep_io_types=True).SerializeToString()
    return content


def prepare(session: Any, variant: Variant, pixels: Pixels) -> Callable[[], object]:
    """A call that runs a batch `[batch, height, width, 1]` and returns when the answer is there."""
    if not variant.bound:
        return lambda: session.run(None, {"image": pixels})
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", onnxruntime.OrtValue.ortvalue_from_numpy(pixels, variant.device, 0))
    for output in session.get_outputs():
        shape = [pixels.shape[axis] if isinstance(length, str) else length for axis, length in enumerate(output.shape)]
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, variant.device, 0)
        binding.bind_ortvalue_output(output.name, value)

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def answer(session: Any, pixels: Pixels) -> Pixels:
    """What a model makes of a batch."""
    restored: Pixels = session.run(["restored"], {"image": pixels})[0]
    return restored


def time_runs(run: Callable[[], Answer]) -> tuple[float, Answer]:
    """The median of the runs in TIMED_S, in seconds, after those in WARM_UP_S, and the last one's answer.

    A run that takes longer is timed once, after one that is not.
    """
    for spell_s in (WARM_UP_S, TIMED_S):
        seconds: list[float] = []
        until = time.perf_counter() + spell_s
        while not seconds or time.perf_counter() < until:
            start = time.perf_counter()
            answer = run()
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), answer
