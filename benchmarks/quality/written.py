"""`python -m benchmarks.quality.written`: how many digits of a page are found, in order, and read as MNIST's own are.

Pages of 40 digits, dark ink on light paper, are spoilt, cleaned and read as `/digits` does. Writes docs/digits.csv, and
from it the section of docs/quality.md that has these figures.
"""

import argparse
import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import ROOT
from benchmarks.quality import reader
from benchmarks.quality.reader import FIRST_KNOWN, SIDE, Reader
from denoise import cleaning
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser
from denoise.pictures import Pixels
from denoise.pictures.parameters import Parameters

FILE = ROOT / "docs" / "digits.csv"
SHEET = ROOT / "docs" / "quality.md"
TITLE = "## Digits of a page"
ROWS, COLUMNS = 5, 8
SCALES = (1.0, 1.5, 2.0, 3.0)
PAGES = 3  # For each scale and each way to spoil one.
SEED = 2017
# Lines are so many times as far apart as a digit's picture is high, and digits displaced by a share of it.
LINE_SPACING, DISPLACEMENT = 1.15, 0.1
PAPER, INK = 0.95, 0.85
RULE, NOISE = 0.35, 0.3
# Where a drawn digit is darker than this share of its ink, there is its box.
INKED = 0.1
LEAST_IOU = 0.7

Boxes = NDArray[np.float64]
Spoil = Callable[[Pixels, float, np.random.Generator], Pixels]


class WrittenPage(NamedTuple):
    """A page of digits.

    Attributes:
        picture: `[height, width]`, dark ink on light paper.
        boxes: left, top, right, bottom of each digit, in reading order.
        numbers: which of MNIST's test digits they are.
        ink: how much of each pixel is covered, 0 … 1.
        corners: top and left of each digit's frame, which is 28 times the scale high and wide.
    """

    picture: Pixels
    boxes: Boxes
    numbers: NDArray[np.int64]
    ink: Pixels
    corners: NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """What became of the pages of one scale that were spoilt in one way; shares are in percent.

    Attributes:
        found: of the digits, those with a box whose intersection with theirs is 0.7 of the union or more.
        false: of the boxes, those that are of no digit.
        ordered: of the pages, those whose digits come in reading order.
        read: of the found digits, those whose pictures a reader takes for what they are.
        own: the same of MNIST's own pictures of them.
    """

    way: str
    scale: float
    found: float
    false: float
    ordered: float
    read: float
    own: float


def ruled(picture: Pixels, scale: float, random: np.random.Generator) -> Pixels:
    """Lines along the rows, where the writing stands on them, and a margin."""
    thick = max(1, round(0.7 * scale))
    spacing = round(LINE_SPACING * SIDE * scale)
    cover = np.zeros_like(picture)
    for top in range(int(random.integers(spacing)), len(picture), spacing):
        cover[top : top + thick] = RULE
    margin = round(SIDE * scale / 2)
    cover[:, margin : margin + thick] = RULE
    lined: Pixels = np.minimum(picture, PAPER * (1 - cover))
    return lined


def noisy(picture: Pixels, scale: float, random: np.random.Generator) -> Pixels:  # noqa: ARG001  # All ways have this signature.
    """Gaussian noise."""
    spoilt = picture + NOISE * random.standard_normal(picture.shape, dtype=np.float32)
    clipped: Pixels = np.clip(spoilt, 0, 1)
    return clipped


def shaded(picture: Pixels, scale: float, random: np.random.Generator) -> Pixels:  # noqa: ARG001
    """Light that falls to half across the page."""
    light = np.linspace(1, 0.5, picture.shape[1], dtype=np.float32)
    shade: Pixels = picture * (light if random.random() < 0.5 else light[::-1])  # noqa: PLR2004  # Either way as often.
    return shade


def shadowed(picture: Pixels, scale: float, random: np.random.Generator) -> Pixels:  # noqa: ARG001
    """A shadow with a hard edge over a part of the page, which takes 45 % of the light."""
    rows, columns = np.indices(picture.shape)
    height, width = picture.shape
    edge = columns + random.uniform(-0.5, 0.5) * rows * width / height
    shadow: Pixels = np.where(edge > random.uniform(0.3, 0.8) * width, picture * np.float32(0.55), picture)
    return shadow


WAYS: dict[str, tuple[Spoil, ...]] = {
    "clean": (),
    "ruled lines": (ruled,),
    f"noise {NOISE}": (noisy,),
    f"ruled lines, noise {NOISE}": (ruled, noisy),
    "light that falls to half": (shaded,),
    "a shadow with a hard edge": (shadowed,),
    "ruled lines, a shadow with a hard edge": (ruled, shadowed),
    f"ruled lines, a shadow, noise {NOISE}": (ruled, shadowed, noisy),
}


def page(
    digits: NDArray[np.uint8], scale: float, random: np.random.Generator, rows: int = ROWS, columns: int = COLUMNS
) -> WrittenPage:
    """A clean page of rows of MNIST's digits, 40 of them as a rule, at `scale` times their size."""
    side = round(SIDE * scale)
    spacing = round(LINE_SPACING * side)
    ink = np.zeros((rows * spacing + side, (columns + 2) * side), np.float32)
    numbers = random.choice(FIRST_KNOWN, rows * columns, replace=False)
    boxes, corners = [], []
    for place, number in enumerate(numbers):
        row, column = divmod(place, columns)
        off = random.uniform(-DISPLACEMENT, DISPLACEMENT, 2) * side
        top, left = round(side / 2 + row * spacing + off[0]), round(side + column * side + off[1])
        large = Image.fromarray(digits[number]).resize((side, side), Image.Resampling.BICUBIC)
        digit = np.asarray(large, np.float32) / np.float32(255)
        there = ink[top : top + side, left : left + side]
        np.maximum(there, digit, out=there)
        y, x = np.nonzero(digit > INKED)
        boxes.append((left + x.min(), top + y.min(), left + x.max() + 1, top + y.max() + 1))
        corners.append((top, left))
    return WrittenPage(PAPER * (1 - INK * ink), np.array(boxes, float), numbers, ink, np.array(corners))


