"""A picture is taken as it comes: raw, in a form or in JSON, plain or packed, with its parameters."""

import base64
import gzip
import io
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.web.conftest import PNG, SEVEN, check_problem, pixels, png


@pytest.mark.parametrize(
    "content_type", ["image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; a=b", None]
)
def test_the_kind_of_a_raw_body_is_read_from_its_bytes(tiny: TestClient, content_type: str | None) -> None:
    answer = tiny.post("/denoise", content=SEVEN, headers={"Content-Type": content_type} if content_type else {})
    assert np.array_equal(pixels(answer.content), pixels(SEVEN))


def test_a_form_with_a_file_is_taken(tiny: TestClient) -> None:
    answer = tiny.post("/denoise", files={"file": ("a.bin", SEVEN)}, data={"model": "half", "seed": "3"})
    assert answer.headers["X-Model"] == "half"
    assert np.allclose(pixels(answer.content), pixels(SEVEN) / 2, atol=0.5 / 255)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_json_with_base64_is_taken_with_its_parameters(tiny: TestClient, prefix: str) -> None:
    inputs = prefix + base64.b64encode(SEVEN).decode()
    body = {"inputs": inputs, "parameters": {"model": "half", "invert": False}}
    answer = tiny.post("/denoise?model=copy", json=body)
    assert answer.headers["X-Model"] == "half"
    assert np.allclose(pixels(answer.content), pixels(SEVEN) / 2, atol=0.5 / 255)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_packed_body_is_undone(tiny: TestClient, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    answer = tiny.post("/denoise", content=pack(SEVEN), headers=PNG | {"Content-Encoding": encoding})
    assert np.array_equal(pixels(answer.content), pixels(SEVEN))


def test_a_packed_body_is_undone_up_to_the_limit(tiny: TestClient) -> None:
    bomb = gzip.compress(bytes(30_000_000))
    check_problem(tiny.post("/denoise", content=bomb, headers={"Content-Encoding": "gzip"}), 413, "when unpacked")
    answer = tiny.post("/denoise", content=SEVEN, headers={"Content-Encoding": "br"})
    check_problem(answer, 415, "Content-Encoding br is not taken; gzip and deflate are")


def test_a_file_in_a_packed_body_is_worth_the_bytes_that_came(tiny: TestClient) -> None:
    lines = io.BytesIO()
    Image.fromarray(np.tile([False, True], (480, 240))).save(lines, "BMP")
    assert tiny.post("/reconstruct?model=any", content=lines.getvalue()).status_code == 200
    packed = gzip.compress(lines.getvalue())
    answer = tiny.post("/reconstruct?model=any", content=packed, headers={"Content-Encoding": "gzip"})
    check_problem(answer, 415, f"A file of {len(packed)} bytes cannot hold as much as its 480×480 pixels show")


@pytest.mark.parametrize("value", ["True", "TRUE", "true", True])
def test_choices_are_taken_as_programs_write_them(tiny: TestClient, value: str | bool) -> None:
    sent = {"inputs": base64.b64encode(SEVEN).decode(), "parameters": {"invert": value, "size": "Native"}}
    for answer in (
        tiny.post("/denoise", json=sent),
        tiny.post("/denoise", content=SEVEN, params={"invert": str(value), "layout": "SINGLE"}),
        tiny.post("/denoise", files={"file": SEVEN}, data={"invert": str(value)}),
    ):
        assert answer.headers["X-Input-Inverted"] == "true", answer.text


@pytest.mark.parametrize(("name", "value"), [("format", "JPG"), ("format", "tif"), ("color", "gray")])
def test_other_spellings_of_choices_are_understood(tiny: TestClient, name: str, value: str) -> None:
    assert tiny.post("/denoise", content=SEVEN, params={name: value}).status_code == 200


@pytest.mark.parametrize("sent", ["model=&page=&strength=", "size="])
def test_empty_parameters_are_not_set(tiny: TestClient, sent: str) -> None:
    plain = tiny.post("/denoise", content=SEVEN).content
    assert tiny.post(f"/denoise?{sent}", content=SEVEN).content == plain
    fields = dict.fromkeys(sent.replace("=", "").split("&"), "")
    assert tiny.post("/denoise", files={"file": SEVEN}, data=fields).content == plain
    inputs = base64.b64encode(SEVEN).decode()
    for given in (None, dict.fromkeys(fields)):
        assert tiny.post("/denoise", json={"inputs": inputs, "parameters": given}).content == plain


def test_json_of_another_shape_is_told_in_json_s_words(tiny: TestClient) -> None:
    check_problem(tiny.post("/denoise", json=[1]), 422, "The JSON: Input should be an object.")
    check_problem(tiny.post("/denoise", json={"inputs": "", "parameters": []}), 422, "parameters: Input should be an")


def test_the_name_of_a_file_in_its_place_is_told(tiny: TestClient) -> None:
    told = "came, the name of a file and not what is in it; with curl an @"
    check_problem(tiny.post("/denoise", files={"file": (None, b"page.png")}), 400, f"'page.png' {told}")
    check_problem(tiny.post("/denoise", content=b"@scans/page 1.jpeg"), 400, told)


def test_a_parameter_beside_the_inputs_of_json_is_refused(tiny: TestClient) -> None:
    sent = {"inputs": base64.b64encode(SEVEN).decode(), "model": "half", "options": {}}
    check_problem(tiny.post("/denoise", json=sent), 422, "'model' stands beside `inputs`")


def with_padding() -> bytes:
    """A picture whose base64 has padding, and both characters that URLs do not have."""
    for seed in range(1000):
        content = png(np.random.default_rng(seed).random((9, 9), np.float32))
        text = base64.b64encode(content)
        if text.endswith(b"=") and b"+" in text and b"/" in text:
            return content
    raise AssertionError


def test_base64_is_taken_as_programs_write_it(tiny: TestClient) -> None:
    content = with_padding()
    plain, url_safe = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
    lines = base64.encodebytes(content).decode()
    for inputs in (plain.rstrip("="), url_safe, url_safe.rstrip("="), lines, lines.replace("\n", "\r\n")):
        for prefix in ("", "data:image/png;base64,"):
            answer = tiny.post("/denoise?model=half", json={"inputs": prefix + inputs})
            assert answer.status_code == 200, answer.text


def test_a_part_of_a_form_without_a_filename_is_a_picture(tiny: TestClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = part % (b"file", SEVEN) + part % (b"model", b"half") + b"--x--\r\n"
    answer = tiny.post("/denoise", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.headers["X-Model"] == "half"
    assert np.allclose(pixels(answer.content), pixels(SEVEN) / 2, atol=0.5 / 255)


def test_a_form_has_only_so_many_fields_of_such_a_length(tiny: TestClient) -> None:
    fields = {"data": {f"a{number}": "" for number in range(101)}, "files": {"file": SEVEN}}
    check_problem(tiny.post("/denoise", **fields), 400, "more than 100 fields")
    check_problem(tiny.post("/denoise", data={"seed": "1" * 70_000}, files={"file": SEVEN}), 400, "65,536 bytes")
