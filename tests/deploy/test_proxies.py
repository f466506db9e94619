"""nginx and Caddy, run with the committed files, serve all of it below a path; Traefik's file has the same numbers."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest
import yaml
from playwright.sync_api import Browser, expect

from denoise.settings import Settings
from tests import tools
from tests.conftest import NOISY_7, ROOT, START_S, Server, wait_until
from tests.deploy.test_compose import free_ports

DEPLOY = ROOT / "deploy"
LIMIT = 300_000
NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
    access_log off;
    types {{}}
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    include {folder}/denoise.conf;
}}
"""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of a service that knows its prefix."""
    running = Server(DENOISE_ROOT_PATH="/digits", DENOISE_WORKERS="1", DENOISE_MAX_BODY_BYTES=str(LIMIT))
    yield running.url().removeprefix("http://")
    running.ended(signal.SIGINT)


def nginx(folder: Path, address: str, port: int) -> list[str]:
    text = (DEPLOY / "nginx" / "denoise.conf").read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:8000", address).replace("listen 80;", f"listen 127.0.0.1:{port};")
    (folder / "denoise.conf").write_text(text, encoding="utf-8")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder), encoding="utf-8")
    return [str(tools.path("nginx")), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, address: str, port: int) -> list[str]:
    text = (DEPLOY / "caddy" / "Caddyfile").read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:8000", address).replace(":80 {", f"http://127.0.0.1:{port} {{")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text, encoding="utf-8")
    return [str(tools.path("caddy")), "run", "--config", str(folder / "Caddyfile")]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(nginx, marks=pytest.mark.needs("nginx")),
        pytest.param(caddy, marks=pytest.mark.needs("caddy")),
    ],
)
def proxy(service: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service below a proxy."""
    folder, (port,) = tmp_path_factory.mktemp("proxy"), free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with (folder / "output").open("w") as output:
        command, home = request.param(folder, service, port), {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=home)
    try:
        wait_until(lambda: answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/digits/readyz").is_success
    except httpx2.TransportError:
        return False


def test_all_of_it_is_below_the_prefix(proxy: str) -> None:
    with httpx2.Client(base_url=f"{proxy}/digits", timeout=START_S) as client:
        assert client.post("/denoise", content=NOISY_7.read_bytes()).headers["Content-Type"] == "image/png"
        assert client.post("/denoise", content=b"no picture").json()["status"] == 415
        assert client.head("/models").headers["Content-Type"] == "application/json"
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/digits"}]
        for page in ("/", "/docs"):
            links = re.findall(r'(?:src|href)="([^"#]+)"', client.get(page).text)
            assert links
            for link in links:
                assert httpx2.get(urljoin(f"{proxy}/digits{page}", link)).is_success, link
    assert httpx2.get(f"{proxy}/digits").headers["Location"].endswith("/digits/")


@pytest.mark.parametrize("size", [LIMIT + 1, 8 * LIMIT])
def test_who_sends_too_much_reads_the_services_own_sentence(proxy: str, size: int) -> None:
    answer = httpx2.post(f"{proxy}/digits/denoise", content=bytes(size), timeout=START_S)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")
    assert f"{LIMIT:,} bytes" in answer.json()["detail"]


def test_an_upload_through_the_documentation_shows_the_picture(proxy: str, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(f"{proxy}/digits/docs")
    operation = page.locator("#operations-images-denoise")
    operation.locator(".opblock-summary").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("input[type=file]").set_input_files(NOISY_7)
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".response-col_description img").first).to_have_js_property("naturalWidth", 28)
    page.close()


def seconds(text: str, name: str) -> int:
    return int(re.findall(rf"{name}:? (\d+)s", text)[0])


@pytest.mark.parametrize(
    ("file", "body", "idle", "answer"),
    [
        ("nginx/denoise.conf", r"client_max_body_size (\d+)m;", "keepalive_timeout", "proxy_read_timeout"),
        ("caddy/Caddyfile", r"max_size (\d+)MiB", "keepalive", "response_header_timeout"),
        ("traefik/denoise.yml", r"maxRequestBodyBytes: (\d+)", "idleConnTimeout", "responseHeaderTimeout"),
    ],
)
def test_the_numbers_fit_the_services_own(file: str, body: str, idle: str, answer: str) -> None:
    text, settings = (DEPLOY / file).read_text(encoding="utf-8"), Settings()
    most = int(re.findall(body, text)[0])
    assert most * (1 if most > 2**20 else 2**20) > settings.max_body_bytes
    assert seconds(text, idle) < settings.idle_seconds
    assert seconds(text, answer) > settings.deadline_seconds


def test_what_traefiks_file_names_is_in_it() -> None:
    traefik = yaml.safe_load((DEPLOY / "traefik" / "denoise.yml").read_text(encoding="utf-8"))["http"]
    for router in traefik["routers"].values():
        assert router["service"] in traefik["services"]
        assert set(router["middlewares"]) <= set(traefik["middlewares"])
    assert traefik["services"]["denoise"]["loadBalancer"]["serversTransport"] in traefik["serversTransports"]
