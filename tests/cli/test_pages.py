"""`denoise --digits`: a page in, its digits out, as an array or as a folder of PNGs with a table."""

import csv
import io
import shutil
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from denoise.bulk.provenance import Taken
from denoise.cli import pages
from denoise.pictures import digits, images
from tests.cli.conftest import PAGE, denoise, told
from tests.conftest import CLEAN_7, NOISY_7


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits of the noisy page, as the command writes them."""
    target = tmp_path_factory.mktemp("pages") / "digits.npy"
    ended = denoise("--digits", PAGE, "-o", target)
    assert (ended.returncode, told(ended)) == (0, "")
    return target


def test_an_array_has_them_in_reading_order(array: Path) -> None:
    pictures = np.load(array)
    assert pictures.dtype == np.uint8
    assert pictures.shape[1:] == (28, 28)
    assert len(pictures) > 1


def find(content: bytes) -> digits.Found:
    """The digits of a clean page with light ink, without a model. Raises UnsupportedKind."""
    return digits.find(images.decode(content, 1_000_000))


def read(folder: Path, *inputs: Path, output: str, overwrite: bool = False) -> int:
    """What the command does, in this process: its exit status."""
    return pages.read(list(map(str, inputs)), str(folder / output), lambda: find, overwrite=overwrite)


def test_a_folder_has_pngs_and_a_table_of_their_boxes(tmp_path: Path) -> None:
    assert read(tmp_path, CLEAN_7, output="digits") == 0
    with (tmp_path / "digits" / "boxes.csv").open() as file:
        (row,) = csv.DictReader(file)
    found = find(CLEAN_7.read_bytes())
    with Image.open(tmp_path / "digits" / row["file"]) as picture:
        assert np.array_equal(np.asarray(picture), found.pictures[0])
    assert [int(row[name]) for name in ("x", "y")] == [found.boxes.left[0], found.boxes.top[0]]
    assert row["wide"] == "false"


def test_several_pages_have_a_folder_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scans").mkdir()
    for name in ("one", "two"):
        shutil.copy(CLEAN_7, tmp_path / "scans" / f"{name}.png")
    (tmp_path / "scans" / "bad.png").write_bytes(b"none")
    assert read(tmp_path, tmp_path / "scans", output="digits") == 1
    assert "bad.png: The 4 bytes are no image" in capsys.readouterr().err
    assert {path.parent.name for path in tmp_path.glob("digits/*/boxes.csv")} == {"one", "two"}
    assert [path.name for path in tmp_path.glob("digits/one/*.png")] == ["0001.png"]


def test_it_reads_standard_input_and_writes_standard_output(array: Path) -> None:
    ended = denoise("--digits", "-", stdin=PAGE.read_bytes())
    assert np.array_equal(np.load(io.BytesIO(ended.stdout)), np.load(array))


def test_a_service_finds_the_same(server: httpx2.Client, array: Path, tmp_path: Path) -> None:
    ended = denoise("--digits", PAGE, "-o", "digits.npy", "--url", str(server.base_url), folder=tmp_path)
    assert ended.returncode == 0, told(ended)
    there, here = np.load(tmp_path / "digits.npy"), np.load(array)
    assert there.shape == here.shape
    assert np.abs(there.astype(int) - here).max() <= 2


def test_a_folder_is_overwritten_only_when_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(tmp_path, CLEAN_7, output="digits") == 0
    (tmp_path / "digits" / "own.png").write_bytes(b"kept")
    assert read(tmp_path, CLEAN_7, output="digits") == 1
    assert "boxes.csv' is there already" in capsys.readouterr().err
    empty = tmp_path / "empty.png"
    Image.new("L", (50, 50)).save(empty)
    assert read(tmp_path, empty, output="digits", overwrite=True) == 0
    assert {path.name for path in (tmp_path / "digits").iterdir()} == {"boxes.csv", "own.png"}


def test_an_array_is_overwritten_only_when_that_is_asked_for(tmp_path: Path) -> None:
    assert read(tmp_path, CLEAN_7, output="digits.npy") == 0
    with pytest.raises(Taken, match="is there already"):
        read(tmp_path, CLEAN_7, output="digits.npy")
    assert read(tmp_path, CLEAN_7, output="digits.npy", overwrite=True) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "conv_dae"), "'conv_dae' does not denoise pages of any size"),
        (("--model", "cnov"), "There is no model named 'cnov'"),
        ((str(NOISY_7),), "several pages need a folder"),
        (("--report", "report.csv"), "--report is of pictures that are cleaned"),
        (("--color", "keep"), "--color is of pictures that are cleaned"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    ended = denoise("--digits", PAGE, *arguments, "-o", "digits.npy", folder=tmp_path)
    assert ended.returncode == 2
    assert sentence in told(ended)
    assert not list(tmp_path.iterdir())


def test_two_pages_never_share_a_folder_of_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scans").mkdir()
    page = Image.open(CLEAN_7)
    page.save(tmp_path / "scans" / "page.tif", save_all=True, append_images=[page])
    page.save(tmp_path / "scans" / "page-1.png")
    assert read(tmp_path, tmp_path / "scans", output="digits", overwrite=True) == 1
    assert "Digits of another page are in" in capsys.readouterr().err


def test_a_page_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = denoise("--digits", "gone.png", "-o", "digits.npy", folder=tmp_path)
    assert (ended.returncode, told(ended)) == (1, "gone.png: It cannot be read: No such file or directory.")


def test_each_page_of_a_scan_has_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = Image.open(CLEAN_7)
    page.save(tmp_path / "scan.tif", save_all=True, append_images=[page.transpose(Image.Transpose.ROTATE_90), page])
    assert read(tmp_path, tmp_path / "scan.tif", output="digits") == 0
    assert sorted(path.name for path in tmp_path.glob("digits*")) == ["digits-1", "digits-2", "digits-3"]
    assert pages.read([str(tmp_path / "scan.tif")], f"{tmp_path}/apart/", lambda: find, overwrite=False) == 0
    assert sorted(path.name for path in (tmp_path / "apart").iterdir()) == ["page-1", "page-2", "page-3"]
    assert read(tmp_path, tmp_path / "scan.tif", output="digits.npy") == 1
    assert "It has 3 pages, and an array has the digits of one; --page says which." in capsys.readouterr().err
    target = str(tmp_path / "second.npy")
    assert pages.read([str(tmp_path / "scan.tif")], target, lambda: find, overwrite=False, number=2) == 0
    assert not np.array_equal(np.load(target), find(CLEAN_7.read_bytes()).pictures)
