"""Pictures that wait together run together, each gets its own answer, and too many are refused."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from denoise.errors import Late
from denoise.inference.batching import Batcher, Ran
from denoise.inference.clock import PICTURES_PER_RUN
from denoise.inference.cost import Costs
from denoise.inference.denoiser import Denoiser, Restored
from denoise.inference.ways import CPU
from tests.conftest import Pixels


@pytest.fixture
def model(tiny_models: Path) -> Denoiser:
    return Denoiser(tiny_models / "any.onnx", CPU, threads=1)


def picture(value: float, side: int = 8) -> Pixels:
    return np.full((1, side, side), value, np.float32)


def test_pictures_that_wait_together_run_together_and_come_back_to_their_callers(model: Denoiser) -> None:
    async def many() -> list[Ran]:
        batcher = Batcher(deadline_s=10, costs=Costs())
        return await asyncio.gather(*(batcher.run(model, picture(value / 200)) for value in range(150)))

    answers = asyncio.run(many())
    for value, ran in enumerate(answers):
        assert np.array_equal(ran.pixels, picture(value / 200))
        assert ran.code is not None
        assert ran.batch in PICTURES_PER_RUN
    assert answers[0].batch > 1


def test_pictures_of_one_caller_stay_together_in_however_many_runs(model: Denoiser) -> None:
    async def three() -> list[Ran]:
        batcher = Batcher(deadline_s=10, costs=Costs())
        mine = np.concatenate([picture(value / 200) for value in range(150)])
        return await asyncio.gather(*(batcher.run(model, pixels) for pixels in (picture(0.9), mine, picture(0.8))))

    before, mine, after = asyncio.run(three())
    assert np.array_equal(mine.pixels, np.concatenate([picture(value / 200) for value in range(150)]))
    assert mine.code is not None
    assert len(mine.code) == 150
    assert mine.batch in PICTURES_PER_RUN
    assert mine.run_s > 0
    assert np.array_equal(before.pixels, picture(0.9))
    assert np.array_equal(after.pixels, picture(0.8))


def test_a_lone_picture_waits_for_nobody(model: Denoiser) -> None:
    async def one() -> tuple[Ran, Ran]:
        batcher = Batcher(deadline_s=10, costs=Costs())
        return await batcher.run(model, picture(0.5)), batcher.run_alone(model, picture(0.5))

    ran, at_once = asyncio.run(one())
    assert ran.batch == at_once.batch == 1
    assert np.array_equal(ran.pixels, at_once.pixels)
    assert np.array_equal(ran.code, at_once.code)  # type: ignore[arg-type]  # this model has one


def test_only_pictures_of_one_size_share_a_run(model: Denoiser) -> None:
    async def mixed() -> list[Ran]:
        batcher = Batcher(deadline_s=10, costs=Costs())
        return await asyncio.gather(*(batcher.run(model, picture(0.5, side)) for side in (8, 12) * 4))

    answers = asyncio.run(mixed())
    assert [ran.pixels.shape[1] for ran in answers] == [8, 12] * 4
    assert max(ran.batch for ran in answers) <= 4


def test_what_nobody_waits_for_is_left_out_and_what_is_late_is_told(model: Denoiser) -> None:
    async def some() -> list[Ran | BaseException]:
        batcher = Batcher(deadline_s=0.05, costs=Costs())
        gone, late = batcher.run(model, picture(0.1)), batcher.run(model, picture(0.2))
        gone.cancel()
        time.sleep(0.1)  # noqa: ASYNC251  # the loop is kept from its turn
        return await asyncio.gather(gone, late, batcher.run(model, picture(0.3)), return_exceptions=True)

    gone, late, fine = asyncio.run(some())
    assert isinstance(gone, asyncio.CancelledError)
    assert isinstance(late, Late)
    assert isinstance(fine, Ran)
    assert fine.batch == 1


class Choosy(Denoiser):
    """Fails on every batch that has a black picture in it."""

    def __call__(self, pixels: Pixels) -> Restored:
        """Runs the batch."""
        if not pixels.max(axis=(1, 2, 3)).all():
            raise RuntimeError("black")
        return super().__call__(pixels)


def test_one_bad_picture_fails_alone(tiny_models: Path) -> None:
    bright = np.full((1, 28, 28, 1), 0.5, np.float32)
    model = Choosy(tiny_models / "any.onnx", CPU, threads=1)

    async def mixed() -> list[Ran | BaseException]:
        batcher = Batcher(deadline_s=10, costs=Costs())
        values = (0.1, 0, 0.2, 0.3)
        return await asyncio.gather(*(batcher.run(model, picture(v)) for v in values), return_exceptions=True)

    answers = asyncio.run(mixed())
    assert [isinstance(answer, RuntimeError) for answer in answers] == [False, True, False, False]
    assert model(bright).pixels.shape == bright.shape


def test_models_and_callers_take_turns(model: Denoiser, tiny_models: Path) -> None:
    other = Denoiser(tiny_models / "half.onnx", CPU, threads=1)

    async def waits() -> tuple[int, int, int]:
        batcher = Batcher(deadline_s=10, costs=Costs())
        done: list[str] = []
        block = batcher.run(model, np.zeros((640, 8, 8), np.float32))
        asked = {
            "another": batcher.run(other, picture(0.5, 28)),
            "same": batcher.run(model, picture(0.5)),
            "block": block,
        }
        for name, answer in asked.items():
            answer.add_done_callback(lambda _, name=name: done.append(name))  # type: ignore[misc]  # its default is a name
        await asyncio.gather(*asked.values())
        return done.index("another"), done.index("same"), done.index("block")

    another, same, block = asyncio.run(waits())
    assert max(another, same) < block
