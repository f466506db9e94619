"""One process that serves: its connections, its signals, and how it ends."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection as Pipe
from types import FrameType
from typing import Any

import uvicorn

from denoise import logs
from denoise.errors import SetupError
from denoise.inference import onnx_runner
from denoise.machine import allow_files, cpus, return_memory_early
from denoise.server.connection import Connection
from denoise.server.listener import Listener, Slot, bind, listen
from denoise.server.refusals import Refusals
from denoise.server.workers import Workers
from denoise.settings import Settings, unknown
from denoise.web.app import App, create_app
from denoise.web.state import Service

SHUTDOWN_S = 10  # Requests still running get this long to finish, once nothing new is taken.
MOST_WORKERS_ON_A_GPU = 4  # Each keeps its own copy of CUDA's state there.
CONNECTIONS_PER_TURN = 64
FILES_PAUSE_S = 0.1
TURN_PAUSE_S = 0.005
SPARE_FILES = 200  # A process may have as many open besides its connections.
FEWEST_FILES = 64  # Fewer are not enough for Python, the models and a connection.

log = logging.getLogger("denoise")


class Server(uvicorn.Server):
    """Uvicorn, but SIGTERM first turns `/readyz` to 503 and leaves load balancers the drain time to look elsewhere.

    A second SIGTERM meanwhile, or Ctrl-C, ends that time: what is being answered is finished, then the exit status is
    0; one more signal drops it. SIGHUP loads the models anew. uvloop itself takes one connection per turn of the loop,
    which may be as long as a run; here it takes all that have come, as far as they are this worker's.
    """

    def __init__(self, config: uvicorn.Config, app: App, listener: Listener) -> None:
        super().__init__(config)
        self.app, self.listener = app, listener
        self.service: Service = app.state.service
        self.service.requests = self.server_state.tasks
        self._refusals = Refusals(self.service, app.short_way)
        self._reloading: asyncio.Task[None] | None = None
        self._joining: set[asyncio.Task[Any]] = set()
        self._is_watching = False
        self._drained_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn calls it as a handler
        """Called on SIGINT and SIGTERM, amid whatever the process does: what it may be in the middle of is left alone.

        A log line that was written from here while another one was being written raised an error.
        """
        if self.should_exit:
            self.force_exit = True
        elif sig == signal.SIGTERM and not self.service.draining:
            self.service.draining = True
        else:
            self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called before the first connection."""
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second until it is to end."""
        self._show()
        if self.service.draining:
            self._drain()
        if not self._is_watching and self.listener.listens:
            self._is_watching = True
            self._watch()
        return await super().on_tick(counter)

    def _drain(self) -> None:
        """Ends the process once it has been draining for its time, which begins when this is first called."""
        seconds = self.service.settings.drain_seconds
        if self._drained_at is None:
            self._drained_at = time.monotonic() + seconds
            log.info("Draining for %g s.", seconds)
        if time.monotonic() >= self._drained_at:
            self.should_exit = True

    def _show(self) -> None:
        self.listener.show(len(self.server_state.connections) + len(self._joining))

    def _watch(self) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(self.listener.fileno(), self._take)

    def _take(self) -> None:
        """Lets those in that have connected, as far as it is this worker's turn."""
        for _ in range(CONNECTIONS_PER_TURN):
            if not self.listener.has_turn():
                self._pause(TURN_PAUSE_S)
                return
            try:
                if not self._take_one():
                    return
            except OSError:  # Too many files are open, or nobody listens yet: who has connected waits.
                self._pause(FILES_PAUSE_S)
                return

    def _take_one(self) -> bool:
        """Lets one in; False when nobody has connected. Raises OSError when the system cannot open another file."""
        taken = self.listener.accept()
        if taken is None:
            return False
        loop = asyncio.get_running_loop()
        joining = loop.create_task(loop.connect_accepted_socket(self._connection, taken))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)
        self._show()
        return True

    def _pause(self, seconds: float) -> None:
        """Leaves connections to others, or for later."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.listener.fileno())
        loop.call_later(seconds, self._watch)

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state, self._refusals, self._show)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called when no more is to be taken."""
        asyncio.get_running_loop().remove_reader(self.listener.fileno())
        with contextlib.suppress(OSError):  # No file can be opened for them.
            while self._take_one():
                pass
        self.listener.close()
        await asyncio.gather(*self._joining, return_exceptions=True)
        await super().shutdown(sockets)

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self.app.reload())


