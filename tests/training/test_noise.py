"""Noise is the tutorial's: clip(x + factor · N(0, 1), 0, 1), repeatable by its generator."""

import numpy as np
import pytest

from training import noise


def test_it_has_the_factor_as_its_deviation_and_stays_in_range() -> None:
    grey = np.full((500, 500), 0.5, np.float32)
    spoilt = noise.gaussian(grey, 0.1, np.random.default_rng(0))
    assert spoilt.std() == pytest.approx(0.1, rel=0.01)
    assert spoilt.mean() == pytest.approx(0.5, abs=1e-3)
    strong = noise.gaussian(grey, 1.0, np.random.default_rng(0))
    assert (strong.min(), strong.max()) == (0, 1)


def test_it_is_repeatable_and_leaves_its_input_alone() -> None:
    black = np.zeros((4, 28, 28, 1), np.float32)
    once, again = (noise.gaussian(black, 0.5, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(once, again)
    assert not black.any()
    assert not noise.gaussian(black, 0, np.random.default_rng(1)).any()
