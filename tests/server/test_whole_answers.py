"""An answer goes out whole, and what cannot be sent so goes uvicorn's way."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from denoise.server.connection import Connection
from denoise.server.refusals import Refusals
from denoise.server.whole_answers import WholeAnswer
from denoise.settings import Settings
from denoise.web.app import App, create_app
from tests.conftest import NOISY_7
from tests.server.conftest import PATIENCE_S, Start

SEVEN = NOISY_7.read_bytes()


class Transport:
    """Takes down what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        """As a socket's."""
        self.written.append(data)

    def writelines(self, data: Sequence[bytes]) -> None:
        """As a socket's."""
        self.written.append(b"".join(data))

    def close(self) -> None:
        """As a socket's."""
        self.closed = True


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


LENGTH = (b"content-length", b"2")
LARGE = bytes(100_000)


async def sent(
    messages: Sequence[dict[str, Any]],
    transport: Transport | None = None,
    keep_alive: bool = True,
    on_response: Callable[[], None] = lambda: None,
) -> RequestResponseCycle:
    """A request's cycle, after these messages of its app."""
    wire = cast("asyncio.Transport", transport or Transport())
    cycle = RequestResponseCycle(
        scope=cast("Any", {"type": "http", "method": "POST", "headers": []}),
        transport=wire,
        flow=FlowControl(wire),
        logger=logging.getLogger(),
        access_logger=logging.getLogger(),
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=on_response,
    )
    send = WholeAnswer(cycle, wire.close)
    for message in messages:
        await send(cast("Any", message))
    return cycle


@pytest.mark.parametrize(
    ("messages", "expected", "keep_alive"),
    [
        ([start(200, LENGTH), body(b"ab")], [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"], True),
        (
            [start(200, LENGTH), body(b"ab")],
            [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab"],
            False,
        ),
        (
            [start(200, LENGTH, (b"connection", b"close")), body(b"ab")],
            [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab"],
            True,
        ),
        (
            [start(200, (b"content-length", b"100000")), body(LARGE)],
            [b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + LARGE],
            True,
        ),
        (
            [start(200, LENGTH), body(b"a", more=True), body(b"b")],
            [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"a", b"b"],
            True,
        ),
        (
            [start(200), body(b"ab")],
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"2\r\nab\r\n0\r\n\r\n"],
            True,
        ),
        (
            [start(200, LENGTH), start(500, LENGTH), body(b"no")],
            [b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno"],
            True,
        ),
    ],
)
def test_an_answer_is_what_uvicorn_would_send(
    messages: Sequence[dict[str, Any]], expected: list[bytes], keep_alive: bool
) -> None:
    transport, completed = Transport(), list[bool]()
    cycle = asyncio.run(sent(messages, transport, keep_alive, lambda: completed.append(True)))
    assert transport.written == expected
    assert transport.closed == (b"connection: close" in expected[0])
    assert cycle.response_complete
    assert completed == [True]


@pytest.mark.parametrize("header", [(b"x-name", b"value\r\nx-other: 1"), (b"x name", b"value"), (b"x:", b"value")])
def test_a_header_that_would_be_another_one_is_never_sent(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(RuntimeError, match="Invalid HTTP header"):
        asyncio.run(sent([start(200, LENGTH, header), body(b"ab")]))


def test_an_answer_comes_in_one_piece(start: Start) -> None:
    """Half of one would be lost with a process that dies in between; a balancer can ask another for none at all."""
    _, url = start()
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        for _ in range(50):
            connection.sendall(
                f"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SEVEN)}\r\n\r\n".encode() + SEVEN
            )
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert f"content-length: {len(body)}\r\n".encode() in head


class Socket(asyncio.Transport):
    """A transport that tells when it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.written: asyncio.Queue[bytes] = asyncio.Queue()

    def write(self, data: Any) -> None:
        """As a transport's."""
        self.written.put_nowait(data)

    def is_closing(self) -> bool:
        """As a transport's."""
        return False

    def close(self) -> None:
        """As a transport's."""


async def garbage(app: App, request: bytes, times: int) -> int:
    """How many objects are left to the collector by so many requests on one connection."""
    config = uvicorn.Config(app, log_config=None, ws="none")
    config.load()
    connection = Connection(config, ServerState(), {}, Refusals(app.state.service, app.short_way), lambda: None)
    transport = Socket()
    connection.connection_made(transport)
    gc.collect()
    gc.disable()
    try:
        for _ in range(times):
            connection.data_received(request)
            assert (await transport.written.get()).startswith(b"HTTP/1.1 200 ")
        return gc.collect()
    finally:
        gc.enable()
        connection.connection_lost(None)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(SEVEN), SEVEN),
    ],
    ids=["livez", "denoise"],
)
def test_a_request_leaves_nothing_to_the_collector(tiny_models: Path, request_bytes: bytes) -> None:
    app = create_app(Settings(models=tiny_models))
    asyncio.run(garbage(app, request_bytes, 5))
    assert asyncio.run(garbage(app, request_bytes, 100)) < 100
