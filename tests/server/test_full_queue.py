"""What a caller is told who finds no room, and in what order its connection is left."""

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.conftest import NOISY_7, Server
from tests.server.conftest import LIVEZ, PATIENCE_S, SLOW, Start, large_page, raw

SEVEN = NOISY_7.read_bytes()


@pytest.fixture(scope="module")
def narrow() -> Iterator[str]:
    """The address of a service that takes one picture at a time."""
    server = Server(*SLOW, DENOISE_QUEUE="1", DENOISE_WORKERS="1")
    yield server.url()
    server.ended(signal.SIGINT)


@contextlib.contextmanager
def one_inside(url: str) -> Iterator[None]:
    """A while in which the service works on a page, which is answered in the end."""
    with ThreadPoolExecutor() as pool:
        accepted = pool.submit(httpx2.post, f"{url}/denoise", content=large_page(), timeout=PATIENCE_S)
        time.sleep(0.3)
        yield
        assert accepted.result().status_code == 200


def test_a_full_queue_refuses_at_once_and_keeps_what_it_accepted(narrow: str) -> None:
    with httpx2.Client(timeout=PATIENCE_S) as client:
        with one_inside(narrow):
            refused = [client.post(f"{narrow}/denoise", content=SEVEN) for _ in range(5)]
        assert client.post(f"{narrow}/denoise", content=SEVEN).status_code == 200
    assert [answer.status_code for answer in refused] == [429] * 5
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].json()["detail"] == "1 pictures are being worked on; the limit is 1."


def test_a_refusal_leaves_its_connection_in_order(narrow: str) -> None:
    head = b"POST /denoise?model=easy_dae HTTP/1.1\r\nHost: here\r\nX-Request-ID: mine\r\n"
    plain = head + f"Content-Length: {len(SEVEN)}\r\n\r\n".encode() + SEVEN
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nstill\r\n0\r\nX-Request-ID: late\r\n\r\n"
    health = b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    with one_inside(narrow):
        bad_chunk = raw(narrow, head + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n")
        said = raw(narrow, plain[:200], plain[200:], chunked, health + plain + chunked, last)
        in_parts = raw(narrow, plain[:-50], plain[-50:-20], plain[-20:] + plain + health, last)
    assert re.findall(rb"HTTP/1.1 (\d+)", in_parts) == [b"429", b"429", b"200", b"200"]
    assert bad_chunk.count(b"HTTP/1.1 429 ") == bad_chunk.count(b"HTTP/1.1 ") == 1
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"429", b"429", b"200", b"429", b"429", b"200"]
    assert said.count(b"x-request-id: mine\r\n") == said.count(b'"request_id":"mine"') == 4


@pytest.mark.parametrize("header", ["X-Content-Length", "Via: content-length", "Origin: http://a/?content-length"])
def test_a_header_that_looks_like_a_length_frames_nothing(narrow: str, header: str) -> None:
    """Else the request behind it, which a proxy may have sent for somebody else, would be taken for a body."""
    behind = b"POST /reconstruct HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"
    before = f"POST /denoise HTTP/1.1\r\nHost: here\r\n{header}: {len(behind)}\r\n\r\n".encode()
    with one_inside(narrow):
        said = raw(narrow, before + behind)
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"429", b"429"]


def test_a_refusal_ends_the_connection_where_the_next_request_could_be_a_body(narrow: str) -> None:
    expecting = b"POST /denoise HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    closing = b"POST /denoise HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    old = b"POST /denoise HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
    with one_inside(narrow):
        answers = [raw(narrow, head, LIVEZ) for head in (expecting, closing, old)]
    for said in answers:
        assert said.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nconnection: close\r\n" in said
        assert said.count(b"HTTP/1.1 ") == 1


def test_more_connections_than_allowed_are_refused_but_probes(start: Start) -> None:
    _, url = start(*SLOW, DENOISE_MAX_CONNECTIONS="1")
    with one_inside(url):
        assert httpx2.get(f"{url}/livez").status_code == 200
        refused = raw(url, b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", refused) == [b"503"]
    assert b"retry-after: 5\r\n" in refused
