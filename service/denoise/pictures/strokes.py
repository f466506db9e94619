"""How much larger a picture's strokes are than those of a 28×28 digit, whatever its noise; pure numpy."""

import itertools

import numpy as np

from denoise.pictures import Plane

# A picture is halved while both sides have as many pixels.
LEAST_SIDE = 4
# The mean octave of MNIST's digits was measured over pages of them.
MNIST_OCTAVE = 1.93
# An octave tells of ink when its energy is this many times the energy of noise alone, and so many deviations more.
ENERGY_ABOVE_NOISE = 1.35
DEVIATIONS_BY_CHANCE = 3.0


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
    squares = _squares(pixels)
    diagonal = (squares[:, 0, :, 0] - squares[:, 0, :, 1] - squares[:, 1, :, 0] + squares[:, 1, :, 1]) / 2
    return float(np.median(np.abs(diagonal)) / 0.6745) ** 2
