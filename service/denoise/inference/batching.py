"""Many waiting pictures, one run: takes whatever waits, and never waits for more.

It all happens on the thread of the event loop. One turn of the loop reads what every connection has brought; the
pictures of it are run together when all of them have been prepared, and their answers go out in the next turn. For
small pictures that is cheaper than any thread: handing one over costs more than most of them take to run. A run empties
the processor's caches, so what comes before and after it is cheaper for many pictures together; yet it takes about
TURN_S at most, so that new requests are looked at, and refused in time where there are too many.

Turns are fair: models and sizes take them in rotation, and so do callers. A caller's turn ends with the run that
brings it to PICTURES_PER_TURN pictures; what it has beyond waits behind the others.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from denoise import metrics
from denoise.errors import Late
from denoise.inference.clock import PICTURES_PER_RUN, TURN_S
from denoise.inference.cost import Costs
from denoise.inference.denoiser import Denoiser
from denoise.pictures import Pixels

# A caller's turn is as long as a full run. Were it shorter, callers whose tensors fill one run each would share every
# run, and all of them would have their answers only at the end.
PICTURES_PER_TURN = 64


class Ran(NamedTuple):
    """The answers to one caller's pictures.

    Attributes:
        pixels: `[count, height, width]`, 0 … 1.
        code: `[count, ...]`; None of a model without a hidden code.
        waited_s: seconds until the first picture's run began.
        run_s: seconds that all runs took in which the pictures were.
        batch: pictures in the largest of these runs.
    """

    pixels: Pixels
    code: Pixels | None
    waited_s: float
    run_s: float
    batch: int


@dataclass(slots=True)
class _Waiting:
    """Pictures `[count, height, width]` of one caller.

    The first `taken` have been put into runs, the last `in_turn` of them since the caller's turn began; `answered` of
    them have come back.
    """

    pixels: Pixels
    answer: "asyncio.Future[Ran]"
    since: float
    taken: int = 0
    in_turn: int = 0
    answered: int = 0
    ran: list[Ran] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.pixels) - self.taken


class _Part(NamedTuple):
    """Those of a caller's waiting pictures that are in one run."""

    waiting: _Waiting
    pixels: Pixels


@dataclass
class _Line:
    """Pictures of one size that wait for one model."""

    model: Denoiser
    seconds_per_picture: float
    waiting: deque[_Waiting] = field(default_factory=deque)
    pictures: int = 0


