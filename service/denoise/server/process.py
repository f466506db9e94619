"""One process that serves: what it listens to, and how it ends."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import uvicorn

if sys.platform != "win32":
    import resource

from denoise import logs
from denoise.errors import SetupError
from denoise.inference import denoiser
from denoise.machine import cpus
from denoise.server.connection import Connection as HttpConnection
from denoise.server.connections import Inbox, Listener, Source
from denoise.server.refusals import Refusals
from denoise.server.workers import Workers
from denoise.settings import Settings
from denoise.web.app import App, create_app
from denoise.web.state import Service

SHUTDOWN_S = 10  # that requests still running get to finish, once nothing new is taken
MOST_ON_A_GPU = 4  # workers: each keeps its own copy of CUDA's state there
BACKLOG = 2048  # connections that wait to be accepted
MOST_TAKEN = 64  # connections, in a turn of the loop
PAUSE_S = 0.1  # until it is looked again whether a file can be opened
SPARE_FILES = 200  # that a process may have open besides its connections
MALLOC = {-8: 2, -3: 1 << 20, -1: 4 << 20}  # M_ARENA_MAX; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD in bytes

log = logging.getLogger("denoise")


class Server(uvicorn.Server):
    """Uvicorn, but SIGTERM first turns `/readyz` to 503 and leaves load balancers the drain time to look elsewhere.

    A second SIGTERM, or Ctrl-C, stops at once: what is being answered is finished, then the exit status is 0. SIGHUP
    loads the models anew.
    """

    def __init__(self, config: uvicorn.Config, app: App, source: Source) -> None:
        super().__init__(config)
        self.app, self.source = app, source
        self.service: Service = app.state.service
        self.service.requests = self.server_state.tasks
        self._refusals = Refusals(self.service, app.short_way)
        self._reloading: asyncio.Task[None] | None = None
        self._joining: set[asyncio.Task[Any]] = set()

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
        self._look()

    def _look(self) -> None:
        if self.should_exit:
            return
        asyncio.get_running_loop().add_reader(self.source.fileno(), self._take)

    def _take(self) -> bool:
        """Lets those in that have connected, and tells whether there may be more.

        Uvloop itself lets one in per turn of the loop, and a turn may be as long as a run.
        """
        loop = asyncio.get_running_loop()
        try:
            for _ in range(MOST_TAKEN):
                connection = self.source.take()
                if connection is None:
                    return False
                joining = loop.create_task(loop.connect_accepted_socket(self._connection, connection))
                self._joining.add(joining)
                joining.add_done_callback(self._joining.discard)
        except EOFError:
            return False
        except OSError:  # too many files are open: who has connected waits
            loop.remove_reader(self.source.fileno())
            loop.call_later(PAUSE_S, self._look)
            return False
        return True

    def _connection(self) -> HttpConnection:
        return HttpConnection(self.config, self.server_state, self.lifespan.state, self._refusals, self._forget)

    def _forget(self) -> None:
        self.source.counts.ended += 1

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called when no more is to be taken."""
        asyncio.get_running_loop().remove_reader(self.source.fileno())
        while self._take():
            pass
        self.source.shut()
        while self._take():
            pass
        await asyncio.gather(*self._joining)
        await super().shutdown(sockets)

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self.app.reload())


def serve(settings: Settings) -> None:
    """Serves until it is told to stop. Raises SetupError when the settings, the models or the device do not hold."""
    logs.start(settings.log)
    settings = settings.model_copy(update={"workers": settings.workers or workers()})
    listener = _bound(settings)
    if settings.workers == 1:
        _work(settings, listener)
    elif hasattr(socket, "send_fds"):
        Workers(settings, listener, _work_for).run(partial(_listen, settings, listener))
    else:
        raise SetupError(
            f"DENOISE_WORKERS={settings.workers} cannot be used: this system has no way to share them out."
        )


def workers() -> int:
    """How many processes serve best here."""
    if sys.platform != "linux":  # on which alone several have been seen
        return 1
    return min(cpus(), MOST_ON_A_GPU) if denoiser.CUDA in denoiser.providers() else cpus()


def _return_memory() -> None:
    """Has glibc give large blocks back to the system, and all threads share two arenas (mallopt(3)).

    By default each of the threads that large pictures are worked on in may keep what the largest one took.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        for option, value in MALLOC.items():
            ctypes.CDLL(None).mallopt(option, value)


def _work(settings: Settings, listening: socket.socket) -> None:
    """The whole life of one process that serves by itself."""
    server = _server(settings, Listener(listening))
    _listen(settings, listening, _greeting(server.service))
    server.run(sockets=[])


def _work_for(settings: Settings, inbox: Inbox, parent: Connection, first: bool) -> None:
    """The whole life of one of several."""
    server = _server(settings, inbox)
    parent.send(_greeting(server.service) if first else "")
    threading.Thread(target=_outlive, args=(parent, server), daemon=True).start()
    server.run(sockets=[])


def _server(settings: Settings, source: Source) -> Server:
    """All of it, loaded and proved. Raises SetupError."""
    if hasattr(signal, "SIGHUP"):  # until there is a way with it, it must not end the process
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _return_memory()
    logs.start(settings.log)
    app = create_app(_with_files(settings))
    config = uvicorn.Config(
        app,
        log_config=None,
        ws="none",
        access_log=False,  # a line of our own tells more
        server_header=False,
        proxy_headers=False,  # nothing here depends on what a proxy says of its caller
        timeout_keep_alive=settings.idle_seconds,  # type: ignore[arg-type]  # seconds for a timer
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = Server(config, app, source)
    gc.collect()
    gc.freeze()  # what lives as long as the process need not be looked at again and again
    return server


def _with_files(settings: Settings) -> Settings:
    """Has the system allow a file for each connection, or has the settings allow no more connections than it does."""
    if sys.platform == "win32":  # which has no such limit
        return settings
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("The system allows a process %d files: it takes %d connections.", hard, allowed - SPARE_FILES)
    return settings.model_copy(update={"max_connections": max(1, allowed - SPARE_FILES)})


def _outlive(parent: Connection, server: Server) -> None:
    """Ends the worker when its parent has gone."""
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    server.should_exit = True


def _bound(settings: Settings) -> socket.socket:
    """A socket bound to the address, before any model is loaded: a port in use is found at once."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with _address_named(settings):
        listener.bind((settings.host, settings.port))
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


def _greeting(service: Service) -> str:
    """What is told once it listens, with URL in the place of where."""
    for model in service.denoisers.values():
        log.info("%s (%s) runs on %s, self-check within %.1g", model.name, model.task, model.provider, model.difference)
    task = next(task for task, name in service.defaults.items() if name)
    return (
        "Serving on URL (documentation: URL/docs). Try:\n"
        f"  curl --data-binary @tests/digits/noisy_7.png -H 'Content-Type: image/png' 'URL/{task}' -o clean.png"
    )


def _listen(settings: Settings, listener: socket.socket, greeting: str) -> None:
    with _address_named(settings):  # another service may have taken it while the models were loading
        listener.listen(BACKLOG)
    host, port = listener.getsockname()[:2]
    print(greeting.replace("URL", f"http://{f'[{host}]' if ':' in host else host}:{port}"), flush=True)
