"""The scores of photos, the file that keeps them, docs/photographs.md, and its contact sheet."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.quality import untuned
from benchmarks.quality.figures import CLEAN, DOCS, INPUT
from benchmarks.quality.sheet import BEST
from benchmarks.serving.table import processor
from denoise.pictures import Pixels

FILE, PAGE = DOCS / "photographs.csv", DOCS / "photographs.md"
PAPER, CAMERA, CUTS = "paper", "camera", "one by one"
DIGITS, OFFICE, AMOUNTS = "low-passed noise", "NoisyOffice", "ORAND-CAR 2014"
ONE_BY_ONE = ("easy_dae", "conv_dae", BEST)
SMOOTHED, TUNED = ("Gaussian", "total variation"), "smoothed, tuned"
PLAIN = tuple(untuned.METHODS)
SHOWN_SCALE, SHOWN_ROWS_AND_COLUMNS = 1.5, (2, 5)
SHEET_COLUMNS, SHEET_GAP_PX, CAPTION_PX = 4, 6, 16
SHEET_GREYS = 24
# Of 120 digits one more or less says nothing.
READ_MARGIN = 2.0
HEAD = """\
# Photos of writing

Written by `python -m benchmarks.quality.photographs`, some minutes on one core. The figures are in
[photographs.csv](photographs.csv); those on this page were measured on {processor}.

