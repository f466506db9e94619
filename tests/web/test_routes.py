"""What each route takes and gives, through the HTTP door."""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from denoise.settings import Settings
from denoise.web.app import create_app
from tests.conftest import CLEAN_7, NOISY_7, Pixels

SEVEN = NOISY_7.read_bytes()
SURROGATE = json.dumps({"inputs": "AAAA", "parameters": {"model": "\ud800"}}).encode()  # half a character
PNG = {"Content-Type": "image/png"}
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n'
UNDEFINED = {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"}


def pixels(content: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(content)), np.float64) / 255


def png(values: Pixels) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


def squared_error(content: bytes) -> float:
    return float(np.mean(np.square(pixels(content) - pixels(CLEAN_7.read_bytes()))))


@pytest.mark.parametrize("model", ["conv_dae", "easy_dae", "unet_dae", None])
def test_a_noisy_digit_comes_back_clean(real: TestClient, model: str | None) -> None:
    answer = real.post("/denoise", content=SEVEN, headers=PNG, params={"model": model} if model else {})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Model"] == (model or "unet_dae")
    assert squared_error(answer.content) < squared_error(SEVEN) / 5


def test_a_clean_digit_is_reconstructed(real: TestClient) -> None:
    answer = real.post("/reconstruct", content=CLEAN_7.read_bytes(), headers=PNG)
    assert answer.headers["X-Model"] == "basic_ae"
    assert squared_error(answer.content) < 0.01


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
    ("accept", "kind"),
    [
        (None, "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/webp", "image/webp"),
        ("IMAGE/WEBP", "image/webp"),
        ("image/webp;q=0.5, image/png;q=0.4", "image/webp"),
        ("application/json", "application/json"),
        ("application/json;q=0.9, image/*;q=0.1", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "image/png"),
        ("image/png;q=0, */*;q=0.1", "image/webp"),
        ("application/json, text/plain, */*", "image/png"),
        ("application/json, text/plain", "application/json"),
        ("application/json, */*;q=0.5", "application/json"),
    ],
)
def test_the_caller_says_in_accept_what_comes_back(tiny: TestClient, accept: str | None, kind: str) -> None:
    headers = PNG | ({"Accept": accept} if accept else {})
    answer = tiny.post("/denoise", content=SEVEN, headers=headers)
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Vary"] == "Accept"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


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


def test_json_tells_all(real: TestClient) -> None:
    ask = {"params": {"model": "conv_dae"}, "headers": PNG | {"Accept": "application/json"}}
    answer = real.post("/denoise", content=SEVEN, **ask).json()
    assert (answer["model"], answer["provider"]) == ("conv_dae", "CPUExecutionProvider")
    assert answer["precision"] == "float32"
    assert (answer["width"], answer["height"], answer["inverted"]) == (28, 28, False)
    assert squared_error(base64.b64decode(answer["image"])) < 0.02
    assert np.shape(answer["code"]) == (4, 4, 32)
    assert 0 < answer["uncertainty"] < 0.2
    assert "psnr" not in answer
    assert set(answer["timing_ms"]) == {"decode", "queue", "infer", "encode"}


def test_noise_is_laid_over_the_picture_first_and_measured(real: TestClient) -> None:
    clean = CLEAN_7.read_bytes()
    ask = {"params": {"noise": 0.5, "seed": 7}, "headers": PNG | {"Accept": "application/json"}}
    once, again = (real.post("/denoise", content=clean, **ask).json() for _ in range(2))
    assert once["image"] == again["image"]
    assert once["psnr"]["before"] == pytest.approx(9.4, abs=1)
    assert once["psnr"]["after"] > once["psnr"]["before"] + 7
    other = real.post("/denoise", content=clean, **ask | {"params": {"noise": 0.5, "seed": 8}}).json()
    assert other["image"] != once["image"]


def test_uncertainty_is_larger_where_the_noise_is(real: TestClient) -> None:
    unsure = [
        real.post(
            "/denoise",
            content=CLEAN_7.read_bytes(),
            params={"noise": noise, "seed": 1},
            headers=PNG | {"Accept": "application/json"},
        ).json()["uncertainty"]
        for noise in (0, 0.3, 0.9)
    ]
    assert unsure == sorted(unsure)


