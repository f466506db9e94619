"""Public collections of real pictures, as they lie in a folder that the reader downloaded.

Nothing is fetched, and no checksum of their archives is known here. So the structure is checked, and the SHA-256 of
what was read goes into the table, for others to compare.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from denoise.pictures import Pixels, images

NOISY, CLEAN = "simulated_noisy_images_grayscale", "clean_images_grayscale"
PARTS = ("CAR-A", "CAR-B")
# The parts of ORAND-CAR have 3,784 and 2,926 test amounts; so many of each, the first by name, take some minutes.
MOST_AMOUNTS = 500
MOST_PIXELS = 50_000_000


class Pair(NamedTuple):
    """A page of NoisyOffice: what is read of its two files, `[height, width]`, 0 … 1, dark ink on light paper."""

    name: str
    noisy: Pixels
    clean: Pixels


class Amount(NamedTuple):
    """An amount of ORAND-CAR: the picture `[height, width]`, 0 … 1, and the digits that are written there."""

    part: str
    picture: Pixels
    digits: str


class Collection(NamedTuple):
    """The files of a collection, in the order in which they are read, and one SHA-256 over their names and bytes."""

    files: list[Path]
    sha256: str


def noisy_office(folder: Path) -> Collection:
    """The files of NoisyOffice's simulated pages below a folder: noisy, clean, noisy, clean …; none where it is not.

    Raises SystemExit where a noisy page has no clean one.
    """
    files = []
    for noisy in sorted(folder.rglob(f"{NOISY}/*.png")):
        font, part = noisy.stem.split("_")[0], noisy.stem.split("_")[-1]
        clean = noisy.parent.with_name(CLEAN) / f"{font}_Clean_{part}.png"
        if not clean.exists():
            raise SystemExit(f"{noisy} has no truth: there is no {clean}.")
        files += [noisy, clean]
    return _collection(files)


def pairs(collection: Collection) -> Iterator[Pair]:
    """The pages of NoisyOffice. Raises SystemExit where a page and its truth differ in size."""
    for noisy, clean in zip(collection.files[::2], collection.files[1::2], strict=True):
        pair = Pair(noisy.stem, _read(noisy), _read(clean))
        if pair.noisy.shape != pair.clean.shape:
            sizes = " and ".join(f"{width}×{height}" for height, width in (pair.noisy.shape, pair.clean.shape))
            raise SystemExit(f"{noisy} and {clean} are of different sizes: {sizes} pixels.")
        yield pair


def orand_car(folder: Path) -> Collection:
    """The files of ORAND-CAR's test amounts below a folder, each list before its pictures; none where it is not.

    Raises SystemExit where a picture that a list names is missing.
    """
    files = []
    for part in PARTS:
        for table in sorted(folder.rglob(f"{part}/{part[-1].lower()}_test_gt.txt")):
            names = [name for name, _ in _labels(table)]
            pictures = [table.with_name(table.name.replace("_gt.txt", "_images")) / name for name in names]
            if missing := [path for path in pictures if not path.exists()]:
                raise SystemExit(f"{table} names {missing[0].name}, and there is no {missing[0]}.")
            files += [table, *pictures]
    return _collection(files)


def amounts(collection: Collection) -> Iterator[Amount]:
    """The amounts of ORAND-CAR."""
    labels: dict[str, str] = {}
    for path in collection.files:
        if path.suffix == ".txt":
            labels = dict(_labels(path))
        else:
            digits = "".join(letter for letter in labels[path.name] if letter.isdecimal())
            yield Amount(path.parent.parent.name, _read(path), digits)


def _labels(table: Path) -> list[tuple[str, str]]:
    """Names of pictures and what is written there: a line for each, with a tab between."""
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    rows = [line.split(maxsplit=1) for line in lines if line.strip()]
    if wrong := [row for row in rows if len(row) == 1]:
        raise SystemExit(f"{table} has no amount for {wrong[0][0]}.")
    return sorted((name, label) for name, label in rows)[:MOST_AMOUNTS]


def _collection(files: list[Path]) -> Collection:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return Collection(files, digest.hexdigest() if files else "")


def _read(path: Path) -> Pixels:
    return images.read(path.read_bytes(), MOST_PIXELS).grey
