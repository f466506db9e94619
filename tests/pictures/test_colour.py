"""Ink keeps its colour in an answer that is clean."""

import io

import numpy as np
import pytest
from PIL import Image

from denoise.pictures import colour, images
from tests.conftest import Pixels

RED, BLUE = (0.8, 0.1, 0.1), (0.1, 0.2, 0.7)


def inked(strokes: Pixels, ink: tuple[float, ...], paper: tuple[float, ...], noise: float = 0.1) -> images.Colours:
    """A picture of strokes in a colour on paper of another, with noise."""
    share = strokes[:, :, None]
    clean = share * np.array(ink) + (1 - share) * np.array(paper)
    noisy = clean + np.random.default_rng(0).normal(0, noise, clean.shape)
    return np.rint(255 * np.clip(noisy, 0, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def strokes(digits: Pixels) -> Pixels:
    return np.kron(digits[0], np.ones((4, 4), np.float32))


@pytest.mark.parametrize("ink", [RED, BLUE])
def test_dark_ink_keeps_its_colour_on_white(strokes: Pixels, ink: tuple[float, ...]) -> None:
    kept = colour.keep(inked(strokes, ink, (0.9, 0.9, 0.9)), 1 - strokes, dark=True) / 255
    assert np.abs(kept[strokes > 0.9].mean(axis=0) - np.divide(ink, 0.9)).max() < 0.05
    assert (kept[strokes == 0] == 1).all()


def test_light_ink_keeps_its_colour_on_black(strokes: Pixels) -> None:
    kept = colour.keep(inked(strokes, (0.9, 0.9, 0.3), (0.1, 0.1, 0.1)), strokes, dark=False) / 255
    assert np.abs(kept[strokes > 0.9].mean(axis=0) - (0.9, 0.9, 0.22)).max() < 0.07
    assert (kept[strokes == 0] == 0).all()


def test_two_inks_side_by_side_are_two_colours(strokes: Pixels) -> None:
    both = np.concatenate([inked(strokes, RED, (1, 1, 1)), inked(strokes, BLUE, (1, 1, 1))], axis=1)
    kept = colour.keep(both, 1 - np.tile(strokes, 2), dark=True) / 255
    for place, ink in ((0, RED), (1, BLUE)):
        own = kept[:, place * 112 : place * 112 + 112][strokes > 0.9]
        assert np.abs(own.mean(axis=0) - ink).max() < 0.1


def test_paper_that_is_tinted_and_unevenly_lit_becomes_white(strokes: Pixels) -> None:
    light = np.linspace(1, 0.6, strokes.shape[1])[None, :, None]
    picture = (inked(strokes, BLUE, (1, 0.95, 0.8), noise=0) * light).astype(np.uint8)
    kept = colour.keep(picture, 1 - strokes, dark=True) / 255
    assert (kept[strokes == 0] == 1).all()
    assert np.abs(kept[strokes > 0.9].mean(axis=0) - (0.1, 0.2 / 0.95, 0.7 / 0.8)).max() < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (700, 1)])
def test_pictures_of_any_shape_have_colours(shape: tuple[int, int]) -> None:
    answer = np.random.default_rng(0).random(shape, np.float32)
    assert colour.keep(colour.of_grey(answer), answer, dark=True).shape == (*shape, 3)


def test_with_half_the_strength_half_is_what_was_sent() -> None:
    sent, answer = np.full((8, 8, 3), 100, np.uint8), np.ones((8, 8), np.float32)
    assert np.unique(colour.keep(sent, answer, dark=True, strength=0.5)).tolist() == [178]


def test_colours_are_turned_upright_and_laid_over_paper() -> None:
    image = np.zeros((3, 5, 4), np.uint8)
    image[0, 0] = (200, 0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = 5
    content = io.BytesIO()
    Image.fromarray(image, "RGBA").save(content, "PNG", exif=exif, dpi=(300, 100))
    picture = images.read(content.getvalue(), 100, in_colour=True)
    assert picture.colours is not None
    assert picture.colours.shape == (5, 3, 3)
    assert picture.colours[0, 0].tolist() == [200, 0, 0]
    assert picture.colours[4, 2].tolist() == [255, 255, 255]
    assert picture.dpi == pytest.approx((100, 300), abs=0.02)
