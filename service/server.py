"""The sockets and processes: what listens, how many processes answer, and how they end."""

import asyncio
import contextlib
import ctypes
import enum
import gc
import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service import denoiser, logs, metrics
from service.app import App, create_app, request_id_of, told
from service.errors import Busy, SetupError
from service.problems import RETRY_AFTER_S, STATUS, answer
from service.settings import Settings, cpus
from service.state import Service

SHUTDOWN_S = 10  # that requests still running get to finish, once nothing new is taken
MOST_ON_A_GPU = 4  # workers: each keeps its own copy of CUDA's state there
LOOKED_AT_S = 20.0  # four times in so long, or oftener, a connection is looked at
BACKLOG = 2048  # connections that wait to be accepted
MALLOC = {-8: 2, -3: 1 << 20, -1: 4 << 20}  # M_ARENA_MAX; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD in bytes
LEAST_LIFE_S = 1.0  # a worker that ends sooner is replaced only after as long

_claims: list[socket.socket] = []

log = logging.getLogger("service")


class Stage(enum.Enum):
    """Of a request, what a connection is to bring next."""

    NOTHING = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP, but connections, headers, and the time that all of it takes are bounded."""

    service: Service  # set before the first connection, as is
    image_routes: frozenset[str]

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
        self._turned_away = False  # the request that is coming in
        self._pause = min(settings.idle_seconds, settings.upload_seconds, LOOKED_AT_S) / 4
        self._look_again = self.loop.call_later(self._pause, self._look)
        if len(self.connections) > settings.max_connections:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{settings.max_connections:,} connections are open; no more are taken."
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it is over."""
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
        self._silent_bytes += len(data)
        super().data_received(data)
        most = self.service.settings.max_header_bytes
        if self._silent_bytes > most and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers have more than {most:,} bytes.")

    def on_message_begin(self) -> None:
        """Called with the first byte of a request."""
        super().on_message_begin()
        self._stage, self._since, self._silent_bytes = Stage.HEAD, self.loop.time(), 0

    def on_headers_complete(self) -> None:
        """Called when all of its headers are there."""
        self._stage, self._since, self._silent_bytes = Stage.BODY, self.loop.time(), 0
        self._turned_away = False
        self._turned_away = self._turn_away()
        if self._turned_away:
            return
        before = self.cycle
        super().on_headers_complete()
        self.headers = []  # trailers, which mean nothing here, must not become headers
        if self.cycle is not before:
            self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Called with each part of its body."""
        self._silent_bytes = 0
        if not self._turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called when all of its body is there."""
        self._stage = Stage.NOTHING
        if not self._turned_away:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when a request has its answer."""
        self._unanswered.popleft()
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

    def _turn_away(self) -> bool:
        """Answers a picture that there is no room for without calling the app, which would take several times as long.

        What is out of the ordinary goes to the app, which finds out for itself.
        """
        service = self.service
        if not service.pictures.full or service.draining or service.settings.api_keys:
            return False
        path = self.url.partition(b"?")[0].decode("ascii", "replace")
        usual = self.parser.get_method() == b"POST" and self.parser.get_http_version() == "1.1"
        waiting = self._unanswered or self.expect_100_continue or self._unread_since is not None
        if path not in self.image_routes or not usual or waiting or not self.parser.should_keep_alive():
            return False
        request_id = request_id_of(dict(self.headers).get(b"x-request-id", b"").decode("latin-1"))
        self.transport.write(_problem(STATUS[Busy], service.pictures.sentence, path, request_id))
        metrics.refused(Busy.__name__)
        told(service, path, request_id, STATUS[Busy], {}, 0.0)
        return True

    def _unsupported_upgrade_warning(self) -> None:
        """Called when a caller would rather speak another protocol: it is answered in this one, which is no event."""

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answers the request that is coming in, before or instead of the app, and hangs up."""
        if self._turned_away:  # it has had its answer
            self.transport.close()
            return
        if len(self._unanswered) > (self._stage is Stage.BODY):  # not before an earlier one has its answer
            self._unanswered[-1].keep_alive = False
            self.flow.pause_reading()
            return
        known = dict(self.scope["headers"]) if self._stage is Stage.BODY else {}
        path = self.scope.get("path", "") if self._stage is Stage.BODY else ""  # none where the URL is no URL
        request_id = request_id_of(known.get(b"x-request-id", b"").decode("latin-1"))
        metrics.refused(status.phrase.title().replace(" ", ""))
        self.transport.write(_problem(status, sentence, path, request_id, ("connection: close",)))
        self.transport.close()


