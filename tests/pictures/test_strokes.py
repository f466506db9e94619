"""The size of strokes is found in any picture, noisy or not."""

import numpy as np
import pytest
from PIL import Image

from denoise.pictures import strokes
from tests.conftest import Pixels
from tests.pictures.test_framing import noisy


def row_of_digits(digits: Pixels, scale: float) -> Pixels:
    side = round(28 * scale)
    drawn = [Image.fromarray(np.rint(digit * 255).astype(np.uint8)).resize((side, side)) for digit in digits[:8]]
    tiles = [np.asarray(image, np.float32) / 255 for image in drawn]
    return np.concatenate([np.concatenate(tiles[:4], axis=1), np.concatenate(tiles[4:], axis=1)])


@pytest.mark.parametrize("scale", [1, 2, 3, 6, 10])
@pytest.mark.parametrize("factor", [0, 0.2, 0.5])
def test_it_is_found_to_a_third_or_so(digits: Pixels, scale: float, factor: float) -> None:
    sizes = [strokes.size(noisy(row_of_digits(digits[first:], scale), factor)) for first in range(0, 80, 8)]
    assert scale / 1.5 < np.median(sizes) < scale * 1.5


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (64, 64)])
@pytest.mark.parametrize("factor", [0, 0.5])
def test_a_picture_without_ink_has_no_large_strokes(shape: tuple[int, int], factor: float) -> None:
    assert strokes.size(noisy(np.full(shape, 0.5, np.float32), factor)) < 3
