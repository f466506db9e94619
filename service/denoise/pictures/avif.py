"""How large the frames of an AVIF really are, before any is decoded.

libavif decodes what is there, however large that is, and shrinks it to the size that the file declares. The formats are
ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (where each item lies) and AV1's bitstream (5.3 and 5.5).
"""

from collections.abc import Iterator

from denoise.errors import UnsupportedKind

# Encoders may pad a frame by this factor, and small ones by more.
MOST_PADDING, SMALL_FRAME = 2, 256 * 256
META, LOCATIONS, DATA = b"meta", b"iloc", b"idat"
# A picture of a telephone has some fifty items; what lies behind so many bytes of their places is not looked at.
LOCATION_BYTES = 32 * 1024
HEADER_BYTES = 100
# Boxes lie in files and in other boxes a few at a time.
MOST_BOXES = 1000
DELIMITER, SEQUENCE_HEADER = 2, 1


class _Bits:
    """Gives numbers of so many bits, one after the other; behind the end there are zeros."""

    def __init__(self, content: bytes) -> None:
        self._value, self.left = int.from_bytes(content), 8 * len(content)

    def skip(self, count: int) -> None:
        self.left -= count

    def __call__(self, count: int) -> int:
        self.skip(count)
        return (self._value >> self.left if self.left >= 0 else 0) & ((1 << count) - 1)


def check_frames(content: bytes, width: int, height: int) -> None:
    """Refuses an AVIF that holds a frame larger than the picture it declares. Raises UnsupportedKind."""
    for start in _items(content):
        across, down = _frame(content[start : start + HEADER_BYTES])
        if across * down > max(MOST_PADDING * width * height, SMALL_FRAME):
            raise UnsupportedKind(f"The AVIF declares {width}×{height} pixels, and holds a frame of {across}×{down}.")


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two places: name, start and end of what is in each. Raises UnsupportedKind for too many."""
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return
        size, name, start = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(content[start : start + 8]), start + 8
        stop = min(at + size, end) if size else end
        yield name, start, stop
        at = max(stop, start)
    raise UnsupportedKind(f"The AVIF has more than {MOST_BOXES:,} boxes one after another.")


def _items(content: bytes) -> Iterator[int]:
    """Where each item of the file begins."""
    metas = [(start, end) for name, start, end in _boxes(content, 0, len(content)) if name == META]
    if len(metas) > 1:
        raise UnsupportedKind("The AVIF has several boxes of metadata, and a file has one.")
    for start, end in metas:
        inside = {name: (at, stop) for name, at, stop in _boxes(content, start + 4, end)}
        if LOCATIONS in inside:
            at, stop = inside[LOCATIONS]
            yield from _places(content[at : min(stop, at + LOCATION_BYTES)], inside.get(DATA, (0, 0))[0])


def _places(locations: bytes, data: int) -> Iterator[int]:
    """The places in an `iloc`; `data` is where those begin that are counted from there."""
    bits = _Bits(locations)
    version, _ = bits(8), bits(24)
    offset, length, base, index = (8 * bits(4) for _ in range(4))
    number = 32 if version > 1 else 16
    index = index if version else 0
    for _ in range(bits(number)):
        bits(number)
        within = bits(16) & 15 if version else 0
        bits(16)
        start = bits(base)
        extents = bits(16)
        if bits.left < 0:  # The file may claim any number of items.
            return
        if extents:
            bits(index)
            yield start + bits(offset) + (data if within else 0)
            bits.skip(length + (extents - 1) * (index + offset + length))


def _frame(item: bytes) -> tuple[int, int]:
    """The largest width and height that an item's sequence header allows; zeros where it has none."""
    at = 0
    while at + 2 <= len(item) and item[at] & 0x80 == 0:
        kind, extended, sized = item[at] >> 3 & 15, item[at] >> 2 & 1, item[at] >> 1 & 1
        at += 1 + extended
        size = item[at] if sized and at < len(item) else 0  # Longer ones are no headers.
        at += sized
        if kind == SEQUENCE_HEADER:
            return _largest(_Bits(item[at:]))
        if kind != DELIMITER:
            break
        at += size
    return 0, 0


def _largest(bits: _Bits) -> tuple[int, int]:
    """What a sequence header says before the largest width and height, and these."""
    bits(3 + 1)
    if bits(1):  # A still picture may have a short form.
        bits(5)
    else:
        delay = _skip_timing(bits)
        initial = bits(1)
        for _ in range(bits(5) + 1):
            bits(12)
            if bits(5) > 7:  # noqa: PLR2004  # From this level on there are two tiers.
                bits(1)
            if delay and bits(1):
                bits(2 * delay + 1)
            if initial and bits(1):
                bits(4)
    across, down = bits(4) + 1, bits(4) + 1
    return bits(across) + 1, bits(down) + 1


def _skip_timing(bits: _Bits) -> int:
    """Reads the timing, and gives the number of bits of a delay; 0 where there are none."""
    if not bits(1):
        return 0
    bits(64)
    if bits(1):
        zeros = 0
        while bits.left > 0 and not bits(1):
            zeros += 1
        bits(zeros)
    if not bits(1):
        return 0
    delay = bits(5) + 1
    bits(32 + 5 + 5)
    return delay
