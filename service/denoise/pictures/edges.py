"""The edges of a picture that was shrunk for a model, given to the answer when that is enlarged; pure numpy.

An answer in the model's size has no edge finer than its pixels, and the picture does. So around each pixel of it the
answer is fitted as a linear function of the picture, shrunk alike, and that function is applied to the picture as it
was: the guided filter (He, Sun and Tang, IEEE TPAMI 35, 2013; its fast form, arXiv:1505.00996). Where the answer is
flat, as on paper and in the middle of broad strokes, it stays as it is: none of the picture's noise comes back there.
"""

import math
from typing import NamedTuple

import numpy as np

from denoise.pictures import Pixels, neighbourhood, page
from denoise.pictures.page import Look
from denoise.pictures.resampling import Span, resample

# A picture gives its edges as far as its noise, a share of the ink's strength, is little, and its blur, in pixels of
# the model, is not more than the model's own.
NO_NOISE, LITTLE_NOISE, MUCH_NOISE = 0.02, 0.05, 0.1
LITTLE_BLUR_PX, MUCH_BLUR_PX = 1.1, 1.4
# More than little noise is averaged over one of these windows, no wider than that share of a pixel of the model.
WINDOWS_PX, NOISY_SHARE = (3, 5), 0.95
# Less of it is, where edges are soft: a window whose pixels deviate by no more than that share of the edges' blur
# leaves them as they were. It may be so many of the model's pixels wide.
SOFT_SHARE, WIDEST_OF_SOFT = 0.4, 1.3

# The function is fitted to so many pixels a side.
WINDOW_PX = 5
# A pixel of the enlarged answer depends on so many rows on either side of its own: half a window, and the kernel's.
REACH = WINDOW_PX // 2 + 3
# So many of the picture's pixels are worked on at a time, which bounds the memory beside it, its means and the answer.
PIXELS_PER_BAND = 2_000_000
# A picture that varies no more than this (squared, light from 0 to 1) around a pixel tells nothing there.
LEAST_VARIANCE = 1e-5
# The function counts as far as it explains the variance of the answer: from the first share on, wholly from the second.
# Where the picture is out of focus, or rough, a model draws edges that are not in it, and an answer keeps those.
EXPLAINED = 0.95, 0.985
# An answer is flat around a pixel where the 3×3 pixels differ by less than this.
FLAT = 0.1


class Edges(NamedTuple):
    """How an answer gets the edges of its picture.

    Attributes:
        amount: how much of them, 0 … 1 (all).
        window: they are those of the picture's means over so many pixels a side, which have less noise.
    """

    amount: float
    window: int


def find(light: Pixels, look: Look, shrunk: float) -> Edges | None:
    """What the edges of a page are good for; None for nothing.

    Args:
        light: the page `[height, width]`, 0 … 1, dark ink on light paper.
        look: what it shows.
        shrunk: by what factor it is shrunk for the model.
    """
    blur = look.strokes.blur
    fine = float(np.interp(blur / shrunk, (LITTLE_BLUR_PX, MUCH_BLUR_PX), (1, 0)))
    if not fine:
        return None
    noise, chosen = page.noise_in_means(light, look, 1), 1
    for window in WINDOWS_PX:
        deviation = math.sqrt((window * window - 1) / 12)
        is_noisy = noise > LITTLE_NOISE and window <= NOISY_SHARE * shrunk
        is_soft = deviation <= SOFT_SHARE * blur and window <= WIDEST_OF_SOFT * shrunk
        if is_noisy or (is_soft and NO_NOISE < noise <= MUCH_NOISE):
            noise, chosen = page.noise_in_means(light, look, window), window
    amount = fine * float(np.interp(noise, (LITTLE_NOISE, MUCH_NOISE), (1, 0)))
    return Edges(amount, chosen) if amount else None


def enlarge(answer: Pixels, picture: Pixels, rows: Span, columns: Span, edges: Edges) -> Pixels:
    """An answer as large as its picture, with the picture's edges, 0 … 1.

    Args:
        answer: `[height, width]`, light ink on black, 0 … 1, of the picture shrunk.
        picture: `[height, width]`, larger.
        rows: where the picture lies in the answer's pixels; what is beyond padded it.
        columns: likewise.
        edges: how it gets them.
    """
    answer = answer[: round(rows[1]), : round(columns[1])]
    if edges.window > 1:
        picture = neighbourhood.mean(picture, edges.window)
    small = resample(picture, answer.shape, (0, picture.shape[0]), (0, picture.shape[1]))
    enlarged = np.empty_like(picture)
    shrunk = (rows[1] - rows[0]) / len(picture)
    step = max(1, PIXELS_PER_BAND // picture.shape[1])
    for first in range(0, len(picture), step):
        band, mine = enlarged[first : first + step], picture[first : first + step]
        start, stop = (rows[0] + place * shrunk for place in (first, first + len(band)))
        near = slice(max(0, int(start) - REACH), int(stop) + REACH + 1)
        span = start - near.start, stop - near.start
        slope, offset = _fit(answer[near], small[near], edges.amount)
        np.multiply(resample(slope, band.shape, span, columns), mine, out=band)
        band += resample(offset, band.shape, span, columns)
        np.clip(band, 0, 1, out=band)
    return enlarged


def _fit(answer: Pixels, picture: Pixels, amount: float) -> tuple[Pixels, Pixels]:
    """Slope and offset of the function that makes of a picture, around each pixel, an answer of its shape."""
    middle, level = neighbourhood.mean(picture, WINDOW_PX), neighbourhood.mean(answer, WINDOW_PX)
    variance = neighbourhood.mean(picture * picture, WINDOW_PX) - middle * middle + LEAST_VARIANCE
    covariance = neighbourhood.mean(picture * answer, WINDOW_PX) - middle * level
    explained = covariance / (neighbourhood.mean(answer * answer, WINDOW_PX) - level * level + LEAST_VARIANCE)
    slope = covariance / variance
    explained *= slope
    weight = amount * np.clip((explained - EXPLAINED[0]) / (EXPLAINED[1] - EXPLAINED[0]), 0, 1)
    weight[neighbourhood.maximum(answer, 3) - neighbourhood.minimum(answer, 3) < FLAT] = 0
    offset = answer + weight * (level - slope * middle - answer)
    slope *= weight
    return slope.astype(np.float32, copy=False), offset.astype(np.float32, copy=False)
