"""Many pictures, from file to file: one at a time, or in processes side by side.

Processes, not threads: decoding and framing are Python's and numpy's work on small pictures, which threads would do in
turns.
"""

import contextlib
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Event
from types import FrameType
from typing import NamedTuple

from denoise.bulk.files import Item
from denoise.bulk.picture_files import Cleaner, CleanPicture, ItemOutcome, clean_file, cleaner
from denoise.bulk.provenance import Maker
from denoise.bulk.threads import END_SECONDS, map_in_threads
from denoise.errors import RequestError, SetupError
from denoise.inference.denoiser import load_elsewhere
from denoise.inference.ways import Way
from denoise.pictures.images import Kind
from denoise.settings import MAX_PIXELS

ITEMS_PER_PROCESS = 2  # It works on one and has the next, so that it never waits for it.
WORTH_A_PROCESS = 8  # Starting a process pays for this many pictures.
PROCESSES_ON_A_GPU = 4  # Each keeps its own copy of CUDA's state there.


class Engine(NamedTuple):
    """What a process needs to clean pictures by itself: the model's file, how it runs, and what is asked of it."""

    path: Path
    way: Way
    maker: Maker
    max_pixels: int = MAX_PIXELS

    def start(self) -> Cleaner:
        """Loads the model. Raises SetupError."""
        return cleaner(load_elsewhere(self.path, self.way), self.maker.parameters, self.max_pixels)


def clean_in_turn(items: Sequence[Item], clean: Cleaner, maker: Maker) -> Generator[ItemOutcome]:
    """Cleans one file after the other."""
    return (clean_file(item, clean, maker) for item in items)


def clean_in_threads(items: Sequence[Item], clean: Cleaner, maker: Maker, threads: int) -> Generator[ItemOutcome]:
    """Cleans files side by side in so many threads, where `clean` has others do the work."""
    stopped = Event()

    def clean_unless_stopped(content: bytes, kind: Kind) -> CleanPicture:
        answer = clean(content, kind)
        if stopped.is_set():  # The process is about to end: a file that is begun now might never be whole.
            raise RequestError("The work was stopped.")
        return answer

    outcomes = map_in_threads(lambda item: clean_file(item, clean_unless_stopped, maker), items, threads)
    try:
        yield from outcomes
    finally:
        stopped.set()


def clean_in_processes(items: Sequence[Item], engine: Engine, count: int) -> Generator[ItemOutcome]:
    """Cleans files in no order, in `count` processes. One that dies costs the picture it had, and is replaced.

    Raises SetupError when none can be started.
    """
    left = deque(items)
    processes: list[CleaningProcess] = []
    try:
        for _ in range(count):
            processes.append(CleaningProcess(engine))  # noqa: PERF401  # Those started so far are ended, whatever happens.
        while True:
            for process in processes:
                while left and len(process.items) < ITEMS_PER_PROCESS:
                    process.give(left.popleft())
            busy = {process.pipe: process for process in processes if process.items}
            if not busy:
                return
            for pipe in wait(list(busy)):
                process = busy[pipe]  # type: ignore[index]  # It is one of those that were given.
                outcome = process.receive()
                if outcome is not None:
                    yield outcome
                elif process.exit_status is not None:
                    yield from _replace(process, processes, left, engine)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _replace(
    dead: "CleaningProcess", processes: "list[CleaningProcess]", left: deque[Item], engine: Engine
) -> Generator[ItemOutcome]:
    """Gives the work of a process that died to others, and tells which picture it died of."""
    if dead.ready:
        item, *unseen = dead.items
        processes[processes.index(dead)] = CleaningProcess(engine)
        yield ItemOutcome(item, f"The process that worked on it died (exit status {dead.exit_status}).")
    else:  # The others do without it, where there are others.
        unseen = list(dead.items)
        processes.remove(dead)
        if not processes:
            raise SetupError("No process for the work could start; --jobs 1 does without.")
    left.extendleft(reversed(unseen))


class CleaningProcess:
    """A process that cleans pictures.

    Attributes:
        pipe: gives outcomes.
        items: what it has been given and has not told the outcome of, the first one first.
        ready: whether it has loaded its model.
    """

    def __init__(self, engine: Engine) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.items: deque[Item] = deque()
        self.ready = False
        self._process = spawn.Process(target=_serve, args=(theirs, engine), daemon=True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # It is inherited: Ctrl-C is for the parent alone.
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()

    @property
    def exit_status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.exitcode

    def give(self, item: Item) -> None:
        """Gives it the next picture."""
        self.items.append(item)
        with contextlib.suppress(OSError):  # It has died: receive() says so.
            self.pipe.send(item)

    def receive(self) -> ItemOutcome | None:
        """What has become of a picture; None when it only says that it is ready, or has died.

        Raises SetupError when it could not get ready.
        """
        try:
            received: ItemOutcome | str | None = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return None
        if isinstance(received, ItemOutcome):
            self.items.popleft()
            return received
        if received:
            raise SetupError(received)
        self.ready = True
        return None

    def terminate(self) -> None:
        """Asks it to end."""
        self._process.terminate()

    def join(self) -> None:
        """Waits until it has ended, and kills it when that takes too long."""
        self._process.join(END_SECONDS)
        self._process.kill()


def _serve(pipe: Connection, engine: Engine) -> None:
    """A process's whole life; ends with its parent."""
    signal.signal(signal.SIGTERM, _exit)
    try:
        try:
            clean = engine.start()
        except SetupError as error:
            pipe.send(str(error))
            return
        pipe.send(None)
        while True:
            pipe.send(clean_file(pipe.recv(), clean, engine.maker))
    except (EOFError, OSError):
        return


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(1)  # An exception unwinds the stack, so that no half file is left.
