"""What tests of the command line share: the command itself, and a service that answers whatever a test wants."""

import contextlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, Pixels

PAGE = ROOT / "tests" / "digits" / "noisy_page.png"
COMMAND = [sys.executable, "-W", "error", "-m", "denoise"]
HERE = os.environ.copy()
PATIENCE_S = 60
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


def denoise(
    *arguments: str | Path, stdin: bytes = b"", folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs `denoise` as from a shell; warnings are errors."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=HERE | environment, input=stdin, capture_output=True, check=False, timeout=PATIENCE_S
    )


def told(ended: subprocess.CompletedProcess[bytes]) -> str:
    """What it wrote to standard error, in one line."""
    return " ".join(ended.stderr.decode().split())


def fill(folder: Path, digits: Pixels, count: int, side: int = 28) -> None:
    """Writes the first digits to a folder, as 000.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray((digits[number] * 255).astype(np.uint8)).resize((side, side)).save(folder / f"{number:03}.png")


class Fake:
    """A service that gives the answers it is told, the last of them again and again.

    Attributes:
        url: its address.
        answers: what it gives next.
        asked: the paths that it was asked for.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Says nothing."""

            def do_POST(self) -> None:
                fake.asked.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, headers, body = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
                self.send_response_only(status, headers.pop("reason", None))
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # The caller has had enough.
                    self.wfile.write(body)

            def do_GET(self) -> None:
                self.do_POST()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def fake() -> Iterator[Fake]:
    service = Fake()
    yield service
    service.server.shutdown()
    service.server.server_close()
