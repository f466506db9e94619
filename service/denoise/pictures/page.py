"""A whole page's paper, point by point, and the ink that is left when a page is divided by it; pure numpy.

The paper is found on a thumbnail, where noise is averaged away: what is dark and narrower than a window is filled with
its surroundings (a maximum, then a minimum, which leaves the edges of shadows and tables where they are), then comes a
median, and at last the mean of what is paper there. The window is first a quarter of the page's shorter side, then only
as wide as the strokes that were found, so that it follows folds and stains as well.

Where many pixels are as light as pixels can be, the paper is that light too: their noise was clipped, or light paper
was drawn. A white-noise digit, light on black, is such a page when it is turned, and stays as it is.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denoise.pictures import Pixels, Plane, neighbourhood, strokes
from denoise.pictures.paper import LEAST_CONTRAST
from denoise.pictures.resampling import resample
from denoise.pictures.strokes import Strokes

# Strokes are measured on about so many pixels, paper on a thumbnail of them.
MEASURED_PIXELS = 1_000_000
THUMBNAIL_PIXELS = 200_000
# The first window is this share of the thumbnail's shorter side, or so many pixels; the second is so many strokes and
# pixels wide.
FIRST_WINDOW_SHARE, FIRST_WINDOW_PX = 1 / 4, 15
SECOND_WINDOW_STROKES, SECOND_WINDOW_PX = 4, 3
LEAST_WINDOW_PX = 5
# A pixel from here on is as light as can be; where this share of the pixels is, the paper is.
SATURATED = 0.995
SATURATED_SHARE = 0.2
LIGHT_PAPER = 0.75
# What the sheet lies on is darker than this share of its light paper; its edge is as wide as that share of the shorter
# side.
SURROUNDINGS_SHARE, LIGHT_PERCENTILE = 0.22, 90
SURROUNDINGS_MARGIN = 0.02
# A row or column along an edge is a bar when this share of it is darker than that share of the paper.
BAR_SHARE, BAR_LIGHT = 0.7, 0.6
MOSTLY = 0.5
# What is at least as light as the paper less this share of the ink's strength is paper.
PAPER_SHARE = 0.3
# Ink is taken to be so strong before it is measured.
FIRST_STRENGTH = 0.5
# Nothing is divided by less.
DARKEST_PAPER = 0.02
# Ink that takes less than this share of the light is made stronger, by up to the factor. Ink that stands out from quiet
# paper may be made stronger still, until the paper's noise is this loud; but what is as weak as the first of these
# strengths is a printed grid or bleed-through, and from the second on it is pencil.
STRONG_INK = 0.9
LARGEST_GAIN, LARGEST_GAIN_ON_QUIET_PAPER = 3.0, 12.0
LOUDEST_NOISE = 0.25
PATTERN_STRENGTH, PENCIL_STRENGTH = 0.09, 0.125
# So many pixels may be stronger than the ink, as specks are.
STRONGEST_PIXELS = 20
PAPER_SHOWN = 0.05
# Glare is paper that is lighter than this, and than the middling paper by that factor. Ink that is veiled by it, where
# the strongest around has less than this share of the page's strength, but stands so many deviations of the noise and
# so much above paper, is made up for by up to this factor.
GLARE_LIGHT, GLARE_BY_PAPER = 0.8, 1.2
GLARE_WINDOW_SHARE = 1 / 12
VEILED_SHARE, VEILED_DEVIATIONS, LEAST_VEILED = 0.5, 7.0, 0.05
LARGEST_GAIN_IN_GLARE = 8.0
# Strokes softer than the first of SOFT_PX are sharpened, and from the second on by the whole amount. Sharpening adds a
# multiple of what a pixel differs by from the mean of a window around it: the first of SHARPENED where ink takes no
# more of the light than the first of INK_SHARPENED, since the paper's texture is as strong there, up to the second.
# Noise grows with it, so from the first of NOISE_OF_SHARPENED on, a share of the ink's strength, it grows less, and
# from the second on nothing is sharpened.
SOFT_PX, SHARPENED, SHARPENING_WINDOW_PX = (1.4, 2.2), (1.0, 3.0), 9
INK_SHARPENED, NOISE_OF_SHARPENED = (0.5, 0.7), (0.1, 0.2)


class Look(NamedTuple):
    """What a page shows.

    Attributes:
        paper: a thumbnail of the page without its ink, 0 … 1.
        outside: where the thumbnail shows what the sheet lies on; None where that is nowhere.
        gain: what the ink is multiplied by, 1 … LARGEST_GAIN_ON_QUIET_PAPER.
        glare: a thumbnail of what it is multiplied by besides, where light veils it; None where it does nowhere.
        strokes: as they are in the page's own pixels.
    """

    paper: Plane
    outside: NDArray[np.bool_] | None
    gain: float
    glare: Plane | None
    strokes: Strokes


def look(light: Pixels) -> Look:
    """Finds paper and strokes of a page `[height, width]`, 0 … 1, dark ink on light paper."""
    block = _block(light.shape[0] * light.shape[1], MEASURED_PIXELS)
    measured = neighbourhood.block_means(light, block, block)
    shrink = _block(measured.size, THUMBNAIL_PIXELS)
    thumbnail = neighbourhood.block_means(measured, shrink, shrink)
    window = max(FIRST_WINDOW_PX, round(FIRST_WINDOW_SHARE * min(thumbnail.shape)))
    white = neighbourhood.block_means((light[::block, ::block] >= SATURATED).astype(np.float32), shrink, shrink)
    often = (neighbourhood.mean(white, window) > SATURATED_SHARE).astype(np.float32)
    # Ink hides white paper, which is looked for around it; a grey sheet that lies on it is grey without its ink too.
    saturated = (_close(often, 2 * window) > 0) & (_close(thumbnail, window) > LIGHT_PAPER)
    paper = _paper(thumbnail, saturated, window, FIRST_STRENGTH)
    outside = _outside(thumbnail, paper)
    found = _measure(measured, paper, shrink, outside)
    narrow = max(LEAST_WINDOW_PX, round(SECOND_WINDOW_STROKES * found.broad / shrink) + SECOND_WINDOW_PX)
    if found.broad and narrow < window:
        paper = _paper(thumbnail, saturated, narrow, found.strength)
        outside = _join(outside, _outside(thumbnail, paper))
        again = _measure(measured, paper, shrink, outside)
        found = again if again.broad else found
    strength = found.strength
    if strength and paper.min() == 1:  # Blurred or noisy ink on white is drawn as strong as its strongest.
        strength = max(strength, 1 - float(np.partition(measured, STRONGEST_PIXELS, axis=None)[STRONGEST_PIXELS]))
    gain = _gain(strength, found.noise)
    fine = found.fine if block == 1 else 0.0
    glare = _glare(measured, paper, shrink, strength, found.noise) if strength else None
    return Look(paper, outside, gain, glare, _enlarge(found, block)._replace(fine=fine))


def sharpen(light: Pixels, seen: Look, shrunk: float) -> tuple[Pixels, Look]:
    """The page, which is `shrunk` by that factor since it was looked at, with soft strokes sharpened; and its new gain.

    It stays as it is where they are sharp, or noise is too loud, and where it is so large that blur is not known to the
    pixel. A photo out of focus fills the loops of bold digits, and a model takes them for ink.
    """
    soft = float(np.interp(seen.strokes.blur / shrunk, SOFT_PX, (0, 1)))
    if not soft or is_white(seen) or light.size > MEASURED_PIXELS:
        return light, seen
    noise = seen.strokes.noise / seen.strokes.strength
    amount = soft * float(np.interp(seen.strokes.strength, INK_SHARPENED, SHARPENED))
    amount *= float(np.interp(noise, NOISE_OF_SHARPENED, (1, 0)))
    if not amount:
        return light, seen
    around = neighbourhood.mean(light, SHARPENING_WINDOW_PX)
    sharp = np.clip(light + amount * (light - around), 0, 1).astype(np.float32, copy=False)
    found = strokes.measure(1 - sharp / _spread(seen.paper, light.shape))
    return sharp, seen._replace(gain=_gain(found.strength, found.noise)) if found.strength else seen


def noise_in_means(light: Pixels, seen: Look, window: int) -> float:
    """The noise in means of `window`×`window` of a page's pixels, as a share of the ink's strength."""
    if window == 1:  # A large page's strokes were measured on means of blocks, so rows of its pixels are looked at too.
        light = light[_sheet(seen, light.shape)]
        upper = np.arange(0, light.shape[0] - 1, 2 * max(1, round(light.size / MEASURED_PIXELS)))
        paper = float(np.median(seen.paper[_sheet(seen, seen.paper.shape)]))
        grain = strokes.grain(light[np.stack([upper, upper + 1], axis=1).ravel()]) / paper
        noise = max(seen.strokes.noise, grain)
    else:
        means = neighbourhood.block_means(light, window, window)
        noise = strokes.noise((1 - means / _spread(seen.paper, means.shape))[_sheet(seen, means.shape)])
    return noise / max(seen.strokes.strength, LEAST_CONTRAST)


def _sheet(seen: Look, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of a page, drawn in `shape`, that the sheet takes; what it lies on says nothing of noise."""
    if seen.outside is None or seen.outside.all():
        return slice(None), slice(None)
    bounds = []
    for axis in (0, 1):
        inside = np.flatnonzero(~seen.outside.all(axis=1 - axis))
        scale = shape[axis] / seen.outside.shape[axis]
        bounds.append(slice(int(inside[0] * scale), math.ceil((inside[-1] + 1) * scale)))
    return bounds[0], bounds[1]


