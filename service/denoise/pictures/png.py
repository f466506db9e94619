"""The plain kind of PNG (ISO/IEC 15948), without the detours of Pillow that take longer than a small model's run.

`_decode` calls the decoder and the encoder below `Image.frombytes` and `Image.tobytes` itself: with their images,
arguments and buffers around them, which nobody looks at here, they take twice as long. So it touches `new`,
`zip_decoder` and `raw_encoder` of `PIL._imaging` (Pillow 13), and no plain PNG can be read when one is renamed.
"""

import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging

from denoise.pictures import Pixels, capacity

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A zlib stream begins, and in it its last block, whose bytes are stored as they are.
STORED_BLOCK = b"\x78\x01\x01"
# A chunk has its length, its name and its checksum around its content.
CHUNK_BYTES = 12
# A plain file: how it starts, width, height, kind, checksum of these, length and name of the chunk with the pixels.
PLAIN_HEAD = struct.Struct(">16sII5sII4s")
PLAIN_START, PLAIN_KIND, PLAIN_END = SIGNATURE + b"\0\0\0\rIHDR", b"\x08\0\0\0\0", b"\0\0\0\0IEND"
CHECKSUM_OF_NAME = zlib.crc32(b"IDAT")
WHITE = np.float32(255)


def read_plain(content: bytes, max_pixels: int) -> Pixels | None:
    """The pixels of a PNG of 8 bits of grey with nothing beside its pixels; None when it is any other, or damaged.

    Pillow's usual way, which finds out the kind first, takes twice as long, and longer than a small model's run.
    """
    if len(content) < PLAIN_HEAD.size:
        return None
    start, width, height, kind, checksum, length, name = PLAIN_HEAD.unpack_from(content)
    if start != PLAIN_START or kind != PLAIN_KIND or name != b"IDAT":
        return None
    end = PLAIN_HEAD.size + length
    most = min(max_pixels, capacity.most_declared(length))
    if not 0 < width * height <= most or content[end + 4 : end + 12] != PLAIN_END:
        return None
    packed = content[PLAIN_HEAD.size : end]
    checksums = checksum, int.from_bytes(content[end : end + 4])
    if (zlib.crc32(content[12:29]), zlib.crc32(packed, CHECKSUM_OF_NAME)) != checksums:
        return None
    try:
        grey = _decode(packed, width, height)
    except ValueError:  # Where all kinds are opened the caller is told more of what is wrong.
        return None
    pixels = np.frombuffer(grey, np.uint8).reshape(height, width).astype(np.float32)
    pixels /= WHITE
    return pixels


def _decode(packed: bytes, width: int, height: int) -> bytes:
    """The bytes of a picture in 8 bits of grey, row by row. Raises ValueError when they are not all there."""
    image = _imaging.new("L", (width, height))
    decoder = _imaging.zip_decoder("L", "L", 0)
    decoder.setimage(image, (0, 0, width, height))
    rest, failure = decoder.decode(packed)
    if rest >= 0 or failure:
        raise ValueError("The picture is cut or damaged.")
    encoder = _imaging.raw_encoder("L", "L")
    encoder.setimage(image, (0, 0, width, height))
    grey: bytes = encoder.encode(width * height)[2]
    return grey


def drop_damaged_notes(content: bytes) -> bytes:
    """A PNG without those of its chunks that a picture can do without (ISO/IEC 15948, 5.4) and whose checksum is wrong.

    Decoders other than Pillow pass them over as well.
    """
    parts, at = [SIGNATURE], len(SIGNATURE)
    while (start := at) + CHUNK_BYTES <= len(content):
        at += CHUNK_BYTES + int.from_bytes(content[start : start + 4])
        name = content[start + 4 : start + 8]
        optional = name[:1].islower()
        if not optional or zlib.crc32(content[start + 4 : at - 4]) == int.from_bytes(content[at - 4 : at]):
            parts.append(content[start:at])
    return b"".join(parts)


class _Stored(NamedTuple):
    """What all PNGs of a size have that are not compressed.

    Attributes:
        before: all that comes before the lines of pixels.
        checksum: of the chunk with the pixels, as far as it has come then.
    """

    before: bytes
    checksum: int


def write_stored(grey: NDArray[np.uint8]) -> bytes:
    """A PNG without filters and without compression: a tenth of the time that Pillow takes for a small one.

    Its lines are one stored block of a zlib stream (RFC 1950 and 1951), which holds up to 65,535 bytes.
    """
    height, width = grey.shape
    before, checksum = _begin_stored(height, width)
    lines = np.zeros((height, 1 + width), np.uint8)  # Each line begins with the number of its filter, 0 for none.
    lines[:, 1:] = grey
    raw = lines.tobytes()
    sum_of_lines = zlib.adler32(raw).to_bytes(4)
    checksum = zlib.crc32(sum_of_lines, zlib.crc32(raw, checksum))
    return b"".join((before, raw, sum_of_lines, checksum.to_bytes(4), END))


@lru_cache
def _begin_stored(height: int, width: int) -> _Stored:
    size = height * (1 + width)
    pixels = b"".join((b"IDAT", STORED_BLOCK, struct.pack("<HH", size, size ^ 0xFFFF)))
    length = len(pixels) - len(b"IDAT") + size + 4
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return _Stored(b"".join((SIGNATURE, header, length.to_bytes(4), pixels)), zlib.crc32(pixels))


def _chunk(name: bytes, content: bytes) -> bytes:
    return b"".join((len(content).to_bytes(4), name, content, zlib.crc32(content, zlib.crc32(name)).to_bytes(4)))


END = _chunk(b"IEND", b"")
