"""What is exported equals Keras, and nothing is written when it does not."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.conftest import Pixels
from training import export
from training.recipes import RECIPES


@pytest.fixture(scope="module")
def noisy(digits: Pixels) -> Pixels:
    return np.random.default_rng(0).random((8, 28, 28, 1), dtype=np.float32) * digits[:8, ..., np.newaxis]


@pytest.mark.parametrize("name", RECIPES)
def test_the_file_gives_what_keras_gives(name: str, noisy: Pixels, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    network = recipe.architecture(recipe.hidden)
    path = export.export(recipe, network, noisy, 10, {"loss": 0.7}, tmp_path)
    session = onnxruntime.InferenceSession(path)
    restored, code = session.run(["restored", "code"], {"image": noisy})
    assert np.abs(restored - export.restored(network, noisy)).max() <= 1e-5
    assert np.abs(code - network.predict(noisy, verbose=0)["code"]).max() <= 1e-5
    assert session.get_modelmeta().custom_metadata_map["task"] == recipe.task
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_differs_is_not_written(noisy: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPES["easy_dae"]
    kept = tmp_path / "easy_dae.onnx"
    kept.write_bytes(b"the old one")
    other = export.convert(recipe.architecture(recipe.hidden))
    monkeypatch.setattr(export, "convert", lambda _: other)
    with pytest.raises(export.ExportError, match="differs from Keras by"):
        export.export(recipe, recipe.architecture(recipe.hidden), noisy, 10, {}, tmp_path)
    assert kept.read_bytes() == b"the old one"


def test_a_code_that_is_not_square_cannot_be_laid_out() -> None:
    with pytest.raises(export.ExportError, match="must be square"):
        export._code(np.zeros((1, 2, 3, 4), np.float32))
