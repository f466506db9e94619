"""What surrounds each point of a picture: means over blocks, and filters whose time does not grow with their window."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from denoise.pictures import Plane

# A median is taken of so many points of its window a side: more take longer and change it little.
SAMPLES_A_SIDE = 7


def block_means(pixels: Plane, down: int, across: int) -> Plane:
    """Means over blocks of `down`×`across` pixels; what is left over at the end of an axis has a block of its own."""
    return _row_means(_row_means(pixels, down).T, across).T


def maximum(pixels: Plane, window: int) -> Plane:
    """The largest of the `window`×`window` pixels around each pixel, edges repeated."""
    return _row_maxima(_row_maxima(pixels, window).T, window).T


def minimum(pixels: Plane, window: int) -> Plane:
    """The smallest of the `window`×`window` pixels around each pixel, edges repeated."""
    lowest: Plane = -maximum(-pixels, window)
    return lowest


def mean(pixels: Plane, window: int) -> Plane:
    """The mean of the `window`×`window` pixels around each pixel, edges repeated."""
    return _running_means(_running_means(pixels, window).T, window).T


def median(pixels: Plane, window: int) -> Plane:
    """About the median of the `window`×`window` pixels around each pixel, from samples, on steps of an eighth of it."""
    step, samples = max(1, window // 8), min(window, SAMPLES_A_SIDE)
    apart = window // samples
    span = apart * (samples - 1)
    padded = np.pad(pixels, (span // 2, span - span // 2), mode="symmetric")
    windows = sliding_window_view(padded, (span + 1, span + 1))[::step, ::step, ::apart, ::apart]
    middle = np.median(windows.reshape(*windows.shape[:2], -1), axis=2)
    if step == 1:
        return middle
    return middle.repeat(step, axis=0).repeat(step, axis=1)[: pixels.shape[0], : pixels.shape[1]]


def _row_means(pixels: Plane, count: int) -> Plane:
    """Means of `count` rows each."""
    if count == 1:
        return pixels
    starts = np.arange(0, len(pixels), count)
    sizes = np.diff(starts, append=len(pixels)).astype(np.float32)
    means: Plane = np.add.reduceat(pixels, starts, axis=0) / sizes[:, None]
    return means


def _row_maxima(pixels: Plane, window: int) -> Plane:
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
    padded = np.pad(pixels, ((before + 1, window - 1 - before), (0, 0)), mode="edge").astype(np.float64)
    padded[0] = 0
    sums = np.cumsum(padded, axis=0)
    means: Plane = ((sums[window:] - sums[:-window]) / window).astype(np.float32)
    return means
