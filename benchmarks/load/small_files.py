"""Small valid files of all kinds that are taken, made at random so that they hold much in few bytes.

They are blank and patterned, up to the largest picture, in every mode and packing. Some declare more than they hold.
"""

import io
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_BYTES = 10_000
LEAST_SIDE, LONGEST_SIDE, MOST_PIXELS = 8, 16_383, 50_000_000
# The default model without parameters is asked most.
QUERIES = ("", "", "", "", "?model=conv_dae", "?layout=strip", "?invert=true", "?size=native&model=easy_dae")
ACCEPTED = ("image/png", "image/png", "image/webp", "application/json")

Random = np.random.Generator
Grey = NDArray[np.uint8]


class Sample(NamedTuple):
    """A file, what it is, and what is asked for it."""

    content: bytes
    description: str
    query: str = ""
    accept: str = "image/png"


def make(random: Random) -> Sample:
    """A file of at most MOST_BYTES, and what is asked for it."""
    while True:
        content, description = KINDS[random.integers(len(KINDS))](random)
        if len(content) <= MOST_BYTES:
            query, accept = (str(random.choice(choices)) for choices in (QUERIES, ACCEPTED))
            return Sample(content, description, query, accept)


def noise(random: Random, side: int) -> Sample:
    """A square of `side` pixels that packs badly, to measure other files by."""
    image = Image.fromarray(random.integers(0, 256, (side, side), np.uint8))
    return Sample(save(image, "PNG"), f"PNG L {side}×{side} noise")


def picture(random: Random) -> tuple[bytes, str]:
    """A picture as Pillow writes it."""
    pattern, grey = draw(random, shape(random))
    kind, mode, options = WAYS[random.integers(len(WAYS))]
    image = Image.fromarray(grey)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(draw(random, grey.shape)[1]))
    elif mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    image = image if image.mode == mode else image.convert(mode)
    chosen = {name: values[random.integers(len(values))] for name, values in options.items()}
    return save(image, kind, **chosen), f"{kind} {mode} {grey.shape[1]}×{grey.shape[0]} {pattern} {chosen}"


WAYS: tuple[tuple[str, str, dict[str, tuple[object, ...]]], ...] = (
    ("PNG", "1", {"compress_level": (6, 9)}),
    ("PNG", "L", {"optimize": (False, True)}),
    ("PNG", "LA", {}),
    ("PNG", "P", {"bits": (1, 2, 4, 8)}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "I;16", {}),
    ("GIF", "L", {}),
    ("GIF", "P", {"transparency": (0,)}),
    ("TIFF", "1", {"compression": ("group3", "group4", "tiff_lzw", "packbits", "tiff_deflate", "lzma", "zstd")}),
    ("TIFF", "L", {"compression": ("tiff_lzw", "packbits", "tiff_deflate", "jpeg", "lzma", "zstd")}),
    ("TIFF", "RGBA", {"compression": ("tiff_lzw", "tiff_deflate", "lzma")}),
    ("TIFF", "CMYK", {"compression": ("tiff_lzw", "tiff_deflate", "lzma")}),
    ("TIFF", "I;16", {"compression": ("tiff_lzw", "tiff_deflate", "lzma")}),
    ("TIFF", "F", {"compression": ("tiff_lzw", "tiff_deflate")}),
    ("WEBP", "RGB", {"lossless": (True, False), "quality": (1, 80)}),
    ("WEBP", "RGBA", {"lossless": (True, False), "quality": (1, 80)}),
    ("JPEG", "L", {"quality": (1, 75), "progressive": (True, False), "optimize": (True,)}),
    ("JPEG", "RGB", {"quality": (1, 75), "progressive": (True, False), "optimize": (True,)}),
    ("JPEG", "CMYK", {"quality": (1,), "optimize": (True,)}),
    ("BMP", "1", {}),
    ("BMP", "RGB", {}),
    ("PPM", "L", {}),
    ("PPM", "1", {}),
)


def flip(random: Random) -> bool:
    """Heads or tails."""
    return bool(random.integers(2))


def shape(random: Random) -> tuple[int, int]:
    """Height and width: any area up to MOST_PIXELS, of any proportions, each order of magnitude as often."""
    area = LEAST_SIDE**2 * (MOST_PIXELS / LEAST_SIDE**2) ** random.random()
    height = min(max(area**0.5 * 4 ** random.normal(), 1), area)
    return min(max(1, int(height)), LONGEST_SIDE), min(max(1, int(area / height)), LONGEST_SIDE)


def draw(random: Random, shape: tuple[int, ...]) -> tuple[str, Grey]:
    """A picture that packs well, and its name."""
    name = list(PATTERNS)[random.integers(len(PATTERNS))]
    rows, columns = np.arange(shape[0])[:, np.newaxis], np.arange(shape[1])[np.newaxis]
    grey = np.broadcast_to(PATTERNS[name](rows, columns, random), shape)
    dark, light = sorted(random.integers(0, 256, 2)) if flip(random) else (0, 255)
    return name, np.where(grey, np.uint8(light), np.uint8(dark))