def is_white(seen: Look) -> bool:
    """Whether the paper is as light as can be all over, as that of a drawing is, and of white noise on black."""
    return bool(seen.paper.min() == 1)


def divide(light: Pixels, seen: Look) -> Pixels:
    """The page's ink, light on black, 0 … 1: what is darker than paper, as a share of the light, times the gain."""
    if is_white(seen) and seen.gain == 1:
        return 1 - light
    ink: Pixels = (1 - light / _spread(seen.paper, light.shape)).astype(np.float32, copy=False)
    ink *= np.float32(seen.gain)
    if seen.glare is not None:
        ink *= _resize(seen.glare, light.shape)
    if seen.outside is not None:
        ink[_spread(seen.outside.astype(np.float32), light.shape) > MOSTLY] = 0
    return np.clip(ink, 0, 1, out=ink)


def _enlarge(found: Strokes, by: int) -> Strokes:
    return found._replace(width=found.width * by, broad=found.broad * by, blur=found.blur * by)


def _measure(measured: Plane, paper: Plane, shrink: int, outside: NDArray[np.bool_] | None) -> Strokes:
    """The strokes on a sheet, of which `paper` and `outside` are thumbnails shrunk by `shrink`."""
    ink = 1 - measured / neighbourhood.spread(paper, shrink, measured.shape)
    if outside is None or outside.all():
        return strokes.measure(ink)
    ink[neighbourhood.spread(outside.astype(np.float32), shrink, measured.shape) > 0] = 0
    # What a sheet lies on may be most of the picture, and says nothing of noise and strokes.
    rows, columns = (np.flatnonzero(~outside.all(axis)) * shrink for axis in (1, 0))
    return strokes.measure(ink[rows[0] : rows[-1] + shrink, columns[0] : columns[-1] + shrink])


