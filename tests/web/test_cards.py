"""What the service tells of itself: its models, what runs them, that it lives, and its OpenAPI document."""

import json

from fastapi.testclient import TestClient

from tests.web.conftest import check_problem


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
