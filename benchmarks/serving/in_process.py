"""Times a model without any server: what decoding, a run and encoding cost at the least."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

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
    """What a model does in process, on one thread of each of PROCESSES."""

    digits_s: dict[int, float]  # digits a second, by batch size
    decode_us: float
    encode_us: float

    @property
    def least_us(self) -> float:
        """The CPU time of decoding, of the run at its best batch size, and of encoding."""
        return self.decode_us + 1e6 / max(self.digits_s.values()) + self.encode_us


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
        average([each.decode_us for each in measurements]),
        average([each.encode_us for each in measurements]),
    )


def _time(model: str, precision: AllowedPrecision) -> InProcess:
    (denoiser,) = load_files([ROOT / "models" / f"{model}.onnx"], "cpu", 1, precision)
    content = DIGIT.read_bytes()
    digit = work.decode(content)
    rates = {}
    for batch in BATCHES:
        digits = np.repeat(digit[np.newaxis, ..., np.newaxis], batch, axis=0)
        rates[batch] = batch / cpu_seconds_per_call(lambda digits=digits: denoiser(digits))  # type: ignore[misc]
    decode_s = cpu_seconds_per_call(lambda: work.decode(content))
    return InProcess(rates, 1e6 * decode_s, 1e6 * cpu_seconds_per_call(lambda: work.encode(digit)))


def cpu_seconds_per_call(call: Callable[[], object]) -> float:
    """CPU seconds of a call, the median of STRETCHES."""
    call()
    stretches = []
    for _ in range(STRETCHES):
        calls, start, until = 0, time.process_time(), time.perf_counter() + STRETCH_S
        while time.perf_counter() < until:
            call()
            calls += 1
        stretches.append((time.process_time() - start) / calls)
    return statistics.median(stretches)
