"""A turn at the threads lasts as long as its thread, and work ends with the caller for whom it is done."""

import asyncio
import threading
import time

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from denoise.inference.turns import FairLimiter
from denoise.web.state import ThreadTurns, while_connected


def test_a_turn_that_is_cancelled_is_over_when_its_thread_has_ended() -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.02)
        with lock:
            running.pop()

    async def hang_up_again_and_again() -> int:
        limiter = FairLimiter(1)
        for _ in range(5):
            task = asyncio.ensure_future(ThreadTurns(limiter, object()).run(work))
            await asyncio.sleep(0.01)
            task.cancel()
        await ThreadTurns(limiter, object()).run(work)
        return limiter.taken

    assert asyncio.run(hang_up_again_and_again()) == 0
    assert max(most) == 1


def test_work_is_cancelled_when_its_caller_goes() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def gone() -> None:
        request = Request({"type": "http"}, receive)
        with pytest.raises(ClientDisconnect):
            await while_connected(request, asyncio.sleep(60))

    asyncio.run(gone())
