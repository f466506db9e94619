"""Several processes at one address: who gets which connection, and what becomes of a process that dies."""

import contextlib
import logging
import multiprocessing
import os
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from types import FrameType

from denoise import metrics
from denoise.errors import SetupError
from denoise.server.connections import Counts, Inbox, Listener
from denoise.settings import Settings

LEAST_LIFE_S = 1.0  # a worker that ends sooner is replaced only after as long
MOST_UNTAKEN = 64  # connections that a worker has been given and has not looked at
TICK_S = 0.1
PAUSE_S = 0.01  # until it is looked again whether a worker takes more

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Worker:
    """A process that serves, as its parent sees it."""

    process: SpawnProcess
    born: float
    outbox: socket.socket
    inbox: Inbox  # its own: held here as well, so that what it has not taken when it dies is not lost
    lifeline: Connection  # brings what it says once it has started; it ends when this is closed
    given: int = 0  # connections
    serving: bool = False

    @property
    def connections(self) -> int:
        """That it has now."""
        return self.given - self.inbox.counts.ended

    @property
    def takes_more(self) -> bool:
        """Whether it can be given a connection."""
        return self.serving and self.given - self.inbox.counts.taken < MOST_UNTAKEN

    def give(self, connection: socket.socket) -> bool:
        """Hands it a connection; False when it cannot be given one now."""
        try:
            socket.send_fds(self.outbox, [b"\0"], [connection.fileno()])
        except BrokenPipeError:  # it is about to end
            self.serving = False
            return False
        except OSError:  # the system lets no more be on the way
            return False
        self.given += 1
        return True

    def told(self) -> str:
        """What it says once it serves. Raises SetupError when it does not."""
        try:
            said: str | SetupError = self.lifeline.recv()
        except EOFError:
            said = SetupError("A worker ended while it started.")
        if isinstance(said, SetupError):
            raise said
        self.serving = True
        return said


Work = Callable[[Settings, Inbox, Connection, bool], None]  # the bool: whether it is the first


