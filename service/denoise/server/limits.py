"""How long each part of a connection's life may take, and how large a head may be.

uvicorn closes a connection that is silent between two requests, and bounds nothing else: a head that trickles, headers
without end, a body that stops on its way, an answer that nobody reads.
"""

import enum

from denoise.settings import Settings

LOOKS_PER_LIMIT = 4
LONGEST_LIMIT_S = 20.0  # a longer limit is looked at as often as one of this length


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
        self.unread_since: float | None = None
        self.enter(Stage.REQUEST, now)

    def enter(self, stage: Stage, now: float) -> None:
        """Notes that the caller has come to a stage."""
        self.stage, self.since, self._idle_bytes = stage, now, 0

    def note_body(self) -> None:
        """Notes that a part of a body has come."""
        self._idle_bytes = 0

    def note_bytes(self, count: int) -> None:
        """Notes that bytes have come, before it is known what they are."""
        self._idle_bytes += count

    @property
    def head_is_too_large(self) -> bool:
        """Whether more bytes than a head may have were neither a whole head nor part of a body."""
        return self._idle_bytes > self._settings.max_header_bytes

    def verdict(self, now: float, unanswered: int, closing: bool) -> Verdict:
        """What is to be done now with a connection of so many unanswered requests, which may be about to close."""
        spent = now - self.since
        if self.unread_since is not None or closing:
            unread = now - (self.unread_since or self.since)
            return Verdict.ABORT if unread > self._settings.idle_seconds else Verdict.WAIT
        if self.stage is Stage.BODY and unanswered <= 1:
            if spent <= self._settings.upload_seconds:
                return Verdict.WAIT
            return Verdict.REFUSE_BODY if unanswered else Verdict.CLOSE  # without one it was answered before its body
        if unanswered:  # the time is the service's
            self.since = now
            return Verdict.WAIT
        return Verdict.CLOSE if spent > self._settings.idle_seconds else Verdict.WAIT
