"""What cannot be answered is a problem, told in one sentence."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from denoise.settings import Settings
from denoise.web.app import create_app
from tests.web.conftest import SEVEN, check_problem, pixels, png

SURROGATE = json.dumps({"inputs": "AAAA", "parameters": {"model": "\ud800"}}).encode()  # half a character
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n'
UNDEFINED = {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("modle", "'model'"),
        ("nosie", "'noise'"),
        ("siz", "'size'"),
        ("Model", "'model'"),
        ("zzz", "there are: model, "),
    ],
)
def test_a_parameter_that_does_not_exist_is_refused_with_the_nearest(tiny: TestClient, name: str, told: str) -> None:
    inputs = base64.b64encode(SEVEN).decode()
    for answer in (
        tiny.post("/denoise", content=SEVEN, params={name: "1"}),
        tiny.post("/denoise", files={"file": SEVEN}, data={name: "1"}),
        tiny.post("/denoise", json={"inputs": inputs, "parameters": {name: 1}}),
    ):
        check_problem(answer, 422, f"There is no parameter '{name}'; ")
        assert told in answer.json()["detail"]


def test_an_endless_line_is_too_thin_for_a_model_of_any_size(tiny: TestClient) -> None:
    line = png(np.zeros((2, 101_000)))
    check_problem(tiny.post("/reconstruct", content=line), 422, "101000×2 pixels is too thin")
    assert tiny.post("/denoise", content=line).status_code == 200


@pytest.mark.parametrize(
    ("request_parts", "status", "sentence"),
    [
        ({"content": b""}, 400, "The request has no body"),
        ({"content": SEVEN[:200]}, 400, "cut or damaged"),
        ({"files": {"file": b""}}, 400, "The file is empty"),
        ({"files": {"file": SEVEN}, "data": {"size": "huge"}}, 422, "size=huge"),
        ({"files": {"picture": SEVEN}}, 400, "no file in a part named 'file'"),
        ({"files": {"x": b"x"}}, 400, "no file in a part named 'file', but one named 'x'"),
        ({"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}}, 400, "Missing boundary"),
        ({"content": FORM, "headers": UNDEFINED}, 415, "the charset undefined is not taken"),
        ({"json": {"inputs": ""}}, 400, "`inputs` is empty"),
        ({"json": {"inputs": "data:image/png,abc"}}, 400, "without base64"),
        ({"json": {"inputs": "AAAA", "parameters": {"size": [[]] * 9}}}, 422, "size: Input should be"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "The JSON cannot be read"),
        ({"content": b"[" * 900, "headers": {"Content-Type": "application/json"}}, 400, "The JSON cannot be read"),
        ({"content": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}, 400, "The JSON cannot be read"),
        ({"json": {"inputs": "no base64!"}}, 400, "no base64"),
        ({"json": {"inputs": "http://localhost/seven.png"}}, 400, "no picture is fetched from a URL"),
        ({"json": {"picture": "x"}}, 422, "inputs: Field required."),
        ({"json": [1]}, 422, "Input should be an object"),
        ({"content": SURROGATE, "headers": {"Content-Type": "application/json"}}, 404, "no model named '?'"),
        ({"json": {"inputs": "AAAA", "parameters": {"size": "huge"}}}, 422, "size=huge"),
        ({"content": SEVEN, "params": {"size": "huge"}}, 422, "size=huge"),
        ({"content": SEVEN, "params": {"invert": "maybe"}}, 422, "invert=maybe"),
        ({"content": SEVEN, "params": {"noise": "1.5"}}, 422, "noise=1.5"),
        ({"content": SEVEN, "params": {"noise": "nan"}}, 422, "noise=nan"),
        ({"content": SEVEN, "params": {f"a{number}": "" for number in range(101)}}, 422, "more than 100 parameters"),
        ({"content": SEVEN, "params": {"seed": "-1"}}, 422, "seed=-1"),
        ({"content": SEVEN, "params": {"layout": "grid"}}, 422, "layout=grid"),
        (
            {"content": SEVEN, "params": {"model": "any"}},
            422,
            "'any' can reconstruct, not denoise; for that there are: copy",
        ),
        ({"content": SEVEN, "params": {"model": "cnov"}}, 404, "no model named 'cnov'; there are: any, copy, half"),
        (
            {"content": SEVEN, "headers": {"Accept": "text/html"}},
            406,
            "image/png, image/webp, image/tiff, image/jpeg, application/json",
        ),
        ({"content": SEVEN, "headers": {"Accept": "nonsense"}}, 406, "nonsense"),
        ({"content": SEVEN, "headers": {"Accept": 'a/a;x="' + ";" * 60_000}}, 406, "at most 1,000 are read"),
        ({"content": SEVEN, "headers": {"Content-Type": "image/png;" + ";" * 60_000}}, 415, "at most 1,000 are read"),
        ({"content": b"[]," * 30_000, "headers": {"Content-Type": "application/json"}}, 400, "commas and brackets"),
        ({"content": b"\0" * 100_001}, 413, "100001 bytes; at most 100,000"),
        ({"content": iter([b"\0" * 60_000] * 3)}, 413, "at most 100,000"),
        ({"files": [("file", SEVEN)] * 65}, 413, "too many files; at most 64"),
        ({"content": png(np.zeros((600, 600)))}, 413, "600×600 pixels; at most 250,000"),
        ({"content": b"a,b\n1,2\n"}, 415, "no image of a known kind"),
        ({"content": SEVEN, "headers": {"Content-Type": "text/plain"}}, 415, "text/plain is not taken"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_in_one_sentence(
    tiny: TestClient, request_parts: dict[str, Any], status: int, sentence: str
) -> None:
    check_problem(tiny.post("/denoise", **request_parts), status, sentence)


def test_a_picture_longer_than_a_webp_can_be_is_not_acceptable(tiny: TestClient) -> None:
    long = png(np.zeros((2, 17_000)))
    check_problem(tiny.post("/denoise", content=long, headers={"Accept": "image/webp"}), 406, "16,383 pixels a side")
    assert pixels(tiny.post("/denoise", content=long).content).shape == (2, 17_000)


def test_other_routes_and_methods_are_problems(tiny: TestClient) -> None:
    check_problem(tiny.get("/nothing"), 404, "There is nothing at /nothing")
    check_problem(tiny.post("/denoise/", content=SEVEN), 404, "There is nothing at /denoise/")
    answer = tiny.get("/denoise")
    check_problem(answer, 405, "GET is not allowed at /denoise")
    assert answer.headers["Allow"] == "POST"


def test_a_route_without_models_says_so(tmp_path: Path, tiny_models: Path) -> None:
    (tmp_path / "copy.onnx").write_bytes((tiny_models / "copy.onnx").read_bytes())
    with TestClient(create_app(Settings(models=tmp_path))) as client:
        check_problem(client.post("/reconstruct", content=SEVEN), 404, "No model that can reconstruct")
