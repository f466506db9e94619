"""Many pictures, from file to file: one at a time, or in processes side by side.

Processes, not threads: decoding and framing are Python's and numpy's work on small pictures, which threads would do in
turns.
"""

import contextlib
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from denoise import cleaning
from denoise.bulk.files import Item, written
from denoise.cleaning import Parameters
from denoise.errors import RequestError, SetupError
from denoise.inference.denoiser import Denoiser
from denoise.pictures.images import Kind
from denoise.settings import MAX_PIXELS

AHEAD = 2  # pictures that a process has: the one it works on, and the next, so that it never waits for it
WORTH_IT = 8  # pictures for which starting a process pays
END_S = 5.0  # that a process gets to end

Cleaner = Callable[[bytes, Kind], bytes]  # a picture's bytes to those of its answer; raises RequestError


class Engine(NamedTuple):
    """What a process needs to clean pictures by itself."""

    path: Path  # of the model
    provider: str
    parameters: Parameters
    max_pixels: int = MAX_PIXELS

    def opened(self) -> Cleaner:
        """Ready to work. Raises SetupError."""
        model = Denoiser(self.path, self.provider, 1)
        return lambda content, kind: cleaning.clean(content, model, self.parameters, self.max_pixels).encode(kind)


def done(item: Item, clean: Cleaner) -> str | None:
    """Cleans a file. What kept it from being cleaned, in a sentence; None when all is well."""
    try:
        content = item.source.read_bytes()
    except OSError as error:
        return f"It cannot be read: {error.strerror}."
    try:
        answer = clean(content, item.kind)
    except RequestError as error:
        return str(error)
    except MemoryError:
        return "There is not enough memory for it."
    try:
        with written(item.target) as file:
            file.write(answer)
    except OSError as error:
        return f"'{item.target}' cannot be written: {error.strerror}."
    return None


def one_by_one(items: Sequence[Item], clean: Cleaner) -> Generator[tuple[Item, str | None]]:
    """Each item with what `done` says of it."""
    return ((item, done(item, clean)) for item in items)


def in_threads(items: Sequence[Item], clean: Cleaner, threads: int) -> Generator[tuple[Item, str | None]]:
    """The same in no order, where `clean` has others do the work."""
    with ThreadPoolExecutor(threads) as pool:
        left, running = iter(items), deque(pool.submit(_named, item, clean) for item in items[: AHEAD * threads])
        for _ in running:
            next(left)
        try:
            while running:
                yield running.popleft().result()
                for item in left:
                    running.append(pool.submit(_named, item, clean))
                    break
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _named(item: Item, clean: Cleaner) -> tuple[Item, str | None]:
    return item, done(item, clean)


def in_processes(items: Sequence[Item], engine: Engine, processes: int) -> Generator[tuple[Item, str | None]]:
    """The same in no order, in so many processes. One that dies costs the picture it had, and is replaced.

    Raises SetupError when none can be started.
    """
    left = deque(items)
    workers: list[_Worker] = []
    try:
        for _ in range(processes):
            workers.append(_Worker(engine))  # noqa: PERF401  # those started so far are ended, whatever happens
        while True:
            for worker in workers:
                while left and len(worker.has) < AHEAD:
                    worker.give(left.popleft())
            busy = {worker.pipe: worker for worker in workers if worker.has}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # it is one of those that were given
                told = worker.told()
                if told is not None:
                    yield told
                elif worker.process.exitcode is not None:
                    yield from _after(worker, workers, left, engine)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join(END_S)
            worker.process.kill()


def _after(
    dead: "_Worker", workers: "list[_Worker]", left: deque[Item], engine: Engine
) -> Generator[tuple[Item, str | None]]:
    """Gives the work of a process that died to others, and tells which picture it died of."""
    if dead.ready:
        item, *unseen = dead.has
        workers[workers.index(dead)] = _Worker(engine)
        yield item, f"The process that worked on it died (exit status {dead.process.exitcode})."
    else:  # the others do without it, where there are others
        unseen = list(dead.has)
        workers.remove(dead)
        if not workers:
            raise SetupError("No process for the work could start; --jobs 1 does without.")
    left.extendleft(reversed(unseen))


class _Worker:
    """A process that cleans pictures."""

    def __init__(self, engine: Engine) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_work, args=(theirs, engine), daemon=True)
        self.has: deque[Item] = deque()
        self.ready = False
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # is inherited: Ctrl-C is for the parent alone
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()

    def give(self, item: Item) -> None:
        """The next picture."""
        self.has.append(item)
        with contextlib.suppress(OSError):  # it has died: told() says so
            self.pipe.send(item)

    def told(self) -> tuple[Item, str | None] | None:
        """What has become of a picture; None when there is only to say that it is ready, or has died.

        Raises SetupError when it could not get ready.
        """
        try:
            why = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        if not self.ready:
            if why:
                raise SetupError(why)
            self.ready = True
            return None
        return self.has.popleft(), why


def _work(pipe: Connection, engine: Engine) -> None:
    """A process's whole life; ends with its parent."""
    signal.signal(signal.SIGTERM, _end)
    try:
        try:
            clean = engine.opened()
        except SetupError as error:
            pipe.send(str(error))
            return
        pipe.send(None)
        while True:
            pipe.send(done(pipe.recv(), clean))
    except (EOFError, OSError):
        return


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(1)  # by an exception, so that no half file is left
