"""One connection: HTTP as uvicorn speaks it, but all that a caller can make large or slow is bounded."""

import asyncio
import enum
import json
import re
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from denoise import metrics
from denoise.errors import Busy
from denoise.server.connections import Counts
from denoise.web import tags
from denoise.web.problems import RETRY_AFTER_S, STATUS, answer
from denoise.web.state import Service

# Of the head of a request, read without the parser: its path, its length, and what makes it one for the parser.
REQUEST_LINE = re.compile(rb"POST ([^ ?]+)(?:\?[^ ]*)? HTTP/1\.1\r\n")
LENGTH = re.compile(rb"(?i)content-length(?::[ \t]*(\d{1,12})[ \t]*(?=\r\n|$))?")
UNUSUAL = re.compile(rb"(?i)[\r\n](?:transfer-encoding|expect|upgrade|connection(?!:[ \t]*keep-alive[ \t]*(?:\r\n|$)))")
REQUEST_ID = re.compile(rb"(?i)\r\nx-request-id:([^\r\n]*)")
LOOKED_AT_S = 20.0  # four times in so long, or oftener, a connection is looked at


class Stage(enum.Enum):
    """Of a request, what a connection is to bring next."""

    NOTHING = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP, but connections, headers, and the time that all of it takes are bounded."""

    service: Service  # set before the first connection, as is
    image_routes: frozenset[str]
    counts: Counts

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called once per connection."""
        super().connection_made(transport)
        settings = self.service.settings
        self._stage = Stage.NOTHING
        self._since = self.loop.time()  # nothing has gone on
        self._silent_bytes = 0  # that came and were neither a whole head nor part of a body
        self._unread_since: float | None = None  # what is sent is not being read
        self._unread_bytes = 0
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._answered_early = False  # the request that is coming in has its answer before its end
        self._body_ahead = 0  # bytes still to come of a request that has been turned away
        self._pause = min(settings.idle_seconds, settings.upload_seconds, LOOKED_AT_S) / 4
        self._look_again = self.loop.call_later(self._pause, self._look)
        if len(self.connections) > settings.max_connections:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{settings.max_connections:,} connections are open; no more are taken."
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it is over."""
        self.counts.ended += 1
        self._look_again.cancel()
        self._read()
        super().connection_lost(exc)
        for cycle in self._unanswered:  # uvicorn tells the last one only
            cycle.disconnected = True
            cycle.message_event.set()

    def _look(self) -> None:
        """Ends what has taken too long."""
        self._look_again = self.loop.call_later(self._pause, self._look)
        settings, now = self.service.settings, self.loop.time()
        spent = now - self._since
        if self._unread_since is not None or self.transport.is_closing():
            if now - (self._unread_since or self._since) > settings.idle_seconds:
                self.transport.abort()
        elif self._stage is Stage.BODY and len(self._unanswered) <= 1:
            if spent > settings.upload_seconds:
                if self._unanswered:
                    self._refuse(
                        HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {settings.upload_seconds:g} s."
                    )
                else:  # it was answered without its body
                    self.transport.close()
        elif self._unanswered:
            self._since = now  # it is the service's turn
        elif spent > settings.idle_seconds:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Called with what has come."""
        while data and (following := self._turn_away(data)) is not None:
            data = following
        if not data:
            return
        self._silent_bytes += len(data)
        super().data_received(data)
        most = self.service.settings.max_header_bytes
        if self._silent_bytes > most and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers have more than {most:,} bytes.")

    def on_message_begin(self) -> None:
        """Called with the first byte of a request."""
        super().on_message_begin()
        self._stage, self._since, self._silent_bytes = Stage.HEAD, self.loop.time(), 0
        self._answered_early = False

    def on_headers_complete(self) -> None:
        """Called when all of its headers are there."""
        self._stage, self._since, self._silent_bytes = Stage.BODY, self.loop.time(), 0
        before = self.cycle
        super().on_headers_complete()
        self.headers = []  # trailers, which mean nothing here, must not become headers
        if self.cycle is not before:
            self._unanswered.append(self.cycle)
            if self.parser.get_method() != b"HEAD":
                self.cycle.send = _Send(self.cycle)  # type: ignore[method-assign]

    def on_body(self, body: bytes) -> None:
        """Called with each part of its body."""
        self._silent_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called when all of its body is there."""
        self._stage = Stage.NOTHING
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when a request has its answer."""
        self._unanswered.popleft()
        self._answered_early = self._stage is Stage.BODY and not self._unanswered
        self._since = self.loop.time()
        super().on_response_complete()
        if self._stage is Stage.BODY and self.expect_100_continue and not self.transport.is_closing():
            self.transport.close()  # the caller may not send it any more: what comes next could be either

    def pause_writing(self) -> None:
        """Called when what is sent is not read."""
        self._unread_since = self.loop.time()
        self._unread_bytes = self.transport.get_write_buffer_size()
        self.service.bodies.inside += self._unread_bytes  # until then it takes memory as what is being read does
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called when it is."""
        self._read()
        super().resume_writing()

    def _read(self) -> None:
        self.service.bodies.inside -= self._unread_bytes
        self._unread_since, self._unread_bytes = None, 0

    def send_400_response(self, msg: str) -> None:
        """Called with what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _turn_away(self, data: bytes) -> bytes | None:
        """Answers a picture that there is no room for at once, and gives what follows it; None when it is none.

        Neither the parser nor the app is called: they would take several times as long, of what those who are inside
        need. A request that is out of the ordinary goes their way all the same.
        """
        if self._body_ahead:
            following = data[self._body_ahead :]
            self._body_ahead = max(0, self._body_ahead - len(data))
            self._wait_for(Stage.BODY if self._body_ahead else Stage.NOTHING)
            return following
        service = self.service
        busy = self._stage is not Stage.NOTHING or self._unanswered or self._unread_since is not None
        if busy or service.pictures.far_from_full or service.draining or service.settings.api_keys:
            return None
        head, _, body = data.partition(b"\r\n\r\n")
        known = _usual(head, service.settings.max_header_bytes)
        if not known or known.path not in self.image_routes or known.length > service.settings.max_body_bytes:
            return None
        if len(head) == len(data) or self.transport.is_closing():
            return None
        if not service.pictures.full:
            if len(body) >= known.length:
                service.pictures.expect(self.loop)
            return None
        self._unset_keepalive_if_required()
        request_id = tags.request_id(known.request_id)
        self.transport.write(_refusal(service.pictures.sentence, known.path, request_id))
        metrics.count_refusal(Busy.__name__)
        tags.log_answer(service, known.path, request_id, STATUS[Busy], {}, 0.0)
        self._body_ahead = max(0, known.length - len(body))
        self._wait_for(Stage.BODY if self._body_ahead else Stage.NOTHING)
        return body[known.length :]

    def _wait_for(self, stage: Stage) -> None:
        if stage is Stage.NOTHING or self._stage is not stage:
            self._since = self.loop.time()
        self._stage = stage

    def _unsupported_upgrade_warning(self) -> None:
        """Called when a caller would rather speak another protocol: it is answered in this one, which is no event."""

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answers the request that is coming in, before or instead of the app, and hangs up."""
        if self._answered_early:
            self.transport.close()
            return
        if len(self._unanswered) > (self._stage is Stage.BODY):  # not before an earlier one has its answer
            self._unanswered[-1].keep_alive = False
            self.flow.pause_reading()
            return
        known = dict(self.scope["headers"]) if self._stage is Stage.BODY else {}
        path = self.scope.get("path", "") if self._stage is Stage.BODY else ""  # none where the URL is no URL
        request_id = tags.request_id(known.get(b"x-request-id", b"").decode("latin-1"))
        metrics.count_refusal(status.phrase.title().replace(" ", ""))
        self.transport.write(_problem(status, sentence, path, request_id, ("connection: close",)))
        self.transport.close()


class _Send:
    """The `send` of a request's app, which holds the head of an answer until the body comes, and sends both at once.

    A process that is killed between the two would leave an answer that is begun, which no balancer can have another
    process give; each caller would be woken twice; and uvicorn's own `send` takes longer than a small model's run.
    """

    __slots__ = ("cycle", "start")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.cycle = cycle
        self.start: HTTPResponseStartEvent | None = None

    async def __call__(self, message: ASGISendEvent) -> None:
        """ASGI."""
        if message["type"] == "http.response.start" and not self.cycle.response_started:
            self.start = message  # in the place of another one, where the app failed before its body
            return
        start, self.start = self.start, None
        if start and message["type"] == "http.response.body" and self._at_once(start, message):
            return
        if start:
            await RequestResponseCycle.send(self.cycle, start)
        await RequestResponseCycle.send(self.cycle, message)

    def _at_once(self, start: HTTPResponseStartEvent, message: HTTPResponseBodyEvent) -> bool:
        """Sends an answer of known length whole. Gives False, and sends nothing, where there is anything else to it."""
        cycle, body = self.cycle, message.get("body", b"")
        if message.get("more_body") or cycle.flow.write_paused or cycle.disconnected:
            return False
        content = [STATUS_LINE[start["status"]]]
        length = None
        for name, value in (*cycle.default_headers, *start.get("headers", ())):
            content += name, b": ", value, b"\r\n"
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                return False
        if length != len(body):
            return False
        content += b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body
        cycle.transport.write(b"".join(content))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


class _Post(NamedTuple):
    """What a request's head tells of it."""

    path: str
    length: int  # of its body, bytes
    request_id: str


