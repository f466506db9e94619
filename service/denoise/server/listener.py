"""The address that is listened on, by one socket that all workers share, each of which takes its fair part.

uvicorn's workers share a socket as well, but whoever wakes first takes what there is: most callers may be one worker's,
and wait for it while the other is idle. Here each worker shows the others how many connections it has, in memory that
all of them see, and takes one only while none of the others has fewer. In 20 starts of 20, of 16 callers each of two
workers got 7, 8 or 9. What it costs is spent when somebody connects: requests on open connections take the same CPU
time as with one process that hands connections out (295 and 296 microseconds at 16 callers, `easy_dae`).
"""

import ctypes
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from denoise.errors import SetupError
from denoise.settings import Settings

BACKLOG = 2048
STALE_S = 0.3  # The others wait no longer for a worker whose loop has not turned for this long.


class Slot(ctypes.Structure):
    """What a worker shows of itself."""

    _fields_ = (("connections", ctypes.c_int64), ("beat", ctypes.c_double))
    connections: int
    beat: float

    def clear(self) -> None:
        """Shows that nobody serves here."""
        self.connections, self.beat = 0, 0.0


class Listener:
    """The socket, as one of the workers sees it."""

    def __init__(self, listening: socket.socket, slots: Iterable[Slot], own: int) -> None:
        """`listening` is bound and may begin to listen later; the worker shows itself in `slots[own]`."""
        listening.setblocking(False)
        self._socket = listening
        self._others = list(slots)
        self._slot = self._others.pop(own)

    def fileno(self) -> int:
        """The descriptor that is readable when somebody has connected; -1 once it is closed."""
        return self._socket.fileno()

    @property
    def listens(self) -> bool:
        """Whether it has begun to listen. Where the system cannot say, as macOS, trying to accept tells."""
        try:
            return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        except OSError:
            return True

    def show(self, connections: int) -> None:
        """Shows the others that this worker's loop turns, and how many connections it has, until it is closed."""
        if self.fileno() >= 0:
            self._slot.connections, self._slot.beat = connections, time.monotonic()

    def has_turn(self) -> bool:
        """Whether none of the workers that serve has fewer connections than this one; a tenth is no difference."""
        since, own = time.monotonic() - STALE_S, self._slot.connections
        return all(slot.connections >= own - own // 10 for slot in self._others if slot.beat > since)

    def accept(self) -> socket.socket | None:
        """The next connection; None when there is none. Raises OSError when the system cannot open another file."""
        while True:
            try:
                return self._socket.accept()[0]
            except BlockingIOError:
                return None
            except ConnectionError:  # That caller has gone.
                continue

    def close(self) -> None:
        """Takes no more; what has connected and is not taken is left to the other workers, or reset by the last."""
        self._slot.clear()
        self._socket.close()


def bind(settings: Settings) -> socket.socket:
    """A socket bound to the address, before any model is loaded: a port in use is found at once.

    Raises SetupError.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with _name_address(settings):
        listening.bind((settings.host, settings.port))
    return listening


def listen(settings: Settings, listening: socket.socket) -> str:
    """Begins to listen, and gives the URL. Raises SetupError where another service took the address meanwhile."""
    with _name_address(settings):
        listening.listen(BACKLOG)
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def _name_address(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}; "
            "DENOISE_HOST and DENOISE_PORT name another address."
        ) from None
