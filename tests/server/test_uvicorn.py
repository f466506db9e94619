"""The private parts of uvicorn that are used, as they are in the version that is allowed."""

import asyncio
import inspect
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from tests.conftest import ROOT


class Wire(asyncio.Transport):
    """A transport that takes down what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        """As a transport's."""
        self.written += data

    def is_closing(self) -> bool:
        """As a transport's."""
        return self.closed

    def close(self) -> None:
        """As a transport's."""
        self.closed = True


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


async def opened() -> HttpToolsProtocol:
    """A connection of uvicorn's own, just made."""
    connection = HttpToolsProtocol(uvicorn.Config(hello, ws="none"), ServerState(), {}, asyncio.get_running_loop())
    connection.connection_made(Wire())
    return connection


def test_uvicorn_is_pinned_to_the_minor_version_that_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "uvicorn>=0.54,<0.55" in project["dependencies"]
    assert version("uvicorn").startswith("0.54.")


@pytest.mark.parametrize(
    ("part", "parameters"),
    [
        (HttpToolsProtocol, "config server_state app_state _loop"),
        (HttpToolsProtocol.connection_made, "self transport"),
        (HttpToolsProtocol.connection_lost, "self exc"),
        (HttpToolsProtocol.eof_received, "self"),
        (HttpToolsProtocol.on_message_begin, "self"),
        (HttpToolsProtocol.on_headers_complete, "self"),
        (HttpToolsProtocol.on_body, "self body"),
        (HttpToolsProtocol.on_message_complete, "self"),
        (HttpToolsProtocol.on_response_complete, "self"),
        (HttpToolsProtocol.pause_writing, "self"),
        (HttpToolsProtocol.resume_writing, "self"),
        (HttpToolsProtocol.shutdown, "self"),
        (HttpToolsProtocol._unset_keepalive_if_required, "self"),
        (RequestResponseCycle.send, "self message"),
        (FlowControl.pause_reading, "self"),
        (FlowControl.resume_reading, "self"),
        (Server.startup, "self sockets"),
        (Server.shutdown, "self sockets"),
        (Server.on_tick, "self counter"),
        (Server.handle_exit, "self sig frame"),
    ],
    ids=lambda part: getattr(part, "__qualname__", ""),
)
def test_what_is_called_or_replaced_takes_the_same(part: Callable[..., object], parameters: str) -> None:
    assert list(inspect.signature(part).parameters) == parameters.split()


def test_a_connection_has_the_parts_that_are_used() -> None:
    async def parts() -> tuple[set[str], set[str], set[str]]:
        connection = await opened()
        connection.data_received(b"POST /a%20b?c=d HTTP/1.1\r\nX-Name: value\r\nContent-Length: 3\r\n\r\nabc")
        assert connection.cycle.scope is connection.scope
        assert connection.scope["path"] == "/a b"
        assert connection.scope["method"] == "POST"
        assert connection.url == b"/a%20b?c=d"
        assert connection.headers is connection.scope["headers"]
        assert connection.headers[0] == (b"x-name", b"value")
        assert connection in connection.server_state.connections
        assert len(connection.server_state.tasks) == 1
        assert not connection.flow.write_paused
        return set(vars(connection)), set(vars(connection.cycle)), set(vars(ServerState()))

    connection, cycle, state = asyncio.run(parts())
    assert connection >= {"connections", "cycle", "expect_100_continue", "flow", "headers", "loop", "parser"}
    assert connection >= {"pipeline", "scope", "server_state", "tasks", "transport", "url"}
    assert cycle >= {"default_headers", "disconnected", "flow", "keep_alive", "message_event", "on_response"}
    assert cycle >= {"response_complete", "response_started", "scope", "transport", "waiting_for_100_continue"}
    assert state >= {"connections", "default_headers", "tasks", "total_requests"}


def test_a_request_is_answered_by_the_send_that_its_cycle_has_when_its_task_begins() -> None:
    async def answered() -> tuple[list[str], bytes, bool]:
        connection = await opened()
        seen: list[str] = []

        async def send(message: Any) -> None:
            seen.append(message["type"])
            await RequestResponseCycle.send(connection.cycle, message)

        connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.cycle.send = send  # type: ignore[method-assign]
        await asyncio.sleep(0)
        connection._unset_keepalive_if_required()
        return seen, cast("Wire", connection.transport).written, connection.cycle.response_complete

    seen, written, complete = asyncio.run(answered())
    assert seen == ["http.response.start", "http.response.body"]
    assert written == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    assert complete


def test_what_a_header_may_be_made_of_is_known() -> None:
    assert httptools_impl.STATUS_LINE[429] == b"HTTP/1.1 429 Too Many Requests\r\n"
    assert not httptools_impl.HEADER_RE.search(b"x-name")
    assert all(httptools_impl.HEADER_RE.search(name) for name in (b"x name", b"x:", b"x\r", b"x\n"))
    assert not httptools_impl.HEADER_VALUE_RE.search(b"a value; of=any \xe9kind")
    assert all(httptools_impl.HEADER_VALUE_RE.search(value) for value in (b"a\r", b"a\n", b"a\0"))


def test_a_server_ticks_until_it_should_exit() -> None:
    server = Server(uvicorn.Config(hello))
    assert {"server_state", "should_exit", "force_exit"} <= set(vars(server))
    assert not asyncio.run(server.on_tick(0))
    server.should_exit = True
    assert asyncio.run(server.on_tick(0))
