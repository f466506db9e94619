"""Photos of MNIST's test digits on drawn sheets, and digits under low-passed noise: what is made of them, and read."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.quality import album, classical, surfaces, untuned, written
from benchmarks.quality.album import Score
from benchmarks.quality.figures import CLEAN, INPUT
from benchmarks.quality.reader import SIDE
from benchmarks.quality.sheet import BEST
from benchmarks.quality.shelf import clean, percent, psnr, shelf
from benchmarks.quality.surfaces import Photo
from benchmarks.quality.written import WrittenPage
from denoise.pictures import Pixels
from training import noise, score

SCALES = (1.0, 2.0, 3.0)
INKS = {"dark": 0.75, "faint": 0.4}
SEED = 2017
# Single digits under low-passed noise: how many, their deviations, and the low-passes in px.
DIGITS = 200
DEVIATIONS, LOW_PASSES_PX = (0.3, 0.5), (0.0, 0.5, 1.0, 1.5)
# Before it is read, a photo's digit is stretched from its darkest percent to its paper.
DARKEST_PERCENT, PAPER_PERCENT = 2, 60
LEAST_RANGE = 0.02


class Shot(NamedTuple):
    """A photo of a page, and the side of its digits' frames in px."""

    photo: Photo
    page: WrittenPage
    side: int


class Taken(NamedTuple):
    """Photos of one kind."""

    table: str
    kind: str
    ink: str
    shots: list[Shot]


def measure(scales: Sequence[float], single: int) -> Iterator[Score]:
    """Pages at those scales, the digits of the largest one by one, and so many digits under low-passed noise."""
    for taken in every_kind(scales):
        yield from measure_pages(taken)
        if taken.table == album.PAPER:
            yield from measure_cuts(taken)
    for deviation, low_pass in itertools.product(DEVIATIONS, LOW_PASSES_PX):
        yield from measure_digits(deviation, low_pass, single)


def every_kind(scales: Iterable[float]) -> Iterator[Taken]:
    """A page of every kind of sheet and scale, in dark and in faint ink; and plain ones with a bad camera's noise."""
    for ink in INKS:
        for kind in surfaces.KINDS:
            yield Taken(album.PAPER, kind, ink, [take(kind, ink, scale) for scale in scales])
        for deviation in surfaces.LOUD:
            shots = [take(surfaces.PLAIN, ink, scale, deviation) for scale in scales]
            yield Taken(album.CAMERA, f"noise {deviation:.2f}", ink, shots)


def take(
    kind: str,
    ink: str,
    scale: float,
    deviation: float = surfaces.QUIET,
    rows: int = written.ROWS,
    columns: int = written.COLUMNS,
) -> Shot:
    """A photo of that kind, the same whenever it is asked for."""
    places = list(surfaces.KINDS).index(kind), list(INKS).index(ink)
    random = np.random.default_rng([SEED, *places, round(10 * scale), round(1000 * deviation)])
    page = written.page(shelf().digits, scale, random, rows, columns)
    return Shot(surfaces.photograph(kind, page, scale, INKS[ink], random, deviation), page, round(SIDE * scale))


def contacts() -> Iterator[album.Contact]:
    """For the contact sheet: of every kind a photo and the answer, the ink by turns."""
    kinds = [(kind, surfaces.QUIET) for kind in surfaces.KINDS]
    kinds += [(surfaces.PLAIN, deviation) for deviation in surfaces.LOUD[1:]]
    for (kind, deviation), ink in zip(kinds, itertools.cycle(INKS), strict=False):
        photo = take(kind, ink, album.SHOWN_SCALE, deviation, *album.SHOWN_ROWS_AND_COLUMNS).photo
        what = kind if deviation == surfaces.QUIET else f"noise {deviation:.2f}"
        yield album.Contact(f"{what}, {ink} ink", photo.picture, clean(photo.picture).restored)