def overlaps(found: Boxes, drawn: Boxes) -> Boxes:
    """Intersection over union of boxes `[found, 4]` with others, `[found, drawn]`."""
    low = np.maximum(found[:, np.newaxis, :2], drawn[:, :2])
    high = np.minimum(found[:, np.newaxis, 2:], drawn[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (found, drawn)]
    shares: Boxes = common / (areas[0][:, np.newaxis] + areas[1] - common)
    return shares


def measure(model: Denoiser, ways: Iterable[str], scales: Iterable[float], pages: int) -> Iterator[Reading]:
    """What is found on that many pages of each way and scale."""
    digits, labels = reader.test_digits()
    read = reader.trained(digits, labels)
    own = read(digits[:FIRST_KNOWN]) == labels[:FIRST_KNOWN]
    for way in ways:
        for scale in scales:
            counts = np.zeros(6)
            for number in range(pages):
                random = np.random.default_rng([SEED, number, round(10 * scale)])
                written = page(digits, scale, random)
                picture = written.picture
                for spoil in WAYS[way]:
                    picture = spoil(picture, scale, random)
                counts += _count(model, written._replace(picture=picture.astype(np.float32)), labels, own, read)
            drawn, boxes, found, ordered, right, own_right = counts
            shares = (
                found / drawn,
                1 - found / max(boxes, 1),
                ordered / pages,
                right / max(found, 1),
                own_right / max(found, 1),
            )
            yield Reading(way, scale, *(round(100 * share, 2) for share in shares))


def _count(
    model: Denoiser,
    written: WrittenPage,
    labels: NDArray[np.uint8],
    own: NDArray[np.bool_],
    read: Reader,
) -> tuple[int, ...]:
    """Of one page: digits drawn, boxes, digits found, whether in order, read rightly, and MNIST's own read rightly."""
    prepared = cleaning.prepare(written.picture, model.size, Parameters(), written.picture.size)
    answer, _ = cleaning.run(model, prepared)
    found = cleaning.find_digits(prepared, answer)
    edges = found.boxes.left, found.boxes.top, found.boxes.right, found.boxes.bottom
    shares = overlaps(np.stack(edges, axis=1).astype(float), written.boxes)
    if not len(shares):
        return len(written.boxes), 0, 0, 0, 0, 0
    drawn = shares.argmax(axis=1)
    hits = shares.max(axis=1) >= LEAST_IOU
    numbers = written.numbers[drawn[hits]]
    right = read(found.pictures[hits]) == labels[numbers] if hits.any() else hits[:0]
    in_order = bool((np.diff(drawn[hits]) > 0).all())
    return len(written.boxes), len(hits), int(hits.sum()), in_order, int(right.sum()), int(own[numbers].sum())


def section(readings: Sequence[Reading]) -> Iterator[str]:
    """The lines of docs/quality.md that have these figures."""
    yield from (TITLE, "")
    scales = f"{len(SCALES)} scales from {min(SCALES):g} to {max(SCALES):g}"
    yield f"`python -m benchmarks.quality.written` draws pages of {ROWS * COLUMNS} of MNIST's test digits, dark ink on"
    yield f"light paper, at {scales}, spoils them, and reads them as `/digits` does. A digit is found"
    yield f"when a box and its own have {LEAST_IOU} of their union in common; a box that is of no digit is false. The"
    yield "pictures are read by the nearest of 8,000 other digits, and so are MNIST's own pictures of the same digits."
    yield from ("", "| page | found, % | false, % | in order, % of pages | read, % | MNIST's own read, % |")
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for way in dict.fromkeys(reading.way for reading in readings):
        yield _row(way, [reading for reading in readings if reading.way == way])
    for scale in dict.fromkeys(reading.scale for reading in readings):
        yield _row(f"all of these, at scale {scale:g}", [reading for reading in readings if reading.scale == scale])
    yield _row("all", readings)
    yield ""


def _row(name: str, readings: Sequence[Reading]) -> str:
    means = (
        np.mean([getattr(reading, column) for reading in readings])
        for column in ("found", "false", "ordered", "read", "own")
    )
    return f"| {name} | {' | '.join(f'{mean:.1f}' for mean in means)} |"


def read() -> list[Reading]:
    """The committed figures."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [
            Reading(row.pop("way"), **{name: float(value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and writes the figures where they stand."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.written", description=__doc__)
    parser.add_argument("--pages", type=int, default=PAGES, help="for each scale and each way; fewer are not written")
    options = parser.parse_args(arguments)
    known = denoiser.load(ROOT / "models", "cpu", threads=1)
    readings = []
    for reading in measure(denoiser.for_pages(known, None, None), WAYS, SCALES, options.pages):
        print(reading, flush=True)
        readings.append(reading)
    print(*section(readings), sep="\n")
    if options.pages == PAGES:
        write(readings)


def write(readings: Sequence[Reading]) -> None:
    """Writes docs/digits.csv, and the section in the place of the one that docs/quality.md has."""
    with FILE.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Reading)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(reading) for reading in readings)
    before, _, rest = SHEET.read_text(encoding="utf-8").partition(f"{TITLE}\n")
    after = rest.partition("\n## ")[2]
    text = before.rstrip("\n") + "\n\n" + "\n".join(section(readings)) + (f"\n## {after}" if after else "")
    SHEET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