Pages of 40 of MNIST's test digits, on which no model was trained, are drawn as photos at 1, 2 and 3 times their size:
ink takes three quarters of the light that the sheet throws back where it is dark, four tenths where it is faint. Light
falls to three quarters across every page, and a camera adds noise of deviation 0.01 and saves a JPEG of quality 90.
Sheets and light are drawn by [code of their own](../benchmarks/quality/surfaces.py), not by that which draws what the
default model learns from. They are of the same ideas, though: photos of real paper say more, and can be measured
[below](#pictures-that-you-download).

The model is told nothing; it cleans a page as `POST /denoise` does. The plain methods, none of which has a number that
is tuned, are told how large the digits are: *division* divides by the background (the maximum, then the median around
each place) and stretches what comes out from its darkest percent to its paper; *Sauvola* is a local threshold;
*non-local means, division* smooths first. PSNR is to black ink on white paper, in dB, mean over pages. Digits are read
by the nearest of 8,000 clean ones, in their known places; a photo itself is stretched for that, digit by digit.
"""
DOWNLOADS = f"""\
## Pictures that you download

`python -m benchmarks.quality.photographs --folder FOLDER` measures these where they lie in a folder, unpacked, and adds
them here with one SHA-256 over the names, sizes and bytes of all files that it read. They are not part of the project,
and no checksum of their archives is known to it; that the files are whole is checked.

- **{OFFICE}** (M. J. Castro-Bleda, S. España-Boquera, J. Pastor-Pellicer, F. Zamora-Martínez,
  [UCI Machine Learning Repository](https://archive.ics.uci.edu/dataset/216/noisyoffice), CC BY 4.0): 72 pages of print
  with stains, folds, wrinkles and footprints, and the clean ones. The folder has `simulated_noisy_images_grayscale/`
  beside `clean_images_grayscale/`.
- **{AMOUNTS}** ([competition on handwritten digit strings](https://www.orand.cl/icfhr2014-hdsr/), ICFHR 2014): the
  amounts of cheques, as `CAR-A/a_test_images/` with `CAR-A/a_test_gt.txt`, and the same of `CAR-B`; the first 500 of
  each are read. *Read* are the digits less those that are wrong, missing or too many; a sign that is no digit is one
  too many where a method leaves it.
"""


@dataclass(frozen=True)
class Score:
    """What one method makes of all pictures of one kind.

    Attributes:
        table: which table it is in.
        kind: what the pictures are photos of.
        ink: dark or faint, where the ink is drawn.
        method: CLEAN is the truth itself, INPUT the photo.
        pictures: how many.
        psnr: to the truth, mean over pictures, dB; None where there is none.
        digits: how many are read.
        read: how many of these rightly, in percent; None where none are read.
        wrong: of the pictures, those whose dark ink was taken for light ink or the other way round; the model's alone.
        sha256: of the files that were read, where they are a reader's.
    """

    table: str
    kind: str
    ink: str
    method: str
    pictures: int
    psnr: float | None
    digits: int
    read: float | None
    wrong: int | None
    sha256: str = ""


class Contact(NamedTuple):
    """A photo and its answer, each `[height, width]`, 0 … 1, and what they show."""

    caption: str
    photo: Pixels
    answer: Pixels


def read() -> list[Score]:
    """The committed scores."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [_score(line) for line in csv.DictReader(file)]


def _score(line: dict[str, str]) -> Score:
    psnr, share = (float(line[name]) if line[name] else None for name in ("psnr", "read"))
    wrong = int(line["wrong"]) if line["wrong"] else None
    table, kind, ink, method = (line[name] for name in ("table", "kind", "ink", "method"))
    pictures, digits = int(line["pictures"]), int(line["digits"])
    return Score(table, kind, ink, method, pictures, psnr, digits, share, wrong, line["sha256"])


def write(scores: Sequence[Score]) -> None:
    """Puts the scores where `read` finds them, and the page that shows them beside."""
    with FILE.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Score)], lineterminator="\n")
        table.writeheader()
        for score in scores:
            row = asdict(score)
            table.writerow(row | {name: f"{row[name]:.2f}" for name in ("psnr", "read") if row[name] is not None})
    PAGE.write_text("\n".join(page(read())), encoding="utf-8")


def page(scores: Sequence[Score]) -> Iterator[str]:
    """The lines of docs/photographs.md."""
    yield HEAD.format(processor=processor())
    yield from ("![photos of every kind, each above its answer](photographs.png)", "")
    yield "Written by `python -m benchmarks.quality.photographs --sheet docs/photographs.png`: each photo above what"
    yield from (f"`{BEST}` makes of it.", "")
    yield from _shortfalls(scores)
    yield from _section(scores, PAPER, "Kinds of paper", (INPUT, *PLAIN, BEST))
    yield from _section(scores, CAMERA, "A worse camera", (INPUT, *PLAIN, BEST))
    yield "Plain paper, noise of that deviation at a brightness of 0.4, low-passed by 0.9 px, JPEG of quality 60."
    yield from ("", "## Polarity", "", _polarity(scores), "", "## One digit at a time", "")
    yield "The same digits at the largest size, cut out of the photos and sent one by one. `easy_dae` and `conv_dae`"
    yield "have learnt white noise on digits of 28×28 pixels, and are the wrong choice for photos. Digits read, %:"
    yield ""
    yield from _table(scores, CUTS, "read", (INPUT, *ONE_BY_ONE))
    yield "## Single digits under low-passed noise"
    yield from ("", "MNIST's own 28×28 pixels, light ink on black, under Gaussian noise whose neighbours are alike.")
    yield f"*{TUNED.capitalize()}* is the better of {' and '.join(SMOOTHED)}, tuned on the very pictures. PSNR, dB:"
    yield ""
    yield from _table(scores, DIGITS, "psnr", (INPUT, TUNED, BEST))
    yield from ("Digits read, %:", "")
    yield from _table(scores, DIGITS, "read", (CLEAN, INPUT, TUNED, BEST))
    yield DOWNLOADS
    yield from _downloaded(scores)


def _section(scores: Sequence[Score], table: str, title: str, methods: Sequence[str]) -> Iterator[str]:
    yield from (f"## {title}", "", "PSNR, dB:", "")
    yield from _table(scores, table, "psnr", methods)
    yield from ("Digits read, %:", "")
    yield from _table(scores, table, "read", (CLEAN, *methods))


def _rows(scores: Sequence[Score], table: str) -> dict[str, dict[str, Score]]:
    """The scores of a table by kind and ink, then by method."""
    rows: dict[str, dict[str, Score]] = {}
    for score in scores:
        if score.table == table:
            name = f"{score.kind}, {score.ink} ink" if score.ink else score.kind
            rows.setdefault(name, {})[score.method] = score
    return rows


def _table(scores: Sequence[Score], table: str, measure: str, methods: Sequence[str]) -> Iterator[str]:
    """A line for each kind and ink, and their mean."""
    values = {name: [getattr(row[method], measure) for method in methods] for name, row in _rows(scores, table).items()}
    if len(values) > 1:
        values["mean"] = np.mean(list(values.values()), axis=0).tolist()
    form = ".1f" if measure == "read" else ".2f"
    yield f"| {table} | {' | '.join(methods)} |"
    yield f"| --- |{' ---: |' * len(methods)}"
    for name, cells in values.items():
        yield f"| {name} | {' | '.join(format(cell, form) for cell in cells)} |"
    yield ""


def _shortfalls(scores: Sequence[Score]) -> Iterator[str]:
    """Where a plain method comes nearer the truth, and where more digits are read in the photo than in the answer."""
    rows = {
        f"{name} ({table})" if table == CAMERA else name: row
        for table in (PAPER, CAMERA)
        for name, row in _rows(scores, table).items()
    }
    farther, unread = [], []
    for name, row in rows.items():
        plain = max((row[method] for method in PLAIN), key=lambda score: score.psnr or 0)
        off = (row[BEST].psnr or 0) - (plain.psnr or 0)
        lost = (row[BEST].read or 0) - (row[INPUT].read or 0)
        if off < 0:
            farther.append(f"- {name}: {off:+.2f} dB ({plain.method})")
        if lost < -READ_MARGIN:
            unread.append(f"- {name}: {lost:+.1f} %")
    yield from ("## Where the default model falls short", "")
    yield f"Of these {len(rows)} kinds of photos, `{BEST}` comes nearer the truth than every plain method in"
    yield from (f"{len(rows) - len(farther)}. In the others, by how much:", "", *(farther or ["- none"]), "")
    yield f"More digits, by over {READ_MARGIN:g} %, are read in the photo itself than in the answer:"
    yield from ("", *(unread or ["- none"]), "")


def _polarity(scores: Sequence[Score]) -> str:
    """How many pictures were taken for their negatives, and of which kinds."""
    judged = [score for score in scores if score.wrong is not None]
    wrong = [score for score in judged if score.wrong]
    told = f"Of {sum(score.pictures for score in judged):,} pictures {sum(score.wrong or 0 for score in judged)} were"
    kinds = "; ".join(f"{score.wrong} of {score.pictures} of {score.kind} {score.ink}".rstrip() for score in wrong)
    return f"{told} taken for their negatives{': ' + kinds if kinds else ''}."


def _downloaded(scores: Sequence[Score]) -> Iterator[str]:
    for table, measure in ((OFFICE, "psnr"), (AMOUNTS, "read")):
        there = [score for score in scores if score.table == table]
        if there:
            pictures = sum(score.pictures for score in there if score.method == BEST)
            yield f"{table}, {pictures:,} pictures, SHA-256 `{there[0].sha256}`. {_measures(measure)}:"
            yield ""
            yield from _table(scores, table, measure, (INPUT, *PLAIN, BEST))


def _measures(measure: str) -> str:
    return "PSNR, dB" if measure == "psnr" else "Digits read, %"


def write_sheet(path: Path, contacts: Sequence[Contact]) -> None:
    """Writes the contact sheet: every photo above its answer."""
    rows = [contacts[start : start + SHEET_COLUMNS] for start in range(0, len(contacts), SHEET_COLUMNS)]
    across = SHEET_GAP_PX + max(contact.photo.shape[1] for contact in contacts)
    heights = [CAPTION_PX + 2 * (max(contact.photo.shape[0] for contact in row) + SHEET_GAP_PX) for row in rows]
    sheet = Image.new("L", (SHEET_COLUMNS * across + SHEET_GAP_PX, sum(heights)), 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(CAPTION_PX - 4)
    for number, row in enumerate(rows):
        for column, contact in enumerate(row):
            top, left = sum(heights[:number]), SHEET_GAP_PX + column * across
            draw.text((left, top), contact.caption, 0, font)
            height, width = contact.photo.shape
            for picture, y in ((contact.photo, top + CAPTION_PX), (contact.answer, top + CAPTION_PX + height + 2)):
                sheet.paste(Image.fromarray(_coarse(picture)), (left, y))
                draw.rectangle((left - 1, y - 1, left + width, y + height), outline=160)
    sheet.save(path, optimize=True)


def _coarse(picture: Pixels) -> NDArray[np.uint8]:
    """A picture in fewer greys, which make a smaller file."""
    greys: NDArray[np.uint8] = np.rint(np.rint(picture * (SHEET_GREYS - 1)) * 255 / (SHEET_GREYS - 1)).astype(np.uint8)
    return greys
