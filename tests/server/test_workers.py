"""Workers that start, hang, die, drain and end, as callers see it."""

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import MagicMock

import httpx2
import psutil
import pytest

from denoise.server.listener import Slot
from denoise.server.workers import WorkerProcess
from tests.conftest import NOISY_7, Server, tiny_model, wait_until
from tests.server.conftest import PATIENCE_S, Start

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
    stopped = workers(server, 2)[0]
    os.kill(stopped, signal.SIGSTOP)
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(httpx2.post, f"{url}/denoise", content=SEVEN, timeout=PATIENCE_S) for _ in range(8)]
        assert [future.result().status_code for future in asking] == [200] * 8
    os.kill(stopped, signal.SIGCONT)  # The service need not wait for it in the end.


def test_a_worker_that_hangs_is_replaced(start: Start) -> None:
    impatient = "from denoise.server import workers; workers.HUNG_S = 4; from denoise.cli.commands import main; main()"
    server, url = start("sh", "-c", f"exec \"$1\" -c '{impatient}' serve", "sh", DENOISE_WORKERS="2")
    stopped, other = workers(server, 2)
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: stopped not in workers(server, 2))
    assert other in workers(server, 2)
    assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200
    assert f"Worker {stopped} has not moved for 4 s and is killed." in server.ended(signal.SIGTERM)


def test_a_worker_may_start_for_longer_than_its_loop_may_stand_still() -> None:
    seconds_until_hung = []
    for serving in (False, True):
        worker = WorkerProcess(MagicMock(), 0, Slot(), MagicMock(), 0.0, serving)
        seconds_until_hung.append(next(second for second in range(1, 1000) if worker.is_hung(1.0)))
    assert seconds_until_hung == [121, 26]


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
    # Each of the four callers may lose the request that the killed worker had in hand.
    assert sum(lost for _, lost in counts) <= 4
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

    until = time.monotonic() + PATIENCE_S

    def send_until_gone(_: int) -> tuple[int, int]:
        answered = lost = 0
        while time.monotonic() < until:
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
        raise TimeoutError(f"It still serves after {PATIENCE_S} s.")

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
