"""What the routes share: settings, models, limits, and each picture's turn at a model."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect

from denoise import metrics
from denoise.errors import Late, UnknownModel
from denoise.inference.batching import Batcher, Gate, Ran
from denoise.inference.denoiser import Denoiser, Task
from denoise.pictures import Pixels
from denoise.settings import Settings

SMALL_BODY = 16 * 1024  # bytes: up to here a body may hold a picture that takes less time than handing it to a thread
LONG_WAIT_S = 0.1  # from there it pays to look whether the caller is still there


@dataclass
class Service:
    """The state of a process."""

    settings: Settings
    denoisers: Mapping[str, Denoiser]
    defaults: Mapping[Task, str | None]  # the model that answers when a request names none
    batcher: Batcher
    pictures: Gate  # that are being worked on, or wait for it
    bodies: Gate  # bytes of those that are not small
    large: anyio.CapacityLimiter  # pictures worked on at a time: each may need hundreds of megabytes
    started: float = field(default_factory=time.monotonic)
    draining: bool = False
    requests: Collection[object] = ()  # that are in the process now, where that is known

    def model(self, name: str) -> Denoiser:
        """The model of that name. Raises UnknownModel."""
        if name not in self.denoisers:
            raise UnknownModel(f"There is no model named '{name[:100]}'; there are: {', '.join(self.denoisers)}.")
        return self.denoisers[name]

    async def in_turn(self, request: Request, model: Denoiser, pixels: Pixels, *, more: bool = False) -> Ran:
        """What a model makes of small pictures `[count, height, width]`.

        Where there is a long wait, it is only for a caller who is still there. `more` says that others of the same
        request come as well.
        """
        if len(self.requests) == len(pixels) == 1 and not more:
            return self.batcher.run_alone(model, pixels)
        running = self.batcher.run(model, pixels)
        if self.batcher.expected_wait_s() > LONG_WAIT_S:
            gone = asyncio.ensure_future(request.receive())  # the body has been read: what comes is a disconnect
            try:
                await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
                if not running.done():
                    raise ClientDisconnect
            finally:  # which does nothing to what is done
                running.cancel()
                gone.cancel()
        return await running

    @asynccontextmanager
    async def large_turn(self, request: Request, model: Denoiser) -> AsyncIterator[None]:
        """A turn at what takes long and is done in a thread: few have one at a time.

        Raises Late when the deadline passes before, ClientDisconnect when the caller has gone meanwhile.
        """
        try:
            async with asyncio.timeout(self.settings.deadline_seconds):
                metrics.set_waiting("large", self.large.statistics().tasks_waiting + 1)
                await self.large.acquire()
        except TimeoutError:
            raise Late(f"The picture waited for {self.settings.deadline_seconds:g} s without its turn.") from None
        finally:
            metrics.set_waiting("large", self.large.statistics().tasks_waiting)
        try:
            if await request.is_disconnected():
                raise ClientDisconnect
            yield
        finally:
            self.large.release()
            if not self.large.borrowed_tokens:
                asyncio.get_running_loop().run_in_executor(None, model.give_back)  # nobody waits for that
