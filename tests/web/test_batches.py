"""Several pictures in one request: each comes back under its own name, and one that is bad spoils no other."""

import base64
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from denoise.inference.tiling import TiledRun
from denoise.pictures import images
from denoise.settings import Settings
from denoise.web.app import create_app
from tests.conftest import CLEAN_7, Pixels
from tests.web.conftest import SEVEN, form, members, png, zipped


def test_64_files_come_back_in_a_zip_each_as_it_would_alone(real: TestClient, digits: Pixels) -> None:
    files = [(f"{number}.png", png(digit)) for number, digit in enumerate(digits[:64])]
    answers = members(real.post("/denoise", **form(*files)))
    assert list(answers) == [name for name, _ in files]
    for name, content in files[::21]:
        alone = images.decode(real.post("/denoise", content=content).content, 784)
        assert np.abs(images.decode(answers[name], 784) - alone).max() <= 1 / 255


@pytest.mark.parametrize("kind", ["form", "zip"])
def test_one_bad_file_fails_alone(tiny: TestClient, kind: str) -> None:
    files = [("a.png", SEVEN), ("b.png", SEVEN[:200]), ("c.txt", b"no picture"), ("d.gif", SEVEN)]
    sent = (
        form(*files) if kind == "form" else {"content": zipped(*files), "headers": {"Content-Type": "application/zip"}}
    )
    answer = tiny.post("/denoise", **sent)
    assert answer.headers["X-Failed-Items"] == "2"
    assert answer.headers["X-Model"] == "copy"
    found = members(answer)
    assert list(found) == ["a.png", "d.png", "problems.json"]
    told = json.loads(found["problems.json"])
    assert [(item["filename"], item["problem"]["status"]) for item in told] == [("b.png", 400), ("c.txt", 415)]
    assert told[0]["problem"]["request_id"] == answer.headers["X-Request-ID"]


def test_json_has_a_result_for_each_file_in_order(real: TestClient) -> None:
    files = [("7.png", SEVEN), ("no", b"no picture"), ("clean.png", CLEAN_7.read_bytes())]
    answer = real.post(
        "/denoise?model=conv_dae&noise=0.3&seed=1", **form(*files), headers={"Accept": "application/json"}
    )
    assert answer.headers["X-Failed-Items"] == "1"
    first, bad, last = answer.json()["results"]
    assert [first["filename"], bad["filename"], last["filename"]] == [name for name, _ in files]
    assert bad["problem"]["status"] == 415
    assert first["model"] == "conv_dae"
    assert last["psnr"]["after"] > last["psnr"]["before"]
    assert Image.open(io.BytesIO(base64.b64decode(last["image"]))).size == (28, 28)


def test_accept_says_of_which_kind_the_pictures_in_the_zip_are(tiny: TestClient) -> None:
    files = form(("a", SEVEN), ("b", SEVEN))
    for accept, names in (("image/png", ["a.png", "b.png"]), ("image/webp", ["a.webp", "b.webp"])):
        found = members(tiny.post("/denoise", **files, headers={"Accept": accept}))
        assert list(found) == names
        assert Image.open(io.BytesIO(found[names[0]])).get_format_mimetype() == accept
    refused = tiny.post("/denoise", **files, headers={"Accept": "text/html"})
    assert refused.status_code == 406
    assert "application/zip, image/png" in refused.json()["detail"]


def test_large_and_small_pictures_go_together(tiny: TestClient) -> None:
    page = io.BytesIO()
    Image.new("L", (400, 300), 255).save(page, "PNG")
    found = members(tiny.post("/denoise", **form(("page.png", page.getvalue()), ("7.png", SEVEN))))
    assert [Image.open(io.BytesIO(content)).size for content in found.values()] == [(400, 300), (28, 28)]


def test_a_form_in_a_charset_that_is_dear_to_read_is_refused(tiny: TestClient) -> None:
    part = b'Content-Disposition: form-data; name="seed"\r\n\r\n' + b"a" * 90_000
    headers = {"Content-Type": "multipart/form-data; boundary=X; charset=punycode"}
    refused = tiny.post("/denoise", content=b"--X\r\n" + part + b"\r\n--X--\r\n", headers=headers)
    assert refused.status_code == 415
    assert "the charset punycode is not taken; utf-8 and latin-1 are" in refused.json()["detail"]


def test_a_batch_has_one_deadline_and_gives_what_was_done_before(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TiledRun.step
    monkeypatch.setattr(TiledRun, "step", lambda run: time.sleep(0.2) or step(run))
    page = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100), np.uint8)).save(page, "PNG")
    files = form(*((f"{number}.png", page.getvalue()) for number in range(40)))
    settings = Settings(models=tiny_models, deadline_seconds=3, threads=1)
    with TestClient(create_app(settings)) as client:
        answer = client.post("/reconstruct?model=any", **files, headers={"Accept": "application/json"})

    results = answer.json()["results"]
    late = [result["problem"] for result in results if "problem" in result]
    assert "image" in results[0]
    assert {problem["detail"] for problem in late} == {"The picture was not done within 3 s."}
    assert answer.headers["X-Failed-Items"] == str(len(late))


def test_pictures_of_too_many_pixels_together_are_refused_before_any_is_worked_on(tiny_models: Path) -> None:
    settings = Settings(models=tiny_models, max_request_pixels=2 * 784)
    with TestClient(create_app(settings)) as client:
        two, three = ((form(*((f"{n}.png", SEVEN) for n in range(count)))) for count in (2, 3))
        assert client.post("/denoise", **two).status_code == 200
        refused = client.post("/denoise", **three)
        assert refused.status_code == 413
        assert "more than 1,568 pixels together" in refused.json()["detail"]
