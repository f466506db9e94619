"""Where a process gets its connections from: the address itself, or its parent."""

import ctypes
import socket
from typing import Protocol


class Counts(ctypes.Structure):
    """What became of a process's connections, in memory that another one may see."""

    _fields_ = (("taken", ctypes.c_uint64), ("ended", ctypes.c_uint64))
    taken: int
    ended: int


class Source(Protocol):
    """Where they come from. It never makes anybody wait."""

    counts: Counts

    def fileno(self) -> int:
        """What is readable when there is one."""

    def take(self) -> socket.socket | None:
        """The next one; None when there is none yet. Raises EOFError when there will be no more.

        Raises OSError when the system cannot open another file now.
        """

    def shut(self) -> None:
        """No more are to come."""


class Listener:
    """The address itself."""

    def __init__(self, listening: socket.socket) -> None:
        """Of a socket that is bound; it may begin to listen later."""
        listening.setblocking(False)
        self._listening = listening
        self.counts = Counts()

    def fileno(self) -> int:
        """What is readable when there is one."""
        return self._listening.fileno()

    def take(self) -> socket.socket | None:
        """As a Source."""
        while self._listening.fileno() >= 0:
            try:
                return self._listening.accept()[0]
            except BlockingIOError:
                return None
            except ConnectionError:  # that caller has gone
                continue
        raise EOFError

    def shut(self) -> None:
        """What has not been taken is refused."""
        self._listening.close()


class Inbox:
    """What the parent hands over: a byte for each connection, with its descriptor (SCM_RIGHTS, unix(7))."""

    def __init__(self, incoming: socket.socket, family: socket.AddressFamily, counts: Counts) -> None:
        """`family` is that of the connections; `counts` are in memory that the parent sees."""
        self._incoming, self._family, self.counts = incoming, family, counts
        incoming.setblocking(False)

    def fileno(self) -> int:
        """What is readable when there is one."""
        return self._incoming.fileno()

    def take(self) -> socket.socket | None:
        """As a Source."""
        while True:
            try:
                said, descriptors, _, _ = socket.recv_fds(self._incoming, 1, 1)
            except BlockingIOError:
                return None
            if not said:
                raise EOFError
            self.counts.taken += 1
            if descriptors:
                return socket.socket(self._family, socket.SOCK_STREAM, fileno=descriptors[0])
            self.counts.ended += 1  # this process has as many files open as it may: the system has closed it

    def shut(self) -> None:
        """What has been handed over can still be taken."""
        self._incoming.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Gives its file back."""
        self._incoming.close()
