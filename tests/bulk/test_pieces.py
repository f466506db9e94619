"""The parts of a file are kept for that one file: they are never joined with the parts of another."""

import os
from pathlib import Path

import numpy as np
import pytest

from denoise.bulk import arrays
from denoise.bulk.files import Item
from denoise.bulk.pieces import BulkJob, BulkPiece, PartedFile
from denoise.bulk.processes import Engine
from denoise.bulk.provenance import Maker
from denoise.inference.denoiser import Restored
from denoise.inference.ways import CPU
from denoise.pictures.parameters import Parameters

WORK = arrays.Work(lambda pixels: Restored(pixels, None), (28, 28))
JOB = BulkJob(Engine(Path("copy.onnx"), CPU, Maker("1.0", "copy", "", Parameters())), WORK, None, None, False)


@pytest.fixture
def item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Item:
    """An array of two parts, all black."""
    monkeypatch.setattr(arrays, "RUNS_PER_BLOCK", 1)
    np.save(tmp_path / "digits.npy", np.zeros((300, 28, 28), np.uint8))
    return Item(tmp_path / "digits.npy", tmp_path / "clean.npy", "png")


def clean(item: Item, piece: BulkPiece) -> None:
    assert isinstance(piece.part, arrays.ArrayPart)
    piece.answer.parent.mkdir(exist_ok=True)
    with piece.answer.open("wb") as file:
        np.save(file, arrays.clean_part(item.source, piece.part, WORK))


def test_what_an_earlier_run_left_is_not_made_again(item: Item) -> None:
    first, second = PartedFile(item, JOB).missing()
    clean(item, first)
    assert PartedFile(item, JOB).missing() == [second]


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_the_parts_of_another_file_in_the_same_place_are_left_alone(item: Item, seconds: int) -> None:
    clean(item, PartedFile(item, JOB).missing()[0])
    date = item.source.stat().st_mtime + seconds
    white = np.full((300, 28, 28), 255, np.uint8)
    np.save(item.source, white)
    os.utime(item.source, (date, date))
    file = PartedFile(item, JOB)
    for piece in file.missing():
        clean(item, piece)
    assert file.join() == []
    np.testing.assert_array_equal(np.load(item.target), white)
    assert {path.name for path in item.target.parent.iterdir()} == {"digits.npy", "clean.npy", ".clean.npy.denoise"}