class Batcher:
    """Runs small pictures in batches. Belongs to one event loop."""

    def __init__(self, deadline_s: float, costs: Costs) -> None:
        """Pictures that have waited longer than `deadline_s` are not run any more; `costs` learns from every run."""
        self.deadline_s, self.costs = deadline_s, costs
        # The lines in which something waits, the one whose turn is next first.
        self._busy: dict[tuple[Denoiser, tuple[int, ...]], _Line] = {}
        self._scheduled = False

    def run(self, model: Denoiser, pixels: Pixels) -> "asyncio.Future[Ran]":
        """The answers of `model` to pictures `[count, height, width]`; those of a cancelled future are left out.

        The future raises Late when the deadline passed first.
        """
        loop = asyncio.get_running_loop()
        key = model, pixels.shape[1:]
        line = self._busy.get(key)
        if line is None:
            line = self._busy[key] = _Line(model, self.costs.of_pixel(model) * pixels[0].size)
        answer: asyncio.Future[Ran] = loop.create_future()
        line.waiting.append(_Waiting(pixels, answer, time.perf_counter()))
        line.pictures += len(pixels)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._turn, loop)
        return answer

    def run_alone(self, model: Denoiser, pixels: Pixels) -> Ran:
        """The same at once, `[count, height, width]`: what comes alone need not wait for a turn of the loop."""
        start = time.perf_counter()
        restored = model(pixels[..., np.newaxis])
        spent = time.perf_counter() - start
        self.costs.observe(model, pixels.size, spent)
        metrics.count_run(model.name, len(pixels))
        return Ran(restored.pixels[..., 0], restored.code, 0, spent, len(pixels))

    def expected_wait_s(self) -> float:
        """About how many seconds a picture that comes now will wait."""
        return sum(line.pictures * line.seconds_per_picture for line in self._busy.values())

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        key, line = next(iter(self._busy.items()))
        try:
            if batch := self._batch(line):
                try:
                    self._run(line, batch)
                except Exception as error:  # Without memory even the answers cannot be put together.
                    for part in batch:
                        if not part.waiting.answer.done():
                            part.waiting.answer.set_exception(error)
        finally:
            del self._busy[key]
            if line.waiting:
                self._busy[key] = line  # Its next turn comes after those of all others.
            self._scheduled = bool(self._busy)
            if self._scheduled:
                loop.call_soon(self._turn, loop)
        metrics.set_waiting("small", sum(line.pictures for line in self._busy.values()))

    def _batch(self, line: _Line) -> list[_Part]:
        """The next pictures of a line, as many as fit into a turn."""
        line.seconds_per_picture = self.costs.of_pixel(line.model) * line.waiting[0].pixels[0].size
        fitting = min(PICTURES_PER_RUN[0], max(1.0, TURN_S / line.seconds_per_picture))
        takers = self._takers(line, fitting)
        count = sum(waiting.left for waiting in takers)
        left = next((size for size in PICTURES_PER_RUN if size <= min(fitting, count)), 0)
        batch, unserved = [], []
        for waiting in takers:
            part = _Part(waiting, waiting.pixels[waiting.taken : waiting.taken + left])
            waiting.taken += len(part.pixels)
            waiting.in_turn += len(part.pixels)
            left -= len(part.pixels)
            line.pictures -= len(part.pixels)
            if len(part.pixels):
                batch.append(part)
            else:
                unserved.append(waiting)
        line.waiting.extendleft(reversed(unserved))
        if batch and (last := batch[-1].waiting).left:  # All before it are in the run with what they had.
            if last.in_turn < PICTURES_PER_TURN:
                line.waiting.appendleft(last)
            else:  # Its next turn comes after those of the others.
                last.in_turn = 0
                line.waiting.append(last)
        return batch

    def _takers(self, line: _Line, fitting: float) -> list[_Waiting]:
        """The callers whose pictures fill a run; those who have gone or are late leave the line."""
        late = time.perf_counter() - self.deadline_s
        takers: list[_Waiting] = []
        count = 0
        while line.waiting and count < fitting:
            waiting = line.waiting.popleft()
            if waiting.answer.done():  # The caller has gone.
                line.pictures -= waiting.left
            elif waiting.since < late:
                line.pictures -= waiting.left
                waiting.answer.set_exception(Late(f"The picture waited for {self.deadline_s:g} s without its turn."))
            else:
                takers.append(waiting)
                count += waiting.left
        return takers

    def _run(self, line: _Line, batch: list[_Part]) -> None:
        start = time.perf_counter()
        pixels = batch[0].pixels if len(batch) == 1 else np.concatenate([part.pixels for part in batch])
        try:
            restored = line.model(pixels[..., np.newaxis])
        except Exception as error:  # Whatever the runtime raises is the answer to the pictures of the run.
            if len(batch) > 1:
                for part in batch:
                    self._run(line, [part])
            elif not batch[0].waiting.answer.done():
                batch[0].waiting.answer.set_exception(error)
            return
        spent = time.perf_counter() - start
        begin = 0
        for waiting, mine in batch:
            own = slice(begin, begin + len(mine))
            begin = own.stop
            code = None if restored.code is None else restored.code[own]
            waited = start - waiting.since
            waiting.ran.append(Ran(restored.pixels[own, ..., 0], code, waited, spent, len(pixels)))
            waiting.answered += len(mine)
            if waiting.answered == len(waiting.pixels):
                waiting.answer.set_result(_join(waiting.ran))
        self.costs.observe(line.model, pixels.size, spent)
        metrics.count_run(line.model.name, len(pixels))


def _join(ran: list[Ran]) -> Ran:
    """The answers to pictures that were in several runs, as those to one."""
    if len(ran) == 1:
        return ran[0]
    codes = [one.code for one in ran if one.code is not None]
    return Ran(
        np.concatenate([one.pixels for one in ran]),
        np.concatenate(codes) if codes else None,
        ran[0].waited_s,
        sum(one.run_s for one in ran),
        max(one.batch for one in ran),
    )
