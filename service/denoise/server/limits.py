"""How long each part of a connection's life may take, and how large a head may be.

uvicorn closes a connection that is silent between two requests, and bounds nothing else: a head that trickles, headers
without end, a body that stops on its way, an answer that nobody reads.
"""

import enum
from collections.abc import Sequence
from itertools import chain

from denoise.settings import Settings

LOOKS_PER_LIMIT = 4
LONGEST_LIMIT_S = 20.0  # Limits that are longer are looked at as often as one of this length.
LEAST_READ_BYTES = 4096  # A caller who reads less of an answer within the limit does not read it.
FIRST_LINE_BYTES = len(b"  HTTP/1.1\r\n\r\n")  # The blank line behind the headers is counted with it.
HEADER_LINE_BYTES = len(b": \r\n")


class Stage(enum.Enum):
    """What a connection brings next."""

    REQUEST = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class Verdict(enum.Enum):
    """What is to be done with a connection, as its limits have it."""

    WAIT = enum.auto()
    REFUSE_BODY = enum.auto()
    CLOSE = enum.auto()
    ABORT = enum.auto()


class Limits:
    """How far a connection has come, since when, and whether that is too long or too large."""

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self.interval_s = min(settings.idle_seconds, settings.upload_seconds, LONGEST_LIMIT_S) / LOOKS_PER_LIMIT
        self._unread: tuple[int, float] | None = None
        self.enter(Stage.REQUEST, now)

    def enter(self, stage: Stage, now: float) -> None:
        """Notes that the caller has come to a stage."""
        self.stage, self.since, self._moved, self._idle_bytes = stage, now, now, 0

    def note_body(self, now: float) -> None:
        """Notes that a part of a body has come."""
        self._moved, self._idle_bytes = now, 0

    def note_bytes(self, count: int) -> None:
        """Notes that bytes have come, before it is known what they are."""
        self._idle_bytes += count

    def note_unread(self, count: int | None, now: float) -> None:
        """Notes how many bytes of answers wait for the caller to read them; None where they do not hold anything up."""
        if count is None:
            self._unread = None
        elif self._unread is None or not count or count <= self._unread[0] - LEAST_READ_BYTES:
            self._unread = count, now

    @property
    def head_is_endless(self) -> bool:
        """Whether more bytes than a head may have were neither a whole head nor part of a body."""
        return self._idle_bytes > self._settings.max_header_bytes

    def head_is_too_large(self, method: bytes, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether a whole head has more bytes than it may have, however it came."""
        size = FIRST_LINE_BYTES + len(method) + len(url)
        size += HEADER_LINE_BYTES * len(headers) + sum(map(len, chain.from_iterable(headers)))
        return size > self._settings.max_header_bytes

    def silent_since(self, unanswered: int) -> float | None:
        """When the caller last did its part, in the loop's time; None while it is the service's turn."""
        if self._unread:
            return self._unread[1]
        return None if unanswered and self.stage is Stage.REQUEST else self._moved

    def verdict(self, now: float, unanswered: int) -> Verdict:
        """What is to be done now with a connection of so many unanswered requests."""
        spent = now - self.since
        if self._unread:
            return Verdict.ABORT if now - self._unread[1] > self._settings.idle_seconds else Verdict.WAIT
        if self.stage is Stage.BODY and unanswered <= 1:
            if spent <= self._settings.upload_seconds:
                return Verdict.WAIT
            return Verdict.REFUSE_BODY if unanswered else Verdict.CLOSE  # It may have been answered already.
        if unanswered:  # The service takes its time, not the caller.
            self.since = now
            return Verdict.WAIT
        return Verdict.CLOSE if spent > self._settings.idle_seconds else Verdict.WAIT