def measure_pages(taken: Taken) -> Iterator[Score]:
    """How near each method comes to the truth of pages, and how many of their digits are read in its answers."""
    yield _page_score(taken, CLEAN, [shot.photo.truth for shot in taken.shots], None)
    yield _page_score(taken, INPUT, [shot.photo.picture for shot in taken.shots], None)
    for name, method in untuned.METHODS.items():
        yield _page_score(taken, name, [method(shot.photo.picture, shot.side) for shot in taken.shots], None)
    cleaned = [clean(shot.photo.picture) for shot in taken.shots]
    wrong = sum(not each.inverted for each in cleaned)
    yield _page_score(taken, BEST, [each.restored for each in cleaned], wrong)


def _page_score(taken: Taken, method: str, answers: Sequence[Pixels], wrong: int | None) -> Score:
    pages = list(zip(taken.shots, answers, strict=True))
    nearness = None if method == CLEAN else float(np.mean([psnr(shot.photo.truth, answer) for shot, answer in pages]))
    right = [hit for shot, answer in pages for hit in _read(shot, _cells(answer, shot), stretch=method == INPUT)]
    return Score(taken.table, taken.kind, taken.ink, method, len(answers), nearness, len(right), percent(right), wrong)


def measure_cuts(taken: Taken) -> Iterator[Score]:
    """How many digits are read that were cut out of the largest photo and sent one by one, to each denoiser."""
    shot = taken.shots[-1]
    cells = _cells(shot.photo.picture, shot)
    for name in (INPUT, *album.ONE_BY_ONE):
        answers = cells if name == INPUT else [clean(cell, name).restored for cell in cells]
        right = _read(shot, answers, stretch=name == INPUT)
        yield Score(album.CUTS, taken.kind, taken.ink, name, len(cells), None, len(cells), percent(right), None)


def _cells(page: Pixels, shot: Shot) -> list[Pixels]:
    """The digits' frames, cut out of a page."""
    return [page[top : top + shot.side, left : left + shot.side] for top, left in shot.photo.corners]


def _read(shot: Shot, cells: Sequence[Pixels], *, stretch: bool) -> NDArray[np.bool_]:
    """Which of a page's digits are read rightly in pictures of them."""
    pictures = np.stack([as_digit(cell, stretch=stretch) for cell in cells])
    right: NDArray[np.bool_] = shelf().read(pictures) == shelf().labels[shot.page.numbers]
    return right


def as_digit(cell: Pixels, *, stretch: bool) -> NDArray[np.uint8]:
    """Dark ink on light paper as a picture of MNIST, `[28, 28]`, light ink on black; stretched where it is a photo."""
    small = np.asarray(Image.fromarray(cell.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX))
    if stretch:
        black, white = np.percentile(small, (DARKEST_PERCENT, PAPER_PERCENT))
        small = (small - black) / max(white - black, LEAST_RANGE)
    digit: NDArray[np.uint8] = np.rint(255 * (1 - np.clip(small, 0, 1))).astype(np.uint8)
    return digit


def measure_digits(deviation: float, low_pass: float, count: int) -> Iterator[Score]:
    """Single digits, light ink on black, under Gaussian noise that was low-passed by so many px."""
    clear: Pixels = (shelf().digits[:count, ..., np.newaxis] / 255).astype(np.float32)
    random = np.random.default_rng([SEED, round(10 * deviation), round(10 * low_pass)])
    spoilt = (
        noise.low_passed(clear, deviation, low_pass, random) if low_pass else noise.gaussian(clear, deviation, random)
    )
    cleaned = [clean(each) for each in spoilt[..., 0]]
    tuned = [classical.tune_by_name(name, spoilt[..., 0], clear[..., 0])[1] for name in album.SMOOTHED]
    answers: dict[str, Pixels] = {
        CLEAN: clear,
        INPUT: spoilt,
        album.TUNED: max(tuned, key=lambda each: score.psnr(clear, each)),
        BEST: np.stack([each.restored for each in cleaned])[..., np.newaxis],
    }
    kind = f"deviation {deviation:g}, low-passed by {low_pass:g} px"
    for name, answer in answers.items():
        right = shelf().read(np.rint(255 * answer[..., 0]).astype(np.uint8)) == shelf().labels[:count]
        nearness = None if name == CLEAN else score.psnr(clear, answer)
        wrong = sum(each.inverted for each in cleaned) if name == BEST else None
        yield Score(album.DIGITS, kind, "", name, count, nearness, count, percent(right), wrong)
