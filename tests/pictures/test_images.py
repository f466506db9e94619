"""File bytes become grey pixels and back, whatever kind and mode they have."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from denoise.errors import BrokenBody, TooLarge, UnsupportedKind
from denoise.pictures import avif, images, png
from tests.conftest import CLEAN_7

LIMIT = 1_000_000  # pixels
RAMP = np.linspace(0, 255, 20 * 30).reshape(20, 30).astype(np.uint8)


def file(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


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


def with_alpha(grey: np.ndarray, alpha: np.ndarray) -> bytes:
    return file(
        Image.merge("LA", [Image.fromarray(grey.astype(np.uint8)), Image.fromarray(alpha.astype(np.uint8))]), "PNG"
    )


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
@pytest.mark.parametrize("thick", [2, 8])
def test_bare_ink_is_laid_over_the_paper_it_stands_out_from(ink: int, paper: int, thick: int) -> None:
    alpha = np.zeros((10, 10))
    alpha[:thick] = 255
    pixels = images.decode(with_alpha(np.full((10, 10), ink), alpha), LIMIT)
    assert pixels[9, 9] == paper / 255
    assert pixels[0, 0] == ink / 255


@pytest.mark.parametrize("cleared", [1, 7])
def test_a_picture_with_paper_of_its_own_gets_more_of_it(cleared: int) -> None:
    grey = np.full((10, 10), 230)
    grey[9, 4:6] = 20
    alpha = np.full((10, 10), 255)
    alpha[:cleared] = 0
    assert images.decode(with_alpha(grey, alpha), LIMIT)[0, 0] == 1


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


def drawing(*inks: tuple[int, int, int], deviation: float = 0) -> bytes:
    """Strokes of these colours, whose edges are soft, on transparent ground."""
    image = np.zeros((60, 20 * len(inks), 4))
    for number, ink in enumerate(inks):
        left = 20 * number
        image[10:50, left + 5 : left + 15] = (*ink, 255)
        image[10:50, [left + 4, left + 15], :3], image[10:50, [left + 4, left + 15], 3] = ink, 100
    image[..., :3] += np.random.default_rng(0).normal(0, deviation, (*image.shape[:2], 1)) if deviation else 0
    return file(Image.fromarray(np.clip(image, 0, 255).astype(np.uint8), "RGBA"), "PNG")


BLACK, RED, GREY, WHITE, YELLOW = (0, 0, 0), (220, 30, 30), (110, 110, 110), (255, 255, 255), (250, 230, 40)


@pytest.mark.parametrize(
    ("content", "paper"),
    [
        (drawing(BLACK, RED, RED), 1),
        (drawing(BLACK, GREY), 1),
        (drawing(BLACK, YELLOW), 1),
        (drawing((77, 77, 77), deviation=30), 1),
        (drawing(WHITE), 0),
        (drawing(WHITE, YELLOW), 0),
    ],
)
def test_inks_on_transparent_ground_get_paper_on_which_all_are_seen(content: bytes, paper: int) -> None:
    pixels = images.decode(content, LIMIT)
    assert pixels[0, 0] == paper
    assert abs(float(pixels[30, 10]) - paper) > 0.2


def test_where_white_was_removed_by_a_threshold_white_is_put_back() -> None:
    grey = np.full((40, 40), 255)
    for off, tone in ((0, 0), (1, 120), (2, 245)):  # a thin line with soft edges
        grey[5:35, [20 - off, 20 + off]] = tone
    pixels = images.decode(with_alpha(grey, np.where(grey < 250, 255, 0)), LIMIT)
    assert np.abs(pixels - grey / 255).max() < 0.01


def bmp(grey: np.ndarray, alpha: int) -> bytes:
    """A BMP of 32 bits a pixel with a mask for its fourth byte, which is `alpha` everywhere."""
    height, width = grey.shape
    values = np.full((height, width, 4), alpha, np.uint8)
    values[..., :3] = grey[::-1, :, None]
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, values.size, 2835, 2835, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(64)
    start = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", start + values.size, 0, 0, start) + head + values.tobytes()


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bmp_that_is_transparent_throughout_is_opaque(alpha: int) -> None:
    assert np.abs(images.decode(bmp(RAMP, alpha), LIMIT) - RAMP / 255).max() < 0.01


@pytest.mark.parametrize("behind", [False, True])
def test_a_png_whose_text_alone_is_damaged_is_taken(behind: bool) -> None:
    plain = file(Image.fromarray(RAMP), "PNG")
    text = struct.pack(">I", 10) + b"tEXtSoftware\0x" + bytes(4)
    place = len(plain) - 12 if behind else 33
    pixels = images.decode(plain[:place] + text + plain[place:], LIMIT)
    assert np.abs(pixels - RAMP / 255).max() < 0.01


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
@pytest.mark.parametrize("shape", [(1, 1), (1, 1200), (1200, 1), (20, 30), (28, 28), (40, 50)])
def test_what_is_encoded_decodes_to_the_same(kind: images.Kind, shape: tuple[int, int]) -> None:
    pixels = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    assert np.abs(images.decode(images.encode(pixels, kind), LIMIT) - pixels).max() < 0.5 / 255


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_what_a_model_overshoots_stays_white_and_black(kind: images.Kind) -> None:
    pixels = np.array([[-0.05, 0, 1, 1.05]], np.float32).repeat(4, axis=0)
    np.testing.assert_array_equal(images.decode(images.encode(pixels, kind), LIMIT)[0], [0, 0, 1, 1])


def test_a_film_behind_a_photograph_is_passed_over() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 40), 200, np.uint8)).save(file, "JPEG", progressive=True)
    film = b"\xff\xda" * 300 + b"\xff\xd8" * 300
    assert images.decode(file.getvalue() + film, 1600).shape == (40, 40)


def test_the_scans_of_a_photograph_are_counted_to_its_end() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 40), 200, np.uint8)).save(file, "JPEG", progressive=True)
    head, _, scan = file.getvalue().rpartition(b"\xff\xda")
    with pytest.raises(BrokenBody, match="scans; at most 200 are taken"):
        images.decode(head + b"".join([b"\xff\xda", scan[:-2]] * 220) + scan[-2:], 1600)
