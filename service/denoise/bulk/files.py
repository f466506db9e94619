"""Files by their names, what each kind of file holds, and answers that are whole or not there."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, get_args
from uuid import uuid4

from denoise.errors import BadParameter
from denoise.pictures.images import Kind

PICTURE = re.compile(r"\.(bmp|dib|gif|jfif|jpe|jpe?g|p[bgpn]m|png|tiff?|webp)$", re.IGNORECASE)  # what images.py reads
ARRAY = re.compile(r"\.np[yz]$|\.npy\.gz$|[.-]idx[34]?(-ubyte)?(\.gz)?$", re.IGNORECASE)  # MNIST's labels are idx1.
TABLE = re.compile(r"\.parquet$", re.IGNORECASE)
KINDS: tuple[Kind, ...] = get_args(Kind)


class Item(NamedTuple):
    """A file to be cleaned.

    Attributes:
        source: the file.
        target: where its answer goes.
        kind: of the picture at `target`, or of those in it; the kind of an array is in its name.
    """

    source: Path
    target: Path
    kind: Kind


class Failure(NamedTuple):
    """What cannot be done, and why, in a sentence."""

    source: str
    why: str


def is_picture(name: str) -> bool:
    """Whether a file of that name holds a picture."""
    return PICTURE.search(name) is not None


def is_array(name: str) -> bool:
    """Whether a file of that name holds an array: NumPy's or MNIST's (IDX)."""
    return ARRAY.search(name) is not None


def is_table(name: str) -> bool:
    """Whether a file of that name holds a table with a column of pictures (Parquet)."""
    return TABLE.search(name) is not None


def kind_of(name: str, kind: Kind | None) -> Kind:
    """The kind of picture that a file of that name is to have; `kind` where the name does not say.

    Raises BadParameter when it says one that is not written here.
    """
    ending = Path(name).suffix.lower()
    for known in KINDS:
        if ending == f".{known}":
            return known
    if kind is None and is_picture(name):
        raise BadParameter(f"'{name}' cannot be written: answers are {' or '.join(KINDS)}; --format says which.")
    return kind or KINDS[0]


def rename_picture(path: Path, kind: Kind) -> Path:
    """The path with a kind's ending, in the place of a picture's own."""
    return path.with_name(PICTURE.sub("", path.name) + f".{kind}")


@contextmanager
def write_whole(target: Path) -> Iterator[BinaryIO]:
    """A file to write to that has its name, and its folder, only once it is whole. Raises OSError."""
    if target.exists() and not target.is_file():  # A device or a pipe is written to.
        with target.open("wb") as file:
            yield file
        return
    target = Path(os.path.realpath(target))  # A link stays one.
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".denoise-{uuid4().hex}.part")  # Other machines may write there at the same time.
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def explain(error: Exception, item: Item) -> str:
    """Why a file cannot be cleaned."""
    if isinstance(error, OSError):
        return f"'{error.filename or item.target}' cannot be read or written: {error.strerror or error}."
    return "There is not enough memory for it." if isinstance(error, MemoryError) else str(error)
