"""Callers who come another way: pages of other origins, a proxy that takes a prefix off, HEAD."""

import base64
import json
import re
import signal
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Error

from denoise.errors import SetupError
from denoise.settings import Settings, read
from denoise.web.app import create_app
from tests.conftest import NOISY_7, Server

SEVEN = NOISY_7.read_bytes()
PAGE = "https://pages.example"
ROOT = "/denoise"  # It is the name of a route as well, which must not be mistaken for it.


@pytest.fixture(scope="module")
def opened(tiny_models: Path) -> Iterator[TestClient]:
    """A service that pages of one origin may call, with a key."""
    settings = Settings(
        models=tiny_models, cors_origins=f"{PAGE}, http://localhost:3000", api_keys="key", max_body_bytes=100_000
    )  # type: ignore[arg-type]
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="module", params=[True, False], ids=["short way", "long way"])
def below(tiny_models: Path, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """A service behind a proxy that has taken ROOT off each path."""
    settings = Settings(models=tiny_models, root_path=f"{ROOT}/")
    with TestClient(create_app(settings, short_way=request.param)) as client:
        yield client


def test_a_page_of_a_named_origin_may_send_what_it_needs(opened: TestClient) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    answer = opened.options("/denoise", headers={"Origin": PAGE, **asked})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert opened.options("/denoise", headers={"Origin": "https://other.example", **asked}).status_code == 400


@pytest.mark.parametrize(
    ("path", "sent", "key", "status"),
    [
        ("/denoise", SEVEN, "key", 200),
        ("/denoise", SEVEN, "wrong", 401),
        ("/denoise", b"no picture", "key", 415),
        ("/denoise", bytes(100_001), "key", 413),
        ("/denoise?noise=2", SEVEN, "key", 422),
        ("/nowhere", SEVEN, "key", 404),
        ("/v2/models/copy/infer", b"{}", "key", 400),
    ],
)
def test_a_page_of_a_named_origin_can_read_every_answer(
    opened: TestClient, path: str, sent: bytes, key: str, status: int
) -> None:
    answer = opened.post(path, content=sent, headers={"Origin": PAGE, "Authorization": f"Bearer {key}"})
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Origin" in answer.headers["Vary"]
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]


CALL = """async ([url, picture]) => {
    const body = Uint8Array.from(atob(picture), (each) => each.charCodeAt(0));
    const headers = { "Content-Type": "image/png", Authorization: "Bearer key" };
    const clean = await fetch(`${url}/denoise`, { method: "POST", headers, body });
    const problem = await fetch(`${url}/denoise?noise=2`, { method: "POST", headers, body });
    return [(await clean.blob()).type, clean.headers.get("X-Model"), (await problem.json()).status];
}"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Another origin, which has the folder of the tests' digits as pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=NOISY_7.parent)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_page_in_a_browser_calls_a_service_that_names_it(
    chromium: Browser, tiny_models: Path, elsewhere: str
) -> None:
    page = chromium.new_page()
    service = Server(DENOISE_CORS_ORIGINS=elsewhere, DENOISE_API_KEYS="key", DENOISE_MODELS=str(tiny_models))
    url = service.url()
    try:
        page.goto(elsewhere)
        assert page.evaluate(CALL, [url, base64.b64encode(SEVEN).decode()]) == ["image/png", "copy", 422]
        page.goto(elsewhere.replace("127.0.0.1", "localhost"))
        with pytest.raises(Error, match="Failed to fetch"):
            page.evaluate(CALL, [url, ""])
    finally:
        service.ended(signal.SIGTERM)
        page.close()


def test_no_other_page_may_read_an_answer(opened: TestClient, tiny: TestClient) -> None:
    for client, origin in ((opened, "https://other.example"), (tiny, PAGE)):
        assert "Access-Control-Allow-Origin" not in client.get("/models", headers={"Origin": origin}).headers


def test_all_pages_may_where_that_is_set(tiny_models: Path) -> None:
    with TestClient(create_app(Settings(models=tiny_models, cors_origins="*"))) as client:  # type: ignore[arg-type]
        assert client.get("/models", headers={"Origin": PAGE}).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_what_a_page_names_lies_below_the_prefix(below: TestClient, page: str) -> None:
    text = below.get(page).text
    links = re.findall(r"""(?:src|href)="([^"#]+)"|\burl: ?'([^']+)'""", text)
    assert links
    for link in ("".join(pair) for pair in links):
        whole = urljoin(ROOT + page, link)
        assert whole.startswith(f"{ROOT}/"), link
        assert below.get(whole.removeprefix(ROOT)).status_code == 200, link


def test_all_that_there_is_can_be_had_below_the_prefix(below: TestClient) -> None:
    assert below.get("/openapi.json").json()["servers"] == [{"url": ROOT}]
    assert below.post("/denoise", content=SEVEN).headers["Content-Type"] == "image/png"
    assert below.get("/models/copy").json()["name"] == "copy"
    assert below.get("/v2/models/copy").json()["name"] == "copy"
    assert set(below.get("/v2/models/nothing").json()) == {"error"}
    problem = below.get("/nothing").json()
    assert problem["instance"] == "/nothing"
    assert f"{ROOT}/docs" in problem["detail"]


def test_without_the_playground_the_way_leads_below_the_prefix(tiny_models: Path) -> None:
    with TestClient(create_app(Settings(models=tiny_models, root_path=ROOT, ui=False))) as client:
        assert client.get("/", follow_redirects=False).headers["Location"] == f"{ROOT}/docs"


@pytest.mark.parametrize(
    ("name", "value", "trouble"),
    [
        ("CORS_ORIGINS", "https://pages.example/path", "no origin"),
        ("CORS_ORIGINS", "pages.example", "no origin"),
        ("CORS_ORIGINS", "*,", "no origin"),
        ("ROOT_PATH", "digits", "begins with a slash"),
    ],
)
def test_an_origin_or_prefix_that_is_none_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, trouble: str
) -> None:
    monkeypatch.setenv(f"DENOISE_{name}", value)
    with pytest.raises(SetupError, match=f"DENOISE_{name}=.*cannot be used: .*{trouble}"):
        read()


def test_head_is_answered_as_get_without_a_body(server: httpx2.Client) -> None:
    paths = [path for path, methods in server.get("/openapi.json").json()["paths"].items() if "get" in methods]
    assert len(paths) > 10
    for path in ("/", "/docs", "/openapi.json", "/static/favicon.svg", "/nowhere", "/denoise", *paths):
        path = path.replace("{name}", "easy_dae")  # noqa: PLW2901  # the same path, for a model
        get, head = server.get(path), server.head(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["Content-Type"] == get.headers["Content-Type"], path
        if path not in ("/info", "/metrics", "/v2/models/stats"):  # These change all the time.
            assert head.headers["Content-Length"] == str(len(get.content)), path


def test_a_head_request_leaves_the_connection_as_it_should_be(server: httpx2.Client) -> None:
    for _ in range(3):
        assert server.head("/models").content == b""
        assert json.loads(server.get("/models").content)["models"]
