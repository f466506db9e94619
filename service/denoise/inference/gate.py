"""How much may be inside a process at a time: requests, bytes, and expected seconds of work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from denoise.errors import Busy

MICROSECONDS = 1_000_000
# The share of the work inside that dear requests may have together, so that cheap ones always find room.
DEAR_SHARE = 0.5
# A request that is expected to take up to this share of the work that may be inside is cheap.
CHEAP_SHARE = 1 / 16


@dataclass(slots=True)
class Admission:
    """A context in which an amount counts as inside a gate."""

    gate: "Gate"
    amount: int

    def __enter__(self) -> "Admission":
        self.gate.inside += self.amount
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.inside -= self.amount

    def grow(self, amount: int) -> None:
        """The amount turned out to be as much as this. Raises Busy when there is no room for it."""
        self.gate.check(amount, own=self.amount)
        self.shrink(amount)

    def shrink(self, amount: int) -> None:
        """The amount turned out to be no more than this."""
        self.gate.inside += amount - self.amount
        self.amount = amount


class Gate:
    """Lets so much in at a time, and no more."""

    def __init__(self, most: int, what: str, unit: int = 1) -> None:
        """At most `most`; `what` says in words of what, where so many are a `unit`."""
        self.most, self.what, self.unit = most, what, unit
        self.inside = 0

    def explain(self, inside: int, asked: int = 0) -> str:
        """Tells those who are not let in why, when so much is inside; what they `asked` for where some would fit."""
        most, more = self.most // self.unit, asked // self.unit
        asking = f", and {more:,} more are asked for" if more and inside < self.most else ""
        return f"{inside // self.unit:,} {self.what} are being worked on{asking}; the limit is {most:,}."

    def check(self, amount: int = 1, own: int = 0) -> None:
        """Raises Busy when there is no room for so much; who is alone always has room.

        Of what is inside, `own` is the asker's already, and part of the amount.
        """
        others = self.inside - own
        if amount and others and others + amount > self.most:
            raise Busy(self.explain(self.inside, amount - own))

    def admit(self, amount: int = 1) -> Admission:
        """A context in which so much counts. Raises Busy when there is no room for it."""
        self.check(amount)
        return Admission(self, amount)


class Work(NamedTuple):
    """A context in which expected seconds of work count as inside a gate."""

    gate: "WorkGate"
    among_all: Admission
    among_dear: Admission

    def grow(self, seconds: float) -> None:
        """The work turned out to take as long as this. Raises Busy when there is no room for it."""
        amount, dear = self.gate.count(seconds)
        self.among_all.grow(amount)
        self.among_dear.grow(dear)


class WorkGate:
    """Lets in as many expected seconds of work as can be done before they would be late.

    Dear requests have a share of it together, so that whoever sends them does not keep the others out: one that is
    dearer than the share counts as the share. Seconds are counted in whole microseconds, which add up exactly.
    """

    def __init__(self, most_s: float) -> None:
        """At most `most_s` expected seconds."""
        self._all = Gate(round(MICROSECONDS * most_s), "seconds of work", MICROSECONDS)
        most_dear = round(MICROSECONDS * DEAR_SHARE * most_s)
        self._dear = Gate(most_dear, "seconds of work by large requests", MICROSECONDS)

    @contextmanager
    def admit(self, seconds: float) -> Iterator[Work]:
        """A context in which so many expected seconds count. Raises Busy when there is no room for them."""
        amount, dear = self.count(seconds)
        with self._all.admit(amount) as among_all, self._dear.admit(dear) as among_dear:
            yield Work(self, among_all, among_dear)

    def count(self, seconds: float) -> tuple[int, int]:
        """So many seconds as they count among all work, and among that of dear requests."""
        amount = min(round(MICROSECONDS * seconds), self._dear.most)
        return amount, amount if amount > CHEAP_SHARE * self._all.most else 0
