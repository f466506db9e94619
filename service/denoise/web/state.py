"""What the routes share: settings, models, limits, and each picture's turn at a model."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from denoise import metrics
from denoise.errors import Late, UnknownModel
from denoise.inference.batching import Batcher, Ran
from denoise.inference.contract import Task
from denoise.inference.cost import Costs
from denoise.inference.denoiser import Denoiser
from denoise.inference.gate import Gate, WorkGate
from denoise.inference.turns import FairLimiter
from denoise.pictures import Pixels
from denoise.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

# A body of up to so many bytes may hold a picture that takes less time than handing it to a thread.
SMALL_BODY = 16 * 1024
# Pictures of up to so many pixels do not wait for the memory of larger ones.
MIDDLING_PICTURE = 1_000_000
# So many pixels of middling pictures are in memory at a time.
MIDDLING_PIXELS = 8 * MIDDLING_PICTURE
# From such a wait on it pays to look whether the caller is still there.
LONG_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class ThreadTurns:
    """One request's turns at the threads that large pictures are worked on in."""

    threads: FairLimiter
    caller: object

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function gives, called in a thread once it is the caller's turn."""
        async with self.threads.take(self.caller):
            running = asyncio.ensure_future(run_in_threadpool(function, *args, **kwargs))
            await _outlast(running)  # A thread cannot be stopped: its turn and its memory are given back when it ends.
            return running.result()


@dataclass
class Service:
    """The state of a process.

    Attributes:
        defaults: the model of each task that answers when a request names none.
        costs: what the models have taken per pixel so far.
        pictures: how many pictures and tensors are being worked on or wait for it.
        bodies: bytes of the bodies that are not small.
        work: expected seconds of work by tensors, by batches, and by single pictures that are not small.
        threads: how many steps of large pictures run in threads at a time.
        scrapes: how many callers have the metrics of all workers summed up at a time, which is Python's own work.
        middling, large: how many pixels of such pictures are in memory at a time.
        requests: uvicorn's running tasks; empty where another server runs the app.
    """

    settings: Settings
    denoisers: Mapping[str, Denoiser]
    defaults: Mapping[Task, str | None]
    costs: Costs
    batcher: Batcher
    pictures: Gate
    bodies: Gate
    work: WorkGate
    threads: FairLimiter
    scrapes: FairLimiter
    middling: FairLimiter
    large: FairLimiter
    started: float = field(default_factory=time.monotonic)
    draining: bool = False
    requests: Collection[object] = ()
    _with_memory: set[Denoiser] = field(default_factory=set)  # What large pictures took of it is theirs still.

    def model(self, name: str) -> Denoiser:
        """The model of that name. Raises UnknownModel."""
        if name not in self.denoisers:
            raise UnknownModel(f"There is no model named '{name[:100]}'; there are: {', '.join(self.denoisers)}.")
        return self.denoisers[name]

    async def in_batch(self, request: Request, model: Denoiser, pixels: Pixels, *, watched: bool = False) -> Ran:
        """What a model makes of small pictures `[count, height, width]`, in a batch with other requests' pictures.

        `watched` says that somebody else looks whether the caller is still there, as for a batch as a whole.
        """
        if watched:
            return await self.batcher.run(model, pixels)
        if len(self.requests) == len(pixels) == 1:
            return self.batcher.run_alone(model, pixels)
        running = self.batcher.run(model, pixels)
        if self.batcher.expected_wait_s() > LONG_WAIT_S:
            return await while_connected(request, running)
        return await running

    @asynccontextmanager
    async def turns(
        self, request: Request, model: Denoiser, pixels: int, deadline: float
    ) -> AsyncIterator[ThreadTurns]:
        """Room in memory for a picture of so many pixels, and turns at the threads.

        Once no large picture is worked on, the models that had any give their memory back.

        Raises Late when the event loop's time passes `deadline` before all is done.
        """
        space = self.middling if pixels <= MIDDLING_PICTURE else self.large
        try:
            async with asyncio.timeout_at(deadline):
                metrics.set_waiting("large", self._waiting + 1)
                async with space.take(request, pixels):
                    metrics.set_waiting("large", self._waiting)
                    yield ThreadTurns(self.threads, request)
        except TimeoutError:
            raise Late(f"The picture was not done within {self.settings.deadline_seconds:g} s.") from None
        finally:
            metrics.set_waiting("large", self._waiting)
            self._with_memory.add(model)
            if not self.middling.taken and not self.large.taken:
                while self._with_memory:  # Nobody waits until it is done.
                    asyncio.get_running_loop().run_in_executor(None, self._with_memory.pop().give_back)

    def thread_turns(self, request: Request) -> ThreadTurns:
        """A request's turns at the threads, for work that takes little memory."""
        return ThreadTurns(self.threads, request)

    def deadline(self) -> float:
        """When a request that has come now must be done, in the event loop's time."""
        return asyncio.get_running_loop().time() + self.settings.deadline_seconds

    @property
    def _waiting(self) -> int:
        return self.middling.waiting + self.large.waiting


async def while_connected(request: Request, work: "Coroutine[Any, Any, T] | asyncio.Future[T]") -> T:
    """What work gives that is only worth doing for a caller who is still there.

    Raises ClientDisconnect, and cancels the work, when the caller goes away. The request's body must have been read.
    """
    running = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise ClientDisconnect
        return running.result()
    finally:
        gone.cancel()
        running.cancel()
        await _outlast(running)


async def _outlast(running: "asyncio.Future[T]") -> None:
    """Waits until something has ended, whatever becomes of it, also when the waiting is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    if not running.cancelled():
        running.exception()  # Nobody else may ask for it, and asyncio would log that.
    if cancelled:
        raise cancelled
