"""Callers who are slow, silent, greedy or odd get their answers, over real sockets, and keep nobody else from his."""

import http.client
import json
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
import numpy as np
import pytest

from tests.conftest import NOISY_7, Server
from tests.server.conftest import PATIENCE_S, SLOW, Start, large_page, raw

SEVEN = NOISY_7.read_bytes()
IDLE_S = 2.0


def connected(url: str, **options: int) -> socket.socket:
    """A bare connection; `options` are the socket's own."""
    parts = urlsplit(url)
    assert parts.port
    connection = socket.socket()
    for name, value in options.items():
        connection.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    connection.settimeout(PATIENCE_S)
    connection.connect((parts.hostname, parts.port))
    return connection


class Answer(NamedTuple):
    """What a caller read."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def read(connection: socket.socket) -> Answer:
    """The next answer on a bare connection. Raises IncompleteRead or ConnectionError where it breaks off."""
    with closing(http.client.HTTPResponse(connection, method="POST")) as response:
        response.begin()
        return Answer(response.status, response.headers, response.read())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service with small limits, for all tests here that bear others."""
    server = Server(
        *SLOW,
        DENOISE_WORKERS="1",
        DENOISE_MAX_HEADER_BYTES="20000",
        DENOISE_MAX_BODY_BYTES="2000000",
        DENOISE_IDLE_SECONDS=str(IDLE_S),
        DENOISE_DRAIN_SECONDS="0",
    )
    yield server.url()
    server.process.terminate()
    server.ended()


def posted(content: bytes) -> bytes:
    """A request for a picture."""
    return b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(content) + content


def head_of(size: int) -> bytes:
    """A whole head of so many bytes."""
    start, end = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ", b"\r\n\r\n"
    return start + b"a" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(("size", "status"), [(20_000, b"200"), (20_001, b"431"), (30_000, b"431"), (150_000, b"431")])
