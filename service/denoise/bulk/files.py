"""Files: what they hold by their names, pictures read within limits, and answers that are whole or not there."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, NamedTuple, get_args
from uuid import uuid4

from denoise.errors import BadParameter, TooLarge, UnsupportedKind
from denoise.pictures import tiff
from denoise.pictures.images import Kind

PICTURE = re.compile(
    r"\.(avif|bmp|dib|gif|hei[cf]|hif|jfif|jpe|jpe?g|p[bgpn]m|png|tiff?|webp)$", re.IGNORECASE
)  # images.py reads these.
ARRAY = re.compile(r"\.np[yz]$|\.npy\.gz$|[.-]idx[34]?(-ubyte)?(\.gz)?$", re.IGNORECASE)  # MNIST's labels are idx1.
TABLE = re.compile(r"\.parquet$", re.IGNORECASE)
NO_FILE = "It is no regular file; `-` reads from standard input."
PICTURE_BYTES = 256 * 1024 * 1024
READ_BYTES = 1024 * 1024  # Memory is taken in steps, as far as there is something to read.
KINDS: tuple[Kind, ...] = get_args(Kind)
# An answer's name may end in any of these; where it is made here, it ends in the first.
ENDINGS: dict[Kind, tuple[str, ...]] = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
}


class Item(NamedTuple):
    """A file to be cleaned.

    Attributes:
        source: the file.
        target: where its answer goes.
        kind: of the picture at `target`, or of those in it; the kind of an array is in its name.
        overwrite: whether the answer takes the place of a file that is there.
    """

    source: Path
    target: Path
    kind: Kind
    overwrite: bool = False


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

    Raises BadParameter when it ends as another kind than `kind`, or without that as none that is written here.
    """
    ending = Path(name).suffix.lower()
    named = next((known for known in KINDS if ending in ENDINGS[known]), None)
    if named and kind not in (None, named):
        raise BadParameter(f"'{name}' is the name of a {named.upper()}, and --format says {kind}.")
    if ending and not (named or kind):
        raise BadParameter(f"'{name}' cannot be written: answers are {', '.join(KINDS)}; --format says which.")
    return named or kind or KINDS[0]


def rename_picture(path: Path, kind: Kind) -> Path:
    """The path with a kind's ending, in the place of a picture's own."""
    return path.with_name(PICTURE.sub("", path.name) + ENDINGS[kind][0])


def has_pages(source: Path) -> bool:
    """Whether a file is a TIFF of several pages; not one that cannot be read, which is told when it is cleaned."""
    if source.suffix.lower() not in ENDINGS["tiff"]:
        return False
    try:
        with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return tiff.has_pages(content)
    except (OSError, ValueError):  # An empty file cannot be mapped.
        return False


def read_picture(source: Path) -> bytes:
    """The bytes of a picture's file.

    Raises:
        UnsupportedKind: it is no regular file; a device or a pipe may never end.
        TooLarge: it has more than PICTURE_BYTES.
        OSError: it cannot be read.
    """
    facts = source.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise UnsupportedKind(NO_FILE)
    if facts.st_size > PICTURE_BYTES:
        raise TooLarge(f"It has {facts.st_size:,} bytes; pictures of at most {PICTURE_BYTES:,} bytes are taken.")
    with source.open("rb") as file:
        return read_bounded(file)


def read_bounded(file: BinaryIO, start: bytes = b"", limit: int = PICTURE_BYTES) -> bytes:
    """What there is in a file, with the `start` that has been read already. Raises TooLarge beyond `limit` bytes."""
    parts, size = [start], len(start)
    while part := file.read(min(READ_BYTES, limit + 1 - size)):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise TooLarge(f"It has more than {limit:,} bytes, which is the most that is taken.")
    return b"".join(parts)


@contextmanager
def write_whole(
    target: Path, *, overwrite: bool, before_move: Callable[[Path], None] = lambda _: None
) -> Iterator[BinaryIO]:
    """A file to write to that has its name, and its folder, only once it is whole.

    Args:
        target: its name. A link of that name is never written through.
        overwrite: whether it takes the place of a file of that name.
        before_move: is called with the file that is whole and closed, just before that gets its name.

    Raises:
        FileExistsError: there is a file of that name, and it is not to be overwritten.
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".denoise-{uuid4().hex}.part")  # Other machines may write there at the same time.
    try:
        with part.open("xb") as file:
            yield file
        before_move(part)
        _move(part, target, overwrite=overwrite)
    finally:
        part.unlink(missing_ok=True)


def refuse_existing(target: Path) -> None:
    """Raises FileExistsError when there is something of that name, a link included."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def _move(part: Path, target: Path, *, overwrite: bool) -> None:
    """Gives a file its name. Raises FileExistsError."""
    if overwrite:
        part.replace(target)
        return
    try:
        target.hardlink_to(part)  # Unlike a move, this fails when something has that name by now.
    except FileExistsError:
        raise
    except OSError:  # There are file systems without such links.
        refuse_existing(target)
        part.replace(target)


def explain(error: Exception, item: Item) -> str:
    """Why a file cannot be cleaned."""
    if isinstance(error, OSError):
        return f"'{error.filename or item.target}' cannot be read or written: {error.strerror or error}."
    return "There is not enough memory for it." if isinstance(error, MemoryError) else str(error)
