"""Who waits gets the next turn in rotation between callers."""

import asyncio

import pytest

from denoise.inference.turns import FairLimiter


def test_callers_take_turns_however_many_each_waits_for() -> None:
    order: list[str] = []

    async def work(limiter: FairLimiter, caller: str) -> None:
        async with limiter.take(caller):
            order.append(caller)
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        limiter = FairLimiter(1)
        await asyncio.gather(*(work(limiter, caller) for caller in "aaaaabbc"))

    asyncio.run(all_of_them())
    assert "".join(order) == "aabcabaa"


def test_no_more_is_taken_than_there_is_but_by_one_who_is_alone() -> None:
    async def taken() -> list[int]:
        limiter, seen = FairLimiter(10), []

        async def work(amount: int) -> None:
            async with limiter.take(object(), amount):
                seen.append(limiter.taken)
                await asyncio.sleep(0)

        await asyncio.gather(*(work(amount) for amount in (6, 4, 20, 5)))
        assert limiter.taken == limiter.waiting == 0
        return seen

    assert asyncio.run(taken()) == [6, 10, 20, 5]


def test_who_gives_up_waiting_leaves_no_gap() -> None:
    async def cancelled() -> int:
        limiter = FairLimiter(1)

        async def work() -> None:
            async with limiter.take(object()):
                await asyncio.sleep(0.01)

        first, second, third = (asyncio.ensure_future(work()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait_for(asyncio.gather(first, third), 5)
        with pytest.raises(asyncio.CancelledError):
            await second
        return limiter.taken + limiter.waiting

    assert asyncio.run(cancelled()) == 0


def test_who_gives_up_lets_those_behind_have_what_fits() -> None:
    async def behind() -> bool:
        limiter = FairLimiter(16)
        async with limiter.take("a", 10):
            large = asyncio.ensure_future(limiter._acquire("b", 10))
            small = asyncio.ensure_future(limiter._acquire("c", 2))
            await asyncio.sleep(0)
            large.cancel()
            await asyncio.wait((large, small), timeout=5)
            return small.done()

    assert asyncio.run(behind())
