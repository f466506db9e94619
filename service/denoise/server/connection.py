"""One connection: HTTP as uvicorn speaks it, kept in order where a caller is slow or greedy, or the service is full.

What uvicorn lacks has a file each: limits of time and size (limits.py), refusals that cost little (refusals.py), and
answers in one piece (whole_answers.py). Here they meet the parser's events. uvicorn also tells only the last of several
requests that their caller has gone; here all of them hear it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from denoise.server.limits import Limits, Stage, Verdict
from denoise.server.refusals import Refusals, refuse
from denoise.server.whole_answers import WholeAnswer


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
        self._unread_bytes = 0
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._answered_early = False  # the request that is coming in has its answer before its end

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called once."""
        super().connection_made(transport)
        self._next_look = self.loop.call_later(self._limits.interval_s, self._look)
        most = self._service.settings.max_connections
        if len(self.connections) > most:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{most:,} connections are open; no more are taken.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called once, at the end."""
        self._next_look.cancel()
        self._release_unread()
        super().connection_lost(exc)
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._on_lost()

    def _look(self) -> None:
        """Ends what has taken too long."""
        self._next_look = self.loop.call_later(self._limits.interval_s, self._look)
        verdict = self._limits.verdict(self.loop.time(), len(self._unanswered), self.transport.is_closing())
        if verdict is Verdict.ABORT:
            self.transport.abort()
        elif verdict is Verdict.CLOSE:
            self.transport.close()
        elif verdict is Verdict.REFUSE_BODY:
            seconds = self._service.settings.upload_seconds
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {seconds:g} s.")

    def data_received(self, data: bytes) -> None:
        """Called with what has come."""
        self._limits.note_bytes(len(data))
        super().data_received(data)
        if self._limits.head_is_too_large and not self.transport.is_closing():
            most = self._service.settings.max_header_bytes
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers have more than {most:,} bytes.")

    def on_message_begin(self) -> None:
        """Called with the first byte of a request."""
        super().on_message_begin()
        self._limits.enter(Stage.HEAD, self.loop.time())
        self._answered_early = False

    def on_headers_complete(self) -> None:
        """Called when the parser has judged all of its headers."""
        self._limits.enter(Stage.BODY, self.loop.time())
        if self.transport.is_closing():  # the last answer has gone out: what comes behind it gets none
            self._answered_early = True
        if self._answered_early or self._refuse_picture():
            return
        super().on_headers_complete()
        self.headers = []  # trailers, which mean nothing here, must not become headers
        self._unanswered.append(self.cycle)
        if self.scope["method"] != "HEAD":
            self.cycle.send = WholeAnswer(self.cycle, self.transport.close)  # type: ignore[method-assign]

    def on_body(self, body: bytes) -> None:
        """Called with each part of its body, as the parser frames it."""
        self._limits.note_body()
        if not self._answered_early:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called when all of its body is there."""
        self._limits.enter(Stage.REQUEST, self.loop.time())
        if self._answered_early:
            return
        if self.scope["path"] in self._refusals.image_routes and self.scope["method"] == "POST":
            self._refusals.count_arrival(self.loop)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when a request has its answer."""
        self._unanswered.popleft()
        body_is_coming = self._limits.stage is Stage.BODY
        self._answered_early = body_is_coming and not self._unanswered
        self._limits.since = self.loop.time()
        super().on_response_complete()
        if body_is_coming and self.expect_100_continue and not self.transport.is_closing():
            self.transport.close()  # the caller may not send it any more: what comes next could be either

    def pause_writing(self) -> None:
        """Called when what is sent is not read."""
        self._limits.unread_since = self.loop.time()
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._service.bodies.inside += self._unread_bytes  # it takes memory as a body does
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called when it is."""
        self._release_unread()
        super().resume_writing()

    def _release_unread(self) -> None:
        self._service.bodies.inside -= self._unread_bytes
        self._limits.unread_since, self._unread_bytes = None, 0

    def send_400_response(self, msg: str) -> None:
        """Called with what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Called when a caller would rather speak another protocol: it is answered in this one, which is no event."""

    def _sent_id(self) -> str:
        """The request's id as its caller gave it, "" where none did."""
        return dict(self.scope["headers"]).get(b"x-request-id", b"").decode("latin-1")

    def _refuse_picture(self) -> bool:
        """Answers a picture that there is no room for; gives False where it is none, or the app is to answer.

        Its body is dropped as it comes. Behind an answer that is not written or not read yet the app waits its turn.
        """
        if self._unanswered or self.flow.write_paused or not self._refusals.full:
            return False
        path = httptools.parse_url(self.url).path.decode("ascii")
        if path not in self._refusals.image_routes or self.parser.get_method() != b"POST":
            return False
        keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        keep_alive = keep_alive and not self.expect_100_continue  # the caller may or may not send the body now
        self.transport.write(self._refusals.refuse_picture(path, self._sent_id(), keep_alive))
        self._answered_early = True
        self.headers = []
        if not keep_alive:
            self.transport.close()
        return True

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answers the request that is coming in, before or instead of the app, and hangs up."""
        if self._answered_early:
            self.transport.close()
            return
        head_is_known = self._limits.stage is Stage.BODY
        if len(self._unanswered) > head_is_known:  # an earlier one gets its answer first
            self._unanswered[-1].keep_alive = False
            self.flow.pause_reading()
            return
        path = self.scope.get("path", "") if head_is_known else ""  # a URL that is none has no path
        self.transport.write(refuse(status, sentence, path, self._sent_id() if head_is_known else ""))
        self.transport.close()
