"""What comes back for a picture: a clean one, of the size and kind that the caller wants, and what is told of it."""

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.conftest import CLEAN_7, Pixels
from tests.web.conftest import PNG, SEVEN, pixels, png, squared_error


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
    side, height, width = 450, 1000, 1500
    ink = np.zeros((height, width))
    seven = Image.fromarray(np.rint(digits[0] * 255).astype(np.uint8))
    ink[125 : 125 + side, 850 : 850 + side] = np.asarray(seven.resize((side, side), Image.Resampling.BICUBIC)) / 255
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


def test_a_clean_digit_is_not_harmed(real: TestClient) -> None:
    assert squared_error(real.post("/denoise", content=CLEAN_7.read_bytes()).content) < 10**-3


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
