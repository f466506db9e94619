"""Whatever is thrown at it, it stays up, bounded and truthful: over real sockets."""

import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.conftest import NOISY_7, Server, tiny_model, wait_until
from tests.server.conftest import PATIENCE_S, Start, large_page, raw

SEVEN = NOISY_7.read_bytes()


def workers(server: Server, count: int) -> list[int]:
    """The process ids of its workers, once there are so many."""
    found: list[int] = []

    def complete() -> bool:
        found.clear()
        for child in psutil.Process(server.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # It ended a moment ago.
                found.extend([child.pid] if any("spawn_main" in word for word in child.cmdline()) else [])
        return len(found) == count

    wait_until(complete)
    return found


def test_a_full_queue_refuses_at_once_and_keeps_what_it_accepted(start: Start) -> None:
    _, url = start(DENOISE_QUEUE="1")
    with ThreadPoolExecutor() as pool, httpx2.Client(timeout=PATIENCE_S) as client:
        client.get(f"{url}/livez")
        accepted = pool.submit(httpx2.post, f"{url}/denoise", content=large_page(), timeout=PATIENCE_S)
        time.sleep(0.3)
        refused = [client.post(f"{url}/denoise", content=SEVEN) for _ in range(5)]
        assert accepted.result().status_code == 200
        assert client.post(f"{url}/denoise", content=SEVEN).status_code == 200
    assert [answer.status_code for answer in refused] == [429] * 5
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].json()["detail"] == "1 pictures are being worked on; the limit is 1."


def test_a_refusal_leaves_its_connection_in_order(start: Start) -> None:
    _, url = start(DENOISE_QUEUE="1")
    head = b"POST /denoise?model=easy_dae HTTP/1.1\r\nHost: here\r\nX-Request-ID: mine\r\n"
    plain = head + f"Content-Length: {len(SEVEN)}\r\n\r\n".encode() + SEVEN
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nstill\r\n0\r\nX-Request-ID: late\r\n\r\n"
    health = b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    with ThreadPoolExecutor() as pool:
        accepted = pool.submit(httpx2.post, f"{url}/denoise", content=large_page(), timeout=PATIENCE_S)
        time.sleep(0.3)
        bad_chunk = raw(url, head + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n")
        said = raw(url, plain[:200], plain[200:], chunked, health + plain + chunked, last)
        in_parts = raw(url, plain[:-50], plain[-50:-20], plain[-20:] + plain + health, last)
        assert accepted.result().status_code == 200
    assert re.findall(rb"HTTP/1.1 (\d+)", in_parts) == [b"429", b"429", b"200", b"200"]
    assert bad_chunk.count(b"HTTP/1.1 429 ") == bad_chunk.count(b"HTTP/1.1 ") == 1
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"429", b"429", b"200", b"429", b"429", b"200"]
    assert said.count(b"x-request-id: mine\r\n") == said.count(b'"request_id":"mine"') == 4


@pytest.mark.parametrize("header", ["X-Content-Length", "Via: content-length", "Origin: http://a/?content-length"])
def test_a_header_that_looks_like_a_length_frames_nothing(start: Start, header: str) -> None:
    """Else the request behind it, which a proxy may have sent for somebody else, would be taken for a body."""
    _, url = start(DENOISE_QUEUE="1")
    behind = b"POST /reconstruct HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"
    before = f"POST /denoise HTTP/1.1\r\nHost: here\r\n{header}: {len(behind)}\r\n\r\n".encode()
    with ThreadPoolExecutor() as pool:
        accepted = pool.submit(httpx2.post, f"{url}/denoise", content=large_page(), timeout=PATIENCE_S)
        time.sleep(0.3)
        said = raw(url, before + behind)
        assert accepted.result().status_code == 200
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"429", b"429"]


def test_a_refusal_ends_the_connection_where_the_next_request_could_be_a_body(start: Start) -> None:
    _, url = start(DENOISE_QUEUE="1")
    expecting = b"POST /denoise HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    closing = b"POST /denoise HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    old = b"POST /denoise HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
    with ThreadPoolExecutor() as pool:
        accepted = pool.submit(httpx2.post, f"{url}/denoise", content=large_page(), timeout=PATIENCE_S)
        time.sleep(0.3)
        answers = [raw(url, head, LIVEZ) for head in (expecting, closing, old)]
        assert accepted.result().status_code == 200
    for said in answers:
        assert said.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nconnection: close\r\n" in said
        assert said.count(b"HTTP/1.1 ") == 1


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


def test_a_picture_that_is_not_done_by_its_deadline_is_given_up(start: Start) -> None:
    _, url = start(DENOISE_DEADLINE_SECONDS="0.3", DENOISE_THREADS="1")
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