def serve(settings: Settings) -> None:
    """Serves until it is told to stop. Raises SetupError when the settings, the models or the device do not hold."""
    logs.start(settings.log)
    for sentence in unknown(os.environ):
        log.warning("%s", sentence)
    settings = settings.model_copy(update={"workers": settings.workers or best_worker_count()})
    settings = _fit_connections(settings)
    listening = bind(settings)
    if settings.workers == 1:
        _serve_alone(settings, listening)
    elif sys.platform == "win32":
        raise SetupError(f"DENOISE_WORKERS={settings.workers} cannot be used: this system has no signals for them.")
    else:
        Workers(settings, listening, _serve_as_worker).run(lambda greeting: _greet(settings, listening, greeting))


def best_worker_count() -> int:
    """How many processes serve best here."""
    if sys.platform != "linux":  # Running several has been tried on Linux only.
        return 1
    return min(cpus(), MOST_WORKERS_ON_A_GPU) if onnx_runner.has_cuda() else cpus()


def _fit_connections(settings: Settings) -> Settings:
    """The settings, with no more connections than the system allows files for. Raises SetupError for next to none."""
    wanted = settings.max_connections + SPARE_FILES
    allowed = allow_files(wanted)
    if allowed < FEWEST_FILES:
        raise SetupError(f"The system allows a process {allowed} open files; it takes {FEWEST_FILES} (see ulimit -n).")
    connections = max(allowed - SPARE_FILES, allowed // 4)
    if connections >= settings.max_connections:
        return settings
    log.warning("The system allows a process %d files: it takes %d connections.", allowed, connections)
    return settings.model_copy(update={"max_connections": connections})


def _serve_alone(settings: Settings, listening: socket.socket) -> None:
    """The whole life of one process that serves by itself."""
    server = _server(settings, Listener(listening, [Slot()], 0))
    _greet(settings, listening, _greeting(server.service))
    server.run(sockets=[])


def _serve_as_worker(settings: Settings, listener: Listener, parent: Pipe, first: bool) -> None:
    """The whole life of one of several."""
    server = _server(settings, listener)
    parent.send(_greeting(server.service) if first else "")
    threading.Thread(target=_end_with, args=(parent, server), daemon=True).start()
    server.run(sockets=[])


def _server(settings: Settings, listener: Listener) -> Server:
    """All of it, loaded and proved. Raises SetupError."""
    if hasattr(signal, "SIGHUP"):  # It must not end the process before there are models to load anew.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return_memory_early()
    logs.start(settings.log)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        ws="none",
        access_log=False,  # `web.tags.log_answer` tells more.
        server_header=False,
        proxy_headers=False,  # Nothing here depends on what a proxy says of its caller.
        timeout_keep_alive=settings.idle_seconds,  # type: ignore[arg-type]  # It goes to a timer, which takes a float.
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = Server(config, app, listener)
    gc.collect()
    gc.freeze()  # The collector need not look again and again at what lives as long as the process.
    return server


def _end_with(parent: Pipe, server: Server) -> None:
    """Ends the worker when its parent has gone."""
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    server.should_exit = True


def _greeting(service: Service) -> str:
    """What is printed once it listens, with URL in the place of where."""
    for model in service.denoisers.values():
        log.info("%s (%s) runs on %s, self-check within %.1g", model.name, model.task, model.way, model.difference)
    task = next(task for task, name in service.defaults.items() if name)
    return (
        "Serving on URL (documentation: URL/docs). Try:\n"
        f"  curl --data-binary @tests/digits/noisy_7.png -H 'Content-Type: image/png' 'URL/{task}' -o clean.png"
    )


def _greet(settings: Settings, listening: socket.socket, greeting: str) -> None:
    """Begins to listen and says so. Raises SetupError."""
    print(greeting.replace("URL", listen(settings, listening)), flush=True)
