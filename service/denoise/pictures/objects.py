"""Pictures as Python's objects: files' bytes, Pillow's images and NumPy's arrays; answers are of the kind that came."""

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from denoise.errors import BadTensor, UnsupportedKind
from denoise.pictures import RANGE_SLACK, Colours, Pixels, images, tiff, transparency
from denoise.pictures.images import Picture

Array = NDArray[Any]
PilImage = Image.Image
Object = str | PathLike[str] | bytes | PilImage | Array

# ITU-R BT.601, as Pillow has it.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
GREY, GREY_WITH_ALPHA, COLOUR, COLOUR_WITH_ALPHA = 1, 2, 3, 4
CHANNELS = {GREY, GREY_WITH_ALPHA, COLOUR, COLOUR_WITH_ALPHA}
WITH_ALPHA = {GREY_WITH_ALPHA, COLOUR_WITH_ALPHA}
DIMENSIONS_OF_GREY = 2
# Modes of Pillow whose colours are multiplied by their alpha, and those whose are not.
PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
SHAPES = "[height, width], alone or with a last dimension of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA), is taken"


def read(picture: Object, *, in_colour: bool) -> bytes | Picture:
    """A picture as `cleaning` takes it.

    Raises:
        UnsupportedKind: it is of no kind in Object, or a file of several pages.
        BadTensor: an array of a shape, or with values, that no picture has, or an image without pixels.
        OSError: the file at a path cannot be read.
    """
    match picture:
        case bytes():
            return _of_one_page(picture)
        case str() | PathLike():
            return _of_one_page(Path(picture).read_bytes())
        case Image.Image():
            if 0 in picture.size:
                raise BadTensor(f"The image has {picture.width}×{picture.height} pixels; there must be some.")
            straight = PREMULTIPLIED.get(picture.mode)
            return images.read_upright(picture.convert(straight) if straight else picture, in_colour)
        case np.ndarray():
            return _read_array(picture, in_colour)
    raise UnsupportedKind(
        f"A {type(picture).__name__} is no picture; a path, bytes, an image of Pillow and an array of NumPy are."
    )


def _of_one_page(content: bytes) -> bytes:
    if (pages := len(tiff.choose(content, None, tiff.MOST_PAGES))) > 1:
        raise UnsupportedKind(
            f"The file has {pages:,} pages, and one picture comes back; give each by itself, as Pillow's "
            "ImageSequence has them."
        )
    return content


def as_file(picture: Object, *, in_colour: bool) -> bytes:
    """A picture as a file's bytes: a PNG of 8 bits a sample, where it is no file yet. Raises as `read` does."""
    given = read(picture, in_colour=in_colour)
    if isinstance(given, bytes):
        return given
    return images.encode(given.grey if given.colours is None else given.colours, "png")


def write(shown: Pixels | Colours, like: Object) -> Any:
    """A picture as an object like another: a PNG's bytes, an image (of a path too), or an array.

    An array has the shape and the type of the other. Where that has channels and the picture is grey, they are all the
    same; alpha is opaque. Where that is grey, so is the answer.
    """
    if isinstance(like, bytes):
        return images.encode(shown, "png")
    if isinstance(like, np.ndarray):
        return _write_array(shown, like)
    values = shown if shown.dtype == np.uint8 else np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(values)


def split(pictures: object) -> list[Any] | None:
    """Several pictures as a list: of a list, a tuple, or an array `[count, height, width]`; None of a single one."""
    if isinstance(pictures, list | tuple):
        return list(pictures)
    if isinstance(pictures, np.ndarray) and pictures.ndim > DIMENSIONS_OF_GREY and pictures.shape[-1] not in CHANNELS:
        return list(pictures)
    return None


def _read_array(array: Array, in_colour: bool) -> Picture:
    """An array as a picture. Raises BadTensor."""
    channels = array.shape[2] if array.ndim > DIMENSIONS_OF_GREY else GREY
    if (
        array.size == 0
        or array.ndim - (array.ndim > DIMENSIONS_OF_GREY) != DIMENSIONS_OF_GREY
        or channels not in CHANNELS
    ):
        raise BadTensor(f"The array's shape is {list(array.shape)}; {SHAPES}.")
    values = np.divide(array, _white(array), dtype=np.float32).reshape(*array.shape[:2], channels)
    least, most = float(values.min()), float(values.max())
    if not (least >= -RANGE_SLACK and most <= 1 + RANGE_SLACK):  # This refuses NaN as well.
        raise BadTensor(f"The array has values from {least:g} to {most:g}; floats are taken from 0 to 1.")
    if channels == GREY:
        return Picture(values[..., 0])
    colours = values[..., :COLOUR] if channels >= COLOUR else np.repeat(values[..., :GREY], COLOUR, axis=2)
    if channels in WITH_ALPHA:
        alpha = values[..., -1]
        paper = transparency.find_paper(colours @ LUMA, alpha)
        colours = transparency.lay_over(colours, alpha[..., np.newaxis], paper)
    eight_bits = np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8) if in_colour else None
    return Picture(colours @ LUMA, eight_bits)


def _write_array(shown: Pixels | Colours, like: Array) -> Array:
    white, channels = _white(like), like.shape[2] if like.ndim > DIMENSIONS_OF_GREY else 0
    values = np.clip(np.divide(shown, _white(shown), dtype=np.float32), 0, 1)
    if values.ndim == DIMENSIONS_OF_GREY:
        values = np.repeat(values[..., np.newaxis], COLOUR if channels >= COLOUR else GREY, axis=2)
    elif channels < COLOUR:
        values = (values @ LUMA)[..., np.newaxis]
    if channels in WITH_ALPHA:
        values = np.concatenate([values, np.ones_like(values[..., :1])], axis=2)
    scaled = values if like.dtype.kind == "f" else np.rint(values * white)
    return scaled.astype(like.dtype).reshape(*values.shape[:2], *([channels] if channels else []))


def _white(array: Array) -> float:
    """The value of white in an array. Raises BadTensor."""
    if array.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return float(np.iinfo(array.dtype).max)
    if array.dtype.kind == "f":
        return 1.0
    raise BadTensor(f"The array's values are {array.dtype.name}; uint8, uint16 and floats, 0 … 1, are taken.")
