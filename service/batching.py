"""Many waiting pictures, one run: takes whatever waits, and never waits for more.

It all happens on the thread of the event loop. One turn of the loop reads what every connection has brought; the
pictures of it are run together when all of them have been prepared, and their answers go out in the next turn. For
small pictures that is cheaper than any thread: handing one over costs more than most of them take to run. A turn runs
for about TURN_S, so that new requests are looked at, and refused in time where there are too many.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from service import metrics
from service.denoiser import Denoiser, Pixels
from service.errors import Busy, Late

SIZES = (64, 32, 16, 8, 4, 2, 1)  # pictures in a run: few, since a runtime keeps memory and plans for each
TURN_S = 0.005
FIRST_GUESS_S = 2e-6  # per pixel, until a run has been timed
INERTIA = 0.8  # of the time per picture, from run to run


class Ran(NamedTuple):
    """What became of a picture."""

    pixels: Pixels  # [height, width], 0 … 1
    code: Pixels | None
    waited_s: float
    run_s: float  # of the whole batch
    batch: int  # pictures in it


class _Waiting(NamedTuple):
    pixels: Pixels
    answer: "asyncio.Future[Ran]"
    since: float


@dataclass
class _Line:
    """Pictures of one size that wait for one model."""

    model: Denoiser
    seconds: float  # per picture
    waiting: deque[_Waiting] = field(default_factory=deque)


class Batcher:
    """Runs small pictures in batches. Belongs to one event loop."""

    def __init__(self, deadline_s: float) -> None:
        """Pictures that have waited longer than `deadline_s` are not run any more."""
        self.deadline_s = deadline_s
        self._lines: dict[tuple[Denoiser, tuple[int, ...]], _Line] = {}
        self._busy: dict[tuple[Denoiser, tuple[int, ...]], _Line] = {}  # those in which something waits
        self._scheduled = False

    def run(self, model: Denoiser, pixels: Pixels) -> "asyncio.Future[Ran]":
        """What `model` makes of a picture `[height, width]`; a cancelled future's picture is left out.

        The future raises Late when the deadline passed first.
        """
        loop = asyncio.get_running_loop()
        key = model, pixels.shape
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(model, FIRST_GUESS_S * pixels.size)
        self._busy[key] = line
        answer: asyncio.Future[Ran] = loop.create_future()
        line.waiting.append(_Waiting(pixels, answer, time.perf_counter()))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._turn, loop)
        return answer

    def run_alone(self, model: Denoiser, pixels: Pixels) -> Ran:
        """The same at once, for a picture beside which there is no other: it need not wait for a turn of the loop."""
        start = time.perf_counter()
        restored = model(pixels[np.newaxis, ..., np.newaxis])
        spent = time.perf_counter() - start
        metrics.ran(model.name, 1)
        return Ran(restored.pixels[0, ..., 0], None if restored.code is None else restored.code[0], 0, spent, 1)

    def expected_wait_s(self) -> float:
        """How long a picture that comes now will wait, about."""
        return sum(len(line.waiting) * line.seconds for line in self._busy.values())

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        key, line = min(self._busy.items(), key=lambda item: item[1].waiting[0].since)
        try:
            if batch := self._batch(line):
                _run(line, batch)
        finally:
            if not line.waiting:
                del self._busy[key]
            self._scheduled = bool(self._busy)
            if self._scheduled:
                loop.call_soon(self._turn, loop)
        metrics.waiting("small", sum(len(line.waiting) for line in self._busy.values()))

    def _batch(self, line: _Line) -> list[_Waiting]:
        """The next pictures of a line, as many as fit into a turn."""
        fitting = max(1.0, TURN_S / line.seconds)
        most = next(size for size in SIZES if size <= min(fitting, len(line.waiting)))
        late = time.perf_counter() - self.deadline_s
        batch: list[_Waiting] = []
        while line.waiting and len(batch) < most:
            picture = line.waiting.popleft()
            if picture.answer.done():  # its caller has gone
                continue
            if picture.since < late:
                picture.answer.set_exception(Late(f"The picture waited for {self.deadline_s:g} s without its turn."))
                continue
            batch.append(picture)
        while len(batch) not in (0, *SIZES):  # some were left out
            line.waiting.appendleft(batch.pop())
        return batch


def _run(line: _Line, batch: list[_Waiting]) -> None:
    start = time.perf_counter()
    try:
        restored = line.model(np.stack([picture.pixels for picture in batch])[..., np.newaxis])
        spent = time.perf_counter() - start
        codes = [None] * len(batch) if restored.code is None else restored.code
        for picture, pixels, code in zip(batch, restored.pixels[..., 0], codes, strict=True):
            picture.answer.set_result(Ran(pixels, code, start - picture.since, spent, len(batch)))
    except Exception as error:  # whatever a runtime raises goes to the picture that it is about
        if len(batch) > 1:
            for picture in batch:
                _run(line, [picture])
        else:
            batch[0].answer.set_exception(error)
        return
    line.seconds = INERTIA * line.seconds + (1 - INERTIA) * spent / len(batch)
    metrics.ran(line.model.name, len(batch))


class Gate:
    """Lets so much in at a time, and no more."""

    def __init__(self, most: int, what: str) -> None:
        """At most `most`; `what` says in words of what."""
        self.most, self.what = most, what
        self.inside = 0
        self._expected = 0  # that are not inside yet, but will ask at the next turn of the loop

    @property
    def far_from_full(self) -> bool:
        """Whether it takes many more until there is no room."""
        return 2 * self.inside < self.most

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return self.inside + self._expected >= self.most

    @property
    def sentence(self) -> str:
        """What is told to those who are not let in."""
        return f"{self.inside + self._expected:,} {self.what} are being worked on; the limit is {self.most:,}."

    def expect(self, loop: asyncio.AbstractEventLoop) -> None:
        """One more comes, which is let in at the next turn of the loop."""
        if not self._expected:
            loop.call_soon(self._forget)
        self._expected += 1

    def _forget(self) -> None:
        self._expected = 0

    def check(self, count: int = 1) -> None:
        """Raises Busy when there is no room for so many; who is alone always has room."""
        if count and self.inside and self.inside + count > self.most:
            raise Busy(self.sentence)

    def admit(self, count: int = 1) -> "_Inside":
        """A context in which so many count. Raises Busy when there is no room for them."""
        self.check(count)
        return _Inside(self, count)


@dataclass(slots=True)
class _Inside:
    gate: Gate
    much: int

    def __enter__(self) -> "_Inside":
        self.gate.inside += self.much
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.inside -= self.much

    def shrink(self, much: int) -> None:
        """It turned out to be no more than this."""
        self.gate.inside += much - self.much
        self.much = much
