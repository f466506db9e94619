"""What the tags of a TIFF (revision 6.0, and BigTIFF) say of it before it is decoded, and its pages.

Knows Pillow's TIFF images.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from mmap import mmap
from typing import NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from denoise.errors import BadParameter, BrokenBody, RequestError, TooLarge, UnsupportedKind
from denoise.pictures import Pixels, ranges

BITS, PHOTOMETRIC, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT = 258, 262, 322, 323, 339
OFFSETS, LENGTHS = (273, 324), (279, 325)
# These are values of the tags PHOTOMETRIC and SAMPLE_FORMAT.
WHITE_IS_ZERO, SIGNED = 0, 2
BYTE_BITS, LARGEST_WIDE_BITS = 8, 16


class Layout(NamedTuple):
    """How the directories of a TIFF, one for each page, are written.

    Attributes:
        start: of the place that tells where the first one begins.
        offset: of a directory; the next one's stands behind each.
        length: of the number of its entries, which a directory begins with.
        entry_bytes: of each entry.
    """

    start: int
    offset: struct.Struct
    length: struct.Struct
    entry_bytes: int


LAYOUTS = {
    b"II*\0": Layout(4, struct.Struct("<I"), struct.Struct("<H"), 12),
    b"MM\0*": Layout(4, struct.Struct(">I"), struct.Struct(">H"), 12),
    b"II+\0": Layout(8, struct.Struct("<Q"), struct.Struct("<Q"), 20),
    b"MM\0+": Layout(8, struct.Struct(">Q"), struct.Struct(">Q"), 20),
}
SIGNATURE_BYTES = 4
# A directory whose first entry is of this type is of a page made smaller (bit 0) or of a mask (bit 2).
SUBFILE_TYPE, NO_PAGE = 254, 0b101
MOST_PAGES = 10_000
# Reading a tag takes microseconds, and no program writes as many.
MOST_TAGS = 1000


def is_tiff(start: bytes | mmap) -> bool:
    """Whether a file that starts so is a TIFF."""
    return start[:SIGNATURE_BYTES] in LAYOUTS


def choose(content: bytes | mmap, page: int | None, most: int) -> list[int]:
    """The pages of a TIFF that are meant, as where their directories begin; of any other file nothing.

    Args:
        content: the file.
        page: the number of the one that is meant, from 1 on; None for all.
        most: how many may be meant.

    Raises:
        BadParameter: there is no such page.
        TooLarge: there are more than `most`, or more than MOST_PAGES.
        BrokenBody: one has more tags than MOST_TAGS.
    """
    if not is_tiff(content):
        pages = [0]
    else:
        pages = [at for at, number in zip(_directories(content), range(MOST_PAGES + 1), strict=False)] or [0]
    if len(pages) > MOST_PAGES:
        raise TooLarge(f"The file has more than {MOST_PAGES:,} pages, which is the most that is taken.")
    if page is None:
        if len(pages) > most:
            raise TooLarge(f"The file has {len(pages):,} pages; at most {most:,} are taken. `page` chooses one.")
        return pages
    if page > len(pages):
        has = "1 page" if len(pages) == 1 else f"{len(pages):,} pages"
        raise BadParameter(f"page={page}: the file has {has}.")
    return [pages[page - 1]]


def has_pages(content: bytes | mmap) -> bool:
    """Whether a file is a TIFF of several pages; not one that cannot be read, which is told when it is decoded."""
    try:
        return len(choose(content, None, MOST_PAGES)) > 1
    except RequestError:
        return False


def take_page(content: bytes, directory: int) -> bytes:
    """The TIFF of the page alone whose directory begins there; the file as it is where that is 0, as of other files."""
    if not directory:
        return content
    layout = LAYOUTS[content[:SIGNATURE_BYTES]]
    first, following = layout.start + layout.offset.size, _following(content, directory, layout)
    behind = following + layout.offset.size
    view = memoryview(content)
    start = view[: layout.start], layout.offset.pack(directory)
    if behind > len(content):
        return b"".join((*start, view[first:]))
    return b"".join((*start, view[first:following], layout.offset.pack(0), view[behind:]))


def join(pages: Iterable[bytes]) -> bytes:
    """One TIFF of the pages of several, each of one page and of Intel's byte order."""
    file = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(file, new=True) as writer:
        for page in pages:
            writer.write(page)
            writer.newFrame()
    return file.getvalue()


