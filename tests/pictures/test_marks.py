"""Marks are the connected pieces of a mask, however they wind, and their boxes are exact."""

import numpy as np
import pytest
from scipy import ndimage

from denoise.errors import TooLarge
from denoise.pictures import marks


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45, 0.6])
def test_marks_are_those_that_hang_together(share: float) -> None:
    mask = np.random.default_rng(3).random((40, 60)) < share
    _, count = ndimage.label(mask, np.ones((3, 3)))
    assert len(marks.find(mask, mask).solid) == count


@pytest.mark.parametrize("share", [0.1, 0.45])
def test_their_boxes_areas_and_solid_parts_are_those_of_their_pixels(share: float) -> None:
    page = np.random.default_rng(3).random((40, 60))
    mask = page < share
    solid = page < share / 2
    found = marks.find(mask, solid)
    numbers = np.zeros(mask.shape, int)
    for row, start, stop, mark in zip(*found.runs, found.mark, strict=True):
        numbers[row, start:stop] = mark + 1
    assert np.array_equal(numbers > 0, mask)
    expected = [(r.start, c.start, r.stop, c.stop) for r, c in ndimage.find_objects(numbers)]
    assert np.array_equal(np.transpose(found.boxes), expected)
    assert np.array_equal(found.area, np.bincount(numbers.ravel())[1:])
    assert np.array_equal(found.solid, ndimage.sum(solid, numbers, np.arange(len(expected)) + 1))


def test_a_spiral_is_one_mark() -> None:
    spiral = np.zeros((101, 101), bool)
    for ring in range(0, 50, 2):
        spiral[ring : 101 - ring, [ring, 100 - ring]] = spiral[[ring, 100 - ring], ring : 101 - ring] = True
        spiral[ring + 1, ring] = False
        spiral[ring + 2, ring + 1] = True
    assert len(marks.find(spiral, spiral).solid) == 1


def test_a_page_without_ink_has_no_marks() -> None:
    page = np.zeros((5, 7), bool)
    assert len(marks.find(page, page).solid) == 0


def test_noise_is_refused_before_it_takes_time() -> None:
    noise = np.random.default_rng(0).random((2000, 2000)) < 0.5
    with pytest.raises(TooLarge, match="more than writing has"):
        marks.find(noise, noise)
