"""File bytes to pixels and back, by Pillow."""

import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageDraw, ImageFont, UnidentifiedImageError

from denoise.errors import BrokenBody, NotAcceptable, TooLarge, UnsupportedKind
from denoise.pictures import Pixels, capacity, heif, jpeg, png, ranges, tiff, transparency

Kind = Literal["png", "webp"]

# Pillow knows many more kinds, and nearly every hole found in it lies in those.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", heif.FORMAT, "BMP", "GIF", "TIFF", "PPM")
FORMATS_IN_WORDS = "PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF, TIFF, PGM and PPM"
LONGEST_SIDE_OF_WEBP = 16_383
# A PNG of so many bytes travels in one packet, and no faster when it is packed.
BYTES_PER_PACKET = 1200
# From zlib's 1 (fast) … 9 (small).
PNG_COMPRESSION = 3
# Pillow's defaults take seven times as long for noisy answers and make them no smaller.
WEBP_EFFORT = {"quality": 20, "method": 1}
TEXT_SIZE_PX = 13
SIXTEEN_BITS = 65535.0
PLAIN_PNM, MOST_COMMENTS = (b"P1", b"P2", b"P3"), 1000
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
# A decoder has the one thread whose turn it is.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def decode(content: bytes, max_pixels: int, sent: int | None = None) -> Pixels:
    """The picture in a file's bytes as grey `[height, width]`, 0 … 1, upright; of several frames the first.

    Grey is the luma of ITU-R BT.601. Pictures of more than 8 bits are scaled by their own range, not clipped
    (`tiff.grey`); floating-point ones, which carry none, are taken as 0 … 1, 0 … 255 or 0 … 65535, whichever is the
    first that holds their largest value. Transparency is laid over black or white, whichever leaves the ink visible.

    Args:
        content: the file.
        max_pixels: the largest picture.
        sent: how many bytes were sent for the file, where it came packed.

    Raises:
        UnsupportedKind: the bytes are no image of a kind in FORMATS, or so few cannot hold what they declare.
        TooLarge: the header tells of more than `max_pixels`; nothing has been decoded then.
        BrokenBody: the image is cut or damaged.
    """
    if (plain := png.read_plain(content, max_pixels)) is not None:
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
    scans = jpeg.count_scans(content)
    _check_comments(content)
    try:
        with _open(content) as image:
            # A TIFF's tile may be larger than its picture, and takes memory as well.
            width, height = max(image.size, tiff.tile(image), key=lambda size: size[0] * size[1])
            if width * height <= max_pixels:
                capacity.check_declared(sent or len(content), width, height, scans)
                _check_first_frame(image)
                tiff.check_own_bytes(image, len(content))
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


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        if not content.startswith(png.SIGNATURE):
            raise
    return Image.open(io.BytesIO(png.drop_damaged_notes(content)), formats=("PNG",))


def _check_comments(content: bytes) -> None:
    """A plain PGM's comments are read anew for each other: a small file would take minutes. Raises BrokenBody."""
    if content.startswith(PLAIN_PNM) and (comments := content.count(b"#")) > MOST_COMMENTS:
        raise BrokenBody(f"The picture has {comments:,} comments; at most {MOST_COMMENTS} are taken.")


def _check_first_frame(image: Image.Image) -> None:
    """Refuses a GIF that has not its own bytes for most of the picture. Raises UnsupportedKind."""
    if isinstance(image, GifImagePlugin.GifImageFile):
        left, top, right, bottom = (image.tile[0][1] if image.tile else None) or (0, 0, 0, 0)
        if 2 * (right - left) * (bottom - top) < image.width * image.height:
            raise UnsupportedKind(
                f"The GIF's first frame has {right - left}×{bottom - top} pixels, less than half of its "
                f"{image.width}×{image.height}."
            )


def _upright(image: Image.Image) -> Pixels:
    pixels = _grey(image)
    if not image.info and image.format != "TIFF":  # Nowhere else could an orientation stand.
        return pixels
    turn = TURNS.get(image.getexif().get(EXIF_TAG_ORIENTATION, 1))
    return turn(pixels) if turn else pixels


def _grey(image: Image.Image) -> Pixels:
    if (samples := tiff.grey(image)) is not None:
        return samples
    # Pillow reads a 16-bit PGM as 32 bits.
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        values = np.asarray(image, dtype=np.float32)
        grey = ranges.scale(values, SIXTEEN_BITS)
        clear = image.info.get("transparency")
        return grey if clear is None else _on_paper(grey, (values != clear).astype(np.float32))
    if image.has_transparency_data:
        inked = image.convert("RGBA")
        alpha = np.asarray(inked.getchannel("A"), np.float32) / np.float32(255)
        grey = _luma(inked.convert("RGB"))
        # Windows' programs leave the fourth byte of a BMP's pixels 0, and mean nothing by it.
        return grey if image.format == "BMP" and not alpha.any() else _on_paper(grey, alpha)
    if image.mode == "F":
        return ranges.scale_unknown(np.asarray(image, np.float32), ranges.OF_FLOATS)
    if image.mode == "LAB":
        return _luma(image.getchannel("L"))
    # Pillow has no direct way to grey from CMYK, palettes and the like.
    return _luma(image if image.mode in ("1", "L") else image.convert("RGB"))


def _luma(image: Image.Image) -> Pixels:
    grey: NDArray[np.uint8] = np.asarray(image if image.mode == "L" else image.convert("L"))
    return np.divide(grey, 255, dtype=np.float32)


def _on_paper(grey: Pixels, alpha: Pixels) -> Pixels:
    return transparency.lay_over(grey, alpha, transparency.find_paper(grey, alpha))


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
    grey = _eight_bits(pixels)
    if kind == "png" and pixels.size <= BYTES_PER_PACKET:
        return png.write_stored(grey)
    image = Image.fromarray(grey)
    file = io.BytesIO()
    if kind == "png":
        image.save(file, "PNG", compress_level=PNG_COMPRESSION)
    else:
        image.save(file, "WEBP", lossless=True, **WEBP_EFFORT)
    return file.getvalue()


def _eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Grey as bytes. `np.clip` takes as long as four ufuncs, and the call of one longer than its work on a digit."""
    grey = np.maximum(pixels, np.float32(0))
    np.minimum(grey, np.float32(1), out=grey)
    np.multiply(grey, np.float32(255), out=grey)
    return np.rint(grey, out=grey).astype(np.uint8)


def text(words: str) -> Pixels:
    """Words in black on white, one line."""
    font = ImageFont.load_default(TEXT_SIZE_PX)
    _, _, width, height = font.getbbox(words)
    image = Image.new("L", (math.ceil(width), math.ceil(height)), 255)
    ImageDraw.Draw(image).text((0, 0), words, fill=0, font=font)
    return np.asarray(image, np.float32) / np.float32(255)
