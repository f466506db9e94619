"""Mixtures of noise: how often a blind denoiser meets each kind in each stretch of its training."""

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


EVEN = Mixture({"clean": 0.05, "gaussian": 0.45, 1: 0.25, 2: 0.15, 3: 0.1}, {}, lighter=1)
# After a long run on EVEN there is most to gain in these kinds.
HARD = Mixture(
    {"clean": 0.03, "gaussian": 0.22, 1: 0.57, 2: 0.11, 3: 0.07}, {"jpeg": 5, "poisson": 3, "speckle": 3}, lighter=1.5
)
# After HARD there is most to gain in these.
HARDEST = Mixture(
    {"clean": 0.03, "gaussian": 0.17, 1: 0.7, 2: 0.06, 3: 0.04}, {"jpeg": 14, "poisson": 6, "speckle": 6}, lighter=1.5
)
# Pictures that are hardly spoilt are hard to make better.
LIGHT = Mixture(
    {"clean": 0.04, "gaussian": 0.07, 1: 0.83, 2: 0.04, 3: 0.02}, {"jpeg": 30, "poisson": 10, "speckle": 6}, lighter=1.2
)
LIGHTEST = Mixture(
    {"clean": 0.02, "gaussian": 0.06, 1: 0.88, 2: 0.03, 3: 0.01}, {"jpeg": 60, "poisson": 16, "speckle": 5}, lighter=1.4
)
# Beside photos: what digits and pages had before, and the noise of a camera, whose neighbours are nearly the same.
BESIDE_PHOTOS = Mixture(
    {"clean": 0.05, "gaussian": 0.28, LOW_PASSED: 0.25, 1: 0.33, 2: 0.05, 3: 0.04},
    {"jpeg": 8, "poisson": 4, "speckle": 4},
    lighter=1.2,
)
LIGHT_BESIDE_PHOTOS = Mixture(
    {"clean": 0.07, "gaussian": 0.07, LOW_PASSED: 0.15, 1: 0.65, 2: 0.04, 3: 0.02},
    {"jpeg": 30, "poisson": 10, "speckle": 6},
    lighter=1.2,
)
# What the network then knew less well than before are the kinds that are easy to clean, above all on pages.
ALL_BESIDE_PHOTOS = Mixture(
    {"clean": 0.04, "gaussian": 0.2, LOW_PASSED: 0.26, 1: 0.42, 2: 0.04, 3: 0.04},
    {
        "jpeg": 5, "poisson": 3, "speckle": 3, "low contrast": 2, "uneven paper": 2, "ruled lines": 2, "blur": 2,
        "vertical stripes": 2, "horizontal stripes": 2,
    },
    lighter=1.1,
)  # fmt: skip
ALL_ON_PAGES = Mixture(
    {"clean": 0.05, "gaussian": 0.14, LOW_PASSED: 0.1, 1: 0.65, 2: 0.04, 3: 0.02},
    {
        "jpeg": 6, "poisson": 2, "speckle": 2, "low contrast": 3, "uneven paper": 3, "ruled lines": 3, "blur": 3,
        "vertical stripes": 2, "horizontal stripes": 2,
    },
    lighter=1.0,
)  # fmt: skip
# Last come the kinds that were still known less well than before photos.
KINDS_BESIDE_PHOTOS = Mixture(
    {"clean": 0.03, "gaussian": 0.23, LOW_PASSED: 0.15, 1: 0.51, 2: 0.05, 3: 0.03},
    {
        "jpeg": 7, "salt and pepper": 3, "vertical stripes": 3, "speckle": 3, "uneven paper": 2, "ruled lines": 2,
        "low contrast": 2, "blur": 3, "poisson": 2, "horizontal stripes": 2,
    },
    lighter=1.0,
)  # fmt: skip
KINDS_ON_PAGES = Mixture(
    {"clean": 0.04, "gaussian": 0.16, LOW_PASSED: 0.06, 1: 0.68, 2: 0.04, 3: 0.02},
    {
        "jpeg": 9, "ruled lines": 5, "salt and pepper": 3, "speckle": 3, "vertical stripes": 2.5, "uneven paper": 3,
        "low contrast": 2, "blur": 2, "poisson": 2, "uniform": 2, "horizontal stripes": 1.5,
    },
    lighter=1.1,
)  # fmt: skip

# The long last stretch has the whole range of all kinds.
WHOLE = Mixture(
    {"clean": 0.03, "gaussian": 0.22, LOW_PASSED: 0.33, 1: 0.34, 2: 0.05, 3: 0.03},
    {"jpeg": 6, "poisson": 3, "speckle": 3, "salt and pepper": 1.5, "uniform": 1.5},
    lighter=1.1,
)
WHOLE_ON_PAGES = Mixture(
    {"clean": 0.05, "gaussian": 0.2, LOW_PASSED: 0.1, 1: 0.58, 2: 0.04, 3: 0.03},
    {
        "jpeg": 7, "ruled lines": 4, "speckle": 3, "poisson": 3, "blur": 2, "salt and pepper": 1.5, "uniform": 1.5,
        "uneven paper": 1.5, "low contrast": 1.5, "vertical stripes": 1.5, "horizontal stripes": 1.5,
    },
    lighter=1.1,
)  # fmt: skip
# After it these were still known less well than before photos.
WEAKEST_ON_PAGES = Mixture(
    {"clean": 0.04, "gaussian": 0.16, LOW_PASSED: 0.08, 1: 0.65, 2: 0.04, 3: 0.03},
    {
        "jpeg": 12, "ruled lines": 3, "speckle": 4, "poisson": 3, "blur": 3, "salt and pepper": 3, "uniform": 1.5,
        "vertical stripes": 2.5, "horizontal stripes": 2.5,
    },
    lighter=1.1,
)  # fmt: skip


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
