"""The samples of an image that has been opened, of any mode, as grey and as colours. Knows Pillow's images."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from denoise.pictures import Colours, Pixels, ranges, tiff, transparency

SIXTEEN_BITS = 65535.0


def read(image: Image.Image, in_colour: bool) -> tuple[Pixels, Colours | None]:
    """An image's grey (ITU-R BT.601's luma), and its colours where they are wanted and there are any.

    Transparency is laid over black or white, whichever leaves the ink visible. Raises BrokenBody where a sample is no
    finite number, and what Pillow raises.
    """
    if (wide := _wide_grey(image)) is not None:
        return wide, None
    if image.has_transparency_data:
        return _over_paper(image, in_colour)
    if image.mode == "LAB":
        return _luma(image.getchannel("L")), None
    if image.mode in ("1", "L"):
        return _luma(image), None
    # Pillow has no direct way to grey from CMYK, palettes and the like.
    image = image.convert("RGB")
    return _luma(image), np.asarray(image) if in_colour else None


def _wide_grey(image: Image.Image) -> Pixels | None:
    """The grey of an image whose samples are more than bytes; None for any other."""
    if (samples := tiff.grey(image)) is not None:
        return samples
    if image.mode == "F":
        return ranges.scale_unknown(np.asarray(image, np.float32), ranges.OF_FLOATS)
    # Pillow reads a 16-bit PGM as 32 bits.
    if image.mode not in ("I", "I;16", "I;16B", "I;16L"):
        return None
    values = np.asarray(image, np.float32)
    grey = ranges.scale(values, SIXTEEN_BITS)
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    alpha = (values != clear).astype(np.float32)
    return transparency.lay_over(grey, alpha, transparency.find_paper(grey, alpha))


def _over_paper(image: Image.Image, in_colour: bool) -> tuple[Pixels, Colours | None]:
    inked = image.convert("RGBA")
    alpha = np.asarray(inked.getchannel("A"), np.float32) / np.float32(255)
    inked = inked.convert("RGB")
    grey = _luma(inked)
    colours: Colours | None = np.asarray(inked) if in_colour else None
    # Windows' programs leave the fourth byte of a BMP's pixels 0, and mean nothing by it.
    if image.format == "BMP" and not alpha.any():
        return grey, colours
    paper = transparency.find_paper(grey, alpha)
    if colours is not None:
        laid = transparency.lay_over(colours.astype(np.float32), alpha[:, :, None], 255 * paper)
        colours = np.rint(laid).astype(np.uint8)
    return transparency.lay_over(grey, alpha, paper), colours


def _luma(image: Image.Image) -> Pixels:
    grey: NDArray[np.uint8] = np.asarray(image if image.mode == "L" else image.convert("L"))
    return np.divide(grey, 255, dtype=np.float32)
