"""How wide and how strong the strokes of a picture are, whatever its noise; pure numpy."""

import itertools
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
# Ink of fewer deviations of the noise is looked at from further off, as long as the picture has as many pixels a side.
CLEAR_DEVIATIONS = 5.0
LEAST_SIDE_SHRUNK = 32

# A picture is halved while both sides have as many pixels.
LEAST_SIDE = 4
# The mean octave of MNIST's digits was measured over pages of them.
MNIST_OCTAVE = 1.93
# An octave tells of ink when its energy is this many times the energy of noise alone, and so many deviations more.
ENERGY_ABOVE_NOISE = 1.35
DEVIATIONS_BY_CHANCE = 3.0


class Strokes(NamedTuple):
    """The strokes of a picture; all are 0 where none was found.

    Attributes:
        width: half of the strokes' length is as wide or less, in pixels.
        broad: nine tenths are.
        strength: what the stronger part of the ink reaches.
    """

    width: float
    broad: float
    strength: float


def measure(ink: Plane) -> Strokes:
    """The strokes of a picture `[height, width]` of ink, about 0 on paper, up to 1.

    A stroke's width at a pixel is the shorter one of its runs down and across: exact but on slants, where it is too
    large by at most a factor of √2.
    """
    noise = max(1.4826 * float(np.median(np.abs(ink - np.median(ink)))), float(np.sqrt(_variance_of_noise(ink))))
    down, across, mask = _runs_of_ink(ink, noise)
    short, long = np.minimum(down, across), np.maximum(down, across)
    framed = (down > FRAME_SHARE * ink.shape[0]) | (across > FRAME_SHARE * ink.shape[1])
    stroke = (long >= ELONGATION * short) & (long >= LEAST_LENGTH) & ~framed
    if np.count_nonzero(stroke) < LEAST_PIXELS:
        stroke = mask
    if np.count_nonzero(stroke) < LEAST_PIXELS:
        return Strokes(0, 0, 0)
    strength = float(np.percentile(ink[stroke], STRENGTH_PERCENTILE))
    if strength < CLEAR_DEVIATIONS * noise and min(ink.shape) >= 2 * LEAST_SIDE_SHRUNK:
        afar = measure(neighbourhood.block_means(ink, 2, 2))
        return afar._replace(width=2 * afar.width, broad=2 * afar.broad)
    widths = np.sort(short[stroke])
    lengths = np.cumsum(1 / widths)
    width, broad = (float(widths[np.searchsorted(lengths, share * lengths[-1])]) for share in (0.5, 0.9))
    return Strokes(width, broad, strength)


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


def size(pixels: Plane) -> float:
    """The size of the strokes in a picture `[height, width]`, in sizes of MNIST's: 1 for a digit of 28×28 pixels.

    The energy of a stroke's edges and body lies in the octaves around its width, that of white noise falls by four from
    octave to octave. What is above the noise (its deviation is the median of the finest diagonal detail, Donoho and
    Johnstone, 1994) is averaged over the octaves; twice as large a stroke has a mean one octave higher. Good to a third
    either way; a picture without ink has size 1.
    """
    levels = [pixels]
    while min(levels[-1].shape) >= LEAST_SIDE:
        levels.append(_halved(levels[-1]))
    if not levels[1:]:
        return 1.0
    octaves = np.arange(len(levels) - 1)
    energies = np.array([_energy(fine, coarse) for fine, coarse in itertools.pairwise(levels)])
    noise = 0.75 * _variance_of_noise(pixels) / 4.0**octaves
    # The fewer squares an energy is the mean of, the larger its relative deviation.
    deviations = np.sqrt([2 / (3 * level.size) for level in levels[1:]])
    ink = np.where(energies > (ENERGY_ABOVE_NOISE + DEVIATIONS_BY_CHANCE * deviations) * noise, energies - noise, 0)
    if not ink.any():
        return 1.0
    return float(2 ** (ink @ octaves / ink.sum() - MNIST_OCTAVE))


def _squares(pixels: Plane) -> Plane:
    """The picture's squares of 2×2 pixels, `[height / 2, 2, width / 2, 2]`; an odd row or column is left out."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    return pixels[: 2 * height, : 2 * width].reshape(height, 2, width, 2)


def _halved(pixels: Plane) -> Plane:
    halved: Plane = _squares(pixels).mean(axis=(1, 3))
    return halved


def _energy(fine: Plane, coarse: Plane) -> float:
    """The energy that is lost from one level to the next, per pixel."""
    return float(np.mean(np.square(_squares(fine) - coarse[:, np.newaxis, :, np.newaxis])))


def _variance_of_noise(pixels: Plane) -> float:
    if min(pixels.shape) <= 1:
        return 0.0
    squares = _squares(pixels)
    diagonal = (squares[:, 0, :, 0] - squares[:, 0, :, 1] - squares[:, 1, :, 0] + squares[:, 1, :, 1]) / 2
    return float(np.median(np.abs(diagonal)) / 0.6745) ** 2
