"""What the tests over real sockets share: services of a test's own, and bare bytes to and from them."""

import contextlib
import io
import signal
import socket
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Server

PATIENCE_S = 60
# A service whose large pictures take three seconds or more, but hardly a processor's time: `start(*SLOW)`.
SLOW = (
    "sh",
    "-c",
    """exec "$1" -c "import time
from denoise.cli.commands import main
from denoise.inference.tiling import TiledRun
step = TiledRun.step
TiledRun.step = lambda run: time.sleep(1.5) or step(run)
main()" serve""",
    "sh",
)
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

Start = Callable[..., tuple[Server, str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts real servers for one test alone."""
    running: list[Server] = []

    def started(*before: str, **environment: str) -> tuple[Server, str]:
        server = Server(*before, **({"DENOISE_DRAIN_SECONDS": "0.5", "DENOISE_WORKERS": "1"} | environment))
        running.append(server)
        return server, server.url()

    yield started
    for server in running:
        if server.process.poll() is None:
            server.ended(signal.SIGTERM)


def large_page(side: int = 200) -> bytes:
    """A square picture of noise, of three bytes a pixel, that is worked on in a thread of its own."""
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)).save(content, "BMP")
    return content.getvalue()


def raw(url: str, *parts: bytes) -> bytes:
    """All that the server says to these bytes, sent with pauses between them, until it closes the connection."""
    host, port = url.removeprefix("http://").split(":")
    said = b""
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                connection.sendall(part)
                time.sleep(0.1)
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                said += chunk
    return said
