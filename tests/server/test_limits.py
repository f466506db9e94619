"""How long and how large anything may be on a connection, over real sockets."""

import contextlib
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.conftest import NOISY_7, Server
from tests.server.conftest import LIVEZ, PATIENCE_S, SLOW, Start, large_page, raw

SEVEN = NOISY_7.read_bytes()

CHUNKED = b"POST /denoise HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service with small limits, for all tests here that bear others."""
    server = Server(
        DENOISE_WORKERS="1",
        DENOISE_DRAIN_SECONDS="0",
        DENOISE_MAX_HEADER_BYTES="10000",
        DENOISE_IDLE_SECONDS="0.5",
        DENOISE_UPLOAD_SECONDS="0.5",
    )
    yield server.url()
    server.ended(signal.SIGTERM)


def test_a_picture_that_is_not_done_by_its_deadline_is_given_up(start: Start) -> None:
    _, url = start(*SLOW, DENOISE_DEADLINE_SECONDS="0.3", DENOISE_THREADS="1")
    page = large_page()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: httpx2.post(f"{url}/denoise", content=page, timeout=PATIENCE_S), range(3)))
    last = max(answers, key=lambda answer: answer.status_code)
    assert last.status_code == 504
    assert last.json()["detail"] == "The picture was not done within 0.3 s."
    assert {answer.status_code for answer in answers} <= {429, 504}
    assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200


def test_no_more_requests_of_one_connection_wait_than_a_hundred(start: Start) -> None:
    _, url = start()
    said = raw(url, b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n" * 5000)
    assert 100 <= said.count(b"HTTP/1.1 200 ") < 5000
    assert said.count(b"connection: close\r\n") == 1
    assert httpx2.get(f"{url}/livez").status_code == 200


def test_a_body_that_trickles_is_cut_off(url: str) -> None:
    said = raw(url, b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + SEVEN[:10])
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"The body did not come within 0.5 s." in said
    assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"POST /denoise HTTP/1.1\r\nHost: ", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_silent_connections_are_closed(url: str, sent: bytes) -> None:
    said = raw(url, sent)
    assert said.startswith(b"HTTP/1.1 200") == sent.endswith(b"\r\n\r\n")


def test_headers_without_end_are_refused(url: str) -> None:
    said = raw(url, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 1_000_000)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"more than 10,000 bytes" in said


def test_what_comes_after_a_body_in_chunks_is_bounded_and_means_nothing(url: str) -> None:
    assert raw(url, CHUNKED + b"X: " + b"x" * 1_000_000).startswith(b"HTTP/1.1 431 ")
    assert b"x-request-id: late" not in raw(url, CHUNKED + b"X-Request-ID: late\r\n\r\n")


def test_the_end_of_a_body_and_the_start_of_a_head_may_come_together(url: str) -> None:
    body = b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
    said = raw(url, body + LIVEZ[:20], LIVEZ[20:])
    assert said.startswith(b"HTTP/1.1 415 ")
    assert said.count(b"HTTP/1.1 200 ") == 1
    assert raw(url, LIVEZ * 90 + LIVEZ[:20], LIVEZ[20:]).count(b"HTTP/1.1 200 ") == 91


@pytest.mark.parametrize(
    "parts",
    [
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", b"hello"),
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",),
        (LIVEZ, b"\r\n"),
    ],
    ids=["body after the answer", "no body after the answer", "empty line after the answer"],
)
def test_a_connection_that_is_silent_after_its_answer_is_closed(url: str, parts: tuple[bytes, ...]) -> None:
    assert raw(url, *parts).count(b"HTTP/1.1 ") == 1


def test_an_upload_behind_a_request_that_takes_long_takes_nothing_from_it(start: Start) -> None:
    _, url = start(*SLOW, DENOISE_UPLOAD_SECONDS="0.3")
    page = large_page()
    first = b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(page) + page
    said = raw(url, first, b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    assert said.startswith(b"HTTP/1.1 200 ")


def test_what_is_no_http_is_a_problem_as_well(url: str) -> None:
    for request in (b"nonsense\r\n\r\n", b"POST http:/// HTTP/1.1\r\nHost: here\r\n\r\n"):
        said = raw(url, request)
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in said


@pytest.mark.parametrize(("limit", "taken"), [("-Sn 250", 150), ("-n 250", 62)], ids=["soft", "hard"])
def test_there_is_a_file_for_each_connection_that_is_taken(start: Start, limit: str, taken: int) -> None:
    server, url = start("sh", "-c", f'ulimit {limit}; exec "$@"', "sh", DENOISE_MAX_CONNECTIONS="150")
    host, port = url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as open_ones:
        connect = [socket.create_connection((host, int(port)), timeout=PATIENCE_S) for _ in range(160)]
        connections = [open_ones.enter_context(connection) for connection in connect]
        said = []
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                connection.sendall(LIVEZ)
                said.append(connection.recv(12))
    assert Counter(said)[b"HTTP/1.1 200"] >= taken
    assert ("it takes 62 connections." in server.ended(signal.SIGTERM)) == (taken == 62)
