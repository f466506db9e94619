"""A run is repeatable, and one that is stopped ends where an unbroken one does."""

import dataclasses
import itertools
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import Pixels
from training import fit, mixtures, parts
from training.recipes import RECIPES, SecondRun

RECIPE = dataclasses.replace(RECIPES["easy_dae"], epochs=3, batch=32)
BLIND = RECIPES["unet_dae"]
assert BLIND.blend
FEW = dataclasses.replace(BLIND.blend, parts=2, digits=40, pages=4, photos=4)
LAST = dataclasses.replace(FEW, on_digits=mixtures.LAST_ON_DIGITS, on_pages=mixtures.LAST_ON_PAGES)
SMALL = dataclasses.replace(
    BLIND, hidden=(4, 8, 8), epochs=2, cooldown=1, batch=16, blend=FEW, last_blend=LAST, second=None
)
AGAIN = dataclasses.replace(SMALL, second=SecondRun(2, 1e-3, dataclasses.replace(FEW, pages=6)))


@pytest.fixture(scope="module")
def clean(digits: Pixels) -> Pixels:
    return digits[:300, ..., np.newaxis]


def weights(network: keras.Model) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.concatenate([weight.ravel() for weight in network.get_weights()])


class Stopped(Exception):
    """What Ctrl-C is to a run."""


@pytest.mark.parametrize(
    ("recipe", "steps", "epochs"),
    [(RECIPE, 25, 2), (SMALL, 30, 1), (AGAIN, 50, 2), (AGAIN, 75, 3)],
    ids=["digits", "blind", "at the second run", "in the second run"],
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    recipe: fit.Recipe,
    steps: int,
    epochs: int,
    clean: Pixels,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unbroken = weights(fit.fit(recipe, clean, tmp_path / "unbroken"))

    taken = itertools.count()

    def stop_after_the_steps(network: keras.Model, *batch: Pixels) -> float:
        if next(taken) == steps:
            raise Stopped
        return float(train(network, *batch))

    train = keras.Model.train_on_batch
    monkeypatch.setattr(keras.Model, "train_on_batch", stop_after_the_steps)
    with pytest.raises(Stopped):
        fit.fit(recipe, clean, tmp_path / "broken")
    monkeypatch.setattr(keras.Model, "train_on_batch", train)
    resumed = fit.fit(recipe, clean, tmp_path / "broken")
    assert f"going on after epoch {epochs}, kept in" in capsys.readouterr().out
    assert resumed.compute_dtype == "float32"
    assert np.isfinite(unbroken).all()
    assert np.array_equal(weights(resumed), unbroken)


def test_other_numbers_start_anew_and_so_does_what_is_forgotten(clean: Pixels, tmp_path: Path) -> None:
    short = dataclasses.replace(RECIPE, epochs=1)
    fit.fit(short, clean, tmp_path)
    fit.fit(dataclasses.replace(short, hidden=(8,)), clean, tmp_path)
    fit.fit(short, clean[:200], tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == len(list(tmp_path.glob("*.log"))) == 3
    fit.forget(short, clean, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2 * 2


def test_what_is_trained_is_the_average_of_the_weights_so_far(clean: Pixels, tmp_path: Path) -> None:
    first = RECIPE.architecture(RECIPE.hidden)
    keras.utils.set_random_seed(RECIPE.seed)
    first = weights(RECIPE.architecture(RECIPE.hidden))
    last, average = (
        weights(fit.fit(dataclasses.replace(RECIPE, averaging=share), clean, tmp_path)) for share in (0.0, 0.999)
    )
    # After so few steps nearly all of the average is what the run began with.
    assert 0 < np.linalg.norm(average - first) < 0.1 * np.linalg.norm(last - first)


def test_the_learning_rate_falls_along_half_a_cosine_where_it_falls() -> None:
    recipe = dataclasses.replace(
        BLIND, epochs=20, learning_rate=0.002, last_learning_rate=1e-5, cooldown=None, cosine=None, second=None
    )
    assert [fit._rate(recipe, epoch) for epoch in (0, 10, 20)] == pytest.approx([0.002, 0.001005, 1e-5])
    ended = dataclasses.replace(recipe, epochs=14, cooldown=10, cosine=20)
    assert [fit._rate(ended, epoch) for epoch in (0, 10, 12, 14)] == pytest.approx([0.002, 0.001005, 0.0005075, 1e-5])
    assert fit._rate(RECIPES["conv_dae"], 7) == RECIPES["conv_dae"].learning_rate


def test_a_second_run_begins_with_the_average_and_its_own_rate(clean: Pixels, tmp_path: Path) -> None:
    still = dataclasses.replace(
        AGAIN, last_learning_rate=1e-12, second=dataclasses.replace(AGAIN.second, learning_rate=1e-12)
    )
    once, again = (
        weights(fit.fit(recipe, clean, tmp_path)) for recipe in (dataclasses.replace(still, second=None), still)
    )
    assert np.allclose(again, once, atol=1e-6)
    assert [fit._rate(AGAIN, epoch) for epoch in (1.999, 2, 3, 4)] == pytest.approx(
        [1.2e-5, 1e-3, 5.05e-4, 1e-5], rel=0.2
    )
    sizes = [len(part[1][0]) for part in fit._parts(AGAIN, clean, range(1, 4))]
    assert sizes == [4, 4, 6, 6, 6, 6]


def test_batches_of_all_kinds_take_turns_and_larger_pictures_are_fewer() -> None:
    digits, pages = np.zeros((10, 28, 28, 1), np.float32), np.zeros((3, 56, 56, 1), np.float32)
    sizes = [spoilt.shape[:2] for spoilt, _ in fit._batches([(digits, digits), (pages, pages)], 4)]
    assert sizes == [(4, 28), (1, 56), (4, 28), (1, 56), (2, 28), (1, 56)]


def test_hard_pictures_count_less_than_by_cross_entropy() -> None:
    truth = np.full((3, 8, 8, 1), 0.5, np.float32)
    logits = np.array([0, 0.2, 2], np.float32).reshape(3, 1, 1, 1) * np.ones_like(truth)
    same, easy, hard = np.asarray(fit._divergence(truth, logits))
    assert same == pytest.approx(fit.LEAST_DIVERGENCE**fit.EVENNESS, rel=1e-2)
    p = 1 / (1 + np.exp([-0.2, -2.0]))
    nats = -0.5 * np.log(p) - 0.5 * np.log(1 - p) - np.log(2)  # of 0.5 from p
    expected = (nats + fit.LEAST_DIVERGENCE) ** fit.EVENNESS
    assert [easy, hard] == pytest.approx(expected, rel=1e-3)
    assert hard / easy < 4 < nats[1] / nats[0]


def test_the_last_blend_is_what_a_run_sees_from_its_cooldown_on(clean: Pixels) -> None:
    drawn = list(fit._parts(SMALL, clean, range(SMALL.epochs)))
    usual = list(parts.draw(clean, FEW, SMALL.seed, range(SMALL.epochs)))
    same = [np.array_equal(one[0][0], other[0][0]) for one, other in zip(drawn, usual, strict=True)]
    assert same == [True, True, False, False]
