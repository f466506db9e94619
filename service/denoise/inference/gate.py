"""How much may be inside a process at a time: requests, bytes, and expected seconds of work."""

from dataclasses import dataclass

from denoise.errors import Busy

# The share of the work inside that dear requests may have together, so that cheap ones always find room.
DEAR_SHARE = 0.5
# A request that is expected to take up to this share of the work that may be inside is cheap.
CHEAP_SHARE = 1 / 16


@dataclass(slots=True)
class Admission:
    """A context in which an amount counts as inside a gate."""

    gate: "Gate"
    amount: float

    def __enter__(self) -> "Admission":
        self.gate.inside += self.amount
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.inside -= self.amount

    def shrink(self, amount: float) -> None:
        """The amount turned out to be no more than this."""
        self.gate.inside += amount - self.amount
        self.amount = amount


class Gate:
    """Lets so much in at a time, and no more."""

    def __init__(self, most: float, what: str) -> None:
        """At most `most`; `what` says in words of what."""
        self.most, self.what = most, what
        self.inside: float = 0

    def explain(self, inside: float) -> str:
        """Tells those who are not let in why, when so much is inside."""
        return f"{round(inside):,} {self.what} are being worked on; the limit is {round(self.most):,}."

    def check(self, amount: float = 1) -> None:
        """Raises Busy when there is no room for so much; who is alone always has room."""
        if amount and self.inside and self.inside + amount > self.most:
            raise Busy(self.explain(self.inside))

    def admit(self, amount: float = 1) -> Admission:
        """A context in which so much counts. Raises Busy when there is no room for it."""
        self.check(amount)
        return Admission(self, amount)


class WorkGate(Gate):
    """Lets in as many expected seconds of work as can be done before they would be late.

    Dear requests have a share of it together, so that whoever sends them does not keep the others out: of one that is
    expected to take longer than that share, no more than the share counts.
    """

    def __init__(self, most_s: float) -> None:
        """At most `most_s` expected seconds."""
        super().__init__(most_s, "seconds of work")
        self._dear = Gate(DEAR_SHARE * most_s, "seconds of work by large requests")

    def admit(self, amount: float = 1) -> Admission:
        """A context in which so many expected seconds count. Raises Busy when there is no room for them."""
        if amount <= CHEAP_SHARE * self.most:
            return super().admit(amount)
        counted = min(amount, self._dear.most)
        dear = self._dear.admit(counted)
        self.check(counted)
        return _DearAdmission(self, dear.amount, dear)


@dataclass(slots=True)
class _DearAdmission(Admission):
    dear: Admission

    def __enter__(self) -> Admission:
        self.dear.__enter__()
        return Admission.__enter__(self)

    def __exit__(self, *_: object) -> None:
        self.dear.__exit__()
        Admission.__exit__(self)
