"""Whether ink is dark or light is found out from the picture alone."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.quality import composites
from denoise.pictures import paper, polarity
from tests.conftest import Pixels
from tests.pictures.test_framing import noisy
from tests.pictures.test_strokes import row_of_digits


@pytest.mark.parametrize("factor", [0, 0.3, 0.5, 0.8])
def test_polarity_of_mnist_digits_is_found_under_any_noise(digits: Pixels, factor: float) -> None:
    wrong = 0
    for picture in noisy(digits[:300], factor):
        wrong += polarity.judge(picture).dark
        wrong += not polarity.judge(1 - picture).dark
    assert wrong <= 1  # At noise 0.8, one of the 600 may be hidden from people too.


def lit(picture: Pixels) -> Iterator[Pixels]:
    """A picture in other light and on other tables: shadows from two sides, tables on one side and all round."""
    height, width = picture.shape
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    for depth in (0.35, 0.65):
        yield from (picture * (1 - depth * (place > 0)) for place in (x + y - 1, 0.5 - x))
    around = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    for share in (0.15, 0.25):
        yield from (np.where(place, 0.1, picture) for place in (x < share, y > 1 - share, around < share / 2))


@pytest.mark.parametrize("scale", [2, 5])
@pytest.mark.parametrize("strength", [0.4, 0.8])
def test_polarity_is_found_under_shadows_and_on_dark_tables(digits: Pixels, scale: int, strength: float) -> None:
    for first in range(0, 64, 16):
        ink = np.pad(row_of_digits(digits[first:], scale), 14 * scale)
        paper = noisy(0.8 * (1 - strength * ink), 0.02)
        assert all(polarity.judge(picture.astype(np.float32)).dark for picture in lit(paper))
        assert not any(polarity.judge(1 - picture.astype(np.float32)).dark for picture in lit(paper))


@pytest.mark.parametrize(("kind", "ink"), [("halftone", "dark"), ("halftone", "faint"), ("guilloche", "dark")])
def test_printed_patterns_of_small_pictures_are_not_taken_for_the_ink(kind: str, ink: str) -> None:
    wrong = 0
    for scale, rows, columns in ((1.0, 2, 6), (1.0, 3, 6), (1.5, 2, 4), (2.0, 2, 4)):
        picture = composites.take(kind, ink, scale, rows=rows, columns=columns).photo.picture
        wrong += (not polarity.judge(picture).dark) + polarity.judge(1 - picture).dark
    assert wrong == 0


@pytest.mark.parametrize("pad", [0, 7])
def test_a_digit_in_shadows_and_on_tables_is_mostly_told_right(digits: Pixels, pad: int) -> None:
    wrong = count = 0
    for digit in digits[:12]:
        ink = np.kron(np.pad(digit, pad), np.ones((6, 6), np.float32))
        for picture in lit(noisy(0.8 * (1 - 0.7 * ink), 0.02)):
            for each, dark in ((picture, True), (1 - picture, False)):
                look = paper.look(each.astype(np.float32))
                wrong += polarity.judge_digit(each.astype(np.float32), look).dark != dark
                count += 1
    assert wrong < 0.07 * count  # By the look alone it is a quarter.


def test_the_margin_is_small_where_both_inks_are_on_one_page(digits: Pixels) -> None:
    ink = row_of_digits(digits, 4)
    assert polarity.judge(0.8 * (1 - 0.7 * ink)).margin > 0.9
    assert polarity.judge(np.concatenate([0.9 - 0.8 * ink, 0.1 + 0.8 * ink])).margin < 0.5


@pytest.mark.parametrize("light", [0.1, 0.9])
def test_blank_paper_has_the_polarity_of_its_brightness(light: float) -> None:
    assert polarity.judge(noisy(np.full((200, 300), light, np.float32), 0.03)).dark == (light > 0.5)
