"""A run can begin with the weights of an exported file, and with no other's."""

import dataclasses
import hashlib
from pathlib import Path

import keras
import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from tests.conftest import Pixels
from training import export, fit, start
from training.recipes import RECIPES

RECIPE = dataclasses.replace(RECIPES["unet_dae"], hidden=(4, 8, 8))


@pytest.fixture
def noisy(digits: Pixels) -> Pixels:
    return np.random.default_rng(0).random((8, 28, 28, 1), dtype=np.float32) * digits[:8, ..., np.newaxis]


@pytest.fixture
def network() -> keras.Model:
    return RECIPE.architecture(RECIPE.hidden)


@pytest.fixture
def path(network: keras.Model, noisy: Pixels, tmp_path: Path) -> Path:
    return export.export(RECIPE, network, noisy, 10, {}, tmp_path)


def test_a_files_weights_go_back_into_a_network_and_its_file_says_where_they_came_from(
    network: keras.Model, path: Path, noisy: Pixels, tmp_path: Path
) -> None:
    other = RECIPE.architecture(RECIPE.hidden)
    start.restore(other, path)
    for weight, restored in zip(network.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(weight, restored)
    (tmp_path / "next").mkdir()
    later = onnx.load(export.export(RECIPE, other, noisy, 10, {}, tmp_path / "next", begin=path))
    metadata = {entry.key: entry.value for entry in later.metadata_props}
    assert hashlib.sha256(path.read_bytes()).hexdigest() in metadata["started_from"]


def test_a_run_goes_on_from_a_file(network: keras.Model, path: Path, digits: Pixels, tmp_path: Path) -> None:
    assert RECIPE.blend
    blend = dataclasses.replace(RECIPE.blend, parts=1, digits=20, pages=0, photos=0)
    recipe = dataclasses.replace(
        RECIPE, epochs=1, second=None, learning_rate=1e-9, last_learning_rate=None, blend=blend
    )
    trained = fit.fit(recipe, digits[:50, ..., np.newaxis], tmp_path, path)
    for weight, restored in zip(network.get_weights(), trained.get_weights(), strict=True):
        assert restored == pytest.approx(weight, abs=1e-6)


def test_weights_of_another_network_or_another_answer_to_the_probe_are_refused(
    network: keras.Model, path: Path
) -> None:
    for hidden in ((4, 8, 12), (4, 8)):
        with pytest.raises(start.StartError, match="is of another network"):
            start.restore(RECIPE.architecture(hidden), path)
    model = onnx.load(path)
    (kernel,) = (each for each in model.graph.initializer if each.dims == [2, 4, 3, 3])
    kernel.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(kernel), kernel.name))
    onnx.save(model, path)
    with pytest.raises(start.StartError, match="on the probe"):
        start.restore(network, path)
