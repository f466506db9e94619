"""Bodies that come packed (RFC 9110, 8.4), undone within a limit."""

import zlib

from denoise.errors import BrokenBody, TooLarge, UnsupportedKind

# With one of these as its Content-Encoding a body is not packed.
NONE = ("", "identity")
# These numbers are in zlib's manual; by RFC 9110 `deflate` has zlib's header, and `x-gzip` is `gzip`.
WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
TAKEN = "gzip and deflate"


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The body under a Content-Encoding, of at most `limit` bytes.

    Raises:
        UnsupportedKind: the encoding is neither gzip nor deflate.
        TooLarge: there are more bytes.
        BrokenBody: it is cut or damaged.
    """
    if encoding not in WINDOW_BITS:
        raise UnsupportedKind(f"Content-Encoding {encoding[:100]} is not taken; {TAKEN} are.")
    unpacker = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise BrokenBody(f"The body is no {encoding}: {error}.") from None
    if len(content) > limit:
        raise TooLarge(f"The body has more than {limit:,} bytes when unpacked; at most so many are taken.")
    if not unpacker.eof or unpacker.unused_data:
        raise BrokenBody(f"The {encoding} of the body is cut, or something follows it.")
    return content
