"""Transparent ground becomes paper on which all of the ink is seen."""

import struct

import numpy as np
import pytest
from PIL import Image

from denoise.pictures import images
from tests.pictures.conftest import LIMIT, RAMP, file


def with_alpha(grey: np.ndarray, alpha: np.ndarray) -> bytes:
    return file(
        Image.merge("LA", [Image.fromarray(grey.astype(np.uint8)), Image.fromarray(alpha.astype(np.uint8))]), "PNG"
    )


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
@pytest.mark.parametrize("thick", [2, 8])
def test_bare_ink_is_laid_over_the_paper_it_stands_out_from(ink: int, paper: int, thick: int) -> None:
    alpha = np.zeros((10, 10))
    alpha[:thick] = 255
    pixels = images.decode(with_alpha(np.full((10, 10), ink), alpha), LIMIT)
    assert pixels[9, 9] == paper / 255
    assert pixels[0, 0] == ink / 255


@pytest.mark.parametrize("cleared", [1, 7])
def test_a_picture_with_paper_of_its_own_gets_more_of_it(cleared: int) -> None:
    grey = np.full((10, 10), 230)
    grey[9, 4:6] = 20
    alpha = np.full((10, 10), 255)
    alpha[:cleared] = 0
    assert images.decode(with_alpha(grey, alpha), LIMIT)[0, 0] == 1


def drawing(*inks: tuple[int, int, int], deviation: float = 0) -> bytes:
    """Strokes of these colours, whose edges are soft, on transparent ground."""
    image = np.zeros((60, 20 * len(inks), 4))
    for number, ink in enumerate(inks):
        left = 20 * number
        image[10:50, left + 5 : left + 15] = (*ink, 255)
        image[10:50, [left + 4, left + 15], :3], image[10:50, [left + 4, left + 15], 3] = ink, 100
    image[..., :3] += np.random.default_rng(0).normal(0, deviation, (*image.shape[:2], 1)) if deviation else 0
    return file(Image.fromarray(np.clip(image, 0, 255).astype(np.uint8), "RGBA"), "PNG")


BLACK, RED, GREY, WHITE, YELLOW = (0, 0, 0), (220, 30, 30), (110, 110, 110), (255, 255, 255), (250, 230, 40)


@pytest.mark.parametrize(
    ("content", "paper"),
    [
        (drawing(BLACK, RED, RED), 1),
        (drawing(BLACK, GREY), 1),
        (drawing(BLACK, YELLOW), 1),
        (drawing((77, 77, 77), deviation=30), 1),
        (drawing(WHITE), 0),
        (drawing(WHITE, YELLOW), 0),
    ],
)
def test_inks_on_transparent_ground_get_paper_on_which_all_are_seen(content: bytes, paper: int) -> None:
    pixels = images.decode(content, LIMIT)
    assert pixels[0, 0] == paper
    assert abs(float(pixels[30, 10]) - paper) > 0.2


def test_where_white_was_removed_by_a_threshold_white_is_put_back() -> None:
    grey = np.full((40, 40), 255)
    for off, tone in ((0, 0), (1, 120), (2, 245)):  # a thin line with soft edges
        grey[5:35, [20 - off, 20 + off]] = tone
    pixels = images.decode(with_alpha(grey, np.where(grey < 250, 255, 0)), LIMIT)
    assert np.abs(pixels - grey / 255).max() < 0.01


def bmp(grey: np.ndarray, alpha: int) -> bytes:
    """A BMP of 32 bits a pixel with a mask for its fourth byte, which is `alpha` everywhere."""
    height, width = grey.shape
    values = np.full((height, width, 4), alpha, np.uint8)
    values[..., :3] = grey[::-1, :, None]
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, values.size, 2835, 2835, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(64)
    start = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", start + values.size, 0, 0, start) + head + values.tobytes()


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bmp_that_is_transparent_throughout_is_opaque(alpha: int) -> None:
    assert np.abs(images.decode(bmp(RAMP, alpha), LIMIT) - RAMP / 255).max() < 0.01
