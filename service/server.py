"""The sockets and processes: what listens, how many processes answer, and how they end."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

import uvicorn

from service import denoiser, logs, metrics
from service.app import App, create_app
from service.errors import SetupError
from service.protocol import Protocol
from service.settings import Settings, cpus
from service.state import Service

SHUTDOWN_S = 10  # that requests still running get to finish, once nothing new is taken
MOST_ON_A_GPU = 4  # workers: each keeps its own copy of CUDA's state there
BACKLOG = 2048  # connections that wait to be accepted
MALLOC = {-8: 2, -3: 1 << 20, -1: 4 << 20}  # M_ARENA_MAX; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD in bytes
LEAST_LIFE_S = 1.0  # a worker that ends sooner is replaced only after as long

_claims: list[socket.socket] = []

log = logging.getLogger("service")


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
        proxy_headers=False,  # nothing here depends on what a proxy says of its caller
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
