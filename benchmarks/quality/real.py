"""What the default model and plain methods make of the real pictures that a reader has downloaded."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.quality import album, downloads, untuned
from benchmarks.quality.album import Score
from benchmarks.quality.downloads import Amount, Collection
from benchmarks.quality.figures import INPUT
from benchmarks.quality.sheet import BEST
from benchmarks.quality.shelf import clean, psnr, shelf
from denoise.cleaning import Cleaned
from denoise.pictures import Pixels, digits
from denoise.pictures.framing import Frame


def measure(folder: Path) -> Iterator[Score]:
    """What is in a folder of the collections that `downloads` knows. Raises SystemExit where that is none."""
    office, orand = downloads.noisy_office(folder), downloads.orand_car(folder)
    if not office.files and not orand.files:
        raise SystemExit(f"{folder} has neither NoisyOffice ({downloads.NOISY}/) nor ORAND-CAR (CAR-A/a_test_gt.txt).")
    for name, collection in ((album.OFFICE, office), (album.AMOUNTS, orand)):
        if collection.files:
            print(f"{name}: {len(collection.files)} files, SHA-256 {collection.sha256}", flush=True)
    if office.files:
        yield from measure_office(office)
    if orand.files:
        yield from measure_amounts(orand)


def measure_office(collection: Collection) -> Iterator[Score]:
    """How near each method comes to the truth of NoisyOffice's pages."""
    pairs = list(downloads.pairs(collection))
    cleaned = [clean(pair.noisy) for pair in pairs]
    for name, pages in _by_all([pair.noisy for pair in pairs], cleaned):
        nearness = float(np.mean([psnr(pair.clean, page) for pair, page in zip(pairs, pages, strict=True)]))
        wrong = _wrong(cleaned) if name == BEST else None
        yield Score(album.OFFICE, "all pages", "", name, len(pairs), nearness, 0, None, wrong, collection.sha256)


def measure_amounts(collection: Collection) -> Iterator[Score]:
    """How much of the amounts on cheques is read in what each method makes of them, by part."""
    parts: dict[str, list[Amount]] = {}
    for amount in downloads.amounts(collection):
        parts.setdefault(amount.part, []).append(amount)
    for part, there in parts.items():
        cleaned = [clean(amount.picture) for amount in there]
        for name, pages in _by_all([amount.picture for amount in there], cleaned):
            shown = [untuned.level(page) for page in pages] if name == INPUT else pages
            lost = sum(
                min(edits(read_line(page), amount.digits), len(amount.digits))
                for page, amount in zip(shown, there, strict=True)
            )
            count = sum(len(amount.digits) for amount in there)
            wrong = _wrong(cleaned) if name == BEST else None
            read = 100 * (1 - lost / count)
            yield Score(album.AMOUNTS, part, "", name, len(there), None, count, read, wrong, collection.sha256)


def _by_all(pictures: Sequence[Pixels], cleaned: Sequence[Cleaned]) -> Iterator[tuple[str, list[Pixels]]]:
    """The pictures as they are, what each plain method makes of them, and what the model made of them."""
    yield INPUT, list(pictures)
    for name, method in untuned.METHODS.items():
        yield name, [method(picture, untuned.guess_digit_px(picture)) for picture in pictures]
    yield BEST, [each.restored for each in cleaned]


def _wrong(cleaned: Sequence[Cleaned]) -> int:
    """How many pictures of dark ink were taken for light ink."""
    return sum(not each.inverted for each in cleaned)


def read_line(page: Pixels) -> str:
    """The digits that are found in a page of dark ink on white, and read, in reading order."""
    height, width = page.shape
    found = digits.find_in(1 - page, Frame((height, width), True, (0.0, height), (0.0, width)))
    return "".join(map(str, shelf().read(found.pictures).tolist())) if len(found.pictures) else ""


def edits(read: str, said: str) -> int:
    """How many digits are to be put in, taken out or changed to make one of the other (Levenshtein, 1966)."""
    row = list(range(len(said) + 1))
    for place, letter in enumerate(read, 1):
        corner, row[0] = row[0], place
        for other, wanted in enumerate(said, 1):
            corner, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, corner + (letter != wanted))
    return row[-1]
