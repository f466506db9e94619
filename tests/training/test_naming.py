"""An exported file says what it is, in names that are the same whenever it is made, and computes what it did."""

from datetime import date

import numpy as np
import onnx
import onnxruntime
import pytest

from training import export, naming
from training.recipes import RECIPES


@pytest.fixture(scope="module", params=["easy_dae", "conv_dae", "unet_dae"])
def converted(request: pytest.FixtureRequest) -> list[onnx.ModelProto]:
    """Two files of the same network, made one after the other, as the converter names them."""
    recipe = RECIPES[request.param]
    network = recipe.architecture((4, 8, 8) if recipe.name == "unet_dae" else recipe.hidden)
    return [export.convert(network) for _ in range(2)]


def copy(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.load_from_string(model.SerializeToString())


def test_names_are_the_same_whenever_a_file_is_made(converted: list[onnx.ModelProto]) -> None:
    first, second = map(copy, converted)
    naming.rename(first)
    naming.rename(second)
    first.graph.ClearField("doc_string")
    second.graph.ClearField("doc_string")
    assert first == second
    assert all(node.name.startswith(node.op_type.lower()) for node in first.graph.node)
    assert not any("functional" in weight.name or "__" in weight.name for weight in first.graph.initializer)


def test_a_renamed_file_gives_the_same_answers_to_the_bit(converted: list[onnx.ModelProto]) -> None:
    renamed = copy(converted[0])
    naming.rename(renamed)
    onnx.checker.check_model(renamed, full_check=True)
    noise = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    before, after = (
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": noise})
        for model in (converted[0], renamed)
    )
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_described_file_has_a_name_a_version_and_a_sentence(converted: list[onnx.ModelProto]) -> None:
    described = copy(converted[0])
    naming.describe(described, "easy_dae", "Easy denoiser", "denoise", date(2026, 11, 23))
    told = onnxruntime.InferenceSession(described.SerializeToString()).get_modelmeta()
    assert (told.graph_name, told.version, told.domain) == ("easy_dae", 20261123, "denoise")
    assert told.description.startswith("Easy denoiser. `image`: a picture")