def _join(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return one if other is None else other if one is None else one | other


def _gain(strength: float, noise: float) -> float:
    """What ink of such a strength is multiplied by, where paper has so much noise."""
    if not 0 < strength < STRONG_INK:
        return 1.0
    quiet = LOUDEST_NOISE / max(noise, LOUDEST_NOISE / LARGEST_GAIN_ON_QUIET_PAPER)
    reached = float(np.interp(strength, (PATTERN_STRENGTH, PENCIL_STRENGTH), (LARGEST_GAIN, quiet)))
    return min(1 / strength, max(LARGEST_GAIN, reached))


def _glare(measured: Plane, paper: Plane, shrink: int, strength: float, noise: float) -> Plane | None:
    """What ink that light veils is to be multiplied by, so that it is as strong as other ink is, or None."""
    bright = paper > max(GLARE_LIGHT, GLARE_BY_PAPER * float(np.median(paper)))
    if not bright.any():
        return None
    ink = neighbourhood.mean(1 - measured / neighbourhood.spread(paper, shrink, measured.shape), 3)
    window = max(FIRST_WINDOW_PX, round(GLARE_WINDOW_SHARE * min(ink.shape)))
    strongest = neighbourhood.block_means(neighbourhood.maximum(ink, window), shrink, shrink)
    least = max(VEILED_DEVIATIONS * noise, LEAST_VEILED)
    veiled = bright & (strongest < VEILED_SHARE * strength) & (strongest > least)
    if not veiled.any():
        return None
    factors = np.where(veiled, np.minimum(strength / np.maximum(strongest, least), LARGEST_GAIN_IN_GLARE), 1)
    return neighbourhood.mean(factors.astype(np.float32), max(3, window // (2 * shrink)))


def _block(pixels: int, most: int) -> int:
    """The side of blocks of which about `most` make up so many pixels."""
    return max(1, round(float(np.sqrt(pixels / most))))


def _paper(thumbnail: Plane, saturated: NDArray[np.bool_], window: int, strength: float) -> Plane:
    """The thumbnail without ink of `strength` that is narrower than the window, and white where it is `saturated`."""
    smooth = neighbourhood.mean(thumbnail, 3)
    filled = _close(smooth, window)
    middling = np.maximum(neighbourhood.median(filled, window), DARKEST_PAPER)
    ratio = thumbnail / middling
    shown = (ratio > 1 - PAPER_SHARE * strength).astype(np.float32)
    share = neighbourhood.mean(shown, window)
    level = neighbourhood.mean(ratio * shown, window) / np.maximum(share, PAPER_SHOWN)
    paper: Plane = np.where(share > PAPER_SHOWN, middling * level, middling)
    paper[saturated] = 1
    # At the edge of a table or a shadow the mean is lighter than the darker side.
    paper = np.where(saturated, 1, np.minimum(neighbourhood.mean(paper, max(3, window // 4)), filled))
    return np.clip(paper, DARKEST_PAPER, 1).astype(np.float32, copy=False)


def _outside(thumbnail: Plane, paper: Plane) -> NDArray[np.bool_] | None:
    """Where a thumbnail shows what the sheet lies on, and a little beyond; None for nowhere.

    That is much darker than paper all the way to an edge, or a dark bar along an edge, which is narrower than what the
    paper is looked for in. A display's dark glass, which has an edge of paper around it, is not outside.
    """
    dark = paper < SURROUNDINGS_SHARE * float(np.percentile(paper, LIGHT_PERCENTILE))
    bar = thumbnail < BAR_LIGHT * paper
    reached = np.zeros(paper.shape, bool)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        towards = np.s_[::step] if axis == 0 else np.s_[:, ::step]
        filled = bar[towards].mean(axis=1 - axis, keepdims=True) > BAR_SHARE
        for each in (dark[towards], filled):
            reached[towards] |= np.logical_and.accumulate(each, axis=axis)
    if not reached.any():
        return None
    margin = max(LEAST_WINDOW_PX, round(SURROUNDINGS_MARGIN * min(paper.shape)))
    return neighbourhood.maximum(reached.astype(np.float32), margin) > 0


def _close(pixels: Plane, window: int) -> Plane:
    """The picture with what is dark and narrower than the window filled with its surroundings."""
    return neighbourhood.minimum(neighbourhood.maximum(pixels, window), window)


def _spread(paper: Plane, shape: tuple[int, ...]) -> Plane:
    """The paper as large as the page."""
    return np.clip(_resize(paper, shape), DARKEST_PAPER, 1)


def _resize(thumbnail: Plane, shape: tuple[int, ...]) -> Plane:
    if thumbnail.shape == shape:
        return thumbnail
    return resample(thumbnail, (shape[0], shape[1]), (0, thumbnail.shape[0]), (0, thumbnail.shape[1]))
