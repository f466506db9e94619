"""A page in, its digits out: as JSON, as a zip, as an array; by a model of any size, with the errors of every route."""

import base64
import csv
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.conftest import NOISY_7, Pixels

# Places of digits on the page, in reading order: rows, columns.
PLACES = [(10, 20), (10, 70), (14, 120), (70, 15), (66, 64), (70, 130)]


@pytest.fixture(scope="module")
def page(digits: Pixels) -> bytes:
    """A PNG of 180×120 pixels, dark ink on light paper that is ruled and noisy, with six digits."""
    ink = np.zeros((120, 180), np.float32)
    for digit, (top, left) in zip(digits[:6], PLACES, strict=True):
        ink[top : top + 28, left : left + 28] = digit
    ink[[48, 108]] = np.maximum(ink[[48, 108]], 0.3)
    paper = 0.95 - 0.85 * ink + 0.1 * np.random.default_rng(0).standard_normal(ink.shape)
    file = io.BytesIO()
    Image.fromarray((255 * np.clip(paper, 0, 1)).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def ask(client: TestClient, content: bytes, accept: str = "*/*", **sent: Any) -> Any:
    answer = client.post("/digits", content=content, headers={"Accept": accept}, **sent)
    assert answer.status_code == 200, answer.text
    return answer


def picture(digit: dict[str, Any]) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(digit["picture"]))), np.float32) / np.float32(255)


def test_each_digit_has_a_box_and_a_picture_like_mnists(real: TestClient, page: bytes, digits: Pixels) -> None:
    told = ask(real, page).json()
    assert (told["width"], told["height"], told["inverted"], told["model"]) == (180, 120, True, "unet_dae")
    assert len(told["digits"]) == len(PLACES)
    for found, digit, (top, left) in zip(told["digits"], digits, PLACES, strict=False):
        rows, columns = (np.flatnonzero((digit > 0.2).any(axis=axis)) for axis in (1, 0))
        box = [found["x"], found["y"], found["x"] + found["width"], found["y"] + found["height"]]
        expected = [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1]
        assert np.abs(np.subtract(box, expected)).max() <= 3
        assert np.abs(picture(found) - digit).mean() < 0.08
        assert not found["wide"]


def test_as_an_array_they_are_bytes(real: TestClient, page: bytes) -> None:
    answer = ask(real, page, "application/x-npy")
    array = np.load(io.BytesIO(answer.content))
    assert (array.shape, array.dtype) == ((6, 28, 28), np.uint8)
    assert np.array_equal(array[0] / np.float32(255), picture(ask(real, page).json()["digits"][0]))
    assert answer.headers["X-Input-Inverted"] == "true"


def test_as_a_zip_they_are_pngs_with_a_table_of_boxes(real: TestClient, page: bytes) -> None:
    content = ask(real, page, "application/zip").content
    assert real.post("/digits?format=zip", content=page).content == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("boxes.csv").decode())))
        assert archive.namelist() == ["boxes.csv", *(row["file"] for row in rows)]
        assert Image.open(archive.open("0001.png")).size == (28, 28)
    told = ask(real, page).json()["digits"]
    assert [[int(row[name]) for name in ("x", "y", "width", "height")] for row in rows] == [
        [digit[name] for name in ("x", "y", "width", "height")] for digit in told
    ]
    assert {row["wide"] for row in rows} == {"false"}


def test_several_pages_are_answered_together_and_a_bad_one_fails_alone(real: TestClient, page: bytes) -> None:
    files = [("file", ("one.png", page)), ("file", ("two.png", b"none")), ("file", ("three.png", page))]
    answer = real.post("/digits", files=files)
    results = answer.json()["results"]
    assert [len(result.get("digits", ())) for result in results] == [6, 0, 6]
    assert results[1]["problem"]["status"] == 415
    with zipfile.ZipFile(
        io.BytesIO(real.post("/digits", files=files, headers={"Accept": "application/zip"}).content)
    ) as z:
        assert {"one/boxes.csv", "one/0006.png", "three/boxes.csv", "problems.json"} <= set(z.namelist())


def test_a_page_may_be_sent_in_every_form(real: TestClient, page: bytes) -> None:
    in_json = json.dumps({"inputs": base64.b64encode(page).decode(), "parameters": {"invert": "true"}})
    for sent in (
        {"files": {"file": page}, "data": {"model": "unet_dae"}},
        {"content": in_json, "headers": {"Content-Type": "application/json"}},
    ):
        assert len(real.post("/digits", **sent).json()["digits"]) == 6


def test_a_page_without_digits_has_none(real: TestClient) -> None:
    file = io.BytesIO()
    Image.new("L", (200, 100), 240).save(file, "PNG")
    assert ask(real, file.getvalue()).json()["digits"] == []
    assert np.load(io.BytesIO(ask(real, file.getvalue(), "application/x-npy").content)).shape == (0, 28, 28)


@pytest.mark.parametrize("model", ["conv_dae", "basic_ae"])
def test_a_model_of_one_size_finds_none(real: TestClient, page: bytes, model: str) -> None:
    answer = real.post("/digits", content=page, params={"model": model})
    assert answer.status_code == 422
    assert f"'{model}' does not denoise pages of any size" in answer.json()["detail"]
    assert answer.json()["detail"].endswith("unet_dae.")


def test_where_no_model_takes_pages_that_is_said(tiny: TestClient) -> None:
    answer = tiny.post("/digits", content=NOISY_7.read_bytes())
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("There is no model here that denoises pages of any size")


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (404, {"params": {"model": "cnov"}}),
        (406, {"headers": {"Accept": "image/png"}}),
        (422, {"params": {"invert": "maybe"}}),
        (422, {"params": {"modle": "unet_dae"}}),
        (415, {"content": b"no picture"}),
        (400, {"content": b""}),
    ],
)
def test_errors_are_those_of_the_other_routes(real: TestClient, page: bytes, status: int, sent: dict[str, Any]) -> None:
    answer = real.post("/digits", **{"content": page} | sent)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_page_of_more_marks_than_are_taken_is_refused(real: TestClient, digits: Pixels) -> None:
    file = io.BytesIO()
    small = Image.fromarray((255 * digits[1]).astype(np.uint8)).resize((14, 14))
    Image.fromarray(np.tile(np.asarray(small), (72, 72))).save(file, "BMP")  # fewer bytes could not hold as much ink
    answer = real.post("/digits", content=file.getvalue(), params={"invert": "false"})
    assert answer.status_code == 413
    assert "at most 5,000 are taken" in answer.json()["detail"]
