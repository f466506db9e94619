"""Who gives way when as many connections are open as there may be.

uvicorn counts connections only to refuse requests: whoever opens as many as it holds and says nothing keeps all others
out. Here the one whose caller has done nothing for the longest time is closed, and probes always find a place.
"""

from collections.abc import Iterable
from typing import Protocol

PROBES = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
PLACES_FOR_PROBES = 16  # So many connections more are taken, for requests of probes alone.
TOO_MANY = "{:,} connections are open; no more are taken."
LEAST_SILENCE_S = 1.0  # If callers gave way sooner, none would get as far as its request in a rush.


class Member(Protocol):
    """A connection, as the others see it."""

    def silent_since(self) -> float | None:
        """When its caller last did its part, in the loop's time; None while it is the service's turn."""

    def give_way(self) -> None:
        """Closes it; it counts no more from now on."""


def make_room(members: Iterable[Member], now: float) -> bool:
    """Has the longest silent one give way. Gives False where none is silent."""
    silent = [(since, member) for member in members if (since := member.silent_since()) is not None]
    since, longest = min(silent, key=lambda pair: pair[0], default=(now, None))
    if longest is None or now - since < LEAST_SILENCE_S:
        return False
    longest.give_way()
    return True
