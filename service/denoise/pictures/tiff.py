"""What the tags of a TIFF (revision 6.0) say of it before it is decoded. Knows Pillow's TIFF images."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, TiffImagePlugin

from denoise.errors import BrokenBody, UnsupportedKind
from denoise.pictures import Pixels, ranges

BITS, PHOTOMETRIC, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT = 258, 262, 322, 323, 339
OFFSETS, LENGTHS = (273, 324), (279, 325)
# Values of PHOTOMETRIC and SAMPLE_FORMAT.
WHITE_IS_ZERO, SIGNED = 0, 2
BYTE_BITS, LARGEST_WIDE_BITS = 8, 16


def tile(image: Image.Image) -> tuple[int, int]:
    """Width and height of the tiles that a TIFF is decoded in; zeros for one without, and for other images."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 0, 0
    return int(image.tag_v2.get(TILE_WIDTH, 0)), int(image.tag_v2.get(TILE_HEIGHT, 0))


def check_own_bytes(image: Image.Image, size: int) -> None:
    """Refuses a TIFF of `size` bytes whose strips or tiles share their bytes, or lie behind them.

    Raises:
        BrokenBody: the file is cut.
        UnsupportedKind: its strips share their bytes.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if image.tile and image.tile[0][0] == "raw":
        bits = sum(_numbers(image, (BITS,))) or 1
        lengths = [image.height * (image.width * bits // 8)]
    else:
        lengths = _numbers(image, LENGTHS)
    starts = _numbers(image, OFFSETS)
    if max((start + length for start, length in zip(starts, lengths, strict=False)), default=0) > size:
        raise BrokenBody(f"The TIFF is cut: it has {size:,} bytes, and its picture lies behind them.")
    if sum(lengths) > size:
        raise UnsupportedKind(
            f"The TIFF's {len(lengths):,} strips or tiles take {sum(lengths):,} bytes, and the file has "
            f"{size:,}: they share them."
        )


def grey(image: Image.Image) -> Pixels | None:
    """The samples of a TIFF that Pillow hands on as they are, scaled; None where it has made grey of them, or colours.

    Integers of up to 16 bits have the range of their bits. Wider ones have the range of 8, 16 or 32 bits, whichever is
    the first that holds them; so have floats, which may also reach to 1.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    bits = max(_numbers(image, (BITS,)), default=1)
    signed = SIGNED in _numbers(image, (SAMPLE_FORMAT,))
    scaled: Pixels | None = None
    if image.mode == "F":
        scaled = ranges.scale_unknown(np.asarray(image, np.float32), ranges.OF_FLOATS)
    elif image.mode == "I" and bits > LARGEST_WIDE_BITS:
        values = np.asarray(image).view(np.int32 if signed else np.uint32).astype(np.float32)
        scaled = ranges.scale_unknown(values, ranges.OF_INTEGERS)
    elif image.mode in ("I", "L") and signed:
        values = np.asarray(image).astype(f"i{bits // BYTE_BITS}").astype(np.float32)
        scaled = ranges.scale(values, 2.0 ** (bits - 1))
    elif image.mode.startswith("I;16"):
        scaled = ranges.scale(np.asarray(image, np.float32), 2.0**bits - 1)
    if scaled is not None and WHITE_IS_ZERO in _numbers(image, (PHOTOMETRIC,)):
        return 1 - scaled
    return scaled


def _numbers(image: TiffImagePlugin.TiffImageFile, tags: Iterable[int]) -> list[int]:
    """The numbers that a TIFF has under any of these tags."""
    values = [image.tag_v2.get(tag, ()) for tag in tags]
    return [int(number) for value in values for number in (value if isinstance(value, tuple) else (value,))]