@pytest.mark.parametrize(("model", "panels"), [("conv_dae", 5), ("easy_dae", 5), ("unet_dae", 4)])
def test_a_strip_shows_every_step(real: TestClient, model: str, panels: int) -> None:
    answer = real.post(f"/denoise?layout=strip&model={model}", content=SEVEN)
    sheet = pixels(answer.content)
    assert sheet.shape[0] == 196 + 20 + 2 * 12
    between = (np.abs(sheet[40:] - sheet[-1, 0]) < 0.01).all(axis=0)
    assert np.count_nonzero(np.diff(between.astype(int)) == -1) == panels


def test_headers_tell_where_and_how_it_was_done(tiny: TestClient) -> None:
    inverted = png(1 - pixels(SEVEN))
    answer = tiny.post("/denoise", content=inverted, headers=PNG | {"X-Request-ID": "my.id-1"})
    assert answer.headers["X-Request-ID"] == "my.id-1"
    assert answer.headers["X-Execution-Provider"] == "CPUExecutionProvider"
    assert answer.headers["X-Precision"] == "float32"
    assert answer.headers["X-Input-Inverted"] == "true"
    stages = [part.split(";")[0] for part in answer.headers["Server-Timing"].split(", ")]
    assert sorted(stages) == ["decode", "encode", "infer", "queue"]


@pytest.mark.parametrize("request_id", ["", "has space", "x" * 129, "<script>"])
def test_a_request_id_that_is_no_token_is_replaced(tiny: TestClient, request_id: str) -> None:
    answer = tiny.get("/livez", headers={"X-Request-ID": request_id})
    assert len(answer.headers["X-Request-ID"]) == 32


def test_the_answer_has_the_size_of_the_picture_or_of_the_model(tiny: TestClient) -> None:
    picture = png(np.pad(pixels(SEVEN), ((10, 30), (40, 2))))
    assert pixels(tiny.post("/denoise", content=picture).content).shape == (68, 70)
    assert pixels(tiny.post("/denoise?size=native", content=picture).content).shape == (28, 28)
    assert pixels(tiny.post("/reconstruct", content=picture).content).shape == (68, 70)


@pytest.mark.parametrize("model", ["conv_dae", "unet_dae"])
def test_a_large_photo_of_a_dark_digit_comes_back_clean(real: TestClient, digits: Pixels, model: str) -> None:
    random = np.random.default_rng(3)
    side, height, width = 900, 2000, 3000
    ink = np.zeros((height, width))
    seven = Image.fromarray(np.rint(digits[0] * 255).astype(np.uint8))
    ink[250 : 250 + side, 1700 : 1700 + side] = np.asarray(seven.resize((side, side), Image.Resampling.BICUBIC)) / 255
    clean = 1 - ink
    light = 0.95 - 0.3 * np.linspace(0, 1, width) * np.linspace(0.5, 1, height)[:, None]
    photo = np.clip(light * (1 - 0.8 * ink) + 0.08 * random.standard_normal(ink.shape), 0, 1)
    content = io.BytesIO()
    Image.fromarray(np.rint(photo * 255).astype(np.uint8)).convert("RGB").save(content, "JPEG", quality=85)
    answer = real.post("/denoise", content=content.getvalue(), params={"model": model})
    restored = pixels(answer.content)
    assert restored.shape == (height, width)
    assert answer.headers["X-Input-Inverted"] == "true"
    assert np.mean(np.square(restored - clean)) < np.mean(np.square(photo - clean)) / 5


@pytest.mark.parametrize("scale", [1, 3, 6])
def test_a_page_of_digits_comes_back_clean(real: TestClient, digits: Pixels, scale: int) -> None:
    side = 28 * scale
    rows = [np.concatenate(list(digits[first : first + 6]), axis=1) for first in (0, 6)]
    ink = Image.fromarray(np.rint(np.concatenate(rows) * 255).astype(np.uint8)).resize((6 * side, 2 * side))
    clean = 1 - np.asarray(ink, np.float64) / 255
    page = np.clip(clean + 0.3 * np.random.default_rng(0).standard_normal(clean.shape), 0, 1)
    answer = real.post("/denoise", content=png(page))
    assert answer.headers["X-Input-Inverted"] == "true"
    restored = pixels(answer.content)
    assert restored.shape == clean.shape
    assert np.mean(np.square(restored - clean)) < np.mean(np.square(page - clean)) / 8