@lru_cache(maxsize=64)  # those who are turned away come back with the same
def _usual(head: bytes, most: int) -> _Post | None:
    """A POST whose body has a known length, read without the parser; None where there is anything else to it."""
    line, lengths = REQUEST_LINE.match(head), LENGTH.findall(head)
    if not line or len(lengths) != 1 or not lengths[0] or UNUSUAL.search(head) or len(head) > most:
        return None
    sent = REQUEST_ID.search(head)
    return _Post(line[1].decode("latin-1"), int(lengths[0]), sent[1].decode("latin-1").strip() if sent else "")


def _refusal(sentence: str, path: str, request_id: str) -> bytes:
    """A whole answer to a picture that there is no room for."""
    blank = "~" * len(request_id)
    return _blank_refusal(sentence, path, blank).replace(blank.encode(), request_id.encode())


@lru_cache(maxsize=64)
def _blank_refusal(sentence: str, path: str, request_id: str) -> bytes:
    return _problem(STATUS[Busy], sentence, path, request_id)


def _problem(status: HTTPStatus, sentence: str, path: str, request_id: str, headers: Sequence[str] = ()) -> bytes:
    """A whole answer, as the app would give it."""
    told, media_type = answer(status, sentence, path, request_id)
    body = json.dumps(told, separators=(",", ":"))
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"content-type: {media_type}", f"content-length: {len(body)}"]
    lines += [f"x-request-id: {request_id}", *headers]
    if status in RETRY_AFTER_S:
        lines.append(f"retry-after: {RETRY_AFTER_S[status]}")
    return "\r\n".join([*lines, "", body]).encode()