def _problem(status: HTTPStatus, sentence: str, path: str, request_id: str, headers: Sequence[str] = ()) -> bytes:
    """A whole answer, as the app would give it."""
    told, media_type = answer(status, sentence, path, request_id)
    body = json.dumps(told, separators=(",", ":"))
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"content-type: {media_type}", f"content-length: {len(body)}"]
    lines += [f"x-request-id: {request_id}", *headers]
    if status in RETRY_AFTER_S:
        lines.append(f"retry-after: {RETRY_AFTER_S[status]}")
    return "\r\n".join([*lines, "", body]).encode()


class Server(uvicorn.Server):
    """Uvicorn, but SIGTERM first turns `/readyz` to 503 and leaves load balancers the drain time to look elsewhere.

    A second SIGTERM, or Ctrl-C, stops at once: what is being answered is finished, then the exit status is 0. SIGHUP
    loads the models anew.
    """

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self.app = app
        self.service: Service = app.state.service
        self.service.requests = self.server_state.tasks
        self._reloading: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn calls it as a handler
        """Called on SIGINT and SIGTERM."""
        if self.should_exit:
            self.force_exit = True
        elif sig == signal.SIGTERM and not self.service.draining:
            self.service.draining = True
            log.info("Draining for %g s.", self.service.settings.drain_seconds)
            drained = threading.Timer(self.service.settings.drain_seconds, setattr, (self, "should_exit", True))
            drained.daemon = True
            drained.start()
        else:
            self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called before the first connection."""
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self.app.reload())


def serve(settings: Settings) -> None:
    """Serves until it is told to stop. Raises SetupError when the settings, the models or the device do not hold."""
    logs.start(settings.log)
    settings = settings.model_copy(update={"workers": settings.workers or workers()})
    listeners = _listeners(settings)
    if len(listeners) == 1:
        _wait_for_hangups()
        _work(settings, listeners[0])
    else:
        Workers(settings, listeners).run()


class Workers:
    """Processes that each serve a socket of their own at one address; the kernel spreads connections over the sockets.

    This process holds the sockets as well, so that what has connected to a worker that died waits for its successor.
    """

    def __init__(self, settings: Settings, listeners: list[socket.socket]) -> None:
        self.settings, self.listeners = settings, listeners
        self.processes: dict[int, SpawnProcess] = {}  # by the number of their socket
        self.born: dict[int, float] = {}
        self.lifelines: dict[int, Connection] = {}  # closed when this process ends
        self.serving: set[int] = set()  # of which that is known
        self.stopping = False

    def run(self) -> None:
        """Starts them, replaces those that die, hands signals on, and returns when all have ended."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._hand_on)
        with tempfile.TemporaryDirectory(prefix="denoise-") as counts:
            os.environ[metrics.FOLDER] = counts  # the workers find it there
            self._run(Path(counts))

    def _run(self, counts: Path) -> None:
        self._start(0)
        failure = self._told(0)  # a fault in the set-up is told once
        if failure is not None:
            raise SetupError(failure)
        self.serving.add(0)
        for number in range(1, len(self.listeners)):
            self._start(number)
        while self.processes:
            wait([process.sentinel for process in self.processes.values()])
            for number, process in list(self.processes.items()):
                if not process.is_alive():
                    del self.processes[number]
                    metrics.ended(process.pid or 0, counts)
                    self._replace(number, process)

    def _replace(self, number: int, process: SpawnProcess) -> None:
        if self.stopping:
            return
        log.error("Worker %d ended with %s and is replaced.", process.pid, process.exitcode)
        if number not in self.serving and self._told(number) is not None:
            # It never served: until one does, no connection may wait for it.
            self.listeners[number].close()
            self.listeners[number] = _bound(self.settings, self.listeners[number - 1].getsockname()[1])
        time.sleep(max(0, self.born[number] + LEAST_LIFE_S - time.monotonic()))
        self._start(number)

    def _start(self, number: int) -> None:
        if self.stopping:
            return
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_worker, args=(self.settings, self.listeners[number], theirs, number == 0))
        process.start()
        theirs.close()
        self.serving.discard(number)
        self.processes[number], self.born[number], self.lifelines[number] = process, time.monotonic(), ours
        if self.stopping:  # told while it was being made
            process.terminate()

    def _told(self, number: int) -> str | None:
        """What a worker says once it has started: None when it serves, else why it does not."""
        try:
            told: str | None = self.lifelines[number].recv()
        except EOFError:
            return None if self.stopping else "A worker ended while it started."
        return told

    def _hand_on(self, sig: int, _frame: FrameType | None) -> None:
        if sig != getattr(signal, "SIGHUP", None):
            self.stopping = True
            for listener in self.listeners:  # a worker that has drained is then the last to hold its own
                listener.close()
        for process in list(self.processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid or 0, sig)


