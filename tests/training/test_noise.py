"""Every kind of noise is what its formula says, repeatable by its generator."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import Pixels
from training import mixtures, noise


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


@pytest.mark.parametrize("name", noise.KINDS)
def test_every_kind_spoils_more_at_higher_levels_and_each_picture_at_its_own(name: str, digits: Pixels) -> None:
    kind = noise.KINDS[name]
    clean = digits[:200, ..., np.newaxis]

    def error(level: noise.Levels) -> float:
        spoilt = kind.spoil(clean, level, np.random.default_rng(0))
        assert spoilt.dtype == np.float32
        assert spoilt.shape == clean.shape
        assert 0 <= spoilt.min() <= spoilt.max() <= 1
        return float(np.mean(np.square(spoilt - clean)))

    assert error(kind.least) < error(np.linspace(kind.least, kind.most, 200).reshape(-1, 1, 1, 1)) < error(kind.most)


def test_low_passed_noise_keeps_its_deviation_and_makes_neighbours_alike() -> None:
    grey = np.full((3, 64, 64, 1), 0.5, np.float32)
    sigma = np.float32([0.1, 0.7, 1.5]).reshape(-1, 1, 1, 1)
    spoilt = noise.low_passed(grey, 0.1, sigma, np.random.default_rng(0)) - grey
    assert spoilt.std(axis=(1, 2, 3)) == pytest.approx([0.1, 0.1, 0.1], rel=0.01)
    alike = [np.corrcoef(each[:, 1:].ravel(), each[:, :-1].ravel())[0, 1] for each in spoilt]
    assert alike[0] == pytest.approx(0, abs=0.05)
    assert alike[1] == pytest.approx(np.exp(-1 / (4 * 0.7**2)), abs=0.1)
    assert alike[2] == pytest.approx(np.exp(-1 / (4 * 1.5**2)), abs=0.1)


@pytest.mark.parametrize("of", [mixtures.ON_DIGITS, mixtures.ON_PAGES])
def test_a_mixture_leaves_some_clean_and_spoils_the_others(of: mixtures.Mixture, digits: Pixels) -> None:
    clean = digits[:2000, ..., np.newaxis]
    spoilt = mixtures.spoil(clean, of, np.random.default_rng(0))
    same = (spoilt == clean).all(axis=(1, 2, 3)).mean()
    assert same == pytest.approx(of.ways["clean"], abs=0.02)
    assert np.array_equal(spoilt, mixtures.spoil(clean, of, np.random.default_rng(0)))
    assert sum(of.ways.values()) == pytest.approx(1)
    assert set(of.weights) <= set(noise.KINDS)


def test_a_mixture_draws_some_kinds_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = dict.fromkeys(noise.KINDS, 0)

    def counting(name: str) -> noise.Kind:
        def spoil(pixels: Pixels, level: noise.Levels, random: np.random.Generator) -> Pixels:  # noqa: ARG001
            drawn[name] += len(pixels)
            return pixels

        return noise.KINDS[name]._replace(spoil=spoil)

    monkeypatch.setattr(noise, "KINDS", {name: counting(name) for name in noise.KINDS})
    one_kind = dataclasses.replace(mixtures.ON_DIGITS, ways={"gaussian": 0.0, 1: 1.0})
    mixtures.spoil(np.zeros((20_000, 1, 1, 1), np.float32), one_kind, np.random.default_rng(0))
    assert drawn["jpeg"] / drawn["blur"] == pytest.approx(6, rel=0.3)
    assert drawn["speckle"] / drawn["blur"] == pytest.approx(3, rel=0.3)
