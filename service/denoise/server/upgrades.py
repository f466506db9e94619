"""A request that offers to go on in another protocol: `Upgrade: h2c` by Java's HttpClient or `curl --http2`.

The parser stops behind the head of such a request, and uvicorn loses its body. An offer may be ignored (RFC 9110,
section 7.8): a new parser begins with the same head, as the first one has read it, without the offer.
"""

from collections.abc import Iterable

import httptools


def without_offer(parser: httptools.HttpRequestParser, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head that a parser has read, without what it offers."""
    lines = [b"%b %b HTTP/%b" % (parser.get_method(), url, parser.get_http_version().encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def new_parser(protocol: object) -> httptools.HttpRequestParser:
    """A parser, set as uvicorn sets its own."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
