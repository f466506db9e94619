"""What it tells of itself is true: metrics of all workers together, and a log without pictures or keys."""

import asyncio
import base64
import json
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from prometheus_client import Histogram

from denoise import __version__, metrics
from denoise.errors import SetupError
from denoise.settings import Settings, read
from denoise.web.app import create_app
from tests.conftest import NOISY_7, Server

SEVEN = NOISY_7.read_bytes()
KEY = "a-key-that-nobody-should-see"


def count(url: str, name: str, **labels: str) -> float:
    """The sum of a metric over all that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = httpx2.get(f"{url}/metrics").text.splitlines()
    rows = [line for line in lines if line.startswith(f"{name}{{") and all(label in line for label in wanted)]
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


def test_metrics_of_two_workers_agree_with_what_was_sent() -> None:
    server = Server(DENOISE_WORKERS="2", DENOISE_DRAIN_SECONDS="0.2")
    url = server.url()
    sent = 0
    try:
        for _ in range(6):
            with ThreadPoolExecutor(8) as pool:  # each on a connection of its own, so that both workers get some
                answers = list(pool.map(lambda _: httpx2.post(f"{url}/denoise", content=SEVEN), range(10)))
            assert {answer.status_code for answer in answers} == {200}
            assert httpx2.post(f"{url}/denoise", content=b"no picture").status_code == 415
            sent += 10
            time.sleep(4 * metrics.COUNTING_PAUSE_S)  # Each worker counts what it has seen a moment later.
            assert count(url, "denoise_request_duration_seconds_count", route="/denoise", status="200") == sent
            assert count(url, "denoise_request_duration_seconds_count", route="/denoise", status="415") == sent / 10
            assert count(url, "denoise_batch_pictures_sum", model="unet_dae") == sent
            assert count(url, "denoise_stage_seconds_count", stage="encode") == sent
        assert count(url, "denoise_refusals_total", reason="UnsupportedKind") == sent / 10
        assert count(url, "denoise_model_info", model="unet_dae", provider="CPUExecutionProvider") == 1
        assert count(url, "denoise_build_info", version=__version__) == 1
        assert count(url, "denoise_waiting_pictures") == 0
    finally:
        server.ended(signal.SIGTERM)


def test_what_is_counted_a_moment_later_is_what_would_be_counted_at_once() -> None:
    at_once, later = (Histogram("seconds", "", buckets=(0.1, 1), registry=None) for _ in range(2))
    values = (0.05, 0.1, 0.100001, 1.0, 7.0, 0.3)

    async def observe() -> None:
        for value in values:
            at_once.observe(value)
            metrics.observe((later, value))
        assert sample_values(later) != sample_values(at_once)
        await asyncio.sleep(2 * metrics.COUNTING_PAUSE_S)

    asyncio.run(observe())
    assert sample_values(later) == pytest.approx(sample_values(at_once))


def test_each_value_is_counted_once_while_threads_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    histogram = Histogram("seconds", "", registry=None)
    monkeypatch.setattr(metrics, "COUNTING_PAUSE_S", 1e-6)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    async def observe() -> None:
        flushing = True

        def flush() -> None:
            while flushing:
                metrics.flush()

        with ThreadPoolExecutor(2) as threads:
            for _ in range(2):
                threads.submit(flush)
            for _ in range(10_000):
                metrics.observe(*[(histogram, 0.5)] * 10)
                await asyncio.sleep(0)
            flushing = False
        metrics.flush()

    try:
        asyncio.run(observe())
    finally:
        sys.setswitchinterval(interval)
    assert histogram._sum.get() == 0.5 * 100_000


def test_where_no_event_loop_runs_values_are_counted_at_once() -> None:
    histogram = Histogram("seconds", "", registry=None)
    metrics.observe((histogram, 0.3))
    assert 0.3 in sample_values(histogram)


def sample_values(histogram: Histogram) -> list[float]:
    """All that a histogram tells, but for the time when it was made."""
    return [s.value for family in histogram.collect() for s in family.samples if not s.name.endswith("_created")]


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=abc", "text/plain;version=x", "*/*", ""])
def test_metrics_are_told_whatever_is_accepted(tiny: TestClient, accept: str) -> None:
    answer = tiny.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert "denoise_model_info" in answer.text


def test_no_metric_tells_when_it_was_first_counted(tiny: TestClient) -> None:
    for accept in ("text/plain", "application/openmetrics-text"):
        assert "_created" not in tiny.get("/metrics", headers={"Accept": accept}).text


def test_paths_that_are_none_of_ours_share_a_label(tiny: TestClient) -> None:
    tiny.get("/nowhere-in-particular")
    text = tiny.get("/metrics").text
    assert "nowhere-in-particular" not in text
    assert 'denoise_request_duration_seconds_count{route="other",status="404"}' in text
    assert (
        'denoise_request_duration_seconds_count{route="/models/{name}"' in text or tiny.get("/models/copy").is_success
    )


@pytest.mark.parametrize(
    ("sent", "status"),
    [(f"Bearer {KEY}", 200), (f"bearer  {KEY}", 200), ("Bearer wrong", 401), (KEY, 401), ("Bearer é", 401), ("", 401)],
)
def test_a_key_is_needed_where_keys_are_set(sent: str, status: int) -> None:
    with TestClient(create_app(Settings(api_keys=f"other, {KEY}"))) as client:  # type: ignore[arg-type]
        headers = {"Authorization": sent.encode()} if sent else {}
        for path in ("/denoise", "/reconstruct"):
            answer = client.post(path, content=SEVEN, headers=headers)
            assert answer.status_code == status
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["detail"].startswith("A key is needed here")
            assert ("is wrong" in answer.json()["detail"]) == bool(sent)
            assert client.post("/nowhere", headers=headers).status_code == 401
        for path in ("/livez", "/readyz", "/metrics", "/models", "/docs"):
            assert client.get(path).status_code == 200
        assert client.get("/openapi.json").json()["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize("keys", [f"{KEY}é", f"{KEY},", ","])
def test_a_key_that_cannot_be_sent_is_refused_without_being_told(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("DENOISE_API_KEYS", keys)
    with pytest.raises(SetupError, match=r"DENOISE_API_KEYS cannot be used: .*printable ASCII") as refused:
        read()
    assert KEY not in str(refused.value)


def test_keys_come_from_a_file_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n\n another \n")
    monkeypatch.setenv("DENOISE_API_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("DENOISE_API_KEYS", "one,two")
    assert [key.get_secret_value() for key in read().api_keys] == ["one", "two", KEY, "another"]
    monkeypatch.delenv("DENOISE_API_KEYS")
    assert [key.get_secret_value() for key in read().api_keys] == [KEY, "another"]


@pytest.mark.parametrize(
    ("content", "trouble"),
    [(None, "No such file"), (b"\n \n", "no key"), (f"{KEY}é".encode(), "printable ASCII"), (b"\xff", "no text")],
)
def test_a_file_that_gives_no_keys_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, trouble: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("DENOISE_API_KEYS_FILE", str(path))
    with pytest.raises(SetupError, match=f"DENOISE_API_KEYS_FILE={path} cannot be used: .*{trouble}") as refused:
        read()
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_log_tells_of_requests_but_no_picture_and_no_key(form: str) -> None:
    server = Server(DENOISE_LOG=form, DENOISE_API_KEYS=KEY, DENOISE_WORKERS="1", DENOISE_DRAIN_SECONDS="0")
    url = server.url()
    key = {"Authorization": f"Bearer {KEY}"}
    inputs = base64.b64encode(SEVEN).decode()
    httpx2.post(f"{url}/denoise?model=conv_dae", json={"inputs": inputs}, headers=key | {"X-Request-ID": "mine"})
    httpx2.post(f"{url}/denoise", content=SEVEN, headers={"Authorization": f"Bearer {KEY}x"})
    form_type = key | {"Content-Type": "multipart/form-data; boundary=x"}
    assert httpx2.post(f"{url}/denoise", content=b"--y\r\n", headers=form_type).status_code == 400
    log = server.ended(signal.SIGTERM)
    assert KEY not in log
    assert "boundary" not in log
    assert inputs[:40] not in log
    if form == "console":
        assert re.search(r"answered .*conv_dae.*mine", log)
        return
    lines = [json.loads(line) for line in log.splitlines()]  # uvicorn's too
    told = next(line for line in lines if line.get("request_id") == "mine")
    assert (told["route"], told["status"], told["model"]) == ("/denoise", 200, "conv_dae")
    assert told["provider"] == "CPUExecutionProvider"
    assert re.search(r"infer;dur=[\d.]+", told["stages"])
    assert any(line.get("status") == 401 for line in lines)
    assert any("Draining" in line["event"] for line in lines)
