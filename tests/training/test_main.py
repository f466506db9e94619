"""`python -m training` goes from archives to models, cards and pictures."""

import json
from pathlib import Path

import onnx
import pytest
from PIL import Image

from denoise.inference import denoiser
from training import noise
from training.__main__ import main


def test_a_run_writes_models_that_the_service_takes(
    small_mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--epochs", "1", "--data", str(small_mnist), "--out", str(out), "--checkpoints", str(tmp_path / "kept")]
    main(["basic_ae", "easy_dae", *options, "--hidden", "12"])
    main(["conv_dae", *options, "--hidden", "8", "8", "4", "--batch", "64", "--fresh"])
    assert sorted(path.name for path in out.iterdir()) == [
        "basic_ae.log", "basic_ae.md", "basic_ae.onnx", "conv_dae.log", "conv_dae.md", "conv_dae.onnx",
        "easy_dae.log", "easy_dae.md", "easy_dae.onnx", "pictures",
    ]  # fmt: skip
    assert sorted(path.name for path in (out / "pictures").iterdir()) == [
        "basic_ae-restored.png", "comparison.png", "conv_dae-restored.png", "easy_dae-restored.png",
    ]  # fmt: skip
    for picture in (out / "pictures").iterdir():
        with Image.open(picture) as image:
            assert image.width > 600
    models = denoiser.load(out, "cpu", threads=1)
    assert models["easy_dae"].outputs[1].shape == ("batch", 12)
    assert models["conv_dae"].outputs[1].shape == ("batch", 4, 4, 4)
    metadata = {entry.key: entry.value for entry in onnx.load(out / "easy_dae.onnx").metadata_props}
    assert metadata["training_data"] == "MNIST, 2,000 training digits"
    scores = json.loads(metadata["scores"])
    assert f"| {scores['loss']:.4f} |" in (out / "easy_dae.md").read_text()
    assert "easy_dae, epoch 1 of 1: loss 0." in (out / "easy_dae.log").read_text()
    assert "easy_dae, epoch 1 of 1" in capsys.readouterr().out


def test_a_blind_run_draws_every_kind_of_noise(small_mnist: Path, tmp_path: Path) -> None:
    options = [
        "--epochs",
        "1",
        "--parts",
        "1",
        "--digits",
        "64",
        "--pages",
        "4",
        "--photos",
        "4",
        "--hidden",
        "4",
        "8",
        "8",
        "--data",
        str(small_mnist),
    ]
    main(["unet_dae", *options, "--out", str(tmp_path / "out"), "--checkpoints", str(tmp_path / "kept")])
    card = (tmp_path / "out" / "unet_dae.md").read_text(encoding="utf-8")
    for kind in noise.KINDS:
        assert f"| {kind} | " in card
    assert "rank correlation of" in card
    with Image.open(tmp_path / "out" / "pictures" / "unet_dae-kinds.png") as picture:
        assert picture.height > 24 * 60
    (model,) = denoiser.load(tmp_path / "out", "cpu", threads=1).values()
    assert model.size is None


@pytest.mark.parametrize("option", ["--epochs=0", "--batch=-1", "--noise=2", "--learning-rate=x", "--hidden=0"])
def test_senseless_numbers_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["easy_dae", option])
    assert option.split("=", maxsplit=1)[0] in capsys.readouterr().err


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["conv"])
    assert "there is no recipe named 'conv'; there are basic_ae, easy_dae, conv_dae" in capsys.readouterr().err
