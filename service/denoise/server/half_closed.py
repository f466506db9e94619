"""A caller who sends no more, and may still wait for an answer or may have gone.

uvicorn takes both for gone. They cannot be told from each other but by sending something: a request that takes a while
gets interim answers (RFC 9110, section 15.2), which whoever waits passes over, and at which the connection of whoever
has gone breaks. A quick answer comes before the first of them.
"""

import asyncio
from collections.abc import Callable

INTERIM_ANSWER = b"HTTP/1.1 100 Continue\r\n\r\n"
FIRST_PAUSE_S = 0.1


class SignsOfLife:
    """Interim answers, with longer and longer pauses between them."""

    def __init__(self, transport: asyncio.Transport, may_come: Callable[[], bool]) -> None:
        """`may_come` says whether an interim answer is what the caller can be sent now."""
        self._transport, self._may_come = transport, may_come
        self._schedule(FIRST_PAUSE_S)

    def _schedule(self, pause_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._send, pause_s)

    def _send(self, pause_s: float) -> None:
        if self._may_come():
            self._transport.write(INTERIM_ANSWER)
        self._schedule(2 * pause_s)

    def stop(self) -> None:
        """No more of them."""
        self._timer.cancel()
