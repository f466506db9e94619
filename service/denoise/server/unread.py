"""What was written to a caller who has not read it yet: how much it is, and the memory that it takes.

uvicorn and the event loop know what they hold themselves, not what the system holds of it, which may be megabytes: of a
slow but steady reader they would see nothing for a long time.
"""

import asyncio
import contextlib
import struct
import sys

from denoise.inference.gate import Gate

if sys.platform != "win32":
    import fcntl
    import termios


def unread_bytes(transport: asyncio.Transport) -> int:
    """The bytes that wait in the event loop, and in the system where it tells (tcp(7), SIOCOUTQ)."""
    count = transport.get_write_buffer_size()
    if sys.platform == "linux":
        with contextlib.suppress(
            OSError, ValueError, AttributeError
        ):  # The transport may be closed, or have no socket.
            descriptor = transport.get_extra_info("socket").fileno()
            count += struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0]
    return count


class HeldBytes:
    """The part of an answer that the event loop holds; it takes memory as a body does, and counts as one."""

    def __init__(self, bodies: Gate) -> None:
        self._bodies, self._count = bodies, 0

    def hold(self, count: int) -> None:
        """So many bytes are held."""
        self._bodies.inside += count - self._count
        self._count = count
