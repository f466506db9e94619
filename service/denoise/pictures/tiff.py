"""What the tags of a TIFF (revision 6.0) say of it before it is decoded. Knows Pillow's TIFF images."""

from collections.abc import Iterable

from PIL import Image, TiffImagePlugin

from denoise.errors import BrokenBody, UnsupportedKind

BITS, TILE_WIDTH, TILE_HEIGHT = 258, 322, 323
OFFSETS, LENGTHS = (273, 324), (279, 325)


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


def _numbers(image: TiffImagePlugin.TiffImageFile, tags: Iterable[int]) -> list[int]:
    """The numbers that a TIFF has under any of these tags."""
    values = [image.tag_v2.get(tag, ()) for tag in tags]
    return [int(number) for value in values for number in (value if isinstance(value, tuple) else (value,))]
