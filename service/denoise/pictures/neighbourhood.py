"""What surrounds each point of a picture: means over blocks, and filters whose time does not grow with their window."""

from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from denoise.pictures import Plane

Value = TypeVar("Value", bound=np.generic)

# A median is taken of so many points of its window a side: more take longer and change it little.
SAMPLES_A_SIDE = 5
# From one place where a median is taken to the next there is this part of the window.
STEPS_A_WINDOW = 4
# Adding so few pixels is faster than the difference of two sums.
FEW_PIXELS = 5


def block_means(pixels: Plane, down: int, across: int) -> Plane:
    """Means over blocks of `down`×`across` pixels; what is left over at the end of an axis has a block of its own."""
    return _row_means(_row_means(pixels, down).T, across).T


def maximum(pixels: NDArray[Value], window: int) -> NDArray[Value]:
    """The largest of the `window`×`window` pixels around each pixel, edges repeated; True is more than False."""
    return _row_maxima(_row_maxima(pixels, window).T, window).T


def minimum(pixels: Plane, window: int) -> Plane:
    """The smallest of the `window`×`window` pixels around each pixel, edges repeated."""
    lowest: Plane = -maximum(-pixels, window)
    return lowest


def mean(pixels: Plane, window: int) -> Plane:
    """The mean of the `window`×`window` pixels around each pixel, edges repeated."""
    return _running_means(_running_means(pixels, window).T, window).T


def median(pixels: Plane, window: int) -> Plane:
    """About the median of the `window`×`window` pixels around each pixel, from samples, on steps of a quarter of it."""
    step, samples = max(1, window // STEPS_A_WINDOW), min(window, SAMPLES_A_SIDE)
    apart = window // samples
    span = apart * (samples - 1)
    padded = np.pad(pixels, (span // 2, span - span // 2), mode="symmetric")
    top, left = (min(step // 2, length - 1) for length in pixels.shape)
    windows = sliding_window_view(padded, (span + 1, span + 1))[top::step, left::step, ::apart, ::apart]
    middle = samples * samples // 2
    medians: Plane = np.partition(windows.reshape(*windows.shape[:2], -1), middle, axis=2)[:, :, middle]
    return spread(medians, step, pixels.shape)


def spread(blocks: Plane, side: int, shape: tuple[int, ...]) -> Plane:
    """A picture of `shape` made of blocks of `side`×`side` equal pixels; the last ones are cut or go on."""
    rows, columns = (
        np.minimum(np.arange(length) // side, count - 1) for length, count in zip(shape, blocks.shape, strict=True)
    )
    spread_out: Plane = blocks[rows].take(columns, axis=1)
    return spread_out


def _row_means(pixels: Plane, count: int) -> Plane:
    """Means of `count` rows each."""
    if count == 1:
        return pixels
    starts = np.arange(0, len(pixels), count)
    sizes = np.diff(starts, append=len(pixels)).astype(np.float32)
    means: Plane = np.add.reduceat(pixels, starts, axis=0) / sizes[:, None]
    return means


def _row_maxima(pixels: NDArray[Value], window: int) -> NDArray[Value]:
    """Along the first axis the largest of `window` pixels, in as many steps as doubling takes."""
    before = window // 2
    largest = np.pad(pixels, ((before, window - 1 - before), (0, 0)), mode="edge")
    reach = 1
    while reach < window:
        step = min(reach, window - reach)
        largest = np.maximum(largest[:-step], largest[step:])
        reach += step
    return largest


def _running_means(pixels: Plane, window: int) -> Plane:
    """Along the first axis the mean of `window` pixels."""
    before = window // 2
    padded = np.pad(pixels, ((before, window - 1 - before), (0, 0)), mode="edge")
    if window <= FEW_PIXELS:
        total = padded[: len(pixels)].copy()
        for i in range(1, window):
            total += padded[i : i + len(pixels)]
    else:
        sums = np.cumsum(padded, axis=0, dtype=np.float64)
        total = sums[window - 1 :].copy()
        total[1:] -= sums[:-window]
    means: Plane = (total / window).astype(np.float32)
    return means
