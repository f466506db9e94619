"""The straight line of one picture, whichever door it came in by."""

from pathlib import Path

import numpy as np
import pytest

from denoise import cleaning
from denoise.errors import TooLarge
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU
from denoise.pictures import images
from denoise.pictures.parameters import Parameters
from tests.conftest import NOISY_7, ROOT, Pixels
from tests.pictures.test_framing import noisy, psnr
from tests.pictures.test_page import sheet
from tests.pictures.test_polarity import lit

SEVEN = NOISY_7.read_bytes()


@pytest.fixture
def half(tiny_models: Path) -> Denoiser:
    """A model that halves every pixel."""
    return Denoiser(tiny_models / "half.onnx", CPU, 1)


def test_a_picture_goes_all_the_way(half: Denoiser) -> None:
    cleaned = cleaning.clean(SEVEN, half, Parameters(), 784)
    assert np.allclose(cleaned.shown, images.decode(SEVEN, 784) / 2)
    assert images.decode(cleaned.encode("png"), 784).shape == (28, 28)


def test_pixels_go_the_same_way_as_a_file(half: Denoiser) -> None:
    pixels = images.decode(SEVEN, 784)
    assert np.array_equal(
        cleaning.clean(pixels, half, Parameters(), 784).shown, cleaning.clean(SEVEN, half, Parameters(), 784).shown
    )


def test_dark_ink_is_turned_over_for_the_model_and_back(half: Denoiser) -> None:
    pixels = 1 - images.decode(SEVEN, 784)
    cleaned = cleaning.clean(pixels, half, Parameters(invert="true"), 784)
    assert cleaned.inverted
    assert np.allclose(cleaned.shown, 1 - (1 - pixels) / 2)


def test_the_psnr_is_told_where_noise_was_asked_for(half: Denoiser) -> None:
    assert cleaning.clean(SEVEN, half, Parameters(), 784).psnr is None
    before, after = cleaning.clean(SEVEN, half, Parameters(noise=0.5, seed=7), 784).psnr or (0, 0)
    assert 0 < before < after


def test_a_strip_is_wider_than_the_picture(half: Denoiser) -> None:
    assert cleaning.clean(SEVEN, half, Parameters(layout="strip"), 784).shown.shape[1] > 4 * 28


def test_too_many_pixels_are_refused(half: Denoiser) -> None:
    with pytest.raises(TooLarge, match="at most 783 pixels"):
        cleaning.clean(SEVEN, half, Parameters(), 783)


@pytest.mark.parametrize("scale", [1, 2])
def test_no_page_comes_back_black_in_shadows_or_on_dark_tables(digits: Pixels, scale: int) -> None:
    model = Denoiser(ROOT / "models" / "unet_dae.onnx", CPU, 1)
    page = 1 - sheet(digits, scale)
    for picture in lit(noisy(0.8 * (0.3 + 0.7 * page), 0.02)):
        cleaned = cleaning.clean(picture.astype(np.float32), model, Parameters(), picture.size)
        assert cleaned.inverted
        assert not any("Ink covers" in warning for warning in cleaned.judge().warnings)
        assert cleaned.restored.mean() > page.mean() - 0.1
        assert psnr(cleaned.restored, page) > 10  # On a table a part of the ink is hidden.
