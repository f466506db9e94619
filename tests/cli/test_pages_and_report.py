"""The command line drops nothing of a file either, and says which answers are worth a look."""

import csv
import io
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

from tests.cli.conftest import denoise, told
from tests.conftest import CLEAN_7, NOISY_7, Pixels

SEVEN = np.asarray(Image.open(NOISY_7).convert("L"))
PAGES = [SEVEN, SEVEN[::-1], SEVEN.T]


def scan(path: Path) -> Path:
    first, *others = (Image.fromarray(np.ascontiguousarray(page)) for page in PAGES)
    path.parent.mkdir(exist_ok=True)
    first.save(path, "TIFF", save_all=True, append_images=others, dpi=(300, 300))
    return path


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        shown = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            shown.append(np.asarray(image))
        return shown


def test_a_fax_of_three_pages_is_cleaned_page_by_page(tiny_models: Path, tmp_path: Path) -> None:
    fax, clean = scan(tmp_path / "fax.tif"), tmp_path / "fax-clean.tif"
    ended = denoise(fax, "-o", clean, "--models", tiny_models, "--model", "copy", "--invert", "false")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert np.array_equal(frames(clean), PAGES)
    with Image.open(clean) as image:
        assert image.info["dpi"] == (300, 300)
    piped = denoise("-", "--format", "tiff", "--models", tiny_models, stdin=fax.read_bytes()).stdout
    assert Image.open(io.BytesIO(piped)).n_frames == 3


def test_pages_become_a_tiff_in_a_folder_and_no_png(tiny_models: Path, tmp_path: Path) -> None:
    scan(tmp_path / "in" / "fax.tiff")
    Image.fromarray(SEVEN).save(tmp_path / "in" / "one.tif")
    for _ in range(2):
        ended = denoise("in", "-o", "out", "--models", tiny_models, folder=tmp_path)
        assert ended.returncode == 0, told(ended)
    assert "2 done before" in told(ended)
    assert len(frames(tmp_path / "out" / "fax.tif")) == 3
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["fax.tif", "one.png"]
    ended = denoise("in/fax.tiff", "-o", "fax.png", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 1
    assert "It has 3 pages, and a picture in PNG is one" in told(ended)


def test_one_page_may_be_chosen(tiny_models: Path, tmp_path: Path) -> None:
    scan(tmp_path / "in" / "fax.tif")
    common = ("--page", "2", "--models", tiny_models, "--model", "copy", "--invert", "false")
    assert denoise("in", "-o", "out", *common, folder=tmp_path).returncode == 0
    assert np.array_equal(frames(tmp_path / "out" / "fax.png")[0], PAGES[1])
    ended = denoise("in/fax.tif", "-o", "no.png", *common, "--page", "4", folder=tmp_path)
    assert "page=4: the file has 3 pages." in told(ended)


def test_a_running_service_cleans_pages_as_well(tmp_path: Path, server: httpx2.Client) -> None:
    fax = scan(tmp_path / "fax.tif")
    ended = denoise(fax, "-o", tmp_path / "clean.tif", "--url", str(server.base_url))
    assert ended.returncode == 0, told(ended)
    assert len(frames(tmp_path / "clean.tif")) == 3
    ended = denoise(fax, "-o", tmp_path / "clean.png", "--url", str(server.base_url))
    assert "The file has 3 pages, of which `page` chooses one." in told(ended)


def test_colour_and_strength_mean_what_they_mean_there(tiny_models: Path, tmp_path: Path) -> None:
    coloured = Image.fromarray(np.stack([SEVEN, SEVEN // 2, SEVEN // 4], axis=2))
    coloured.save(tmp_path / "in.png")
    common = ("--models", tiny_models, "--model", "half", "--invert", "false")
    assert denoise("in.png", "-o", "kept.png", "--color", "keep", *common, folder=tmp_path).returncode == 0
    assert frames(tmp_path / "kept.png")[0].shape == (28, 28, 3)
    assert denoise(NOISY_7, "-o", "mixed.png", "--strength", "0.5", *common, folder=tmp_path).returncode == 0
    assert np.abs(frames(tmp_path / "mixed.png")[0] - 0.75 * SEVEN).max() <= 0.5
    np.save(tmp_path / "digits.npy", SEVEN[None])
    assert denoise("digits.npy", "-o", "mixed.npy", "--strength", "0.5", *common, folder=tmp_path).returncode == 0
    assert np.abs(np.load(tmp_path / "mixed.npy")[0] - 0.75 * SEVEN).max() <= 0.5
    ended = denoise("digits.npy", "-o", "kept.npy", "--color", "keep", *common, folder=tmp_path)
    assert (ended.returncode, told(ended)) == (
        2,
        "An array's pictures have no colours; --color keep is for picture files.",
    )


def test_the_report_has_the_most_doubtful_first(tmp_path: Path, digits: Pixels) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for number, noise in enumerate((0.1, 0.9, 0.4)):
        noisy = np.clip(digits[0] + noise * np.random.default_rng(1).standard_normal((28, 28)), 0, 1)
        Image.fromarray(np.rint(255 * noisy).astype(np.uint8)).save(scans / f"{number}.png")
    (scans / "=broken.png").write_bytes(b"no picture")
    command = ("scans", "-o", "clean", "--model", "conv_dae", "--report", "report.csv")
    ended = denoise(*command, folder=tmp_path)
    assert ended.returncode == 1
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "seconds", "uncertainty", "warnings"]
    assert [row[0] for row in rows] == ["scans/=broken.png", "scans/1.png", "scans/2.png", "scans/0.png"]
    assert "no image of a known kind" in rows[0][3]
    assert [float(row[2]) for row in rows[1:]] == sorted((float(row[2]) for row in rows[1:]), reverse=True)
    assert all(float(row[1]) > 0 for row in rows[1:])
    again = denoise(*command, folder=tmp_path)
    assert "'report.csv' is there already; --overwrite replaces it." in told(again)
    assert denoise(CLEAN_7, "--report", "r.csv", folder=tmp_path).returncode == 2
