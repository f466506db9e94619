"""A run is repeatable, and one that is stopped ends where an unbroken one does."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import Pixels
from training import fit
from training.recipes import RECIPES

RECIPE = dataclasses.replace(RECIPES["easy_dae"], epochs=3, batch=32)


@pytest.fixture(scope="module")
def clean(digits: Pixels) -> Pixels:
    return digits[:300, ..., np.newaxis]


def weights(network: keras.Model) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.concatenate([weight.ravel() for weight in network.get_weights()])


class Stopped(Exception):
    """What Ctrl-C is to a run."""


def test_a_stopped_run_goes_on_to_the_same_weights(
    clean: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken = weights(fit.fit(RECIPE, clean, tmp_path / "unbroken"))

    def stop_in_the_third_epoch(network: keras.Model, *data: Pixels, **options: int) -> None:
        if network.optimizer.iterations >= 2 * 300 // RECIPE.batch:
            raise Stopped
        train(network, *data, **options)

    train = keras.Model.fit
    monkeypatch.setattr(keras.Model, "fit", stop_in_the_third_epoch)
    with pytest.raises(Stopped):
        fit.fit(RECIPE, clean, tmp_path / "broken")
    monkeypatch.setattr(keras.Model, "fit", train)
    resumed = weights(fit.fit(RECIPE, clean, tmp_path / "broken"))
    assert "going on after epoch 2" in capsys.readouterr().out
    assert np.array_equal(resumed, unbroken)


def test_other_numbers_start_anew_and_so_does_what_is_forgotten(clean: Pixels, tmp_path: Path) -> None:
    short = dataclasses.replace(RECIPE, epochs=1)
    fit.fit(short, clean, tmp_path)
    fit.fit(dataclasses.replace(short, hidden=(8,)), clean, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    fit.forget(short, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
