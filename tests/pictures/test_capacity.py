"""A file must be able to hold its picture: what declares or shows more than its bytes are worth is refused."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from denoise import cleaning
from denoise.errors import BrokenBody, UnsupportedKind
from denoise.pictures import capacity, images
from denoise.pictures.parameters import Parameters

LIMIT = 50_000_000  # pixels
PAGE = 2480, 3508  # A4 at 300 dpi


def file(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF whose one frame, all black, is smaller than its screen."""
    content = file(Image.new("L", frame), "GIF")
    return content[:6] + struct.pack("<HH", *screen) + content[10:]


def tiff(strips: int, *, shared: bool) -> bytes:
    """A TIFF of 64 × 8·strips pixels, packed by PackBits, whose strips all are the same or lie one after another."""
    row = b"\xc1\x00"  # 64 times 0
    width, rows, strip = 64, 8, row * 8
    starts, lengths = 8, 8 + 4 * strips
    data = lengths + 4 * strips
    offsets = [data + (0 if shared else number * len(strip)) for number in range(strips)]
    tags = [
        (256, 4, 1, width), (257, 4, 1, rows * strips), (258, 3, 1, 8), (259, 3, 1, 32773), (262, 3, 1, 1),
        (273, 4, strips, starts), (278, 4, 1, rows), (279, 4, strips, lengths),
    ]  # fmt: skip
    body = struct.pack(f"<{2 * strips}I", *offsets, *[len(strip)] * strips) + strip * (1 if shared else strips)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "1", {}), ("PNG", "L", {"optimize": True}), ("PNG", "RGB", {}), ("PNG", "P", {}),
        ("TIFF", "1", {"compression": "group4"}), ("TIFF", "L", {"compression": "tiff_lzw"}),
        ("TIFF", "L", {"compression": "tiff_adobe_deflate"}), ("WEBP", "L", {"lossless": True}), ("WEBP", "L", {}),
        ("JPEG", "L", {}), ("JPEG", "RGB", {"progressive": True, "optimize": True}), ("GIF", "L", {}), ("BMP", "1", {}),
    ],
)  # fmt: skip
def test_a_blank_page_is_taken_in_every_kind_of_file(kind: str, mode: str, options: dict[str, object]) -> None:
    page = file(Image.new("L", PAGE, 255).convert(mode), kind, **options)
    cleaning.prepare(page, None, Parameters(), LIMIT)


def test_a_tiny_file_of_a_huge_picture_is_refused_from_its_header() -> None:
    content = file(Image.new("1", (64, 64)), "BMP")
    huge = content[:18] + struct.pack("<ii", 4000, 4000) + content[26:]
    with pytest.raises(UnsupportedKind, match="300 bytes cannot hold the 4000×4000 pixels that it declares"):
        images.decode(huge[:300], LIMIT)


def test_a_gif_whose_frame_covers_less_than_half_of_its_screen_is_refused() -> None:
    assert images.decode(gif((60, 20), (30, 20)), LIMIT).shape == (20, 60)
    with pytest.raises(UnsupportedKind, match="first frame has 30×20 pixels, less than half of its 64×20"):
        images.decode(gif((64, 20), (30, 20)), LIMIT)


def test_a_tiff_whose_strips_share_their_bytes_is_refused() -> None:
    assert images.decode(tiff(100, shared=False), LIMIT).shape == (800, 64)
    with pytest.raises(UnsupportedKind, match="100 strips or tiles take 1,600 bytes, and the file has 926"):
        images.decode(tiff(100, shared=True), LIMIT)


def test_a_raw_tiff_has_a_byte_for_each_pixel() -> None:
    content = file(Image.new("L", (64, 64)), "TIFF")
    assert images.decode(content, LIMIT).shape == (64, 64)
    entry = struct.pack("<HHI", 257, 4, 1)
    place = content.index(entry) + len(entry)
    with pytest.raises((BrokenBody, UnsupportedKind)):
        images.decode(content[:place] + struct.pack("<I", 4000) + content[place + 4 :], LIMIT)


def test_each_scan_of_a_jpeg_counts() -> None:
    jpeg = file(Image.new("L", (1000, 1000), 255), "JPEG", progressive=True, optimize=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    images.decode(jpeg, LIMIT)
    assert capacity.most_declared(2000, 190) < capacity.most_declared(2000, 10) / 4
    with pytest.raises(UnsupportedKind, match=r"pixels in \d+ scans that it declares"):
        capacity.check_declared(2000, 4000, 4000, jpeg.count(b"\xff\xda") + last.count(b"\xff\xda") * 190)


def test_a_small_file_may_show_some_ink_but_not_all_over_a_page() -> None:
    stripes = np.zeros((PAGE[1], PAGE[0]), np.uint8)
    stripes[:, ::7] = 255
    page = Image.fromarray(stripes).convert("1")
    content = file(page, "PNG")
    assert len(content) < capacity.SMALL_FILE
    with pytest.raises(UnsupportedKind, match="cannot hold as much as its 2480×3508 pixels show"):
        cleaning.prepare(content, None, Parameters(), LIMIT)
    cleaning.prepare(content, (28, 28), Parameters(), LIMIT)  # A model of one size sees no more of it than of others.
    stripes[:, 100:] = 0
    cleaning.prepare(file(Image.fromarray(stripes).convert("1"), "PNG"), None, Parameters(), LIMIT)


def test_what_came_packed_is_worth_the_bytes_that_were_sent() -> None:
    blank = file(Image.new("L", (2000, 2000), 255), "BMP")
    cleaning.prepare(blank, None, Parameters(), LIMIT, sent_bytes=4000)
    with pytest.raises(UnsupportedKind, match="A file of 50 bytes cannot hold the 2000×2000 pixels"):
        cleaning.prepare(blank, None, Parameters(), LIMIT, sent_bytes=50)
