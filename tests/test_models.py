"""Every file in models/ keeps the contract, says of itself what is true, and is as good as it says."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
from huggingface_hub import ModelCard

from tests.conftest import ROOT, Pixels
from training import score

MODELS = sorted((ROOT / "models").glob("*.onnx"))
BATCH = 500
NOISE_FACTOR = 0.5
LIMITS = {  # the tutorial's own models, on the 10,000 test digits
    "basic_ae": {"loss": 0.0955},
    "easy_dae": {"loss": 0.129},
    "conv_dae": {"loss": 0.0985, "psnr": 19.6},
    "unet_dae": {"loss": 0.0885, "psnr": 21.0},
}
CODES = {"basic_ae": (64,), "easy_dae": (32,), "conv_dae": (4, 4, 32)}
ANY_SIZE = {"unet_dae"}
MOST_NODES = {"unet_dae": 65}
MOST_BYTES = 3_000_000

each_model = pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def noise_factor(path: Path) -> float:
    found = re.search(r"factor ([\d.]+)", metadata(path)["noise"])
    factor = float(found[1]) if found else 0.0
    assert factor in (0, NOISE_FACTOR)
    return factor


@pytest.fixture(scope="module")
def clean(digits: Pixels) -> Pixels:
    return digits[..., np.newaxis]


@pytest.fixture(scope="module")
def noisy(clean: Pixels) -> Pixels:
    return score.add_noise(clean, NOISE_FACTOR)


@pytest.fixture(scope="module")
def noisy_scores(clean: Pixels, noisy: Pixels) -> dict[str, float]:
    """What the noisy digits score, which is the same for every model that takes off their noise."""
    return {"noisy_psnr": score.psnr(clean, noisy), "noisy_ssim": score.ssim(clean, noisy)}


@each_model
def test_its_scores_are_what_it_scores(
    path: Path, clean: Pixels, noisy: Pixels, noisy_scores: dict[str, float]
) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # Threads that wait for work would take a processor from the tests beside this.
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    seen = noisy if noise_factor(path) else clean
    batches = [seen[i : i + BATCH] for i in range(0, len(seen), BATCH)]
    restored = np.concatenate([session.run(["restored"], {"image": batch})[0] for batch in batches])
    scores = score.score(clean, clean, restored) | (noisy_scores if noise_factor(path) else {})
    assert scores == pytest.approx(json.loads(metadata(path)["scores"]), abs=1e-3)
    limits = LIMITS[path.stem]
    assert scores["loss"] <= limits["loss"]
    assert scores["psnr"] >= limits.get("psnr", 0)
    if "noisy_psnr" in scores:
        assert scores["noisy_psnr"] == pytest.approx(9.4, abs=0.05)


@each_model
def test_its_graph_is_valid_lean_and_the_same_in_every_runtime(path: Path, clean: Pixels) -> None:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    nodes = [node.op_type for node in model.graph.node]
    assert len(nodes) <= MOST_NODES.get(path.stem, 25)
    assert path.stat().st_size < MOST_BYTES
    assert "Transpose" not in nodes or path.stem in ANY_SIZE  # whose pixels are shuffled channels last: it is faster
    modes = [a.s for node in model.graph.node for a in node.attribute if a.name == "coordinate_transformation_mode"]
    assert set(modes) <= {b"asymmetric"}  # the tutorial's; the half-pixel one has left the standard
    (expected,) = onnxruntime.InferenceSession(path).run(["restored"], {"image": clean[:4]})
    (reference,) = onnx.reference.ReferenceEvaluator(model).run(["restored"], {"image": clean[:4]})
    assert np.abs(expected - reference).max() < 1e-5


@each_model
def test_its_inputs_and_outputs_are_named_as_the_contract_has_them(path: Path) -> None:
    session = onnxruntime.InferenceSession(path)
    (image,) = session.get_inputs()
    restored, *codes = session.get_outputs()
    size = ["height", "width"] if path.stem in ANY_SIZE else [28, 28]
    assert (image.name, image.shape, image.type) == ("image", ["batch", *size, 1], "tensor(float)")
    assert (restored.name, restored.shape) == ("restored", ["batch", *size, 1])
    expected = [("code", ["batch", *CODES[path.stem]])] if path.stem in CODES else []
    assert [(code.name, code.shape) for code in codes] == expected


@each_model
def test_its_graph_is_named_as_it_is_and_its_description_says_what_goes_in(path: Path) -> None:
    told = onnxruntime.InferenceSession(path).get_modelmeta()
    assert told.graph_name == path.stem
    assert str(told.version) == metadata(path)["date"].replace("-", "")
    assert told.description.startswith(f"{metadata(path)['title']}. `image`: ")
    assert not any("__" in weight.name for weight in onnx.load(path).graph.initializer)


@each_model
def test_its_card_is_read_by_hugging_face(path: Path) -> None:
    data = ModelCard(path.with_suffix(".md").read_text(encoding="utf-8")).data.to_dict()
    assert (data["license"], data["pipeline_tag"], data["library_name"]) == ("mit", "image-to-image", "onnx")
    (told,) = data["model-index"]
    told_scores = {metric["type"]: metric["value"] for metric in told["results"][0]["metrics"]}
    assert told["name"] == path.stem
    assert told_scores == pytest.approx(
        {name: json.loads(metadata(path)["scores"])[name] for name in told_scores}, abs=0.01
    )
    assert {"psnr", "ssim", "loss"} == set(told_scores)


@each_model
def test_its_card_has_its_scores_and_pictures(path: Path) -> None:
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    scores = json.loads(metadata(path)["scores"])
    assert f"{scores['loss']:.4f}" in card
    assert f"{scores['psnr']:.2f}" in card
    pictures = re.findall(r"\((pictures/.*?)\)", card)
    assert pictures
    for picture in pictures:
        assert (path.parent / picture).is_file()