def _directories(content: bytes | mmap) -> Iterator[int]:
    """Where the directory of each page begins; those of thumbnails and masks are passed over."""
    layout = LAYOUTS[content[:SIGNATURE_BYTES]]
    seen: set[int] = set()
    at = layout.start
    while at + layout.offset.size <= len(content):
        (directory,) = layout.offset.unpack_from(content, at)
        if not directory or directory in seen or directory + layout.length.size > len(content):
            return
        seen.add(directory)
        at, first = _following(content, directory, layout), directory + layout.length.size
        if not _is_beside_a_page(content[first : first + layout.entry_bytes], layout):
            yield directory


def _following(content: bytes | mmap, directory: int, layout: Layout) -> int:
    """The place behind a directory that tells where the next one begins. Raises BrokenBody."""
    (entries,) = layout.length.unpack_from(content, directory)
    if entries > MOST_TAGS:
        raise BrokenBody(f"A page of the TIFF has {entries:,} tags; at most {MOST_TAGS:,} are taken.")
    return directory + layout.length.size + int(entries) * layout.entry_bytes


def _is_beside_a_page(entry: bytes, layout: Layout) -> bool:
    """Whether the first entry of a directory says that it is a thumbnail's or a mask's."""
    order = layout.length.format[0]
    if len(entry) < layout.entry_bytes or struct.unpack_from(f"{order}H", entry) != (SUBFILE_TYPE,):
        return False
    (value,) = struct.unpack_from(f"{order}I", entry, layout.entry_bytes - layout.offset.size)
    return bool(value & NO_PAGE)


def tile(image: Image.Image) -> tuple[int, int]:
    """Width and height of the tiles that a TIFF is decoded in; zeros for one without, and for other images."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 0, 0
    return int(image.tag_v2.get(TILE_WIDTH, 0)), int(image.tag_v2.get(TILE_HEIGHT, 0))


def check_own_bytes(image: Image.Image, size: int) -> None:
    """Refuses a TIFF of `size` bytes whose strips or tiles share their bytes, or lie behind them.

    Raises:
        BrokenBody: the file is cut.
        UnsupportedKind: its strips share their bytes.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if image.tile and image.tile[0][0] == "raw":
        bits = sum(_numbers(image, (BITS,))) or 1
        lengths = [image.height * (image.width * bits // 8)]
    else:
        lengths = _numbers(image, LENGTHS)
    starts = _numbers(image, OFFSETS)
    if max((start + length for start, length in zip(starts, lengths, strict=False)), default=0) > size:
        raise BrokenBody(f"The TIFF is cut: it has {size:,} bytes, and its picture lies behind them.")
    if sum(lengths) > size:
        raise UnsupportedKind(
            f"The TIFF's {len(lengths):,} strips or tiles take {sum(lengths):,} bytes, and the file has "
            f"{size:,}: they share them."
        )


def grey(image: Image.Image) -> Pixels | None:
    """The samples of a TIFF that Pillow hands on as they are, scaled; None where it has made grey of them, or colours.

    Integers of up to 16 bits have the range of their bits. Wider ones have the range of 8, 16 or 32 bits, whichever is
    the first that holds them; so have floats, which may also reach to 1.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    bits = max(_numbers(image, (BITS,)), default=1)
    signed = SIGNED in _numbers(image, (SAMPLE_FORMAT,))
    scaled: Pixels | None = None
    if image.mode == "F":
        scaled = ranges.scale_unknown(np.asarray(image, np.float32), ranges.OF_FLOATS)
    elif image.mode == "I" and bits > LARGEST_WIDE_BITS:
        values = np.asarray(image).view(np.int32 if signed else np.uint32).astype(np.float32)
        scaled = ranges.scale_unknown(values, ranges.OF_INTEGERS)
    elif image.mode in ("I", "L") and signed:
        values = np.asarray(image).astype(f"i{bits // BYTE_BITS}").astype(np.float32)
        scaled = ranges.scale(values, 2.0 ** (bits - 1))
    elif image.mode.startswith("I;16"):
        scaled = ranges.scale(np.asarray(image, np.float32), 2.0**bits - 1)
    if scaled is not None and WHITE_IS_ZERO in _numbers(image, (PHOTOMETRIC,)):
        return 1 - scaled
    return scaled


def _numbers(image: TiffImagePlugin.TiffImageFile, tags: Iterable[int]) -> list[int]:
    """The numbers that a TIFF has under any of these tags."""
    values = [image.tag_v2.get(tag, ()) for tag in tags]
    return [int(number) for value in values for number in (value if isinstance(value, tuple) else (value,))]
