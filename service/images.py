"""File bytes to pixels and back. The one module that knows Pillow."""

import io
import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from service.errors import BrokenBody, NotAcceptable, TooLarge, UnsupportedKind

Pixels = NDArray[np.float32]
Kind = Literal["png", "webp"]

# Pillow knows many more kinds, and nearly every hole found in it lies in those.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
FORMATS_IN_WORDS = "PNG, JPEG, WebP, BMP, GIF, TIFF, PGM and PPM"
LONGEST_WEBP = 16_383  # pixels a side, by the format
MID_GREY = 0.5
MOSTLY = 0.5  # of a picture

# Damage is told to the caller; in the log it would only give hostile uploads a voice.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
Image.MAX_IMAGE_PIXELS = None  # Pillow's own guard only warns; decode() has a stricter one, which is a setting


def decode(content: bytes, max_pixels: int) -> Pixels:
    """The picture in a file's bytes as grey `[height, width]`, 0 … 1, upright; of several frames the first.

    Grey is the luma of ITU-R BT.601. Sixteen-bit pictures are scaled, not clipped; floating-point ones, which carry no
    range, are taken as 0 … 1, 0 … 255 or 0 … 65535, whichever is the first that holds their largest value.
    Transparency is laid over black or white, whichever leaves the ink visible.

    Raises:
        UnsupportedKind: the bytes are no image of a kind in FORMATS.
        TooLarge: the header tells of more than `max_pixels`; nothing has been decoded then.
        BrokenBody: the image is cut or damaged.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height <= max_pixels:
                return _grey(ImageOps.exif_transpose(image), of_pgm=image.format == "PPM")
            size = f"{image.width}×{image.height}"
    except BrokenBody:
        raise
    except UnidentifiedImageError:
        raise UnsupportedKind(
            f"The {len(content):,} bytes are no image of a known kind; {FORMATS_IN_WORDS} are."
        ) from None
    except Exception as error:  # decoders meet hostile bytes here, and Pillow documents no list of what they raise
        raise BrokenBody(f"The image is cut or damaged: {error or type(error).__name__}.") from error
    raise TooLarge(f"The picture has {size} pixels; at most {max_pixels:,} pixels are taken.")


def _grey(image: Image.Image, of_pgm: bool) -> Pixels:
    if image.has_transparency_data:
        return _over_paper(image.convert("RGBA"))
    if image.mode.startswith("I;16") or (image.mode == "I" and of_pgm):  # 16 bits, the PGM's too
        return np.asarray(image, dtype=np.float32) / np.float32(65535)
    if image.mode in ("I", "F"):
        return _ranged(np.asarray(image, dtype=np.float32))
    if image.mode not in ("1", "L"):
        image = image.convert("RGB")  # CMYK, palettes and the like have no direct way to grey
    return np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)


def _over_paper(image: Image.Image) -> Pixels:
    """Transparency laid over white or black.

    A picture that is mostly transparent is bare ink: it gets the paper it stands out from. One that is mostly opaque
    has its paper already: the rest of it gets the like.
    """
    luma = np.asarray(image.convert("RGB").convert("L"), dtype=np.float32) / np.float32(255)
    alpha = np.asarray(image.getchannel("A"), dtype=np.float32) / np.float32(255)
    light = float((luma * alpha).sum()) >= MID_GREY * float(alpha.sum())
    bare = float(alpha.mean()) < MOSTLY
    laid: Pixels = luma * alpha + np.float32(light != bare) * (1 - alpha)
    return laid


def _ranged(values: Pixels) -> Pixels:
    largest = float(values.max())
    if not np.isfinite(values).all():
        raise BrokenBody("The image holds values that are no finite numbers.")
    whole = next((limit for limit in (1.0, 255.0, 65535.0) if largest <= limit), largest)
    scaled: Pixels = np.clip(values / np.float32(whole), 0, 1)
    return scaled


def encode(pixels: Pixels, kind: Kind) -> bytes:
    """Pixels `[height, width]`, 0 … 1, as the bytes of an 8-bit grey PNG or a lossless WebP.

    Raises:
        NotAcceptable: the picture is longer than a WebP can be.
    """
    if kind == "webp" and max(pixels.shape) > LONGEST_WEBP:
        height, width = pixels.shape
        raise NotAcceptable(
            f"A WebP has at most {LONGEST_WEBP:,} pixels a side; the answer has {width}×{height} and can be had as PNG."
        )
    image = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    file = io.BytesIO()
    if kind == "png":
        image.save(file, "PNG", compress_level=3)
    else:
        image.save(file, "WEBP", lossless=True)
    return file.getvalue()