def test_a_body_that_trickles_is_cut_off(start: Start) -> None:
    _, url = start(DENOISE_UPLOAD_SECONDS="0.5")
    said = raw(url, b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + SEVEN[:10])
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"The body did not come within 0.5 s." in said
    assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"POST /denoise HTTP/1.1\r\nHost: ", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_silent_connections_are_closed(start: Start, sent: bytes) -> None:
    _, url = start(DENOISE_IDLE_SECONDS="0.5")
    said = raw(url, sent)
    assert said.startswith(b"HTTP/1.1 200") == sent.endswith(b"\r\n\r\n")


def test_headers_without_end_are_refused(start: Start) -> None:
    _, url = start(DENOISE_MAX_HEADER_BYTES="10000")
    said = raw(url, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 1_000_000)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"more than 10,000 bytes" in said


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /denoise HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"


def test_what_comes_after_a_body_in_chunks_is_bounded_and_means_nothing(start: Start) -> None:
    _, url = start(DENOISE_MAX_HEADER_BYTES="10000", DENOISE_IDLE_SECONDS="0.5")
    assert raw(url, CHUNKED + b"X: " + b"x" * 1_000_000).startswith(b"HTTP/1.1 431 ")
    assert b"x-request-id: late" not in raw(url, CHUNKED + b"X-Request-ID: late\r\n\r\n")


def test_the_end_of_a_body_and_the_start_of_a_head_may_come_together(start: Start) -> None:
    _, url = start(DENOISE_MAX_HEADER_BYTES="10000", DENOISE_IDLE_SECONDS="0.5")
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
def test_a_connection_that_is_silent_after_its_answer_is_closed(start: Start, parts: tuple[bytes, ...]) -> None:
    _, url = start(DENOISE_IDLE_SECONDS="0.5", DENOISE_UPLOAD_SECONDS="0.5")
    assert raw(url, *parts).count(b"HTTP/1.1 ") == 1


def test_an_upload_behind_a_request_that_takes_long_takes_nothing_from_it(start: Start) -> None:
    _, url = start(DENOISE_UPLOAD_SECONDS="0.3")
    page = large_page()
    first = b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(page) + page
    said = raw(url, first, b"POST /denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    assert said.startswith(b"HTTP/1.1 200 ")


def test_what_is_no_http_is_a_problem_as_well(start: Start) -> None:
    _, url = start()
    for request in (b"nonsense\r\n\r\n", b"POST http:/// HTTP/1.1\r\nHost: here\r\n\r\n"):
        said = raw(url, request)
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in said


def test_more_connections_than_allowed_are_refused_but_probes(start: Start) -> None:
    _, url = start(DENOISE_MAX_CONNECTIONS="1")
    with ThreadPoolExecutor() as pool:
        accepted = pool.submit(httpx2.post, f"{url}/denoise", content=large_page(), timeout=PATIENCE_S)
        time.sleep(0.3)
        assert httpx2.get(f"{url}/livez").status_code == 200
        refused = raw(url, b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert accepted.result().status_code == 200
    assert re.findall(rb"HTTP/1.1 (\d+)", refused) == [b"503"]
    assert b"retry-after: 5\r\n" in refused


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


def test_each_worker_gets_about_as_many_connections_as_the_others(start: Start) -> None:
    server, url = start(DENOISE_WORKERS="2", DENOISE_LOG="json")
    before, after = [{f"{when}{number}": httpx2.Client() for number in range(16)} for when in ("before", "after")]
    for name, client in before.items():
        client.get(f"{url}/livez", headers={"X-Request-ID": name})
    for name in list(before)[::2]:
        before.pop(name).close()
    time.sleep(0.2)
    for name, client in after.items():
        client.get(f"{url}/livez", headers={"X-Request-ID": name})
    for client in (before | after).values():
        client.close()
    lines = [json.loads(line) for line in server.ended(signal.SIGTERM).splitlines()]
    workers_of = {line["request_id"]: line["process"] for line in lines if "request_id" in line}
    assert min(Counter(workers_of[f"before{number}"] for number in range(16)).values()) >= 6
    assert min(Counter(workers_of[name] for name in before | after).values()) >= 10


def test_nobody_waits_for_a_worker_that_stands_still(start: Start) -> None:
    server, url = start(DENOISE_WORKERS="2")
    os.kill(workers(server, 2)[0], signal.SIGSTOP)
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(httpx2.post, f"{url}/denoise", content=SEVEN, timeout=PATIENCE_S) for _ in range(8)]
        assert [future.result().status_code for future in asking] == [200] * 8


def test_a_worker_that_hangs_is_replaced(start: Start) -> None:
    impatient = "from denoise.server import workers; workers.HUNG_S = 4; from denoise.cli.commands import main; main()"
    server, url = start("sh", "-c", f"exec \"$1\" -c '{impatient}' serve", "sh", DENOISE_WORKERS="2")
    stopped, other = workers(server, 2)
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: stopped not in workers(server, 2))
    assert other in workers(server, 2)
    assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200
    assert f"Worker {stopped} has not moved for 4 s and is killed." in server.ended(signal.SIGTERM)


