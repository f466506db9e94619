"""The digits of a page as files: an array, or a picture of each and a table of their boxes."""

import csv
import io
from collections.abc import Iterator

import numpy as np

from denoise.pictures import images
from denoise.pictures.digits import Found

TABLE = "boxes.csv"
COLUMNS = ("file", "x", "y", "width", "height", "wide")


def as_array(found: Found) -> bytes:
    """A file of NumPy's, uint8 `[count, 28, 28]`."""
    file = io.BytesIO()
    np.save(file, found.pictures, allow_pickle=False)
    return file.getvalue()


def as_pictures(found: Found) -> Iterator[tuple[str, bytes]]:
    """The table's name and content, then those of the digits' PNGs, which are numbered as they are read."""
    names = [f"{number:04}.png" for number in range(1, len(found.pictures) + 1)]
    yield TABLE, _table(found, names)
    yield from zip(names, as_pngs(found), strict=True)


def as_pngs(found: Found) -> Iterator[bytes]:
    """The digits' PNGs, in reading order."""
    for picture in found.pictures:
        yield images.encode(picture / np.float32(255), "png")


def _table(found: Found, names: list[str]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, (*box, wide) in zip(names, found.rows(), strict=True):
        table.writerow((name, *box, "true" if wide else "false"))
    return text.getvalue().encode()
