"""Files that are too large, cut, of another kind or dear to read are refused, as early as can be."""

import contextlib
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from denoise.errors import BrokenBody, TooLarge, UnsupportedKind
from denoise.pictures import avif, images
from tests.pictures.conftest import LIMIT, RAMP, file


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_heic_and_avif_keep_to_the_limits_of_what_they_declare(kind: str) -> None:
    content = file(Image.fromarray(np.full((64, 64), 200, np.uint8)), kind)
    declared, huge = (struct.pack(">II", side, side) for side in (64, 9000))
    assert declared in content
    with pytest.raises(TooLarge, match="9000×9000 pixels; at most 1,000,000"):
        images.decode(content.replace(declared, huge), LIMIT)
    with pytest.raises(UnsupportedKind, match="cannot hold the 9000×9000 pixels"):
        images.decode(content.replace(declared, huge), 10**10)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_an_avif_whose_frames_are_larger_than_it_says_is_refused(mode: str) -> None:
    content = file(Image.new(mode, (400, 300)), "AVIF")
    assert images.decode(content, LIMIT).shape == (300, 400)
    declared, lied = (struct.pack(">II", *size) for size in ((400, 300), (40, 30)))
    with pytest.raises(UnsupportedKind, match="declares 40×30 pixels, and holds a frame of 400×300"):
        images.decode(content.replace(declared, lied), LIMIT)


@pytest.mark.parametrize("seed", range(20))
def test_boxes_that_are_damaged_end_somewhere(seed: int) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(file(Image.new("L", (400, 300)), "AVIF"))
    for place in random.integers(0, 300, 5):
        content[place] = random.choice([0, 1, 255, random.integers(256)])
    with contextlib.suppress(UnsupportedKind):
        avif.check_frames(bytes(content), 400, 300)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


# Version, flags, the lengths of fields, the number of items, and for each its number, its place and how many extents.
CLAIMED = b"\x02\0\0\0\0\0\xff\xff\xff\xff"
EMPTY = b"\0\0\0\0\0\0" + struct.pack(">H", 5000) + 5000 * struct.pack(">HHH", 1, 0, 0xFFFF)


@pytest.mark.parametrize("places", [CLAIMED, EMPTY], ids=["items that are not there", "extents of no bits"])
def test_places_that_are_claimed_and_not_there_take_no_time(places: bytes) -> None:
    content = box(b"ftyp", b"avif") + box(b"meta", bytes(4) + box(b"iloc", places))
    began = time.process_time()
    avif.check_frames(content, 64, 64)
    assert time.process_time() - began < 1  # It was minutes, and for the first an hour.


def test_an_avif_of_several_metadata_or_of_countless_boxes_is_refused() -> None:
    content = file(Image.new("L", (64, 64)), "AVIF")
    with pytest.raises(UnsupportedKind, match="several boxes of metadata"):
        images.decode(content + box(b"meta", bytes(4) + box(b"iloc", CLAIMED)), LIMIT)
    with pytest.raises(UnsupportedKind, match="more than 1,000 boxes"):
        images.decode(content + 2000 * box(b"free", b""), LIMIT)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (28, 0), (0, 28), (2**32 - 1, 0)])
def test_a_png_without_pixels_is_refused(width: int, height: int) -> None:
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    parts = [
        struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held)) for name, held in chunks
    ]
    with pytest.raises(UnsupportedKind, match="no image of a known kind"):
        images.decode(b"\x89PNG\r\n\x1a\n" + b"".join(parts), LIMIT)


def test_small_files_that_take_minutes_are_refused() -> None:
    jpeg = file(Image.fromarray(RAMP), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    with pytest.raises(BrokenBody, match="scans; at most 200"):
        images.decode(jpeg[:-2] + last * 300 + jpeg[-2:], LIMIT)
    with pytest.raises(BrokenBody, match="comments; at most 1000"):
        images.decode(b"P2 2 2 255\n" + b"#\n" * 2000 + b"0 0 0 0", LIMIT)


def test_a_tiff_tile_counts_as_much_as_the_picture() -> None:
    tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 322: 30_000, 323: 30_000, 324: 8, 325: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    with pytest.raises(TooLarge, match="30000×30000 pixels"):
        images.decode(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4), LIMIT)


def test_a_huge_picture_is_refused_from_its_header() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(TooLarge, match="60000×60000 pixels; at most 1,000,000"):
        images.decode(b"\x89PNG\r\n\x1a\n" + chunk + data, LIMIT)


def test_a_cut_picture_is_broken() -> None:
    with pytest.raises(BrokenBody, match="cut or damaged"):
        images.decode(file(Image.fromarray(RAMP), "PNG")[:-100], LIMIT)


@pytest.mark.parametrize("kind", ["ICO", "PDF", "TGA", "SGI"])
def test_kinds_off_the_list_are_not_opened(kind: str) -> None:
    with pytest.raises(UnsupportedKind, match="PNG, JPEG"):
        images.decode(file(Image.fromarray(RAMP), kind), LIMIT)


def test_a_film_behind_a_photograph_is_passed_over() -> None:
    photograph = file(Image.new("L", (40, 40), 200), "JPEG", progressive=True)
    film = b"\xff\xda" * 300 + b"\xff\xd8" * 300
    assert images.decode(photograph + film, 1600).shape == (40, 40)


def test_the_scans_of_a_photograph_are_counted_to_its_end() -> None:
    photograph = file(Image.new("L", (40, 40), 200), "JPEG", progressive=True)
    head, _, scan = photograph.rpartition(b"\xff\xda")
    with pytest.raises(BrokenBody, match="scans; at most 200 are taken"):
        images.decode(head + b"".join([b"\xff\xda", scan[:-2]] * 220) + scan[-2:], 1600)
