"""How long a model takes for a pixel, on the batch sizes that are served."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from denoise.pictures import Pixels

# A runtime keeps memory and plans for each number of pictures that it has run, so there are few.
PICTURES_PER_RUN = (64, 32, 16, 8, 4, 2, 1)
# A run takes the event loop about so long at most.
TURN_S = 0.02
DIGIT = (28, 28)
TIMED_RUNS = 3

Run = Callable[[Pixels], object]


def warm_and_time(runs: Sequence[Run], size: tuple[int, int] | None, *, on_gpu: bool = False) -> list[float]:
    """Seconds that each kind of run takes per pixel: the mean over all batch sizes that fit into a turn.

    Of each batch size the fastest of TIMED_RUNS counts. They take turns, so that what else goes on here disturbs all
    alike. The first run, in which runtimes prepare themselves for a batch size, is not timed.

    Args:
        runs: take a batch `[batch, height, width, 1]`.
        size: height and width; of models of any size, if None, digits are what comes most.
        on_gpu: whether one of them waits for a GPU, so that the time that passes has to be taken. The CPU time of the
            process tells the same otherwise, and much the same while other processes keep the CPUs busy.
    """
    clock = time.perf_counter if on_gpu else time.process_time
    height, width = size or DIGIT
    per_pixel: list[list[float]] = [[] for _ in runs]
    for count in sorted(PICTURES_PER_RUN):
        pixels = np.zeros((count, height, width, 1), np.float32)
        fitting = [n for n, known in enumerate(per_pixel) if not known or pixels.size * known[-1] <= TURN_S]
        for number in fitting:
            runs[number](pixels)
        seconds = np.array([[_seconds(clock, runs[number], pixels) for number in fitting] for _ in range(TIMED_RUNS)])
        for number, least in zip(fitting, seconds.min(axis=0), strict=True):
            per_pixel[number].append(float(least) / pixels.size)
    return [sum(known) / len(known) for known in per_pixel]


def _seconds(clock: Callable[[], float], run: Run, pixels: Pixels) -> float:
    start = clock()
    run(pixels)
    return clock() - start
