"""How wide and how strong the strokes of a picture are, whatever its noise; pure numpy."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denoise.pictures import Plane, neighbourhood

# A stroke reaches this share of the strongest ink around, stands so many deviations of the paper's noise above it, ...
SHARE_OF_PEAK = 0.5
DEVIATIONS_OF_NOISE = 3.0
# ... and this share of the strongest ink in the picture.
SHARE_OF_TOP, TOP_PERCENTILE = 0.3, 99.5
LEAST_INK = 0.05
# "Around" is this share of the picture's shorter side.
WINDOW_SHARE, LEAST_WINDOW = 1 / 8, 9
# A stroke is so much longer than wide; specks are not. What takes this share of a side is a frame, a rule or an edge.
ELONGATION, LEAST_LENGTH = 1.5, 3
FRAME_SHARE = 0.4
# Fewer pixels of strokes tell nothing of them.
LEAST_PIXELS = 20
STRENGTH_PERCENTILE = 80
# Where inks differ, as a pen's and a printed grid's, the strongest pixels tell the stronger one. One ink has strongest
# pixels too: they exceed most others by these factors, by the smaller one in fine print. Noise makes such pixels as
# well: up to the first of these shares of noise in the strength they are believed, from the second on not at all.
STRONGEST_PERCENTILE, STRONGEST_OF_ONE_INK, STRONGEST_OF_FINE_PRINT = 99, 1.13, 1.04
NOISE_OF_BELIEVED = (0.105, 0.13)
# Print of few pixels is nowhere quite as dark as its ink but in the middle of its stems. It is told by strokes of up to
# the first of these widths, where noise is at most the first of these shares of the ink's strength; from the second on
# there is none.
FINE_PX, NOISE_OF_FINE_PRINT = (2.0, 3.0), (0.07, 0.12)
# Ink that is not so many deviations of the noise strong is measured from further off. So is ink that is not so many
# deviations of white noise strong, which cuts broad strokes into bits; that is believed when strokes turn out to be so
# many times as wide. So many pixels a side are left at least.
SURE_DEVIATIONS, CLEAR_DEVIATIONS, CLEAR_DEVIATIONS_AFAR = 5.0, 12.0, 8.0
BITS_OF_STROKES = 3.0
# On fewer, what is left of noise on ruled lines is as wide as strokes are.
LEAST_SIDE_SHRUNK = 48
# Pixels between these shares of the ink's strength are on the edge of a stroke. Most of them, up to this percentile,
# are less steep than the middle of an edge, and fewer of them than this number tell nothing.
EDGE_SHARES, STEEP_PERCENTILE, LEAST_EDGE_PIXELS = (0.3, 0.8), 75, 50
# A normal deviate's deviation, in those of the median of its absolute value.
DEVIATIONS_OF_MEDIAN = 1.4826
# So many pixels tell of the texture.
SAMPLED_PIXELS = 100_000


class Strokes(NamedTuple):
    """The strokes of a picture; the first three are 0 where none was found.

    Attributes:
        width: half of the strokes' length is as wide or less, in pixels.
        broad: nine tenths are.
        strength: what the stronger part of the ink reaches.
        noise: the deviation of what is no ink, also where there are no strokes.
        fine: how far they are a print of few pixels on quiet paper, 0 … 1.
        blur: the deviation, in pixels, of the Gaussian that makes a sharp edge as soft as theirs; 0 where unknown.
    """

    width: float
    broad: float
    strength: float
    noise: float
    fine: float = 0.0
    blur: float = 0.0


def measure(ink: Plane, clear: float = CLEAR_DEVIATIONS) -> Strokes:
    """The strokes of a picture `[height, width]` of ink, about 0 on paper, up to 1.

    A stroke's width at a pixel is the shorter one of its runs down and across: exact but on slants, where it is too
    large by at most a factor of √2. Ink less than `clear` deviations of white noise
    strong may be broad strokes that were cut into bits.
    """
    white = grain(ink)
    noise = max(white, _texture(ink))
    down, across, mask = _runs_of_ink(ink, noise)
    short, long = np.minimum(down, across), np.maximum(down, across)
    framed = (down > FRAME_SHARE * ink.shape[0]) | (across > FRAME_SHARE * ink.shape[1])
    stroke = (long >= ELONGATION * short) & (long >= LEAST_LENGTH) & ~framed
    if np.count_nonzero(stroke) < LEAST_PIXELS:
        stroke = mask
    if np.count_nonzero(stroke) < LEAST_PIXELS:
        return Strokes(0, 0, 0, noise)
    strength = float(np.percentile(ink[stroke], STRENGTH_PERCENTILE))
    widths = np.sort(short[stroke])
    lengths = np.cumsum(1 / widths)
    width, broad = (float(widths[np.searchsorted(lengths, share * lengths[-1])]) for share in (0.5, 0.9))
    unsure, cut = strength < SURE_DEVIATIONS * noise, strength < clear * white
    if (unsure or cut) and min(ink.shape) >= 2 * LEAST_SIDE_SHRUNK:
        # From still further off small digits are blobs, as wide as broad strokes.
        afar = measure(neighbourhood.block_means(ink, 2, 2), CLEAR_DEVIATIONS_AFAR)
        if unsure:
            return Strokes(2 * afar.width, 2 * afar.broad, afar.strength, noise, blur=2 * afar.blur)
        if 2 * afar.width >= BITS_OF_STROKES * width:
            return Strokes(2 * afar.width, 2 * afar.broad, strength, noise, blur=2 * afar.blur)
    share_of_noise = noise / strength
    fine = float(np.interp(width, FINE_PX, (1, 0)) * np.interp(share_of_noise, NOISE_OF_FINE_PRINT, (1, 0)))
    above = STRONGEST_OF_ONE_INK + fine * (STRONGEST_OF_FINE_PRINT - STRONGEST_OF_ONE_INK)
    strongest = float(np.percentile(ink[stroke], STRONGEST_PERCENTILE)) / above
    strength += float(np.interp(share_of_noise, NOISE_OF_BELIEVED, (1, 0))) * max(0.0, strongest - strength)
    return Strokes(width, broad, strength, noise, fine, _blur(ink, strength))


def _blur(ink: Plane, strength: float) -> float:
    """The deviation of the Gaussian that makes an edge of such ink as steep as most edges are at their middle."""
    down, across = np.abs(np.diff(ink, axis=0))[:, :-1], np.abs(np.diff(ink, axis=1))[:-1]
    low, high = (share * strength for share in EDGE_SHARES)
    edges = (ink[:-1, :-1] > low) & (ink[:-1, :-1] < high)
    if np.count_nonzero(edges) < LEAST_EDGE_PIXELS:
        return 0.0
    steepest = float(np.percentile(np.maximum(down, across)[edges], STEEP_PERCENTILE))
    return strength / (math.sqrt(2 * math.pi) * steepest) if steepest else 0.0


def _runs_of_ink(ink: Plane, noise: float) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """How long the runs of ink down and across are that each pixel belongs to, and where there is ink."""
    smooth = neighbourhood.mean(ink, 3)
    peak = neighbourhood.maximum(smooth, max(LEAST_WINDOW, round(WINDOW_SHARE * min(ink.shape))))
    top = float(np.percentile(smooth, TOP_PERCENTILE))
    least = max(DEVIATIONS_OF_NOISE * noise, SHARE_OF_TOP * top, LEAST_INK)
    mask = ink > np.maximum(SHARE_OF_PEAK * peak, np.float32(least))
    return _runs(mask.T).T, _runs(mask), mask


def _runs(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """How long the run of True along the last axis is that each pixel belongs to, 0 where it is False."""
    flat = np.pad(mask, ((0, 0), (0, 1))).ravel()  # No run goes on from a row into the next.
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    lengths = edges[1::2] - edges[::2]
    runs = np.zeros(flat.size, np.int32)
    runs[flat] = np.repeat(lengths, lengths)
    return runs.reshape(mask.shape[0], -1)[:, :-1]


def noise(ink: Plane) -> float:
    """The deviation of what is no ink, be it white noise or texture."""
    return max(grain(ink), _texture(ink))


def _texture(ink: Plane) -> float:
    """The deviation of what is no ink from its median, whatever its grain."""
    sample = ink[:: 1 + ink.size // SAMPLED_PIXELS]
    return DEVIATIONS_OF_MEDIAN * float(np.median(np.abs(sample - np.median(sample))))


def grain(pixels: Plane) -> float:
    """The deviation of white noise, also where it was clipped, from the finest diagonal detail (Donoho, 1994)."""
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    if not height * width:
        return 0.0
    upper, lower = pixels[0:height:2], pixels[1:height:2]
    fine = upper[:, 0:width:2] - upper[:, 1:width:2] - lower[:, 0:width:2] + lower[:, 1:width:2]
    return DEVIATIONS_OF_MEDIAN / 2 * float(np.median(np.abs(fine)))
