"""Clients that generators make of the OpenAPI document call the service: a picture, JSON and a problem come back."""

import os
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests import tools
from tests.conftest import NOISY_7

CALLS = Path(__file__).parent / "clients"


@pytest.mark.needs("openapi-python-client")
def test_a_client_of_openapi_python_client_calls_the_service(server: httpx2.Client, tmp_path: Path) -> None:
    folder = Path(tools.path("openapi-python-client") or "").parent
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}
    words = ["openapi-python-client", "generate", "--url", f"{server.base_url}/openapi.json", "--meta", "none"]
    words += ["--output-path", tmp_path / "client"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    call = [folder / "python", "-W", "error", CALLS / "generated.py", str(server.base_url), NOISY_7]
    subprocess.run(call, env=environment, check=True)
