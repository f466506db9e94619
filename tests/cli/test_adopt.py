"""`denoise adopt` says what a foreign model would be used for, writes it to be served, and overwrites nothing."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from denoise.settings import Settings
from denoise.web.app import create_app
from tests.conftest import NOISY_7
from tests.inference.test_adoption import blurring, thresholding


def adopt(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "denoise", "adopt", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_foreign_model_is_written_and_served(tmp_path: Path) -> None:
    path, models = thresholding(tmp_path, 100.0, 0.0), tmp_path / "models"
    models.mkdir()
    told = adopt(path, "-o", models / "mine.onnx", "--title", "Threshold")
    assert told.returncode == 0, told.stderr
    assert "any size in multiples of 4, in grey, channels first" in told.stdout
    assert "light ink on black, 0 … 255" in told.stdout
    with TestClient(create_app(Settings(models=models))) as client:
        assert client.get("/models/mine").json()["title"] == "Threshold"
        answer = client.post("/denoise?model=mine", content=NOISY_7.read_bytes()).content
    sent, clean = (np.asarray(Image.open(io.BytesIO(each)).convert("L")) for each in (NOISY_7.read_bytes(), answer))
    assert np.array_equal(clean, np.where(sent > 100, sent, 0))
    assert [file.name for file in models.iterdir()] == ["mine.onnx"]


def test_without_an_output_nothing_is_written(tmp_path: Path) -> None:
    told = adopt(blurring(tmp_path))
    assert told.returncode == 0, told.stderr
    assert "It can be served at /denoise" in told.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["foreign.onnx"]


@pytest.mark.parametrize(
    ("name", "trouble"), [("taken.onnx", "is there already"), ("new.bin", "does not end in .onnx")]
)
def test_a_place_that_cannot_be_taken_is_told(tmp_path: Path, name: str, trouble: str) -> None:
    (tmp_path / "taken.onnx").write_bytes(b"mine")
    told = adopt(blurring(tmp_path), "-o", tmp_path / name)
    assert told.returncode == 1
    assert trouble in told.stderr
    assert (tmp_path / "taken.onnx").read_bytes() == b"mine"


def test_without_its_extra_it_says_so(tmp_path: Path) -> None:
    code = "import sys; sys.modules['onnx'] = None; from denoise.cli import commands; commands.main()"
    command = [sys.executable, "-c", code, "adopt", str(blurring(tmp_path))]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "pip install 'denoise-service[adopt]'" in told.stderr
    assert "Traceback" not in told.stderr