def workers() -> int:
    """How many processes serve best here."""
    if sys.platform != "linux":  # elsewhere the kernel gives one of the sockets nearly everything
        return 1
    return min(cpus(), MOST_ON_A_GPU) if denoiser.CUDA in denoiser.providers() else cpus()


def _worker(settings: Settings, listener: socket.socket, parent: Connection, greet: bool) -> None:
    _wait_for_hangups()
    os.setpgrp()  # Ctrl-C reaches the parent alone, which hands it on
    try:
        _work(settings, listener, parent, greet)
    except SetupError as error:
        log.error("A worker cannot start. %s", error)  # noqa: TRY400  # the sentence says it all
        parent.send(str(error))
        sys.exit(1)


def _wait_for_hangups() -> None:
    """Until the server has its own way with SIGHUP, it must not end the process."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _return_memory() -> None:
    """Has glibc give large blocks back to the system, and all threads share two arenas (mallopt(3)).

    By default each of the threads that large pictures are worked on in may keep what the largest one took.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        for option, value in MALLOC.items():
            ctypes.CDLL(None).mallopt(option, value)


def _work(settings: Settings, listener: socket.socket, parent: Connection | None = None, greet: bool = True) -> None:
    """One process's whole life."""
    _return_memory()
    logs.start(settings.log)
    app = create_app(settings)
    service: Service = app.state.service
    with _address_named(settings):  # another service may have taken it while the models were loading
        listener.listen(BACKLOG)
    if greet:
        _greet(service, listener)
    config = uvicorn.Config(
        app,
        http=type("BoundedProtocol", (Protocol,), {"service": service, "image_routes": frozenset(app.straight)}),
        log_config=None,
        ws="none",
        access_log=False,  # a line of our own tells more
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.idle_seconds,  # type: ignore[arg-type]  # seconds for a timer
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    gc.collect()
    gc.freeze()  # what lives as long as the process need not be looked at again and again
    server = Server(config, app)
    if parent:
        parent.send(None)
        threading.Thread(target=_outlive, args=(parent, server), daemon=True).start()
    server.run(sockets=[listener])
    metrics.count()


def _outlive(parent: Connection, server: Server) -> None:
    """Ends the worker when its parent has gone."""
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    server.should_exit = True


def _listeners(settings: Settings) -> list[socket.socket]:
    """Sockets bound to the address, one per worker, before any model is loaded: a port in use is found at once."""
    assert settings.workers
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listeners: list[socket.socket] = []
    port = settings.port
    with _address_named(settings):
        if settings.workers > 1 and port:  # sockets that share a port would also share it with another service
            _claim(settings.host, port)
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((settings.host, port))
        for _ in range(settings.workers):
            listeners.append(_bound(settings, port))
            port = listeners[0].getsockname()[1]
    return listeners


def _claim(host: str, port: int) -> None:
    """Holds a name that only one process can have, for as long as this one lives.

    Of two services that start at the same moment, neither has bound anything when the other one looks.
    """
    claim = socket.socket(socket.AF_UNIX)
    claim.bind(f"\0denoise {host}:{port}")  # an abstract name (unix(7)): it ends with the process
    _claims.append(claim)


def _bound(settings: Settings, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.workers != 1:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((settings.host, port))
    return listener


@contextmanager
def _address_named(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}; "
            "DENOISE_HOST and DENOISE_PORT name another address."
        ) from None


def _greet(service: Service, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    for model in service.denoisers.values():
        log.info("%s (%s) runs on %s, self-check within %.1g", model.name, model.task, model.provider, model.difference)
    task = next(task for task, name in service.defaults.items() if name)
    print(
        f"Serving on {url} (documentation: {url}/docs). Try:\n"
        f"  curl --data-binary @tests/digits/noisy_7.png -H 'Content-Type: image/png' '{url}/{task}' -o clean.png",
        flush=True,
    )
