"""The service as a process: it starts and says where, stops in order, and refuses a set-up that does not hold."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import NOISY_7, ROOT, Server, tiny_model, wait_until


@pytest.fixture
def server() -> Iterator[Server]:
    """A real server of one test alone, with two seconds to drain."""
    server = Server(DENOISE_DRAIN_SECONDS="2")
    yield server
    server.ended(signal.SIGKILL)


def test_it_says_where_it_serves_and_with_what(server: Server) -> None:
    url = server.url()
    assert server.process.stdout
    curl = server.process.stdout.readline().split()
    assert curl[:3] == ["curl", "--data-binary", "@tests/digits/noisy_7.png"]
    assert f"'{url}/denoise'" in curl
    assert httpx2.post(f"{url}/denoise", content=NOISY_7.read_bytes()).status_code == 200
    assert "conv_dae (denoise) runs on CPUExecutionProvider" in server.ended(signal.SIGINT)
    assert server.process.returncode == 0


def test_sigterm_turns_readiness_first_and_serves_until_drained(server: Server) -> None:
    url = server.url()
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: httpx2.get(f"{url}/readyz").status_code == 503)
    assert httpx2.get(f"{url}/readyz").headers["Retry-After"] == "5"
    assert httpx2.post(f"{url}/denoise", content=NOISY_7.read_bytes()).status_code == 200
    server.ended()
    assert server.process.returncode == 0


def refusal(*before: str, **environment: str) -> str:
    """The last line that a service says which does not start; `before` is a command that runs it."""
    server = Server(*before, **environment)
    log = server.ended()
    assert server.process.returncode == 1
    assert "Traceback" not in log
    return log.splitlines()[-1]


def test_a_port_in_use_stops_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refusal(DENOISE_PORT=port) == (
            f"The service cannot start. 127.0.0.1:{port} cannot be listened on: Address already in use; "
            "DENOISE_HOST and DENOISE_PORT name another address."
        )


def test_a_setting_that_does_not_fit_stops_the_start() -> None:
    assert "DENOISE_DEVICE=tpu cannot be used" in refusal(DENOISE_DEVICE="tpu")
    assert "DENOISE_DEFAULT_MODEL=best is no model" in refusal(DENOISE_DEFAULT_MODEL="best")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_too_few_files_stop_the_start(workers: str) -> None:
    few = "sh", "-c", 'ulimit -n 40; exec "$@"', "sh"
    assert "The system allows a process 40 open files; it takes 64" in refusal(*few, DENOISE_WORKERS=workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_few_files_are_enough_for_few_connections(workers: str) -> None:
    server = Server("sh", "-c", 'ulimit -n 64; exec "$@"', "sh", DENOISE_WORKERS=workers)
    assert httpx2.post(f"{server.url()}/denoise", content=NOISY_7.read_bytes()).status_code == 200
    log = server.ended(signal.SIGTERM)
    assert "it takes 16 connections." in log
    assert "Traceback" not in log


def test_a_gpu_that_is_not_there_stops_the_start_when_insisted_on() -> None:
    assert "DENOISE_DEVICE=cuda, but" in refusal(DENOISE_DEVICE="cuda")


def test_models_that_do_not_hold_stop_the_start(tmp_path: Path) -> None:
    assert f"There is no .onnx file in {tmp_path}" in refusal(DENOISE_MODELS=str(tmp_path))
    (tmp_path / "bad.onnx").write_bytes(tiny_model(shape=("batch", 28, 28, 3)))
    assert "bad.onnx does not keep the models' contract" in refusal(DENOISE_MODELS=str(tmp_path))


def test_of_two_that_start_at_once_one_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    both = [Server(DENOISE_PORT=port, DENOISE_WORKERS="2", DENOISE_DRAIN_SECONDS="0") for _ in range(2)]
    wait_until(lambda: any(server.process.poll() is not None for server in both))
    serving, refused = sorted(both, key=lambda server: server.process.poll() is not None)
    assert "cannot be listened on: Address already in use" in refused.ended()
    assert httpx2.get(f"{serving.url()}/livez").status_code == 200
    serving.ended(signal.SIGTERM)
    assert serving.process.returncode == 0


def test_nothing_is_reported_to_anybody(tmp_path: Path) -> None:
    # onnxruntime's reporting keeps a device id in the user's cache folder: none there, none sent
    code = "from denoise.web.app import create_app; create_app()"
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_tensorflow_and_training_never_come_into_the_service() -> None:
    code = (
        "import sys; from denoise.web.app import create_app; create_app(); "
        "print([name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'keras', 'onnx', 'training')])"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
