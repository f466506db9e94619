"""File bytes to pixels and back. The one module that knows Pillow."""

import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image, ImageDraw, ImageFont, TiffImagePlugin, UnidentifiedImageError

from denoise.errors import BrokenBody, NotAcceptable, TooLarge, UnsupportedKind
from denoise.pictures import MID_GREY, Pixels, capacity

Kind = Literal["png", "webp"]

# Pillow knows many more kinds, and nearly every hole found in it lies in those.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
FORMATS_IN_WORDS = "PNG, JPEG, WebP, BMP, GIF, TIFF, PGM and PPM"
LONGEST_SIDE_OF_WEBP = 16_383
# A PNG of so many bytes travels in one packet, and no faster when it is packed.
BYTES_PER_PACKET = 1200
# From zlib's 1 (fast) … 9 (small).
PNG_COMPRESSION = 3
# Pillow's defaults take seven times as long for noisy answers and make them no smaller.
WEBP_EFFORT = {"quality": 20, "method": 1}
TEXT_SIZE_PX = 13
# Opaque pixels whose grey deviates by less are of one tone.
LEAST_DEVIATION_OF_TWO_TONES = 0.1
# A picture without a known range may exceed the one that it is taken to have by this factor.
OVERSHOOT = 1.1
PNG = b"\x89PNG\r\n\x1a\n"
PLAIN_START, PLAIN_KIND, PLAIN_END = PNG + b"\0\0\0\rIHDR", b"\x08\0\0\0\0", b"\0\0\0\0IEND"
# Progressive JPEGs have about ten scans.
JPEG, JPEG_SCAN, JPEG_END, MOST_SCANS = b"\xff\xd8", b"\xda", b"\xd9", 200
JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
# These markers have no length and no content.
JPEG_BARE = (b"\x01", b"\xd8")
PLAIN_PNM, MOST_COMMENTS = (b"P1", b"P2", b"P3"), 1000
TIFF_TAG_BITS, TIFF_TAG_TILE_WIDTH, TIFF_TAG_TILE_HEIGHT = 258, 322, 323
TIFF_TAGS_OF_OFFSETS, TIFF_TAGS_OF_LENGTHS = (273, 324), (279, 325)
EXIF_TAG_ORIENTATION = 0x0112
# What makes a picture of each orientation upright; 1 is upright.
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).T,
    8: np.rot90,
}

# Callers are told of damage; warnings of it would let hostile uploads fill the log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow's own guard only warns; decode() has a stricter one, which is a setting.
Image.MAX_IMAGE_PIXELS = None


def decode(content: bytes, max_pixels: int, sent: int | None = None) -> Pixels:
    """The picture in a file's bytes as grey `[height, width]`, 0 … 1, upright; of several frames the first.

    Grey is the luma of ITU-R BT.601. Sixteen-bit pictures are scaled, not clipped; floating-point ones, which carry no
    range, are taken as 0 … 1, 0 … 255 or 0 … 65535, whichever is the first that holds their largest value.
    Transparency is laid over black or white, whichever leaves the ink visible.

    Args:
        content: the file.
        max_pixels: the largest picture.
        sent: how many bytes were sent for the file, where it came packed.

    Raises:
        UnsupportedKind: the bytes are no image of a kind in FORMATS, or so few cannot hold what they declare.
        TooLarge: the header tells of more than `max_pixels`; nothing has been decoded then.
        BrokenBody: the image is cut or damaged.
    """
    if (plain := _plain(content, max_pixels)) is not None:
        return plain
    with _opened(content, max_pixels, sent) as image:
        return _upright(image)


def measure(content: bytes, max_pixels: int, sent: int | None = None) -> int:
    """How many pixels the header of a file tells of; nothing is decoded. Raises as `decode` does."""
    with _opened(content, max_pixels, sent) as image:
        width, height = image.size
        return width * height


