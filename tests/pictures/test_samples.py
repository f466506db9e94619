"""The numbers of a file are scaled by its own range, whatever they are, and its lowest or highest is white."""

import struct

import numpy as np
import pytest
from PIL import Image

from denoise.errors import BrokenBody, UnsupportedKind
from denoise.pictures import images
from tests.conftest import CLEAN_7
from tests.pictures.conftest import LIMIT, RAMP, file


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


@pytest.mark.parametrize(("largest", "expected"), [(0.5, 0.5), (51, 0.2), (13107, 0.2), (1.001, 1.0), (1e6, 1.0)])
def test_floats_carry_no_range_so_it_is_the_first_that_holds_them(largest: float, expected: float) -> None:
    content = file(Image.fromarray(np.array([[0, largest]], np.float32)), "TIFF")
    assert images.decode(content, LIMIT).max() == pytest.approx(expected)


def test_sixteen_bits_are_scaled_where_one_value_is_clear() -> None:
    ramp = np.linspace(0, 65535, 300).reshape(20, 15).astype(np.uint16)
    pixels = images.decode(file(Image.fromarray(ramp), "PNG", transparency=0), LIMIT)
    assert np.abs(pixels - ramp / 65535).mean() < 0.01


def tiff(values: np.ndarray, bits: int, *, photometric: int = 1, sample_format: int = 1) -> bytes:
    """An unpacked TIFF of one sample a pixel, whose rows are `values`; `bits` are what it tells of them."""
    height, data = values.shape[0], values.tobytes()
    width = len(data) * 8 // bits // height
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    tags[339] = sample_format
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("values", "bits", "sample_format"),
    [
        (RAMP, 8, 1),
        (RAMP.astype("<u2") * 257, 16, 1),
        ((RAMP.astype("<i4") * 257 - 32768).astype("<i2"), 16, 2),
        ((RAMP.astype("<i2") - 128).astype("i1"), 8, 2),
        (RAMP.astype("<u4") * 16843009, 32, 1),
        ((RAMP.astype("<i8") * 16843009 - 2**31).astype("<i4"), 32, 2),
        ((RAMP / 255).astype("<f4"), 32, 3),
        ((RAMP / 127.5 - 1).astype("<f4"), 32, 3),
    ],
)
@pytest.mark.parametrize("photometric", [0, 1])
def test_a_tiff_is_scaled_by_its_own_range_whichever_end_is_white(
    values: np.ndarray, bits: int, sample_format: int, photometric: int
) -> None:
    content = tiff(values, bits, photometric=photometric, sample_format=sample_format)
    expected = RAMP / 255 if photometric else 1 - RAMP / 255
    try:
        pixels = images.decode(content, LIMIT)
    except UnsupportedKind:  # Pillow knows no such numbers whose zero is white.
        assert not photometric
        assert (bits, sample_format) not in ((8, 1), (16, 1), (32, 3))
    else:
        assert np.abs(pixels - expected).max() < 0.01


def test_a_tiff_of_12_bits_has_their_range() -> None:
    pairs = (RAMP.astype(np.uint16) * 16 + RAMP // 16).reshape(20, 15, 2)
    packed = [pairs[..., 0] >> 4, (pairs[..., 0] & 15) << 4 | pairs[..., 1] >> 8, pairs[..., 1] & 255]
    pixels = images.decode(tiff(np.stack(packed, -1).astype(np.uint8).reshape(20, -1), 12), LIMIT)
    assert np.abs(pixels - RAMP / 255).max() < 0.01


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(BrokenBody, match="no finite numbers"):
        images.decode(file(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF"), LIMIT)


def test_floats_as_large_as_they_get_of_both_signs_are_grey() -> None:
    values = np.zeros((200, 200), np.float32)
    values[3, 3], values[5, 5] = 3e38, -3e38
    pixels = images.decode(file(Image.fromarray(values), "TIFF"), LIMIT)
    assert (pixels[3, 3], pixels[5, 5], pixels[0, 0]) == (1, 0, 0.5)
