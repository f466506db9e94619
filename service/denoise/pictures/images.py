"""File bytes to pixels and back, by Pillow."""

import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageDraw, ImageFont, UnidentifiedImageError

from denoise.errors import BrokenBody, NotAcceptable, TooLarge, UnsupportedKind
from denoise.pictures import Colours, Pixels, avif, capacity, heif, jpeg, png, samples, tiff

Kind = Literal["png", "jpeg", "webp", "tiff"]
Dpi = tuple[float, float]

# Pillow knows many more kinds, and nearly every hole found in it lies in those.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", heif.FORMAT, "BMP", "GIF", "TIFF", "PPM")
FORMATS_IN_WORDS = "PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF, TIFF, PGM and PPM"
LONGEST_SIDE: dict[Kind, int] = {"webp": 16_383, "jpeg": 65_500}
# A PNG of so many bytes travels in one packet, and no faster when it is packed.
BYTES_PER_PACKET = 1200
# How Pillow is to write each kind.
OPTIONS: dict[Kind, dict[str, Any]] = {
    "png": {"compress_level": 3},  # zlib has levels from 1 (fast) to 9 (small).
    "jpeg": {"quality": 90, "subsampling": 0},  # Without subsampling, ink keeps its colour up to its edges.
    # Pillow's defaults take seven times as long for noisy answers and make them no smaller.
    "webp": {"lossless": True, "quality": 20, "method": 1},
    "tiff": {"compression": "tiff_adobe_deflate"},
}
# A resolution outside of this is left out: a JPEG could not tell it.
LEAST_DPI, MOST_DPI = 1, 65_535
NAMES: dict[Kind, str] = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP", "tiff": "TIFF"}
TEXT_SIZE_PX = 13
PIXELS_PER_BAND = 1_000_000
BYTES = np.dtype(np.uint8)
BLACK, WHITE, MOST = np.float32(0), np.float32(1), np.float32(255)
PLAIN_PNM, MOST_COMMENTS = (b"P1", b"P2", b"P3"), 1000
EXIF_TAG_ORIENTATION = 0x0112
# What makes a picture of each orientation upright; 1 is upright.
TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
# From this orientation on, what is upright has width and height exchanged.
FIRST_TURNED_ON_ITS_SIDE = 5

# Callers are told of damage; warnings of it would let hostile uploads fill the log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow's own guard only warns; decode() has a stricter one, which is a setting.
Image.MAX_IMAGE_PIXELS = None
# A decoder has the one thread whose turn it is.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class Picture(NamedTuple):
    """What a file shows, upright.

    Attributes:
        grey: `[height, width]`, 0 … 1.
        colours: where they were asked for and there are any.
        dpi: pixels per inch, across and down, where the file tells them.
    """

    grey: Pixels
    colours: Colours | None = None
    dpi: Dpi | None = None


def decode(content: bytes, max_pixels: int, sent: int | None = None) -> Pixels:
    """The picture in a file's bytes as grey `[height, width]`, 0 … 1. Raises as `read` does."""
    return read(content, max_pixels, sent).grey


def read(content: bytes, max_pixels: int, sent: int | None = None, *, in_colour: bool = False) -> Picture:
    """The picture in a file's bytes; of several frames the first.

    Grey is the luma of ITU-R BT.601. Pictures of more than 8 bits are scaled by their own range, not clipped
    (`tiff.grey`); floating-point ones, which carry none, are taken as 0 … 1, 0 … 255 or 0 … 65535, whichever is the
    first that holds their largest value. Transparency is laid over black or white, whichever leaves the ink visible.

    Args:
        content: the file.
        max_pixels: the largest picture.
        sent: how many bytes were sent for the file, where it came packed.
        in_colour: whether its colours are wanted.

    Raises:
        UnsupportedKind: the bytes are no image of a kind in FORMATS, or so few cannot hold what they declare.
        TooLarge: the header tells of more than `max_pixels`; nothing has been decoded then.
        BrokenBody: the image is cut or damaged.
    """
    if (plain := png.read_plain(content, max_pixels)) is not None:
        return Picture(plain)
    with _open_checked(content, max_pixels, sent) as image:
        return read_upright(image, in_colour)


