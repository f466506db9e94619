"""File bytes become grey pixels and back, whatever kind and mode they have."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from service import images
from service.errors import BrokenBody, TooLarge, UnsupportedKind
from tests.conftest import CLEAN_7

LIMIT = 1_000_000  # pixels
RAMP = np.linspace(0, 255, 20 * 30).reshape(20, 30).astype(np.uint8)


def file(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP", "JPEG"])
def test_every_kind_gives_the_same_pixels(kind: str) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(kind, {})
    pixels = images.decode(file(Image.fromarray(RAMP), kind, **options), LIMIT)
    assert pixels.dtype == np.float32
    assert pixels.shape == (20, 30)
    assert np.abs(pixels - RAMP / 255).max() < 0.01


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_shows_the_same_picture(mode: str) -> None:
    seven = Image.open(CLEAN_7)
    wide = {"I;16": (np.uint16, 257), "I": (np.int32, 257), "F": (np.float32, 1 / 255)}
    if mode in wide:
        kind, factor = wide[mode]
        image = Image.fromarray((np.asarray(seven, np.float64) * factor).astype(kind))
    else:
        image = seven.convert(mode)
    assert image.mode == mode
    pixels = images.decode(file(image, "PNG" if mode not in ("CMYK", "I", "F") else "TIFF"), LIMIT)
    difference = np.abs(pixels - np.asarray(seven) / 255)
    assert difference.mean() < (0.1 if mode == "1" else 0.01)  # black and white is dithered


def test_a_16_bit_pgm_is_scaled_by_its_range_however_dark_it_is() -> None:
    content = b"P5 2 1 65535\n" + struct.pack(">2H", 0, 200)
    assert images.decode(content, LIMIT).tolist() == [[0, pytest.approx(200 / 65535)]]


@pytest.mark.parametrize(("largest", "expected"), [(0.5, 0.5), (51, 0.2), (13107, 0.2), (1e6, 1.0)])
def test_floats_carry_no_range_so_it_is_the_first_that_holds_them(largest: float, expected: float) -> None:
    content = file(Image.fromarray(np.array([[0, largest]], np.float32)), "TIFF")
    assert images.decode(content, LIMIT).max() == pytest.approx(expected)


def test_exif_orientation_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the right when shown
    upright = images.decode(file(Image.fromarray(RAMP), "PNG", exif=exif), LIMIT)
    assert upright.shape == (30, 20)
    assert np.allclose(upright, np.rot90(RAMP, -1) / 255)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_bare_ink_is_laid_over_the_paper_it_stands_out_from(ink: int, paper: int) -> None:
    alpha = np.zeros((10, 10), np.uint8)
    alpha[4:6] = 255
    pixels = images.decode(
        file(Image.merge("LA", [Image.new("L", (10, 10), ink), Image.fromarray(alpha)]), "PNG"), LIMIT
    )
    assert pixels[0, 0] == paper / 255
    assert pixels[5, 5] == ink / 255


def test_a_picture_with_clear_corners_gets_the_like_of_its_own_paper() -> None:
    alpha = np.full((10, 10), 255, np.uint8)
    alpha[0, 0] = 0
    pixels = images.decode(
        file(Image.merge("LA", [Image.new("L", (10, 10), 230), Image.fromarray(alpha)]), "PNG"), LIMIT
    )
    assert pixels[0, 0] == 1


def test_of_several_frames_the_first_is_taken() -> None:
    first, second = (Image.new("L", (8, 8), value) for value in (200, 10))
    content = file(first, "GIF", save_all=True, append_images=[second])
    assert images.decode(content, LIMIT).mean() == pytest.approx(200 / 255)


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


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(BrokenBody, match="no finite numbers"):
        images.decode(file(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF"), LIMIT)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_what_is_encoded_decodes_to_the_same(kind: images.Kind) -> None:
    pixels = (RAMP / 255).astype(np.float32)
    assert np.abs(images.decode(images.encode(pixels, kind), LIMIT) - pixels).max() < 0.5 / 255