class Workers:
    """Processes that serve, and their parent, which hands every connection to the one that has the fewest.

    If each of them listened, the kernel would choose by a hash: of 16 callers, one of two processes would get 11 or
    more one time in five, and these would wait twice as long as the others.
    """

    def __init__(self, settings: Settings, listener: socket.socket, work: Work) -> None:
        """`work` is what a worker does all its life. Once it serves, it says so."""
        self.settings, self.work = settings, work
        self._family, self._listener = listener.family, Listener(listener)
        self._workers: list[_Worker] = []
        self._due: list[float] = []  # when one is to be started in the place of another that died
        self._untaken: deque[socket.socket] = deque()  # connections of those
        self._events = selectors.DefaultSelector()
        self._looking = False  # for connections
        self._taking_until: float | None = None  # connections; None until it has been told to stop

    def run(self, listen: Callable[[str], None]) -> None:
        """Starts them, replaces those that die, hands signals on, and returns when all have ended.

        `listen` is called when all serve, with what the first said. Raises SetupError when one does not start.
        """
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), self._hand_on)
        with tempfile.TemporaryDirectory(prefix="denoise-") as counts:
            os.environ[metrics.FOLDER] = counts  # the workers find it there
            for number in range(self.settings.workers or 1):
                self._start(first=number == 0)
            try:
                first, *_ = [worker.told() for worker in self._workers]
                listen(first)
            except SetupError:
                for worker in self._workers:
                    worker.process.terminate()
                if self._taking_until is None:
                    raise
            for worker in self._workers:
                self._watch(worker, Path(counts))
            self._serve(Path(counts))

    def _start(self, *, first: bool = False) -> _Worker:
        spawn = multiprocessing.get_context("spawn")
        outbox, theirs = socket.socketpair()
        outbox.setblocking(False)
        lifeline, parent = spawn.Pipe()
        inbox = Inbox(theirs, self._family, RawValue(Counts))
        process = spawn.Process(target=_live, args=(self.work, self.settings, inbox, parent, first))
        process.start()
        parent.close()
        worker = _Worker(process, time.monotonic(), outbox, inbox, lifeline)
        self._workers.append(worker)
        if self._taking_until is not None:  # told while it was being made
            process.terminate()
        return worker

    def _watch(self, worker: _Worker, counts: Path) -> None:
        self._events.register(worker.process.sentinel, selectors.EVENT_READ, partial(self._bury, worker, counts))
        if not worker.serving:
            self._events.register(worker.lifeline, selectors.EVENT_READ, partial(self._hear, worker))

    def _serve(self, counts: Path) -> None:
        while self._workers or self._due:
            if self._untaken:
                self._deal()
            self._look(any(worker.takes_more for worker in self._workers))
            for event, _ in self._events.select(TICK_S if self._looking else PAUSE_S):
                event.data()
            now = time.monotonic()
            if self._taking_until is not None:
                self._due.clear()
                if now >= self._taking_until and self._listener.fileno() >= 0:
                    self._deal()  # the last
                    self._look(False)
                    self._listener.shut()
            while self._due and self._due[0] <= now:
                del self._due[0]
                self._watch(self._start(), counts)

    def _look(self, wanted: bool) -> None:
        """Connections that nobody can take wait in the kernel."""
        wanted = wanted and self._listener.fileno() >= 0
        if wanted != self._looking:
            self._looking = wanted
            if wanted:
                self._events.register(self._listener, selectors.EVENT_READ, self._deal)
            else:
                self._events.unregister(self._listener)

    def _deal(self) -> None:
        """Hands on what has connected."""
        while takers := [worker for worker in self._workers if worker.takes_more]:
            connection = self._next()
            if connection is None:
                return
            if not min(takers, key=lambda worker: worker.connections).give(connection):
                self._untaken.append(connection)
                return
            connection.close()  # here: the worker has it now

    def _next(self) -> socket.socket | None:
        """A connection that is to be handed on, if there is one."""
        if self._untaken:
            return self._untaken.popleft()
        try:
            return self._listener.take()
        except EOFError:
            return None
        except OSError:  # too many files are open: who has connected waits
            time.sleep(PAUSE_S)
            return None

    def _hear(self, worker: _Worker) -> None:
        if worker in self._workers:
            self._events.unregister(worker.lifeline)
            try:
                worker.told()
            except SetupError as error:
                log.error("A worker cannot start. %s", error)  # noqa: TRY400  # the sentence says it all

    def _bury(self, worker: _Worker, counts: Path) -> None:
        self._workers.remove(worker)
        for watched in (worker.process.sentinel, worker.lifeline):
            with contextlib.suppress(KeyError):
                self._events.unregister(watched)
        metrics.forget_worker(worker.process.pid or 0, counts)
        with contextlib.suppress(EOFError):
            while connection := worker.inbox.take():
                self._untaken.append(connection)
        for end in (worker.outbox, worker.inbox, worker.lifeline):
            end.close()
        worker.process.join()
        if self._taking_until is None:
            log.error("Worker %d ended with %s and is replaced.", worker.process.pid, worker.process.exitcode)
            self._due.append(max(time.monotonic(), worker.born + LEAST_LIFE_S))

    def _hand_on(self, sig: int, _frame: FrameType | None) -> None:
        if sig != signal.SIGHUP:
            drain = self.settings.drain_seconds if sig == signal.SIGTERM and self._taking_until is None else 0
            self._taking_until = time.monotonic() + drain
        for worker in list(self._workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process.pid or 0, sig)


def _live(work: Work, settings: Settings, inbox: Inbox, parent: Connection, first: bool) -> None:
    os.setpgrp()  # Ctrl-C reaches the parent alone, which hands it on
    try:
        work(settings, inbox, parent, first)
    except SetupError as error:
        parent.send(error)
        sys.exit(1)
