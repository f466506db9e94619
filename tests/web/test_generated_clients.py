"""Clients that generators make of the OpenAPI document call the service: a picture, JSON and a problem come back."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests import tools
from tests.conftest import NOISY_7, node_modules
from tests.web.test_real_clients import check, said

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


@pytest.mark.needs("openapi-generator-cli")
@pytest.mark.needs("java")
@pytest.mark.needs("node")
def test_a_typescript_client_of_openapi_generator_calls_the_service(server: httpx2.Client, tmp_path: Path) -> None:
    modules = Path(node_modules(tmp_path, "typescript@7.0.2", "@types/node@26.6.6"))
    words = [tools.path("openapi-generator-cli"), "generate", "-i", f"{server.base_url}/openapi.json"]
    words += ["-g", "typescript-fetch", "-o", tmp_path / "client"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(CALLS / "generated.ts", tmp_path)
    words = ["--strict", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom", "--types", "node"]
    subprocess.run([modules / "typescript" / "bin" / "tsc", *words, "generated.ts"], cwd=tmp_path, check=True)
    check(*said(server, "node", tmp_path / "generated.js"))
