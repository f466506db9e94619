"""Clients in their own languages each get a picture, JSON, and an error that a person can read."""

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from tests.conftest import NOISY_7, node_modules

CALLS = Path(__file__).parent / "clients"


def said(
    server: httpx2.Client, *program: str | Path, **environment: str
) -> tuple[bytes, dict[str, object], dict[str, object]]:
    """The picture, the JSON and the problem that a program prints."""
    words = [*program, str(server.base_url).rstrip("/"), NOISY_7]
    printed = subprocess.run(words, env=os.environ | environment, check=True, stdout=subprocess.PIPE).stdout
    picture, answer, problem = printed.splitlines()
    return base64.b64decode(picture), json.loads(answer), json.loads(problem)


def check(picture: bytes, answer: dict[str, object], problem: dict[str, object]) -> None:
    assert Image.open(io.BytesIO(picture)).size == (28, 28)
    assert (answer["width"], answer["model"]) == (28, "unet_dae")
    assert problem["status"] == 415
    assert str(problem["detail"]).startswith("The 10 bytes are no image of a known kind")


@pytest.mark.needs("node")
def test_nodes_fetch(server: httpx2.Client) -> None:
    check(*said(server, "node", CALLS / "fetch.mjs"))


@pytest.mark.needs("node")
def test_axios(server: httpx2.Client, tmp_path: Path) -> None:
    check(*said(server, "node", CALLS / "axios.cjs", NODE_PATH=node_modules(tmp_path, "axios@1.21.1")))


@pytest.mark.needs("java")
def test_javas_own_client_as_it_comes(server: httpx2.Client) -> None:
    check(*said(server, "java", CALLS / "Call.java"))


def test_requests(server: httpx2.Client) -> None:
    check(*said(server, sys.executable, CALLS / "by_requests.py"))


@pytest.mark.needs("curl")
def test_curl(server: httpx2.Client) -> None:
    check(*said(server, "sh", CALLS / "curl.sh"))
