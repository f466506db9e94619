"""File bytes become grey pixels and back, whatever kind they have."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from denoise.errors import BrokenBody, TooLarge, UnsupportedKind
from denoise.pictures import images, png
from tests.pictures.conftest import LIMIT, RAMP, file


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP", "JPEG", "AVIF", "HEIF"])
def test_every_kind_gives_the_same_pixels(kind: str) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}, "AVIF": {"quality": 100}, "HEIF": {"quality": -1}}
    pixels = images.decode(file(Image.fromarray(RAMP), kind, **options.get(kind, {})), LIMIT)
    assert pixels.dtype == np.float32
    assert pixels.shape == (20, 30)
    assert np.abs(pixels - RAMP / 255).max() < 0.01


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 0}])
def test_a_plain_png_is_read_without_pillows_opening_and_is_the_same(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = file(Image.fromarray(RAMP), "PNG", **options)
    with Image.open(io.BytesIO(content)) as opened:
        expected = np.asarray(opened, np.float32) / np.float32(255)
    monkeypatch.delattr(Image, "open")
    assert np.array_equal(images.decode(content, LIMIT), expected)


def test_a_plain_png_with_any_byte_damaged_is_what_pillow_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(content: bytes) -> str:
        try:
            return str(images.decode(content, LIMIT).tolist())
        except (BrokenBody, TooLarge, UnsupportedKind) as error:
            return str(error).partition(":")[0]

    whole = bytearray(file(Image.fromarray(RAMP), "PNG"))
    damaged = [bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]) for place in range(len(whole))]
    plain = [made(content) for content in damaged]
    monkeypatch.setattr(png, "read_plain", lambda *_: None)
    assert plain == [made(content) for content in damaged]


@pytest.mark.parametrize("behind", [False, True])
def test_a_png_whose_text_alone_is_damaged_is_taken(behind: bool) -> None:
    plain = file(Image.fromarray(RAMP), "PNG")
    text = struct.pack(">I", 10) + b"tEXtSoftware\0x" + bytes(4)
    place = len(plain) - 12 if behind else 33
    pixels = images.decode(plain[:place] + text + plain[place:], LIMIT)
    assert np.abs(pixels - RAMP / 255).max() < 0.01


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int) -> None:
    upright = (np.arange(12).reshape(3, 4) * 20).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {2: "fliplr", 3: "rot180", 4: "flipud", 5: "T", 6: "rot90", 7: "anti", 8: "rot270"}.get(orientation)
    stored = {
        None: upright, "fliplr": np.fliplr(upright), "rot180": np.rot90(upright, 2), "flipud": np.flipud(upright),
        "T": upright.T, "rot90": np.rot90(upright), "anti": np.rot90(upright, 2).T, "rot270": np.rot90(upright, -1),
    }[undo]  # fmt: skip
    content = file(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    assert np.allclose(images.decode(content, LIMIT), upright / 255)


def test_of_several_frames_the_first_is_taken() -> None:
    first, second = (Image.new("L", (8, 8), value) for value in (200, 10))
    content = file(first, "GIF", save_all=True, append_images=[second])
    assert images.decode(content, LIMIT).mean() == pytest.approx(200 / 255)


@pytest.mark.parametrize("kind", ["png", "webp"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 1200), (1200, 1), (20, 30), (28, 28), (40, 50)])
def test_what_is_encoded_decodes_to_the_same(kind: images.Kind, shape: tuple[int, int]) -> None:
    pixels = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    assert np.abs(images.decode(images.encode(pixels, kind), LIMIT) - pixels).max() < 0.5 / 255


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_what_a_model_overshoots_stays_white_and_black(kind: images.Kind) -> None:
    pixels = np.array([[-0.05, 0, 1, 1.05]], np.float32).repeat(4, axis=0)
    np.testing.assert_array_equal(images.decode(images.encode(pixels, kind), LIMIT)[0], [0, 0, 1, 1])
