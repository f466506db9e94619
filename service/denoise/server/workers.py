"""Several processes at one address, and their parent, which replaces a worker that dies or hangs.

uvicorn's own supervisor asks a thread of each worker whether it lives, which also answers for a loop that stands still.
Here the loop itself shows that it turns.
"""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from denoise import metrics
from denoise.errors import SetupError
from denoise.inference import choice
from denoise.server.listener import Listener, Slot
from denoise.settings import Settings

LEAST_LIFE_S = 1.0  # A worker that ends sooner is replaced only after this long.
HUNG_S = 25.0  # No run takes nearly as long; a worker whose loop has not turned for this long is killed.
LONGEST_START_S = 120.0  # A worker that does not serve after this long is killed as well.
TICK_S = 0.1
LONGEST_TICK_S = 1.0  # The parent was suspended itself where a tick took longer.

Work = Callable[[Settings, Listener, Connection, bool], None]
log = logging.getLogger(__name__)


class _Share(NamedTuple):
    """What a Listener is made of, in the form that another process can be given: one slot alone would be copied."""

    listening: socket.socket
    slots: "ctypes.Array[Slot]"
    own: int


@dataclass(eq=False)
class WorkerProcess:
    """A process that serves, as its parent sees it."""

    process: SpawnProcess
    number: int
    slot: Slot
    pipe: Connection  # The worker ends when the parent's end is closed.
    started: float
    serving: bool = False
    beat: float = 0.0
    silent_s: float = 0.0

    def receive_greeting(self) -> str:
        """What it says once it serves. Raises SetupError when it does not."""
        try:
            greeting: str | SetupError = self.pipe.recv()
        except EOFError:
            greeting = SetupError("A worker ended while it started.")
        if isinstance(greeting, SetupError):
            raise greeting
        self.serving, self.silent_s = True, 0.0
        return greeting

    def is_hung(self, elapsed_s: float) -> bool:
        """Whether it has started for too long, or its loop stood still, now that so much more time has passed."""
        if self.slot.beat != self.beat:
            self.beat, self.silent_s = self.slot.beat, 0.0
        else:
            self.silent_s += min(elapsed_s, LONGEST_TICK_S)
        return self.silent_s > (HUNG_S if self.serving else LONGEST_START_S)


class Workers:
    """Processes that serve, and what becomes of them."""

    def __init__(self, settings: Settings, listening: socket.socket, work: Work) -> None:
        """`work` is what a worker does all its life; once it serves, it sends its greeting."""
        self.settings, self.work, self._listening = settings, work, listening
        self._slots = RawArray(Slot, settings.workers or 1)
        self._workers: list[WorkerProcess] = []
        self._due: dict[int, float] = {}  # When the worker of each number is to be started anew.
        self._stopping = False

    def run(self, on_serving: Callable[[str], None]) -> None:
        """Starts them, replaces those that end, passes signals on, and returns when all have ended.

        `on_serving` is called when all serve, with the first one's greeting. Raises SetupError when one does not start.
        """
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), self._pass_on)
        with tempfile.TemporaryDirectory(prefix="denoise-") as folder:
            os.environ[metrics.FOLDER] = folder  # The workers find it there.
            os.environ[choice.FILE] = str(Path(folder) / "ways.json")
            for number in range(len(self._slots)):
                self._start(number, first=number == 0)
            try:
                greeting, *_ = [worker.receive_greeting() for worker in self._workers]
                on_serving(greeting)
            except SetupError:
                for worker in self._workers:
                    worker.process.terminate()
                if not self._stopping:
                    raise
            self._supervise(Path(folder))

    def _start(self, number: int, *, first: bool = False) -> None:
        spawn = multiprocessing.get_context("spawn")
        pipe, theirs = spawn.Pipe()
        share = _Share(self._listening, self._slots, number)
        process = spawn.Process(target=_live, args=(self.work, self.settings, share, theirs, first))
        process.start()
        theirs.close()
        self._workers.append(WorkerProcess(process, number, self._slots[number], pipe, time.monotonic()))
        if self._stopping:  # The signal came while it was being made.
            process.terminate()

    def _supervise(self, folder: Path) -> None:
        looked = time.monotonic()
        while self._workers or self._due:
            pipes: dict[Any, WorkerProcess] = {one.pipe: one for one in self._workers if not one.serving}
            ends: dict[Any, WorkerProcess] = {one.process.sentinel: one for one in self._workers}
            for ready in connection.wait([*ends, *pipes], TICK_S):
                if ready in ends:
                    self._replace(ends[ready], folder)
                elif pipes[ready] in self._workers:
                    _hear(pipes[ready])
            now = time.monotonic()
            for worker in self._workers:
                if worker.is_hung(now - looked):
                    log.error("Worker %d has not moved for %.0f s and is killed.", worker.process.pid, worker.silent_s)
                    worker.process.kill()
            looked = now
            if self._stopping:
                self._due.clear()
                self._listening.close()  # From now on it is the workers' alone.
            for number in [number for number, due in self._due.items() if due <= now]:
                del self._due[number]
                self._start(number)

    def _replace(self, worker: WorkerProcess, folder: Path) -> None:
        """Has a worker that has ended followed by another one, unless all are to end."""
        self._workers.remove(worker)
        worker.slot.clear()
        worker.pipe.close()
        worker.process.join()
        metrics.forget_worker(worker.process.pid or 0, folder)
        if not self._stopping:
            log.error("Worker %d ended with %s and is replaced.", worker.process.pid, worker.process.exitcode)
            self._due[worker.number] = max(time.monotonic(), worker.started + LEAST_LIFE_S)

    def _pass_on(self, sig: int, _frame: FrameType | None) -> None:
        """Called on a signal: each worker gets it."""
        self._stopping = self._stopping or sig != signal.SIGHUP
        for worker in list(self._workers):
            if sig == signal.SIGHUP and not worker.serving:  # It would end of it, and loads the models anyway.
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process.pid or 0, sig)


def _hear(worker: WorkerProcess) -> None:
    try:
        worker.receive_greeting()
    except SetupError as error:
        worker.serving = True  # It says no more, and is about to end.
        log.error("A worker cannot start. %s", error)  # noqa: TRY400  # The sentence says it all.


def _live(work: Work, settings: Settings, share: _Share, parent: Connection, first: bool) -> None:
    os.setpgrp()  # Ctrl-C reaches the parent alone, which passes it on.
    try:
        work(settings, Listener(*share), parent, first)
    except SetupError as error:
        parent.send(error)
        sys.exit(1)