def measure(content: bytes, max_pixels: int, sent: int | None = None) -> int:
    """How many pixels the header of a file tells of; nothing is decoded. Raises as `decode` does."""
    with _open_checked(content, max_pixels, sent) as image:
        width, height = image.size
        return width * height


@contextmanager
def _open_checked(content: bytes, max_pixels: int, sent: int | None) -> Iterator[Image.Image]:
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
                if image.format == "AVIF":
                    avif.check_frames(content, width, height)
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


def read_upright(image: Image.Image, in_colour: bool) -> Picture:
    """An image of Pillow's, turned as its Exif data say."""
    picture = Picture(*samples.read(image, in_colour), _dpi(image))
    if not image.info and image.format != "TIFF":  # Nowhere else could an orientation stand.
        return picture
    orientation = image.getexif().get(EXIF_TAG_ORIENTATION, 1)
    if not (turn := TURNS.get(orientation)):
        return picture
    dpi = picture.dpi[::-1] if picture.dpi and orientation >= FIRST_TURNED_ON_ITS_SIDE else picture.dpi
    return Picture(turn(picture.grey), None if picture.colours is None else turn(picture.colours), dpi)


def _dpi(image: Image.Image) -> Dpi | None:
    """The resolution that a file tells; None where it is none that an answer could tell as well."""
    try:
        across, down = map(float, image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if LEAST_DPI <= min(across, down) <= max(across, down) <= MOST_DPI else None


def encode(pixels: Pixels | Colours, kind: Kind, dpi: Dpi | None = None) -> bytes:
    """Pixels `[height, width]`, 0 (black) … 1 (white), or colours, as the bytes of a file of 8 bits a sample.

    What a model makes of a picture may lie a little outside of 0 … 1, and is clipped. JPEG alone loses something;
    a WebP does not tell the resolution.

    Raises:
        NotAcceptable: the picture is longer than that kind can be.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > (longest := LONGEST_SIDE.get(kind, math.inf)):
        raise NotAcceptable(
            f"A {NAMES[kind]} has at most {longest:,} pixels a side; the answer has {width}×{height} and can be had "
            "as PNG."
        )
    values: NDArray[np.uint8] = pixels if pixels.dtype == BYTES else _eight_bits(pixels)  # type: ignore[assignment,arg-type]  # The type of its numbers tells which it is.
    if kind == "png" and pixels.size <= BYTES_PER_PACKET and values.ndim == 2 and not dpi:  # noqa: PLR2004  # Grey has two dimensions.
        return png.write_stored(values)
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind.upper(), **OPTIONS[kind], **({"dpi": dpi} if dpi else {}))
    return file.getvalue()


def _eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Grey as bytes. `np.clip` takes as long as four ufuncs, and the call of one longer than its work on a digit."""
    if pixels.size > PIXELS_PER_BAND:  # A large picture is not held in memory once more as floats.
        rows = max(1, PIXELS_PER_BAND // pixels.shape[1])
        return np.concatenate([_eight_bits(pixels[start : start + rows]) for start in range(0, len(pixels), rows)])
    grey = np.maximum(pixels, BLACK)
    np.minimum(grey, WHITE, out=grey)
    np.multiply(grey, MOST, out=grey)
    return np.rint(grey, out=grey).astype(np.uint8)


def text(words: str) -> Pixels:
    """Words in black on white, one line."""
    font = ImageFont.load_default(TEXT_SIZE_PX)
    _, _, width, height = font.getbbox(words)
    image = Image.new("L", (math.ceil(width), math.ceil(height)), 255)
    ImageDraw.Draw(image).text((0, 0), words, fill=0, font=font)
    return np.asarray(image, np.float32) / np.float32(255)
