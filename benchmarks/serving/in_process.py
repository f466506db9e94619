"""Times a model without any server: what decoding, a run and encoding cost at the least."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks import DIGIT, ROOT
from benchmarks.serving.lineup import DIGITS_PER_TENSOR, PROCESSES
from benchmarks.serving.stacks import work
from denoise.inference.denoiser import load_files
from denoise.settings import AllowedPrecision

BATCHES = (1, 8, DIGITS_PER_TENSOR)
STRETCHES = 5
STRETCH_S = 0.1


@dataclass(frozen=True)
class InProcess:
    """What a model does in process, on one thread of each of PROCESSES.

    Attributes:
        digits_s: digits a second of one process, by batch size.
        run_us: CPU time for a digit, at the best batch size.
        decode_us, encode_us: CPU time for a picture.
    """

    digits_s: dict[int, float]
    run_us: float
    decode_us: float
    encode_us: float

    @property
    def least_us(self) -> float:
        """The CPU time of decoding, of the run at its best batch size, and of encoding."""
        return self.decode_us + self.run_us + self.encode_us


class Spent(NamedTuple):
    """What a call took."""

    cpu_s: float
    wall_s: float


def measure(model: str, precision: AllowedPrecision) -> InProcess:
    """Times a model in PROCESSES at once, since CPUs that are busy together slow each other down."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        return _by(statistics.mean, list(pool.map(_time, [model] * PROCESSES, [precision] * PROCESSES)))


def median(rounds: Sequence[InProcess]) -> InProcess:
    """The median of several measurements, figure by figure."""
    return _by(statistics.median, rounds)


def _by(average: Callable[[list[float]], float], measurements: Sequence[InProcess]) -> InProcess:
    batches = measurements[0].digits_s
    return InProcess(
        {batch: average([each.digits_s[batch] for each in measurements]) for batch in batches},
        average([each.run_us for each in measurements]),
        average([each.decode_us for each in measurements]),
        average([each.encode_us for each in measurements]),
    )


def _time(model: str, precision: AllowedPrecision) -> InProcess:
    (denoiser,) = load_files([ROOT / "models" / f"{model}.onnx"], "cpu", 1, precision)
    content = DIGIT.read_bytes()
    digit = work.decode(content)
    runs = {}
    for batch in BATCHES:
        digits = np.repeat(digit[np.newaxis, ..., np.newaxis], batch, axis=0)
        runs[batch] = time_call(lambda digits=digits: denoiser(digits))  # type: ignore[misc]
    return InProcess(
        {batch: batch / spent.wall_s for batch, spent in runs.items()},
        1e6 * min(spent.cpu_s / batch for batch, spent in runs.items()),
        1e6 * time_call(lambda: work.decode(content)).cpu_s,
        1e6 * time_call(lambda: work.encode(digit)).cpu_s,
    )


def time_call(call: Callable[[], object]) -> Spent:
    """What a call takes, the medians of STRETCHES."""
    call()
    stretches = []
    for _ in range(STRETCHES):
        calls, cpu_start, start = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() < start + STRETCH_S:
            call()
            calls += 1
        stretches.append(((time.process_time() - cpu_start) / calls, (time.perf_counter() - start) / calls))
    return Spent(*map(statistics.median, zip(*stretches, strict=True)))
