"""The networks are the tutorial's, layer by layer."""

import keras
import numpy as np
import pytest
from keras import layers

from training import architectures
from training.recipes import RECIPES


@pytest.mark.parametrize(
    ("name", "code", "parameters"),
    [
        ("basic_ae", (64,), 784 * 64 + 64 + 64 * 784 + 784),
        ("easy_dae", (32,), 784 * 32 + 32 + 32 * 784 + 784),
        ("conv_dae", (4, 4, 32), 121_281),
    ],
)
def test_codes_and_parameters_are_the_tutorials(name: str, code: tuple[int, ...], parameters: int) -> None:
    recipe = RECIPES[name]
    network = recipe.architecture(recipe.hidden)
    assert network.output["logits"].shape == (None, 28, 28, 1)
    assert network.output["code"].shape == (None, *code)
    assert network.count_params() == parameters


def test_the_convolutional_one_goes_28_14_7_4_and_back() -> None:
    network = architectures.convolutional((64, 64, 32))
    convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    assert [layer.output.shape[1:] for layer in convolutions] == [
        (28, 28, 64), (14, 14, 64), (7, 7, 32), (7, 7, 32), (14, 14, 64), (28, 28, 64), (28, 28, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["tensorflow", "another"])
def test_resizing_picks_tensorflow_1s_rows(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    rows = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1) * np.ones((1, 4, 4, 1), np.float32)
    resized = architectures.NearestResize(7)(rows)
    assert np.asarray(resized)[0, :, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3]