PATTERNS: dict[str, Callable[[NDArray[np.int64], NDArray[np.int64], Random], NDArray[np.bool_]]] = {
    "blank": lambda rows, columns, _: (rows + columns) < 0,
    "white": lambda rows, columns, _: (rows + columns) >= 0,
    "halves": lambda rows, columns, _: (rows < rows.size // 2) & (columns >= 0),
    "upright stripes": lambda rows, columns, random: (columns % random.integers(2, 40) == 0) & (rows >= 0),
    "level stripes": lambda rows, columns, random: (rows % random.integers(2, 40) == 0) & (columns >= 0),
    "checks": lambda rows, columns, random: ((rows // (n := random.integers(1, 40)) + columns // n) % 2) == 0,
    "specks far apart": lambda rows, columns, random: (
        (rows % (n := random.integers(80, 500)) == n // 2) & (columns % n == n // 2)
    ),
    "slanted": lambda rows, columns, random: (rows + columns) % random.integers(2, 60) == 0,
    "one speck": lambda rows, columns, _: (rows == rows.size // 2) & (columns == columns.size // 2),
    "noise": lambda rows, columns, random: random.random((rows.size, columns.size)) < random.choice([0.001, 0.5]),
}


def gif(random: Random) -> tuple[bytes, str]:
    """A GIF whose screen is larger than its frame."""
    frame, screen = shape(random), shape(random)
    if flip(random):  # A frame of little more than half.
        frame = screen[0], max(1, int(0.51 * screen[1]))
    pattern, grey = draw(random, frame)
    content = save(Image.fromarray(grey), "GIF")
    screen = max(frame[0], screen[0]), max(frame[1], screen[1])
    return content[:6] + struct.pack("<HH", *(min(side, 65_535) for side in reversed(screen))) + content[10:], (
        f"GIF {frame[1]}×{frame[0]} {pattern} on {screen[1]}×{screen[0]}"
    )


def tiff(random: Random) -> tuple[bytes, str]:
    """A TIFF packed by PackBits with many strips or tiles, some of which share their bytes."""
    width, rows = int(random.integers(1, 1024)) * 16, int(random.integers(1, 64)) * 16
    strips, tiled = int(random.integers(1, 1000)), flip(random)
    kept = int(random.choice([1, strips // 2 + 1, strips]))
    line = b"\x81" + bytes([int(random.integers(256))])  # 128 times the same.
    strip = line * (-(-width // 128) * rows)
    first = 8 + 8 * strips
    offsets = [first + number % kept * len(strip) for number in range(strips)]
    tags = [(256, 4, 1, width), (257, 4, 1, rows * strips), (258, 3, 1, 8), (259, 3, 1, 32773), (262, 3, 1, 1)]
    where, lengths = (324, 325) if tiled else (273, 279)
    sides = [(322, 4, 1, width), (323, 4, 1, rows)] if tiled else [(278, 4, 1, rows)]
    tags = sorted([*tags, (where, 4, strips, 8), (lengths, 4, strips, 8 + 4 * strips), *sides])
    if strips == 1:
        tags = [(tag, kind, 1, {where: first, lengths: len(strip)}.get(tag, value)) for tag, kind, _, value in tags]
    body = struct.pack(f"<{2 * strips}I", *offsets, *[len(strip)] * strips) + strip * kept
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    content = b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + bytes(4)
    return content, f"TIFF {width}×{rows * strips} of {strips} {'tiles' if tiled else 'strips'}, {kept} of them kept"


def jpeg_of_scans(random: Random) -> tuple[bytes, str]:
    """A JPEG whose last scan is there many times, or whose data end early."""
    pattern, grey = draw(random, shape(random))
    content = save(Image.fromarray(grey), "JPEG", quality=20, progressive=True, optimize=True)
    last = content.rindex(b"\xff\xda")
    if flip(random):
        first = content.index(b"\xff\xda")
        cut = content[: first + int(random.integers(12, 200))] + b"\xff\xd9"
        return cut, f"JPEG {grey.shape[1]}×{grey.shape[0]} {pattern} that ends early"
    times = int(random.integers(1, 199))
    return content[:-2] + content[last:-2] * times + b"\xff\xd9", (
        f"JPEG {grey.shape[1]}×{grey.shape[0]} {pattern} with {times} more scans"
    )


def webp_of_frames(random: Random) -> tuple[bytes, str]:
    """An animated WebP of two frames, the first of which may be smaller than the canvas."""
    canvas = shape(random)
    pattern, grey = draw(random, canvas)
    if flip(random):
        grey[1:, 1:] = grey[0, 0]
    frames = [Image.fromarray(frame).convert("RGB") for frame in (grey, 255 - grey)]
    content = save(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, minimize_size=True)
    return content, f"WebP {canvas[1]}×{canvas[0]} {pattern} animated"


def bmp_of_runs(random: Random) -> tuple[bytes, str]:
    """A BMP packed by RLE8, whose data end when they like."""
    height, width = shape(random)
    runs = b"\xff\x01\xff\x00" * int(random.integers(0, 2000)) + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 2, 0)
    palette = bytes([0, 0, 0, 0, 255, 255, 255, 0])
    start = 14 + len(header) + len(palette)
    head = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start)
    return head + header + palette + runs, f"BMP RLE8 {width}×{height} of {len(runs)} bytes of runs"


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file. Empty, where the kind cannot hold it or the packing is not there."""
    content = io.BytesIO()
    try:
        image.save(content, kind, **options)
    except (OSError, ValueError, RuntimeError):
        return bytes(MOST_BYTES + 1)
    return content.getvalue()


KINDS = (picture, picture, picture, picture, gif, tiff, jpeg_of_scans, webp_of_frames, bmp_of_runs)