def test_the_limit_of_a_head_holds_to_the_byte_however_it_comes(
    url: str, size: int, status: bytes, pieces: int
) -> None:
    head, length = head_of(size), -(-size // pieces)
    assert raw(url, *(head[at : at + length] for at in range(0, size, length)))[9:12] == status


def test_the_limit_of_a_head_counts_all_of_its_headers(url: str) -> None:
    many = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 4000 + b"\r\n"
    assert raw(url, many).startswith(b"HTTP/1.1 431 ")


def test_an_answer_behind_a_head_that_is_too_large_comes_before_its_refusal(url: str) -> None:
    said = raw(url, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + head_of(30_000))
    assert said.count(b"HTTP/1.1 ") == 1
    assert said.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("content", [SEVEN, large_page()], ids=["small", "large"])
def test_who_closes_the_sending_side_gets_the_answer(url: str, content: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(posted(content))
        connection.shutdown(socket.SHUT_WR)
        answer = read(connection)
        assert answer.status == 200
        assert answer.content.startswith(b"\x89PNG")


def test_who_has_gone_is_noticed_while_the_answer_is_made(start: Start) -> None:
    server, url = start(*SLOW, DENOISE_LOG="json", DENOISE_THREADS="1")
    page = large_page()
    with connected(url) as first:
        first.sendall(posted(page))
        time.sleep(0.2)
        with connected(url) as second:
            second.sendall(posted(page))
            time.sleep(0.2)
        assert read(first).status == 200
        statuses = [json.loads(line).get("status") for line in server.ended(signal.SIGTERM).splitlines()]
    assert 499 in statuses


@pytest.mark.parametrize("old", [b"HTTP/1.0", b"HTTP/1.1"])
def test_a_quick_answer_has_no_interim_one_before_it(url: str, old: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(b"GET /livez " + old + b"\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(12) in (b"HTTP/1.1 200", b"")


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize("chunked", [False, True])
def test_an_offer_to_upgrade_is_ignored_and_the_body_read(url: str, chunked: bool) -> None:
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(SEVEN)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SEVEN), SEVEN) if chunked else SEVEN
    head = b"POST /denoise HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n" + OFFER + length + b"\r\n\r\n"
    with connected(url) as connection:
        for _ in range(2):
            connection.sendall(head + body[:100])
            time.sleep(0.05)
            connection.sendall(body[100:])
            answer = read(connection)
            assert answer.status == 200
            assert answer.headers["X-Request-ID"] == "mine"
            assert answer.content.startswith(b"\x89PNG")


def test_what_stands_behind_an_offer_is_the_next_request(url: str) -> None:
    offering = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n"
    assert raw(url, offering + offering + head_of(100)).count(b"HTTP/1.1 200 ") == 3


def test_a_connect_is_refused(url: str) -> None:
    assert raw(url, b"CONNECT here:443 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n").count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize("size", [2_000_001, 30_000_000])
def test_who_sends_too_much_reads_why(url: str, size: int) -> None:
    for _ in range(3):
        client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
        client.request("POST", "/denoise", bytes(size))
        answer = client.getresponse()
        assert answer.status == 413
        assert "2,000,000" in json.loads(answer.read())["detail"]
        client.close()


def test_who_reads_slowly_but_steadily_gets_all(url: str) -> None:
    with connected(url, SO_RCVBUF=4096) as connection:
        connection.sendall(tensor_in_json(500))
        began, slowly = time.monotonic(), b""
        while time.monotonic() - began < 3 * IDLE_S:
            slowly += connection.recv(5000)
            time.sleep(0.05)
        head, _, body = slowly.partition(b"\r\n\r\n")
        length = int(re.findall(rb"content-length: (\d+)", head)[0])
        while len(body) < length:
            part = connection.recv(65536)
            assert part
            body += part


def test_who_does_not_read_is_cut_off(url: str) -> None:
    with connected(url, SO_RCVBUF=4096) as connection:
        connection.sendall(tensor_in_json(500))
        time.sleep(4 * IDLE_S)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            read(connection)


def tensor_in_json(pictures: int) -> bytes:
    """A request whose answer has some kilobytes for each of so many pictures."""
    tensor = {"name": "image", "shape": [pictures, 28, 28, 1], "datatype": "UINT8"}
    tensor["parameters"] = {"binary_data_size": pictures * 784}
    pixels = np.random.default_rng(0).integers(0, 255, (pictures, 784), np.uint8).tobytes()
    told = json.dumps({"inputs": [tensor]}).encode()
    head = b"POST /v2/models/easy_dae/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: %d\r\n" % len(told)
    return head + b"Content-Length: %d\r\n\r\n" % (len(told) + len(pixels)) + told + pixels


def test_a_body_that_is_only_announced_takes_no_room(start: Start) -> None:
    _, url = start(DENOISE_QUEUE_BYTES="1000000", DENOISE_THREADS="1")
    page = large_page(600)
    with ExitStack() as silent:
        for head in (b"Content-Length: 900000", b"Transfer-Encoding: chunked"):
            for _ in range(4):
                connection = silent.enter_context(connected(url))
                connection.sendall(b"POST /denoise HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
        time.sleep(0.2)
        assert httpx2.post(f"{url}/denoise", content=page, timeout=PATIENCE_S).status_code == 200


def test_bodies_that_have_come_take_room(start: Start) -> None:
    _, url = start(DENOISE_QUEUE_BYTES="1000000")
    with connected(url) as held:
        held.sendall(b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + bytes(800_000))
        time.sleep(0.5)
        refused = httpx2.post(f"{url}/denoise", content=bytes(400_000), timeout=PATIENCE_S)
    assert refused.status_code == 429
    assert "bytes of large bodies are being worked on, and" in refused.json()["detail"]


@pytest.mark.parametrize("sent", [b"", b"POST /denoise HTTP/1.1\r\nHost: ", b"POST /denoise HTTP/1.1\r\n"])
def test_who_is_silent_gives_way_to_who_is_not(start: Start, sent: bytes) -> None:
    _, url = start(DENOISE_MAX_CONNECTIONS="20")
    with ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(connected(url)).sendall(sent)
        assert httpx2.get(f"{url}/livez").status_code == 200
        time.sleep(1.1)
        assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200


def test_a_body_that_stands_still_gives_way_and_is_told(start: Start) -> None:
    _, url = start(DENOISE_MAX_CONNECTIONS="1")
    with connected(url) as stalled:
        stalled.sendall(posted(SEVEN)[:-10])
        time.sleep(1.2)
        assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200
        assert read(stalled).status == 503


def test_who_waits_for_an_answer_never_gives_way(start: Start) -> None:
    _, url = start(*SLOW, DENOISE_MAX_CONNECTIONS="1", DENOISE_THREADS="1")
    with connected(url) as waiting:
        waiting.sendall(posted(large_page()))
        time.sleep(1.2)
        assert httpx2.get(f"{url}/livez").status_code == 200
        assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code in (200, 503)
        assert read(waiting).status == 200
