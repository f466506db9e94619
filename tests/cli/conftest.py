"""A service that answers whatever a test wants."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


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
