"""One connection: HTTP as uvicorn speaks it, kept in order where a caller is slow or greedy, or the service is full.

What uvicorn lacks has a file each in this folder; here all of it meets the parser's events. uvicorn also tells only the
last of several requests that their caller has gone, and an answer to one who is still sending is lost with the reset.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from denoise.server.crowd import PLACES_FOR_PROBES, PROBES, TOO_MANY, make_room
from denoise.server.half_closed import SignsOfLife
from denoise.server.limits import Limits, Stage, Verdict
from denoise.server.refusals import Refusals, refuse
from denoise.server.unread import HeldBytes, unread_bytes
from denoise.server.upgrades import new_parser, without_offer
from denoise.server.whole_answers import WholeAnswer

MOST_PIPELINED = 100  # So many requests of one connection wait for their answers; it ends with the last of them.
LINGER_S = 2.0  # What a caller still sends is read and dropped for this long, so that it can read why.


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP; its methods are called by the event loop and by the parser."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        app_state: dict[str, Any],
        refusals: Refusals,
        on_lost: Callable[[], None],
    ) -> None:
        """`on_lost` is called when the connection is over."""
        super().__init__(config, state, app_state, asyncio.get_running_loop())
        self._refusals, self._on_lost = refusals, on_lost
        self._service = refusals.service
        self._limits = Limits(self._service.settings, self.loop.time())
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._incoming: RequestResponseCycle | None = None  # Its body is not all there.
        self._answered_early = False  # The request that is coming in has its answer before its end.
        self._offers_upgrade = False
        self._is_surplus = False  # There was no place for it but as a probe.
        self._is_deaf = False  # Nothing that comes means anything any more.
        self._is_ending = False  # The last answer has been written.
        self._held = HeldBytes(self._service.bodies)
        self._signs: SignsOfLife | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called once."""
        super().connection_made(transport)
        self._next_look = self.loop.call_later(self._limits.interval_s, self._look)
        surplus = len(self.connections) - self._service.settings.max_connections
        self._is_surplus = surplus > 0 and not self._make_room()
        if self._is_surplus and surplus > PLACES_FOR_PROBES:
            self.transport.write(self._no_place())
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called once, at the end."""
        self._next_look.cancel()
        self._held.hold(0)
        if self._signs:
            self._signs.stop()
        super().connection_lost(exc)
        self._tell_gone()
        self._on_lost()

    def _tell_gone(self) -> None:
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    def _look(self) -> None:
        """Ends what has taken too long."""
        self._next_look = self.loop.call_later(self._limits.interval_s, self._look)
        now = self.loop.time()
        if self.flow.write_paused or self.transport.is_closing():
            self._limits.note_unread(unread_bytes(self.transport), now)
        verdict = self._limits.verdict(now, len(self._unanswered))
        if verdict is Verdict.ABORT:
            self.transport.abort()
        elif verdict is Verdict.CLOSE:
            self.transport.close()
        elif verdict is Verdict.REFUSE_BODY and not self._is_ending:
            limit = f"{self._service.settings.upload_seconds:g} s"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {limit}.")

    def _make_room(self) -> bool:
        return make_room(cast("set[Connection]", self.connections) - {self}, self.loop.time())

    def silent_since(self) -> float | None:
        """As a Member of the crowd."""
        return self._limits.silent_since(len(self._unanswered))

    def give_way(self) -> None:
        """As a Member of the crowd."""
        self.connections.discard(self)
        asks = self._limits.stage is not Stage.REQUEST and not self._answered_early
        if asks and len(self._unanswered) <= 1 and not self.flow.write_paused:
            self.transport.write(self._no_place())
            self._is_deaf = True
            self.transport.close()
        else:
            self.transport.abort()

    def _no_place(self) -> bytes:
        return refuse(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY.format(self._service.settings.max_connections), "", "")

    def data_received(self, data: bytes) -> None:
        """Called with what has come."""
        if self._is_deaf:
            return
        self._limits.note_bytes(len(data))
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._limits.head_is_endless and not self._is_deaf:
            self._refuse_head()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._parse_without_offer(data[stop.args[0] :])
        except httptools.HttpParserError:
            if not self._is_deaf:
                self._refuse(HTTPStatus.BAD_REQUEST, "Invalid HTTP request received.")

    def _parse_without_offer(self, rest: bytes) -> None:
        """Has a parser, which stops behind an offer to upgrade, begin again with that head without the offer."""
        if not self._offers_upgrade:
            self._refuse(HTTPStatus.BAD_REQUEST, "CONNECT is for proxies, which this service is none of.")
            return
        self._offers_upgrade = False
        head = without_offer(self.parser, self.url, self.headers)
        self.parser = new_parser(self)
        self._parse(head + rest)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's gives None: it closes
        """Called when the caller sends no more; gives whether it may still wait for an answer."""
        asks = self._unanswered and (self._limits.stage is Stage.REQUEST or self._is_deaf)
        if self._is_ending or not asks or self._unanswered[0].scope["http_version"] == "1.0":  # It has no interim ones.
            return False
        self._unanswered[-1].keep_alive = False
        self._signs = SignsOfLife(self.transport, self._answer_has_not_begun)
        return True

    def _answer_has_not_begun(self) -> bool:
        is_over = self._is_ending or self.transport.is_closing() or not self._unanswered
        return not is_over and not self._unanswered[0].response_started

    def on_message_begin(self) -> None:
        """Called with the first byte of a request."""
        super().on_message_begin()
        self._limits.enter(Stage.HEAD, self.loop.time())
        self._answered_early = False

    def on_headers_complete(self) -> None:
        """Called when the parser has judged all of its headers."""
        method = self.parser.get_method()
        if len(self._unanswered) >= MOST_PIPELINED:
            self._unanswered[-1].keep_alive, self._is_deaf = False, True
        if self._is_deaf or self.transport.is_closing():  # What comes behind the last answer gets none.
            self._is_deaf = True
            return
        if self._limits.head_is_too_large(method, self.url, self.headers):
            self._refuse_head()
            return
        self._offers_upgrade = self.parser.should_upgrade() and method != b"CONNECT"
        if self._offers_upgrade:
            return
        self._limits.enter(Stage.BODY, self.loop.time())
        if self._refuse_place() or self._refuse_picture():
            return
        super().on_headers_complete()
        self.headers = []  # Trailers, which mean nothing here, must not become headers.
        self._incoming = self.cycle
        self._unanswered.append(self.cycle)
        if self.scope["method"] != "HEAD":
            self.cycle.send = WholeAnswer(self.cycle, self._end)  # type: ignore[method-assign]

    def on_body(self, body: bytes) -> None:
        """Called with each part of its body, as the parser frames it."""
        self._limits.note_body(self.loop.time())
        if not self._answered_early and not self._is_deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called when all of its body is there."""
        if self._is_deaf or self._offers_upgrade:
            return
        self._limits.enter(Stage.REQUEST, self.loop.time())
        self._incoming = None
        if self._answered_early:
            return
        if self.scope["path"] in self._refusals.image_routes and self.scope["method"] == "POST":
            self._refusals.count_arrival(self.loop)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when a request has its answer."""
        vars(self._unanswered.popleft()).pop("send", None)  # Each holds the other, and only the collector frees such.
        body_is_coming = self._limits.stage is Stage.BODY
        self._answered_early = body_is_coming and not self._unanswered
        self._limits.since = self.loop.time()
        if self._is_ending:
            return
        super().on_response_complete()
        if body_is_coming and self.expect_100_continue:
            self._end()  # The caller may not send it any more: what comes next could be either.

    def pause_writing(self) -> None:
        """Called when too much of what is sent is not read."""
        self._limits.note_unread(unread_bytes(self.transport), self.loop.time())
        self._held.hold(self.transport.get_write_buffer_size())
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called when it is."""
        self._limits.note_unread(None, self.loop.time())
        self._held.hold(0)
        super().resume_writing()

    def _path(self) -> str:
        return str(httptools.parse_url(self.url).path, "ascii")

    def _sent_id(self) -> str:
        return dict(self.scope["headers"]).get(b"x-request-id", b"").decode("latin-1")

    def _refuse_place(self) -> bool:
        """Answers a request, other than a probe, on a connection that there is no place for; gives whether it did."""
        most = self._service.settings.max_connections
        if not self._is_surplus or len(self.connections) <= most or self._make_room() or self._path() in PROBES:
            return False
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY.format(most))
        return True

    def _refuse_picture(self) -> bool:
        """Answers a picture that there is no room for; gives False where it is none, or the app is to answer.

        Its body is dropped as it comes. Behind an answer that is not written or not read yet the app waits its turn.
        """
        if self._unanswered or self.flow.write_paused or not self._refusals.full:
            return False
        path = self._path()
        if path not in self._refusals.image_routes or self.parser.get_method() != b"POST":
            return False
        is_old = self.parser.get_http_version() == "1.0"
        keep_alive = self.parser.should_keep_alive() and not is_old and not self.expect_100_continue
        self.transport.write(self._refusals.refuse_picture(path, self._sent_id(), keep_alive))
        self._answered_early, self.headers = True, []
        if not keep_alive:
            self._end()
        return True

    def _refuse_head(self) -> None:
        sentence = f"The headers have more than {self._service.settings.max_header_bytes:,} bytes."
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, sentence)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answers the request that is coming in, before or instead of the app, and hangs up."""
        self._is_deaf = True
        if self._incoming and len(self._unanswered) > 1:  # It waits behind others, for what will never come.
            self.pipeline.remove(next(waiting for waiting in self.pipeline if waiting[0] is self._incoming))
            self._unanswered.remove(self._incoming)
            self._incoming = None
        if self._unanswered and not self._incoming:  # An earlier one gets its answer first.
            self._unanswered[-1].keep_alive = False
            return
        if not self._answered_early and not (self._incoming and self._incoming.response_started):
            head_is_known = self._limits.stage is Stage.BODY
            path = self.scope.get("path", "") if head_is_known else ""  # A URL that is none has no path.
            self.transport.write(refuse(status, sentence, path, self._sent_id() if head_is_known else ""))
        self._end()

    def _end(self) -> None:
        """Ends the connection behind its last answer, but while the caller may still be sending only after a moment.

        Closing with something unread resets the connection, and most clients then never see the answer: first only the
        sending side is closed, and what comes is read and dropped (RFC 9112, section 9.6).
        """
        if self._is_ending or self.transport.is_closing():
            return
        self._is_ending = True
        if self._limits.stage is Stage.REQUEST and not self._is_deaf:
            self.transport.close()
            return
        self._is_deaf = True
        self._tell_gone()
        self.pipeline.clear()
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
