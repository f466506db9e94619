"""Mixtures of noise: how often a blind denoiser meets each kind while it is trained."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training import noise
from training.mnist import Pixels

# A way of a mixture to spoil pictures, and the deviations and low-passes that it draws.
LOW_PASSED = "low-passed"
LOW_PASSED_LEVELS = (0.03, 0.7)
LOW_PASSES_PX = (0.1, 1.5)


@dataclass(frozen=True)
class Mixture:
    """How often a blind denoiser meets each kind of noise.

    Attributes:
        ways: the share of pictures that are clean, have Gaussian noise alone, as it is or low-passed, or one, two or
            three kinds.
        weights: how many times as often as others a kind is drawn, if not once.
        lighter: an evenly drawn number, 0 … 1, becomes a level by this power; above 1, light noise is met more often.
    """

    ways: Mapping[str | int, float]
    weights: Mapping[str, float]
    lighter: float


ON_DIGITS = Mixture(
    {"clean": 0.03, "gaussian": 0.24, LOW_PASSED: 0.31, 1: 0.34, 2: 0.05, 3: 0.03},
    {"jpeg": 6, "poisson": 3, "speckle": 3, "salt and pepper": 1.5, "uniform": 1.5},
    lighter=1.1,
)
# Kinds that are easy to clean have much to lose: what is left of JPEG's blocks and of ruled lines is a page's worst.
ON_PAGES = Mixture(
    {"clean": 0.04, "gaussian": 0.16, LOW_PASSED: 0.08, 1: 0.65, 2: 0.04, 3: 0.03},
    {
        "jpeg": 13, "ruled lines": 3, "speckle": 5, "poisson": 4, "blur": 2.5, "salt and pepper": 2, "uniform": 1.5,
        "vertical stripes": 2, "horizontal stripes": 2,
    },
    lighter=1.1,
)  # fmt: skip


# At the end of a run strong noise is met more often, and the kinds that by then are cleaned less well than others.
LAST_ON_DIGITS = Mixture(
    {"clean": 0.02, "gaussian": 0.3, LOW_PASSED: 0.27, 1: 0.34, 2: 0.04, 3: 0.03},
    {
        "poisson": 7, "vertical stripes": 5, "jpeg": 5, "speckle": 3, "horizontal stripes": 1.5, "uniform": 1.5,
        "uneven paper": 0.5, "low contrast": 0.5,
    },
    lighter=0.9,
)  # fmt: skip
LAST_ON_PAGES = Mixture(
    {"clean": 0.03, "gaussian": 0.18, LOW_PASSED: 0.07, 1: 0.68, 2: 0.02, 3: 0.02},
    {
        "jpeg": 18, "poisson": 7, "speckle": 6, "vertical stripes": 5, "ruled lines": 2, "blur": 2,
        "horizontal stripes": 2, "salt and pepper": 1.5, "uniform": 1.5, "uneven paper": 0.5, "low contrast": 0.5,
    },
    lighter=1.0,
)  # fmt: skip
# A second run has still more of what was cleaned less well after the first: Gaussian noise of digits, JPEG and photons
# on pages.
SECOND_ON_DIGITS = Mixture(
    {"clean": 0.02, "gaussian": 0.33, LOW_PASSED: 0.27, 1: 0.32, 2: 0.03, 3: 0.03},
    LAST_ON_DIGITS.weights,
    lighter=0.9,
)
SECOND_ON_PAGES = Mixture(
    {"clean": 0.03, "gaussian": 0.16, LOW_PASSED: 0.07, 1: 0.7, 2: 0.02, 3: 0.02},
    {**LAST_ON_PAGES.weights, "jpeg": 30, "poisson": 11},
    lighter=1.0,
)


def spoil(pixels: Pixels, of: Mixture, random: np.random.Generator) -> Pixels:
    """What a blind denoiser is trained on: each picture spoilt in its own way, at levels drawn from their ranges."""
    ways = np.searchsorted(np.cumsum(list(of.ways.values()))[:-1], random.random(len(pixels)), side="right")
    chosen = np.zeros((len(pixels), len(noise.KINDS)), bool)
    chosen[ways == list(of.ways).index("gaussian"), list(noise.KINDS).index("gaussian")] = True
    counts = np.array([way if isinstance(way, int) else 0 for way in of.ways])
    weights = np.array([of.weights.get(name, 1) for name in noise.KINDS])
    # Of exponential arrivals the first ones are a weighted draw without return.
    arrivals = -np.log1p(-random.random(chosen.shape)) / weights
    ranks = arrivals.argsort(axis=1).argsort(axis=1)
    chosen |= ranks < counts[ways][:, np.newaxis]
    spoilt = pixels.copy()
    for column, kind in enumerate(noise.KINDS.values()):
        (where,) = np.nonzero(chosen[:, column])
        if len(where):
            drawn = random.random((len(where), 1, 1, 1)) ** of.lighter
            spoilt[where] = kind.spoil(spoilt[where], kind.least + (kind.most - kind.least) * drawn, random)
    if LOW_PASSED in of.ways:
        (where,) = np.nonzero(ways == list(of.ways).index(LOW_PASSED))
        level, sigma = (random.uniform(*bounds, (len(where), 1, 1, 1)) for bounds in (LOW_PASSED_LEVELS, LOW_PASSES_PX))
        spoilt[where] = noise.low_passed(spoilt[where], level, sigma, random)
    return spoilt