def test_all_workers_serve_and_one_that_is_killed_is_replaced(start: Start) -> None:
    server, url = start(DENOISE_WORKERS="2")
    before = workers(server, 2)

    over = threading.Event()

    def ask() -> tuple[int, int]:
        answered = lost = 0
        while not over.is_set():
            try:
                answered += httpx2.post(f"{url}/denoise", content=SEVEN, timeout=PATIENCE_S).status_code == 200
            except httpx2.TransportError:
                lost += 1
        return answered, lost

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        time.sleep(0.5)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: set(workers(server, 2)) != set(before))
        time.sleep(0.5)
        over.set()
        counts = [future.result() for future in asking]
    assert all(answered for answered, _ in counts)
    assert sum(lost for _, lost in counts) <= 4  # what the killed one had in hand
    assert "is replaced" in server.ended(signal.SIGTERM)
    assert server.process.returncode == 0


def test_no_connection_waits_for_a_worker_that_cannot_start(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "copy.onnx"
    path.write_bytes(tiny_model())
    server, url = start(DENOISE_WORKERS="2", DENOISE_MODELS=str(tmp_path))
    first = workers(server, 2)[0]
    wait_until(lambda: server.log_so_far().count("Application startup complete") == 2)
    path.write_bytes(b"broken")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: "A worker cannot start." in server.log_so_far())
    for _ in range(20):
        assert httpx2.post(f"{url}/denoise", content=SEVEN, timeout=PATIENCE_S).status_code == 200
    path.write_bytes(tiny_model())
    workers(server, 2)


def test_workers_end_with_their_parent(start: Start) -> None:
    server, _ = start(DENOISE_WORKERS="2")
    running = workers(server, 2)
    server.ended(signal.SIGKILL)
    wait_until(lambda: not any(map(psutil.pid_exists, running)))


@pytest.mark.parametrize("count", ["1", "2"])
def test_draining_loses_no_request(start: Start, count: str) -> None:
    server, url = start(DENOISE_WORKERS=count, DENOISE_DRAIN_SECONDS="1.5")

    def send_until_gone(_: int) -> tuple[int, int]:
        answered = lost = 0
        while True:
            with httpx2.Client(timeout=PATIENCE_S) as client:
                first, closed = True, False
                while not closed:
                    try:
                        answer = client.post(f"{url}/denoise", content=SEVEN)
                    except httpx2.TransportError:
                        if first:  # the connection was never taken
                            return answered, lost
                        lost += 1
                        break
                    answered += answer.status_code == 200
                    lost += answer.status_code != 200
                    first, closed = False, answer.headers.get("Connection") == "close"

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(send_until_gone, caller) for caller in range(4)]
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        counts = [future.result() for future in running]
    server.ended()
    assert server.process.returncode == 0
    assert all(answered for answered, _ in counts)
    assert sum(lost for _, lost in counts) == 0


def test_models_change_on_sighup_alone_and_only_when_they_hold(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "copy.onnx"
    path.write_bytes(tiny_model())
    server, url = start(DENOISE_MODELS=str(tmp_path))

    def told() -> str:
        return str(httpx2.get(f"{url}/models/copy").json()["scores"]["psnr"])

    path.write_bytes(tiny_model(factor=0.5))
    time.sleep(0.3)
    assert told() == "1.0"
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: told() == "0.5")
    path.write_bytes(b"broken")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "The models stay as they were." in server.log_so_far())
    assert told() == "0.5"


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_second_sigterm_stops_at_once(start: Start, count: str) -> None:
    server, _ = start(DENOISE_WORKERS=count, DENOISE_DRAIN_SECONDS="600")
    if count == "2":
        workers(server, 2)
        time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    server.ended(signal.SIGTERM)  # It waits for less than the 600 s that draining would take.
    assert server.process.returncode == 0


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000 + b"]" * 200_000,
        b'{"inputs": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_001,
        b'{"inputs": "AAAA", "parameters": {"seed": ' + b"9" * 100_000 + b"}}",
    ],
    ids=["arrays", "objects", "digits"],
)
def test_json_that_is_deep_or_long_is_refused(server: httpx2.Client, body: bytes) -> None:
    answer = server.post("/denoise", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert len(answer.content) < 2000
