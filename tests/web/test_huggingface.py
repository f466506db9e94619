"""huggingface_hub's own client denoises, with parameters and without."""

from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import BadRequestError
from PIL import Image

from tests.conftest import CLEAN_7, NOISY_7


@pytest.fixture(scope="module")
def client(server: httpx2.Client) -> InferenceClient:
    return InferenceClient(model=f"{server.base_url}/denoise")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), np.float32) / 255


@pytest.mark.parametrize("form", [str, Path, lambda path: Path(path).read_bytes()], ids=["name", "path", "bytes"])
def test_a_picture_comes_back_clean(client: InferenceClient, form: type) -> None:
    answer = pixels(client.image_to_image(form(NOISY_7)))
    clean, noisy = pixels(Image.open(CLEAN_7)), pixels(Image.open(NOISY_7))
    assert answer.shape == clean.shape
    assert np.square(answer - clean).mean() < np.square(noisy - clean).mean() / 5


def test_parameters_are_ours_and_those_meant_for_other_services_mean_nothing(client: InferenceClient) -> None:
    plain = client.image_to_image(NOISY_7)
    strip = client.image_to_image(NOISY_7, layout="strip", prompt="a seven", guidance_scale=7.5)
    assert strip.width > 3 * plain.width
    noisy = [client.image_to_image(CLEAN_7, noise=0.5, seed=7) for _ in range(2)]
    assert np.array_equal(pixels(noisy[0]), pixels(noisy[1]))


def test_errors_are_told(client: InferenceClient) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.image_to_image(NOISY_7.read_bytes()[:200])
    assert raised.value.response.json()["detail"].startswith("The image is cut or damaged")
