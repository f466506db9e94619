"""Where bfloat16 is allowed, all workers run a model in the same way, and every answer tells which."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import numpy as np
import pytest
from PIL import Image

from denoise.inference import ways
from denoise.inference.ways import Way
from tests.conftest import CLEAN_7, NOISY_7, START_S, Server

CALLS = 12


@pytest.fixture(scope="module")
def auto() -> Iterator[httpx2.Client]:
    """A service of two workers whose models may multiply as the processor is fastest."""
    server = Server(DENOISE_WORKERS="2", DENOISE_PRECISION="auto", DENOISE_LOG="json")
    with httpx2.Client(base_url=server.url(), timeout=START_S) as client:
        yield client
    log = server.ended(signal.SIGINT)
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["precision"] for line in lines if "stages" in line} <= {"float32", "bfloat16"}


def pixels(content: bytes) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    return np.asarray(Image.open(io.BytesIO(content)), np.float64) / 255


@pytest.mark.parametrize("model", ["conv_dae", "unet_dae"])
def test_every_worker_answers_alike_and_tells_how_it_ran(auto: httpx2.Client, model: str) -> None:
    url = auto.base_url.join("/denoise")
    ask = {"params": {"model": model}, "content": NOISY_7.read_bytes(), "timeout": START_S}
    answers = [httpx2.post(url, **ask) for _ in range(CALLS)]  # On a connection each, so that both workers get some.
    card = auto.get(f"/models/{model}").json()
    assert {answer.headers["X-Execution-Provider"] for answer in answers} == {card["provider"]}
    assert {answer.headers["X-Precision"] for answer in answers} == {card["precision"]}
    assert len({answer.content for answer in answers}) == 1
    assert Way(card["provider"], card["precision"]) in ways.ALL


@pytest.mark.parametrize("model", ["conv_dae", "unet_dae"])
def test_the_answer_is_as_good_as_in_float32(auto: httpx2.Client, server: httpx2.Client, model: str) -> None:
    clean = pixels(CLEAN_7.read_bytes())
    errors = [
        np.mean(
            (pixels(client.post("/denoise", params={"model": model}, content=NOISY_7.read_bytes()).content) - clean)
            ** 2
        )
        for client in (auto, server)
    ]
    assert abs(10 * np.log10(errors[0] / errors[1])) < 0.1


def test_info_tells_each_model_s_way_and_what_was_ruled_out(auto: httpx2.Client) -> None:
    info = auto.get("/info").json()
    assert info["precision"] == "auto"
    for name, precision in info["precisions"].items():
        own = str(Way(info["providers"][name], precision))
        assert own not in info["ruled_out"][name]
        assert set(info["ruled_out"][name]) | {own} == {str(way) for way in ways.ALL}
        assert info["self_check"]["differences"][name] <= info["self_check"]["tolerances"][name]


def test_the_doctor_says_the_same() -> None:
    command = [sys.executable, "-m", "denoise", "doctor"]
    told = subprocess.run(
        command, env=os.environ | {"DENOISE_PRECISION": "auto"}, capture_output=True, text=True, check=True
    ).stdout
    for way in ways.ALL:
        assert f"\n{way}:" in told
    assert "unet_dae is served by " in told
    assert told.rstrip().endswith("All is well, with DENOISE_DEVICE=auto and DENOISE_PRECISION=auto.")
