"""What is exported equals Keras, and nothing is written when it does not."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.conftest import Pixels
from training import architectures, export
from training.recipes import RECIPES


@pytest.fixture(scope="module")
def noisy(digits: Pixels) -> Pixels:
    return np.random.default_rng(0).random((8, 28, 28, 1), dtype=np.float32) * digits[:8, ..., np.newaxis]


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "unet_dae"])
def test_the_file_gives_what_keras_gives(name: str, noisy: Pixels, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    network = recipe.architecture(recipe.hidden)
    path = export.export(recipe, network, noisy, 10, {"loss": 0.7}, tmp_path)
    session = onnxruntime.InferenceSession(path)
    restored, code = session.run(["restored", "code"], {"image": noisy})
    expected = architectures.answers(network, noisy)
    assert np.abs(restored - expected["restored"]).max() <= 1e-5
    assert np.abs(code - expected["code"]).max() <= 1e-5
    assert session.get_modelmeta().custom_metadata_map["task"] == recipe.task
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_model_of_any_size_has_named_axes_and_no_code(noisy: Pixels, tmp_path: Path) -> None:
    recipe = RECIPES["unet_dae"]
    network = recipe.architecture((4, 8, 8))
    session = onnxruntime.InferenceSession(export.export(recipe, network, noisy, 10, {"loss": 0.7}, tmp_path))
    (image,), (restored,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.shape) == ("image", ["batch", "height", "width", 1])
    assert (restored.name, restored.shape) == ("restored", ["batch", "height", "width", 1])
    wide = np.random.default_rng(0).random((2, 16, 80, 1), dtype=np.float32)
    assert np.abs(session.run(None, {"image": wide})[0] - architectures.answers(network, wide)["restored"]).max() < 1e-5


def test_a_code_that_differs_is_not_written(noisy: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPES["conv_dae"]
    monkeypatch.setattr(export, "_code", lambda code: code * 0 + 7)
    with pytest.raises(export.ExportError, match="code of onnxruntime differs"):
        export.export(recipe, recipe.architecture((4, 4, 4)), noisy, 10, {}, tmp_path)
    assert list(tmp_path.iterdir()) == []


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