@pytest.mark.parametrize("shape", [(8, 8), (1, 400), (400, 1), (9, 700)])
def test_pictures_of_any_shape_are_answered(real: TestClient, shape: tuple[int, int]) -> None:
    assert pixels(real.post("/denoise", content=png(np.full(shape, 0.9))).content).shape == shape


def test_an_endless_line_is_too_thin_for_a_model_of_any_size(tiny: TestClient) -> None:
    line = png(np.zeros((2, 101_000)))
    check_problem(tiny.post("/reconstruct", content=line), 422, "101000×2 pixels is too thin")
    assert tiny.post("/denoise", content=line).status_code == 200


def test_a_clean_digit_is_not_harmed(real: TestClient) -> None:
    assert squared_error(real.post("/denoise", content=CLEAN_7.read_bytes()).content) < 10**-3


def check_problem(answer: Any, status: int, sentence: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert sentence in problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert set(problem) == {"type", "title", "status", "detail", "instance", "request_id"}


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
        ({"json": [1]}, 422, "valid dictionary"),
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


def test_models_have_cards(real: TestClient) -> None:
    cards = {card["name"]: card for card in real.get("/models").json()["models"]}
    assert cards["basic_ae"]["task"] == "reconstruct"
    assert [name for name, card in cards.items() if card["default"]] == ["basic_ae", "unet_dae"]
    card = real.get("/models/conv_dae").json()
    assert card == cards["conv_dae"]
    assert card["inputs"] == [{"name": "image", "shape": ["batch", 28, 28, 1], "type": "tensor(float)"}]
    assert [output["name"] for output in card["outputs"]] == ["restored", "code"]
    assert card["scores"]["psnr"] > 19
    check_problem(real.get("/models/none"), 404, "no model named 'none'")


def test_info_tells_what_runs(real: TestClient) -> None:
    info = real.get("/info").json()
    assert info["device"] == "auto"
    assert info["providers"]["conv_dae"] == "CPUExecutionProvider"
    assert info["limits"]["max_body_bytes"] == 32 * 1024 * 1024
    assert info["limits"]["max_pixels"] == 50_000_000
    assert info["limits"]["queue"] == 1024
    assert info["precisions"]["conv_dae"] == info["precision"] == "float32"
    assert "DENOISE_PRECISION=float32" in info["ruled_out"]["conv_dae"]["OpenVINO in bfloat16"]
    tolerances = info["self_check"]["tolerances"]
    assert all(off <= tolerances[name] for name, off in info["self_check"]["differences"].items())


def test_probes_answer(tiny: TestClient) -> None:
    assert tiny.get("/livez").json() == {"live": True}
    assert tiny.get("/readyz").json() == {"ready": True}
    assert tiny.head("/livez").status_code == tiny.head("/readyz").status_code == 200


def test_openapi_lists_the_models_and_bodies(real: TestClient) -> None:
    operation = real.get("/openapi.json").json()["paths"]["/denoise"]["post"]
    (model,) = (parameter for parameter in operation["parameters"] if parameter["name"] == "model")
    assert model["schema"] == {"type": "string", "enum": ["conv_dae", "easy_dae", "unet_dae"], "default": "unet_dae"}
    assert next(iter(operation["requestBody"]["content"])) == "multipart/form-data"
    assert list(operation["responses"]["200"]["content"]) == [
        "image/png",
        "image/webp",
        "image/tiff",
        "image/jpeg",
        "application/zip",
        "application/octet-stream",
        "application/json",
    ]
    assert set(operation["responses"]) == {"200", "400", "404", "406", "408", "413", "415", "422", "429", "504"}
    assert json.dumps(operation)


def test_what_may_be_wrong_with_an_answer_is_told(real: TestClient, digits: Pixels) -> None:
    page = np.rint(255 * (0.9 - 0.8 * np.kron(np.hstack(digits[:4]), np.ones((6, 6))))).astype(np.uint8)
    content = png(page)
    told = real.post("/denoise?model=unet_dae", content=content).headers["X-Warning"]
    assert "was shrunk by" in told
    answer = real.post("/denoise?model=unet_dae", content=content, headers={"Accept": "application/json"}).json()
    assert answer["warnings"] == [told]
    results = real.post(
        "/denoise?model=unet_dae&format=json", files=[("file", content), ("file", png(page[::-1]))]
    ).json()["results"]
    assert results[0]["warnings"] == [told]
    assert "X-Warning" not in real.post("/denoise", content=SEVEN).headers
