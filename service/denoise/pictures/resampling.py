"""A stretch of a picture at another size, shrunk without aliasing or enlarged smoothly; pure numpy."""

import numpy as np
from numpy.typing import NDArray

from denoise.pictures import Plane

# Where a stretch of an axis begins and ends, in pixels; it may reach over the ends of the axis.
Span = tuple[float, float]

PIXELS_PER_BAND = 64
# A longer axis repeats its interpolated pixels, which nobody sees.
MOST_INTERPOLATED_PIXELS = 4096


def resample(pixels: Plane, shape: tuple[int, int], rows: Span, columns: Span) -> Plane:
    """The stretch `rows` × `columns` of a picture `[height, width]` as `shape` pixels, 0 where it reaches outside.

    Time and memory grow with the larger of the two pictures, whatever their proportions.
    """
    # The axis that leaves less to do for the other one comes first.
    if shape[0] * pixels.shape[1] < pixels.shape[0] * shape[1]:
        return _along(_along(pixels, shape[0], rows).T, shape[1], columns).T
    return _along(_along(pixels.T, shape[1], columns).T, shape[0], rows)


def inside(length: int, count: int, span: Span) -> NDArray[np.bool_]:
    """Which of the `count` pixels that share `span` have their centres on an axis of `length`."""
    places = centres(count, span)
    return (places >= 0) & (places <= length)


def centres(count: int, span: Span) -> Plane:
    """Where the centres of `count` pixels that share `span` lie."""
    start, stop = span
    return start + (np.arange(count) + 0.5) * ((stop - start) / count)


def _along(pixels: Plane, count: int, span: Span) -> Plane:
    """The first axis of a picture resampled."""
    block = int((span[1] - span[0]) / count / 2)
    if block > 1:  # Averaging blocks first leaves the kernel two to four pixels for each of its own.
        starts = np.arange(0, len(pixels), block)
        sizes = np.diff(starts, append=len(pixels)).astype(np.float32)
        pixels = np.add.reduceat(pixels, starts, axis=0) / sizes[:, None]
        span = span[0] / block, span[1] / block
    resampled = _interpolate(pixels, min(count, MOST_INTERPOLATED_PIXELS), span)
    if count > MOST_INTERPOLATED_PIXELS:
        edges = np.arange(MOST_INTERPOLATED_PIXELS + 1) * count // MOST_INTERPOLATED_PIXELS
        resampled = resampled.repeat(np.diff(edges), axis=0)
    return resampled


def _interpolate(pixels: Plane, count: int, span: Span) -> Plane:
    """The first axis interpolated, a band of pixels at a time, since each needs its own neighbourhood only."""
    step = (span[1] - span[0]) / count
    reach = 2 * max(step, 1.0) + 1
    bands = []
    for first in range(0, count, PIXELS_PER_BAND):
        last = min(first + PIXELS_PER_BAND, count)
        near = span[0] + first * step - reach, span[0] + last * step + reach
        low, high = (min(max(int(place), 0), len(pixels)) for place in near)
        stretch = span[0] + first * step - low, span[0] + last * step - low
        weights = _weights(high - low, last - first, stretch)
        weights[~inside(len(pixels), count, span)[first:last]] = 0
        bands.append(weights @ pixels[low:high])
    return np.concatenate(bands)


def _weights(length: int, count: int, span: Span) -> NDArray[np.float32]:
    """The matrix `[count, length]` that takes `span` of an axis of `length` pixels to `count` pixels.

    Rows are Keys' cubic kernel (IEEE Trans. ASSP 29, 1981; a = -1/2), widened by the factor of shrinking so that
    nothing aliases, and sum to 1.
    """
    places = centres(count, span)
    x = np.abs(places[:, None] - (np.arange(length) + 0.5)) / max((span[1] - span[0]) / count, 1.0)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
    weights = np.select([x < 1, x < 2], [near, far], 0)  # noqa: PLR2004  # The kernel has pieces of length 1.
    totals = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(totals == 0, 1, totals)).astype(np.float32)
