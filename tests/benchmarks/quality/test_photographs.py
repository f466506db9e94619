"""Photos are drawn with a known truth, plain methods come nearer to it, and the page shows what was measured."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import album, composites, downloads, photographs, real, surfaces, untuned
from benchmarks.quality.figures import CLEAN, INPUT
from benchmarks.quality.sheet import BEST
from benchmarks.quality.shelf import psnr
from tests.conftest import ROOT

PAGE = album.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", surfaces.KINDS)
def test_a_photo_has_dark_ink_where_its_truth_has(kind: str) -> None:
    shot = composites.take(kind, "dark", 1.0, rows=1, columns=3)
    picture, truth, corners = shot.photo
    assert picture.shape == truth.shape
    for top, left in corners:
        cell = np.s_[top : top + shot.side, left : left + shot.side]
        assert picture[cell][truth[cell] < 0.2].mean() < 0.6 * picture[cell][truth[cell] == 1].mean()


@pytest.mark.parametrize("method", untuned.METHODS)
def test_a_plain_method_brings_a_page_nearer_to_its_truth(method: str) -> None:
    shot = composites.take(surfaces.PLAIN, "dark", 1.0, rows=2, columns=4)
    answer = untuned.METHODS[method](shot.photo.picture, shot.side)
    assert psnr(shot.photo.truth, answer) > psnr(shot.photo.truth, shot.photo.picture) + 5


def test_digits_are_read_in_the_truth_and_in_the_answer_to_a_photo() -> None:
    taken = composites.Taken(album.PAPER, "plain", "dark", [composites.take("plain", "dark", 1.0, rows=2, columns=4)])
    scores = {score.method: score for score in composites.measure_pages(taken)}
    assert list(scores) == [CLEAN, INPUT, *untuned.METHODS, BEST]
    assert (scores[BEST].psnr or 0) > (scores[INPUT].psnr or 0)
    assert scores[BEST].wrong == 0
    assert min(scores[CLEAN].read or 0, scores[BEST].read or 0) > 60


def test_the_page_shows_the_committed_scores() -> None:
    rows = [line for line in album.page(album.read()) if line.startswith(("|", "- ", "Of "))]
    assert len(rows) > 60
    for row in rows:
        assert row in PAGE.splitlines()


def test_the_readme_says_what_models_of_one_size_make_of_photos() -> None:
    told = re.sub(r"\s+", " ", (ROOT / "README.md").read_text(encoding="utf-8"))
    table = PAGE.partition("## One digit at a time")[2]
    photo, easy, conv, best = re.findall(r"^\| mean \| (.*) \|$", table, re.MULTILINE)[0].split(" | ")
    shares = [f"{float(share):.0f} %" for share in (photo, best, conv, easy)]
    assert (
        "{} are read in the photos, {} after `unet_dae`, {} after `conv_dae`, {} after `easy_dae`".format(*shares)
        in told
    )


def office(folder: Path) -> Path:
    """A folder as NoisyOffice's, with one drawn page."""
    shot = composites.take(surfaces.PLAIN, "dark", 1.0, rows=2, columns=4)
    for name, picture in (
        (f"{downloads.NOISY}/FontLre_Noisec_TE", shot.photo.picture),
        (f"{downloads.CLEAN}/FontLre_Clean_TE", shot.photo.truth),
    ):
        path = folder / "SimulatedNoisyOffice" / f"{name}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(path)
    return folder


def orand(folder: Path) -> tuple[Path, str]:
    """A folder as ORAND-CAR's, with one drawn amount, and the amount."""
    shot = composites.take(surfaces.PLAIN, "dark", 2.0, rows=1, columns=6)
    said = "".join(map(str, composites.shelf().labels[shot.page.numbers]))
    images = folder / "CAR-A" / "a_test_images"
    images.mkdir(parents=True)
    Image.fromarray(np.rint(255 * shot.photo.picture).astype(np.uint8)).save(images / "a_car_1.png")
    (folder / "CAR-A" / "a_test_gt.txt").write_text(f"a_car_1.png\t{said}\n", encoding="utf-8")
    return folder, said


def test_both_collections_are_measured_where_they_lie_in_a_folder(tmp_path: Path) -> None:
    orand(office(tmp_path))
    scores = {(score.table, score.method): score for score in real.measure(tmp_path)}
    assert (scores[album.OFFICE, BEST].psnr or 0) > (scores[album.OFFICE, INPUT].psnr or 0)
    assert (scores[album.AMOUNTS, BEST].read or 0) >= 50
    assert {len(score.sha256) for score in scores.values()} == {64}


def test_the_sha256_is_another_when_a_file_is(tmp_path: Path) -> None:
    before = downloads.noisy_office(office(tmp_path))
    before.files[1].write_bytes(before.files[0].read_bytes())
    assert downloads.noisy_office(tmp_path).sha256 != before.sha256


def test_a_page_without_its_truth_is_told(tmp_path: Path) -> None:
    downloads.noisy_office(office(tmp_path)).files[1].unlink()
    with pytest.raises(SystemExit, match=r"has no truth: there is no .*FontLre_Clean_TE\.png"):
        list(real.measure(tmp_path))


def test_an_amount_without_its_picture_is_told(tmp_path: Path) -> None:
    folder, _ = orand(tmp_path)
    (folder / "CAR-A" / "a_test_images" / "a_car_1.png").unlink()
    with pytest.raises(SystemExit, match=r"names a_car_1\.png, and there is no "):
        downloads.orand_car(folder)


def test_a_folder_with_neither_collection_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="neither NoisyOffice"):
        photographs.main(["--folder", str(tmp_path)])


@pytest.mark.parametrize(("read", "said", "wrong"), [("", "12", 2), ("12", "12", 0), ("132", "12", 1), ("21", "12", 2)])
def test_edits_are_digits_put_in_taken_out_or_changed(read: str, said: str, wrong: int) -> None:
    assert real.edits(read, said) == wrong
