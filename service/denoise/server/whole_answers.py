"""An answer of known length is written at once, head and body together.

uvicorn writes the head when it is there, and the body after it. A process that is killed between the two leaves an
answer that is begun, which no balancer can have another process give. Each caller is also woken twice, and uvicorn's
own `send` takes longer than a small model's run.
"""

from collections.abc import Callable

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle


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
        cycle.transport.write(b"".join((*head, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._close()
        cycle.on_response()
        return True


def _head(start: HTTPResponseStartEvent, cycle: RequestResponseCycle, size: int) -> list[bytes] | None:
    """The parts of an answer's head; None where it is not that of an answer of `size` bytes, or cannot be sent.

    May find that the connection is to close, which it tells the cycle.
    """
    content = [STATUS_LINE[start["status"]]]
    length, closes = None, False
    headers = [*cycle.default_headers, *start.get("headers", ())]
    for name, value in headers:
        lower = name.lower()
        content += lower, b": ", value, b"\r\n"
        if lower == b"content-length":
            length = int(value)
        elif lower == b"connection":
            closes = closes or b"close" in [token.lower().strip() for token in value.split(b",")]
        elif lower == b"transfer-encoding":
            return None
    if length != size:
        return None
    names, values = map(b"".join, zip(*headers, strict=True))
    if HEADER_RE.search(names) or HEADER_VALUE_RE.search(values):
        return None
    if closes:
        cycle.keep_alive = False
    content.append(b"\r\n" if cycle.keep_alive or closes else b"connection: close\r\n\r\n")
    return content
