"""The documentation teaches: everything has words and an example, and every example is what really comes.

`python -m tests.web.test_openapi` makes the examples anew.
"""

import base64
import io
import json
import signal
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from denoise.web import openapi
from tests.conftest import CLEAN_7, NOISY_7, ROOT, START_S, Server

DIGIT = [int(value) for value in np.asarray(Image.open(NOISY_7)).ravel()]
TENSOR = {
    "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": DIGIT}],
    "outputs": [{"name": "code"}],
}
STRIPS = {"denoise": NOISY_7, "reconstruct": CLEAN_7}
SENT: dict[str, dict[str, Any]] = {
    "/denoise": {"content": NOISY_7.read_bytes(), "headers": {"Accept": "application/json"}},
    "/digits": {"content": NOISY_7.read_bytes()},
    "/reconstruct": {"content": CLEAN_7.read_bytes(), "headers": {"Accept": "application/json"}},
    "/v2/models/{name}/infer": {"json": TENSOR},
}


def got(client: httpx2.Client, method: str, path: str) -> Any:
    """The JSON that a route really answers."""
    answer = client.request(method, path.replace("{name}", "easy_dae"), **SENT.get(path, {}))
    assert answer.status_code == 200, answer.text
    return answer.json()


def shape(value: Any) -> Any:
    """The names and types in a JSON value; numbers are alike, and of a list the first counts."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def strip(client: httpx2.Client, task: str) -> bytes:
    return client.post(f"/{task}?layout=strip", content=STRIPS[task].read_bytes()).content


@pytest.fixture(scope="module")
def schema(server: httpx2.Client) -> dict[str, Any]:
    told: dict[str, Any] = server.get("/openapi.json").json()
    return told


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in schema["paths"].items() for method, one in methods.items()]


def test_everything_has_words_and_an_example(schema: dict[str, Any]) -> None:
    assert [tag["name"] for tag in schema["tags"]] == ["images", "open inference protocol", "service"]
    for path, method, operation in operations(schema):
        place = f"{method} {path}"
        assert operation["summary"], place
        assert len(operation["description"]) > 15, place
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (place, parameter)
            assert "enum" in parameter["schema"] or "examples" in parameter["schema"], (place, parameter["name"])
        for status, response in operation["responses"].items():
            assert response["description"], (place, status)
            for kind, content in response.get("content", {}).items():
                binary = content.get("schema", {}).get("format") == "binary"
                assert binary or content.get("example"), (place, status, kind)


def test_the_answers_in_the_examples_are_such_as_come(server: httpx2.Client, schema: dict[str, Any]) -> None:
    seen = 0
    for path, method, operation in operations(schema):
        content = operation["responses"]["200"].get("content", {})
        if "application/json" in content:
            assert shape(got(server, method, path)) == shape(content["application/json"]["example"]), (method, path)
            seen += 1
    assert seen == len(openapi.ANSWERS)


def test_the_requests_in_the_examples_are_answered(server: httpx2.Client, schema: dict[str, Any]) -> None:
    for path in ("/denoise", "/reconstruct", "/digits", "/v2/models/easy_dae/infer"):
        template = path.replace("easy_dae", "{name}")
        sent = schema["paths"][template]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert server.post(path, json=sent).status_code == 200, path


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        ("404", {"content": NOISY_7.read_bytes(), "params": {"model": "cnov"}}),
        ("406", {"content": NOISY_7.read_bytes(), "headers": {"Accept": "text/html"}}),
        ("413", {"content": bytes(40_000_000)}),
        ("415", {"content": b"no picture"}),
        ("422", {"content": NOISY_7.read_bytes(), "params": {"noise": "2"}}),
        ("400", {"content": NOISY_7.read_bytes()[:200]}),
    ],
)
def test_the_problems_in_the_examples_are_such_as_come(
    server: httpx2.Client, schema: dict[str, Any], status: str, sent: dict[str, Any]
) -> None:
    told = schema["paths"]["/denoise"]["post"]["responses"][status]["content"]["application/problem+json"]["example"]
    answer = server.post("/denoise", **sent)
    assert str(answer.status_code) == status
    assert answer.json() | {"request_id": openapi.REQUEST_ID} == told


def test_the_errors_of_tensors_in_the_examples_are_such_as_come(server: httpx2.Client, schema: dict[str, Any]) -> None:
    responses = schema["paths"]["/v2/models/{name}/infer"]["post"]["responses"]
    thin = {"inputs": [TENSOR["inputs"][0] | {"shape": [1, 28, 28]}]}  # type: ignore[operator]
    for status, path, sent in (
        ("400", "easy_dae", {"json": thin}),
        ("404", "cnov", {"json": TENSOR}),
        ("415", "easy_dae", {"content": b"{}", "headers": {"Content-Encoding": "br"}}),
    ):
        answer = server.post(f"/v2/models/{path}/infer", **sent)
        assert str(answer.status_code) == status
        assert answer.json() == responses[status]["content"]["application/json"]["example"]


def test_what_generators_make_has_short_names_and_one_class_for_problems(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert {"denoise", "reconstruct", "digits", "models", "model", "info", "v2_infer"} <= set(names)
    assert len(set(names)) == len(names)
    for path, method, operation in operations(schema):
        for response in operation["responses"].values():
            problem = response.get("content", {}).get("application/problem+json")
            assert not problem or problem["schema"] == {"$ref": "#/components/schemas/Problem"}, (method, path)


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("post", "/denoise", {"content": NOISY_7.read_bytes()}),
        ("post", "/denoise", {"content": NOISY_7.read_bytes(), "headers": {"Accept": "application/octet-stream"}}),
        ("post", "/denoise", {"files": [("file", NOISY_7.read_bytes()), ("file", CLEAN_7.read_bytes())]}),
        ("post", "/digits", {"content": NOISY_7.read_bytes()}),
        ("post", "/digits", {"content": NOISY_7.read_bytes(), "headers": {"Accept": "application/zip"}}),
        ("post", "/digits", {"content": NOISY_7.read_bytes(), "headers": {"Accept": "application/x-npy"}}),
        ("post", "/reconstruct", {"content": b"no picture"}),
        ("get", "/models/{name}", {}),
        ("get", "/metrics", {"headers": {"Accept": "application/openmetrics-text"}}),
        ("post", "/v2/models/{name}/infer", {"json": TENSOR}),
        ("post", "/v2/models/{name}/infer", {"json": TENSOR | {"parameters": {"binary_data_output": True}}}),
    ],
)
def test_the_headers_and_kinds_that_come_are_declared(
    server: httpx2.Client, schema: dict[str, Any], method: str, path: str, sent: dict[str, Any]
) -> None:
    answer = server.request(method, path.replace("{name}", "easy_dae"), **sent)
    declared = schema["paths"][path][method]["responses"][str(answer.status_code)]
    everywhere = {"connection", "content-length", "content-type", "date"}
    names = {name.lower() for name in declared["headers"]} | everywhere
    assert set(answer.headers) <= names
    assert answer.headers["Content-Type"].partition(";")[0] in declared["content"]
    references = {header["$ref"].rsplit("/")[-1] for header in declared["headers"].values()}
    assert references <= set(schema["components"]["headers"])


@pytest.mark.parametrize("task", STRIPS)
def test_the_pictures_are_what_comes(server: httpx2.Client, schema: dict[str, Any], task: str) -> None:
    assert f"(static/examples/{task}.png)" in schema["paths"][f"/{task}"]["post"]["description"]
    shown = np.asarray(Image.open(io.BytesIO(server.get(f"/static/examples/{task}.png").content)), np.float32)
    comes = np.asarray(Image.open(io.BytesIO(strip(server, task))), np.float32)
    assert np.abs(shown - comes).max() < 3
    assert base64.b64decode(openapi.picture()) == NOISY_7.read_bytes()


def make() -> None:
    """The examples, from a real server."""
    server = Server()
    with httpx2.Client(base_url=server.url(), timeout=START_S) as client:
        answers = {}
        for path, method, operation in operations(client.get("/openapi.json").json()):
            if "application/json" in operation["responses"]["200"].get("content", {}):
                answers[f"{method.upper()} {path}"] = got(client, method, path)
        (openapi.FOLDER / "answers.json").write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
        for task in STRIPS:
            (openapi.FOLDER / f"{task}.png").write_bytes(strip(client, task))
        (openapi.FOLDER / "noisy_7.png").write_bytes((ROOT / "tests" / "digits" / "noisy_7.png").read_bytes())
    server.ended(signal.SIGTERM)


if __name__ == "__main__":
    make()
