"""A run is repeatable, and one that is stopped ends where an unbroken one does."""

import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import Pixels
from training import export, fit, mixtures
from training.recipes import RECIPES, Restart

RECIPE = dataclasses.replace(RECIPES["easy_dae"], epochs=3, batch=32)
SMALL = dataclasses.replace(RECIPES["unet_dae"], hidden=(4, 8, 8), epochs=1, batch=64)


@pytest.fixture(scope="module")
def clean(digits: Pixels) -> Pixels:
    return digits[:300, ..., np.newaxis]


@pytest.fixture(scope="module")
def small(clean: Pixels, tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, export.Start]:
    """A network of SMALL as it is drawn, and its file, to start the last stretch of a run from."""
    network = SMALL.architecture(SMALL.hidden)
    return network, export.Start(export.export(SMALL, network, clean[:4], 300, {}, tmp_path_factory.mktemp("small")), 1)


def weights(network: keras.Model) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.concatenate([weight.ravel() for weight in network.get_weights()])


class Stopped(Exception):
    """What Ctrl-C is to a run."""


def test_a_stopped_run_goes_on_to_the_same_weights(
    clean: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken = weights(fit.fit(RECIPE, clean, tmp_path / "unbroken"))

    def stop_in_the_third_epoch(network: keras.Model, *batch: Pixels) -> float:
        if network.optimizer.iterations > 2 * math.ceil(300 / RECIPE.batch):
            raise Stopped
        return float(train(network, *batch))

    train = keras.Model.train_on_batch
    monkeypatch.setattr(keras.Model, "train_on_batch", stop_in_the_third_epoch)
    with pytest.raises(Stopped):
        fit.fit(RECIPE, clean, tmp_path / "broken")
    monkeypatch.setattr(keras.Model, "train_on_batch", train)
    resumed = weights(fit.fit(RECIPE, clean, tmp_path / "broken"))
    assert "going on after epoch 2" in capsys.readouterr().out
    assert np.array_equal(resumed, unbroken)


def test_other_numbers_start_anew_and_so_does_what_is_forgotten(clean: Pixels, tmp_path: Path) -> None:
    short = dataclasses.replace(RECIPE, epochs=1)
    fit.fit(short, clean, tmp_path)
    fit.fit(dataclasses.replace(short, hidden=(8,)), clean, tmp_path)
    fit.fit(short, clean[:200], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    fit.forget(short, clean, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_blind_recipe_trains_on_digits_and_pages_and_averages_its_weights(clean: Pixels, tmp_path: Path) -> None:
    evenly = Restart(1, 0.001, pages=12, mixture=mixtures.HARD, of_pages=mixtures.LIGHT, near=0.5, evenly=True)
    trained = fit.fit(dataclasses.replace(SMALL, restarts=(evenly,), pages=12, batch=16), clean, tmp_path)
    assert trained.compute_dtype == "float32"
    assert np.isfinite(weights(trained)).all()


def test_the_learning_rate_falls_along_half_a_cosine_and_again_after_each_restart() -> None:
    restarts = (
        Restart(epochs=10, learning_rate=0.0008, pages=1, mixture=mixtures.HARD),
        Restart(4, 0.0006, 1, mixtures.HARD),
    )
    recipe = dataclasses.replace(RECIPES["unet_dae"], epochs=20, restarts=restarts)
    rates = [fit._rate(recipe, epoch) for epoch in (0, 10, 20, 25, 30, 34)]
    assert rates == pytest.approx([0.002, 0.001005, 0.0008, 0.000405, 0.0006, 1e-5])
    broken_off = dataclasses.replace(recipe, restarts=(dataclasses.replace(restarts[0], broken_off=5), restarts[1]))
    assert [fit._rate(broken_off, epoch) for epoch in (20, 24.999, 25, 29)] == pytest.approx(
        [0.0008, 0.000405, 0.0006, 1e-5], rel=1e-3
    )
    once = dataclasses.replace(recipe, restarts=())
    assert [fit._rate(once, epoch) for epoch in (0, 10, 20)] == pytest.approx([0.002, 0.001005, 1e-5])
    assert fit._rate(RECIPES["conv_dae"], 7) == RECIPES["conv_dae"].learning_rate


def test_a_restart_has_its_own_noise_and_pages(clean: Pixels) -> None:
    recipe = dataclasses.replace(
        RECIPES["unet_dae"], epochs=1, pages=6, restarts=(Restart(1, 0.001, pages=12, mixture=mixtures.HARDEST),)
    )
    counts = [
        sum(len(target) for *_, target in fit._parts(recipe, clean, epoch, np.random.default_rng(0)))
        for epoch in (0, 1)
    ]
    assert counts == [len(clean) + 6, len(clean) + 12]
    assert [fit._stretch(recipe, epoch) for epoch in (0, 1)] == [0, 1]


def test_an_epoch_with_photos_goes_from_digits_to_pages_to_photos_in_parts(clean: Pixels) -> None:
    photos = Restart(1, 0.001, pages=4, mixture=mixtures.BESIDE_PHOTOS, photos=10, parts=2, digits=50)
    recipe = dataclasses.replace(RECIPES["unet_dae"], epochs=1, restarts=(photos,))
    shares, seen, targets = zip(*fit._parts(recipe, clean, 1, np.random.default_rng(0)), strict=True)
    assert [target.shape[:2] for target in targets] == [(25, 28), (2, 64), (5, 64)] * 2
    assert [each.shape for each in seen] == [target.shape for target in targets]
    assert shares == (0, 0.25, 0.25, 0.5, 0.75, 0.75)


def test_a_run_that_starts_from_a_file_runs_the_last_stretch_alone(
    clean: Pixels, small: tuple[keras.Model, export.Start], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, start = small
    last = Restart(1, 0.0, pages=6, mixture=mixtures.LIGHT)
    recipe = dataclasses.replace(SMALL, epochs=5, restarts=(last,), last_learning_rate=0.0)
    trained = fit.fit(recipe, clean[:64], tmp_path, start)
    assert "epoch 6 of 6" in capsys.readouterr().out
    assert weights(trained) == pytest.approx(weights(network), abs=1e-6)


def test_a_run_with_photos_is_repeatable_and_the_weights_before_them_have_their_share(
    clean: Pixels, small: tuple[keras.Model, export.Start], tmp_path: Path
) -> None:
    network, start = small
    last = Restart(
        1,
        0.001,
        pages=6,
        mixture=mixtures.BESIDE_PHOTOS,
        photos=6,
        parts=1,
        of_pages=mixtures.LIGHT,
        near=0.5,
        evenly=True,
    )
    recipe = dataclasses.replace(SMALL, restarts=(last,))
    after, half = (
        weights(fit.fit(dataclasses.replace(recipe, before_photos=share), clean[:64], tmp_path / str(share), start))
        for share in (0, 0.5)
    )
    assert not np.array_equal(after, weights(network))
    assert half == pytest.approx((after + weights(network)) / 2, abs=1e-6)


def test_pages_are_near_the_digits_size_as_often_as_is_said(clean: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def pages(_: Pixels, count: int, side: int, scales: tuple[float, float], __: np.random.Generator) -> Pixels:
        drawn.append((count, scales))
        return np.zeros((count, side, side, 1), np.float32)

    monkeypatch.setattr(fit.pages, "pages", pages)
    assert len(fit._pages(clean, 10, 0.7, np.random.default_rng(0))) == 10
    assert drawn == [(3, fit.PAGE_SCALES), (7, fit.NEAR_SCALES)]


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
