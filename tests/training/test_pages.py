"""Pages hold digits at their scale, all over, and are repeatable."""

import numpy as np
import pytest

from denoise.pictures import strokes
from tests.conftest import Pixels
from training import pages

MNIST_STROKE_PX = 2.5


@pytest.mark.parametrize("scale", [0.7, 1.0, 3.0])
def test_strokes_are_as_large_as_the_scale_says(digits: Pixels, scale: float) -> None:
    random = np.random.default_rng(0)
    drawn = [pages.page(digits[:1000, ..., np.newaxis], (150, 200), scale, random) for _ in range(8)]
    widths = [strokes.measure(page[..., 0]).width for page in drawn]
    assert np.median(widths) == pytest.approx(MNIST_STROKE_PX * scale, abs=1)
    assert all(0.03 < page.mean() < 0.3 for page in drawn)


def test_they_are_repeatable(digits: Pixels) -> None:
    once, again = (pages.pages(digits[:9, ..., None], 4, 40, (0.7, 3), np.random.default_rng(1)) for _ in range(2))
    assert once.shape == (4, 40, 40, 1)
    assert np.array_equal(once, again)
