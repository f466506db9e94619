"""Pens and type give ink of the width that is asked for, all over the page, and repeatably."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.conftest import Pixels
from training import pens

Page = Callable[[tuple[int, int], float, np.random.Generator], Pixels]


@pytest.mark.parametrize("page", [pens.write, pens.type_set])
def test_a_page_is_mostly_empty_fully_inked_in_places_and_repeatable(page: Page) -> None:
    for seed in range(8):
        ink = page((90, 120), 1.0, np.random.default_rng(seed))
        assert ink.shape == (90, 120)
        assert ink.dtype == np.float32
        assert 0 <= ink.min() <= ink.max() <= 1
        assert 0.005 < ink.mean() < 0.6
        assert ink.max() > 0.9
        assert np.array_equal(ink, page((90, 120), 1.0, np.random.default_rng(seed)))


@pytest.mark.parametrize("width", [2.0, 6.0, 12.0])
def test_a_stroke_is_as_wide_as_its_pen(width: float) -> None:
    canvas = pens.Image.new("L", (60, 60))
    points = np.array([[10.0, 30.0], [30.0, 30.0], [50.0, 30.0]])
    pens._draw(pens.ImageDraw.Draw(canvas), points, width, 0.0, np.random.default_rng(0))
    assert (np.asarray(canvas)[:, 20] > 0).sum() == pytest.approx(width, abs=1)


def test_every_hand_has_all_digits_a_capital_high() -> None:
    for name in pens.HANDS:
        for digit in "0123456789":
            heights = np.concatenate(pens._hand(name)[digit])[:, 1]
            assert 0.8 < np.ptp(heights) < 1.5
            assert abs(heights.max()) < 0.4
