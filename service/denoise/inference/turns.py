"""Turns that are shared out fairly: who waits gets the next one in rotation between callers."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple


class _Claim(NamedTuple):
    amount: int
    turn: "asyncio.Future[None]"


class FairLimiter:
    """Lets so much be taken at a time, for instance one each of four threads. Belongs to one event loop.

    A caller who waits for many turns gets one of them for each that the others get.
    """

    def __init__(self, most: int) -> None:
        """At most `most` at a time; who wants more than that gets it alone."""
        self.most = most
        self.taken = 0
        # The callers who wait, the one whose turn is next first.
        self._waiting: dict[object, deque[_Claim]] = {}

    @property
    def waiting(self) -> int:
        """How many turns are being waited for."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def take(self, caller: object, amount: int = 1) -> AsyncIterator[None]:
        """A turn of a caller, in which so much is taken."""
        await self._acquire(caller, amount)
        try:
            yield
        finally:
            self._release(amount)

    async def _acquire(self, caller: object, amount: int) -> None:
        if not self._waiting and self._fits(amount):
            self.taken += amount
            return
        mine = _Claim(amount, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(caller, deque()).append(mine)
        try:
            await mine.turn
        except asyncio.CancelledError:
            granted = mine.turn.done() and not mine.turn.cancelled()  # The turn came together with the cancellation.
            self._release(amount if granted else 0)  # Whoever waits behind may fit.
            raise

    def _release(self, amount: int) -> None:
        self.taken -= amount
        while self._waiting:
            caller, line = next(iter(self._waiting.items()))
            if not line[0].turn.done():
                if not self._fits(line[0].amount):
                    return
                self.taken += line[0].amount
                line[0].turn.set_result(None)
            line.popleft()
            del self._waiting[caller]
            if line:
                self._waiting[caller] = line  # It is behind all others now.

    def _fits(self, amount: int) -> bool:
        return self.taken == 0 or self.taken + amount <= self.most