@contextmanager
def _opened(content: bytes, max_pixels: int, sent: int | None) -> Iterator[Image.Image]:
    """An image whose header has been read. Raises as `decode` does, also for what goes wrong in the block."""
    _refuse_slow(content)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = _largest(image)
            if width * height <= max_pixels:
                capacity.check_declared(sent or len(content), width, height, _count_scans(content))
                _refuse_shared(image, len(content))
                yield image
                return
    except (BrokenBody, UnsupportedKind, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UnsupportedKind(
            f"The {len(content):,} bytes are no image of a known kind; {FORMATS_IN_WORDS} are."
        ) from None
    except Exception as error:  # Decoders meet hostile bytes here, and Pillow documents no list of what they raise.
        raise BrokenBody(f"The image is cut or damaged: {error or type(error).__name__}.") from error
    raise TooLarge(f"The picture has {width}×{height} pixels; at most {max_pixels:,} pixels are taken.")


def _plain(content: bytes, max_pixels: int) -> Pixels | None:
    """A PNG (ISO/IEC 15948) of 8 bits of grey with nothing beside its pixels; None when it is any other, or damaged.

    Pillow's usual way, which finds out the kind first, takes twice as long, and longer than a small model's run.
    """
    if not content.startswith(PLAIN_START) or content[24:29] != PLAIN_KIND or content[37:41] != b"IDAT":
        return None
    width, height, length = (int.from_bytes(content[at : at + 4]) for at in (16, 20, 33))
    end = 41 + length
    if width * height > min(max_pixels, capacity.most_declared(length)) or content[end + 4 : end + 12] != PLAIN_END:
        return None
    for start, stop in ((12, 29), (37, end)):
        if zlib.crc32(content[start:stop]) != int.from_bytes(content[stop : stop + 4]):
            return None
    try:
        return _luma(Image.frombytes("L", (width, height), content[41:end], "zip", "L", 0))
    except ValueError:  # Where all kinds are opened the caller is told more of what is wrong.
        return None


def _refuse_slow(content: bytes) -> None:
    """Small files take minutes: each scan of a JPEG goes over all pixels, a plain PGM's comments over all others."""
    if (scans := _count_scans(content)) > MOST_SCANS:
        raise BrokenBody(f"The JPEG has {scans:,} scans; at most {MOST_SCANS} are taken.")
    if content.startswith(PLAIN_PNM) and (comments := content.count(b"#")) > MOST_COMMENTS:
        raise BrokenBody(f"The picture has {comments:,} comments; at most {MOST_COMMENTS} are taken.")


def _count_scans(content: bytes) -> int:
    """How often a JPEG (ISO/IEC 10918-1, annex B) goes over its pixels; phones put a film behind a photograph's end."""
    at, scans = len(JPEG), 0
    while content.startswith(JPEG) and scans <= MOST_SCANS and (found := JPEG_MARKER.search(content, at)):
        marker, at = found[1], found.end()
        if marker == JPEG_END:
            break
        scans += marker == JPEG_SCAN
        if marker not in JPEG_BARE:
            at += int.from_bytes(content[at : at + 2])
    return max(1, scans)


def _refuse_shared(image: Image.Image, size: int) -> None:
    """Refuses a file of `size` bytes that has not its own bytes for most of the picture."""
    if isinstance(image, GifImagePlugin.GifImageFile):
        left, top, right, bottom = (image.tile[0][1] if image.tile else None) or (0, 0, 0, 0)
        if 2 * (right - left) * (bottom - top) < image.width * image.height:
            raise UnsupportedKind(
                f"The GIF's first frame has {right - left}×{bottom - top} pixels, less than half of its "
                f"{image.width}×{image.height}."
            )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if image.tile and image.tile[0][0] == "raw":
            bits = sum(_numbers(image, (TIFF_TAG_BITS,))) or 1
            lengths = [image.height * (image.width * bits // 8)]
        else:
            lengths = _numbers(image, TIFF_TAGS_OF_LENGTHS)
        starts = _numbers(image, TIFF_TAGS_OF_OFFSETS)
        if max((start + length for start, length in zip(starts, lengths, strict=False)), default=0) > size:
            raise BrokenBody(f"The TIFF is cut: it has {size:,} bytes, and its picture lies behind them.")
        if sum(lengths) > size:
            raise UnsupportedKind(
                f"The TIFF's {len(lengths):,} strips or tiles take {sum(lengths):,} bytes, and the file has "
                f"{size:,}: they share them."
            )


def _numbers(image: TiffImagePlugin.TiffImageFile, tags: Iterable[int]) -> list[int]:
    """The numbers that a TIFF has under any of these tags."""
    values = [image.tag_v2.get(tag, ()) for tag in tags]
    return [int(number) for value in values for number in (value if isinstance(value, tuple) else (value,))]


def _largest(image: Image.Image) -> tuple[int, int]:
    """Width and height of what decoding takes memory for: the picture, or a TIFF's tile where that is larger."""
    sizes = [image.size]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        sizes.append((int(image.tag_v2.get(TIFF_TAG_TILE_WIDTH, 0)), int(image.tag_v2.get(TIFF_TAG_TILE_HEIGHT, 0))))
    return max(sizes, key=lambda size: size[0] * size[1])


def _upright(image: Image.Image) -> Pixels:
    pixels = _grey(image)
    if not image.info and image.format != "TIFF":  # Nowhere else could an orientation stand.
        return pixels
    turn = TURNS.get(image.getexif().get(EXIF_TAG_ORIENTATION, 1))
    return turn(pixels) if turn else pixels


def _grey(image: Image.Image) -> Pixels:
    # Pillow reads a 16-bit PGM as 32 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        values = np.asarray(image, dtype=np.float32)
        grey: Pixels = values / np.float32(65535)
        clear = image.info.get("transparency")
        return grey if clear is None else _over_paper(grey, (values != clear).astype(np.float32))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return _over_paper(_luma(image.convert("RGB")), np.asarray(image.getchannel("A"), np.float32) / np.float32(255))
    if image.mode in ("I", "F"):
        return _ranged(np.asarray(image, dtype=np.float32))
    # Pillow has no direct way to grey from CMYK, palettes and the like.
    return _luma(image if image.mode in ("1", "L") else image.convert("RGB"))


def _luma(image: Image.Image) -> Pixels:
    grey: NDArray[np.uint8] = np.asarray(image if image.mode == "L" else image.convert("L"))
    return np.divide(grey, 255, dtype=np.float32)


def _over_paper(luma: Pixels, alpha: Pixels) -> Pixels:
    """Transparency laid over white or black.

    What is opaque and all of one tone is bare ink: it gets the paper it stands out from. What has light and dark in it
    has its own paper: the rest gets the like.
    """
    weight = max(float(alpha.sum()), 1e-9)
    mean = float((luma * alpha).sum()) / weight
    spread = math.sqrt(float((np.square(luma - mean) * alpha).sum()) / weight)
    light = mean >= MID_GREY
    laid: Pixels = luma * alpha + np.float32(light != (spread < LEAST_DEVIATION_OF_TWO_TONES)) * (1 - alpha)
    return laid


def _ranged(values: Pixels) -> Pixels:
    largest = float(values.max())
    if not np.isfinite(values).all():
        raise BrokenBody("The image holds values that are no finite numbers.")
    whole = next((limit for limit in (1.0, 255.0, 65535.0) if largest <= limit * OVERSHOOT), largest)
    scaled: Pixels = np.clip(values / np.float32(whole), 0, 1)
    return scaled


def encode(pixels: Pixels, kind: Kind) -> bytes:
    """Pixels `[height, width]` as the bytes of an 8-bit grey PNG or a lossless WebP: 0 is black, 1 is white.

    What a model makes of a picture may lie a little outside of 0 … 1, and is clipped.

    Raises:
        NotAcceptable: the picture is longer than a WebP can be.
    """
    if kind == "webp" and max(pixels.shape) > LONGEST_SIDE_OF_WEBP:
        height, width = pixels.shape
        raise NotAcceptable(
            f"A WebP has at most {LONGEST_SIDE_OF_WEBP:,} pixels a side; the answer has {width}×{height} "
            "and can be had as PNG."
        )
    grey = np.rint(np.clip(pixels, 0, 1) * np.float32(255)).astype(np.uint8)
    if kind == "png" and pixels.size <= BYTES_PER_PACKET:
        return _stored(grey)
    image = Image.fromarray(grey)
    file = io.BytesIO()
    if kind == "png":
        image.save(file, "PNG", compress_level=PNG_COMPRESSION)
    else:
        image.save(file, "WEBP", lossless=True, **WEBP_EFFORT)
    return file.getvalue()


def _stored(grey: NDArray[np.uint8]) -> bytes:
    """A PNG (ISO/IEC 15948) without filters and without compression: a tenth of the time that Pillow takes for it."""
    height, width = grey.shape
    lines = np.zeros((height, 1 + width), np.uint8)  # Each line begins with the number of its filter, 0 for none.
    lines[:, 1:] = grey
    packer = zlib.compressobj(0, wbits=9, memLevel=1)  # Packing nothing needs no memory.
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", packer.compress(lines.tobytes()) + packer.flush()),
        (b"IEND", b""),
    )
    parts = [PNG]
    for name, content in chunks:
        checksum = zlib.crc32(content, zlib.crc32(name))
        parts += struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)
    return b"".join(parts)


def text(words: str) -> Pixels:
    """Words in black on white, one line."""
    font = ImageFont.load_default(TEXT_SIZE_PX)
    _, _, width, height = font.getbbox(words)
    image = Image.new("L", (math.ceil(width), math.ceil(height)), 255)
    ImageDraw.Draw(image).text((0, 0), words, fill=0, font=font)
    return np.asarray(image, np.float32) / np.float32(255)
