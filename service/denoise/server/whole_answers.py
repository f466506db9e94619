"""An answer of known length is written at once, head and body together.

uvicorn writes the head when it is there, and the body after it. A process that is killed between the two leaves an
answer that is begun, which no balancer can have another process give. Each caller is also woken twice, and uvicorn's
own `send` takes longer than a small model's run.
"""

from collections.abc import Callable
from functools import lru_cache

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

# All bytes that a header's value may have, as HEADER_VALUE_RE has them.
PERMITTED = bytes(byte for byte in range(256) if not HEADER_VALUE_RE.match(bytes([byte])))
END_OF_LINE = b"\r\n"
# What stands in the place of a header's name that is none.
NO_NAME = b""
# To join a head to a body of so many bytes takes longer than to hand over both.
LARGE_BODY = 65_536
NEVER_WHOLE = (NO_NAME, b"transfer-encoding: ")


class WholeAnswer:
    """The `send` of a request's app, which holds the head of an answer until its body comes."""

    __slots__ = ("_close", "_cycle", "_start")

    def __init__(self, cycle: RequestResponseCycle, close: Callable[[], None]) -> None:
        """`close` ends the connection after an answer that is its last."""
        self._cycle, self._close = cycle, close
        self._start: HTTPResponseStartEvent | None = None

    async def __call__(self, message: ASGISendEvent) -> None:
        """ASGI's `send`."""
        if message["type"] == "http.response.start" and not self._cycle.response_started:
            self._start = message  # An app that failed before its body sends another start, which counts.
            return
        start, self._start = self._start, None
        if start and message["type"] == "http.response.body" and self._write(start, message):
            return
        if start:
            await RequestResponseCycle.send(self._cycle, start)
        await RequestResponseCycle.send(self._cycle, message)

    def _write(self, start: HTTPResponseStartEvent, message: HTTPResponseBodyEvent) -> bool:
        """Writes an answer of known length. Gives False, and writes nothing, where it is uvicorn's to do or refuse."""
        cycle, body = self._cycle, message.get("body", b"")
        if message.get("more_body") or cycle.flow.write_paused or cycle.disconnected:
            return False
        head = _head(start, cycle, len(body))
        if head is None:
            return False
        if len(body) > LARGE_BODY:
            cycle.transport.writelines((head, body))
        else:
            cycle.transport.write(head + body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._close()
        cycle.on_response()
        return True


def _head(start: HTTPResponseStartEvent, cycle: RequestResponseCycle, size: int) -> bytes | None:
    """An answer's head; None where it is not that of an answer of `size` bytes, or cannot be sent.

    May find that the connection is to close, which it tells the cycle.
    """
    content = [STATUS_LINE[start["status"]]]
    length, closes = None, False
    for name, value in (*cycle.default_headers, *start.get("headers", ())):
        opening = _open_line(name)
        content += opening, value, END_OF_LINE
        if opening == b"content-length: ":
            length = int(value)
        elif opening == b"connection: ":
            closes = closes or b"close" in [token.lower().strip() for token in value.split(b",")]
        elif opening in NEVER_WHOLE:
            return None
    if length != size or b"".join(content[2::3]).translate(None, PERMITTED):
        return None
    if closes:
        cycle.keep_alive = False
    content.append(END_OF_LINE if cycle.keep_alive or closes else b"connection: close\r\n\r\n")
    return b"".join(content)


@lru_cache
def _open_line(name: bytes) -> bytes:
    """How the line of a header begins; NO_NAME where that is no name."""
    return NO_NAME if HEADER_RE.search(name) else name.lower() + b": "
