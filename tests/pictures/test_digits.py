"""The digits of a clean page are found, each once and in reading order, and look as MNIST's do; nothing else is."""

import gzip

import numpy as np
import pytest
from PIL import Image

from denoise.errors import TooLarge
from denoise.pictures import digits as writing
from denoise.pictures import framing
from tests.conftest import MNIST, Pixels

Places = list[tuple[int, int]]


def written(digits: Pixels, places: Places, scale: float = 1, shape: tuple[int, int] = (200, 300)) -> Pixels:
    """A page with these digits, their 28×28 pixels enlarged by `scale`, each with its upper left corner at a place."""
    page = np.zeros(shape, np.float32)
    side = round(28 * scale)
    for digit, (top, left) in zip(digits, places, strict=True):
        large = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC))
        part = page[top : top + side, left : left + side]
        np.maximum(part, np.clip(large, 0, 1), out=part)
    return page


def grid(rows: int, columns: int, step: float) -> Places:
    """Places in rows and columns."""
    return [(round(row * step), round(column * step)) for row in range(rows) for column in range(columns)]


def boxes(digits: Pixels, places: Places) -> list[list[int]]:
    """Where the ink of digits at these places is: top, left, bottom, right."""
    inked = [np.nonzero(digit > writing.INK) for digit in digits]
    return [
        [top + rows.min(), left + columns.min(), top + rows.max() + 1, left + columns.max() + 1]
        for (rows, columns), (top, left) in zip(inked, places, strict=True)
    ]


@pytest.fixture(scope="module")
def whole(digits: Pixels) -> Pixels:
    """Forty digits, each of one piece."""
    return np.stack([digit for digit in digits[:60] if len(writing.find(digit).boxes.top) == 1][:40])


def test_every_digit_is_found_in_reading_order(whole: Pixels) -> None:
    places = grid(5, 8, 34)
    found = writing.find(written(whole, places))
    assert np.transpose(found.boxes).tolist() == boxes(whole, places)
    assert not found.wide.any()


@pytest.mark.parametrize("askew", [-0.2, 0.2])
def test_lines_of_writing_may_rise_and_fall(whole: Pixels, askew: float) -> None:
    places = [(row * 40 + round(askew * column * 30) + 60, column * 30) for row in range(4) for column in range(10)]
    found = writing.find(written(whole, places, shape=(280, 300)))
    assert np.transpose(found.boxes).tolist() == boxes(whole, places)


@pytest.mark.parametrize("scale", [1, 1.7, 3])
def test_their_pictures_are_framed_as_mnists(whole: Pixels, scale: float) -> None:
    page = written(whole, grid(5, 8, 32 * scale), scale, (round(160 * scale), round(256 * scale)))
    pictures = writing.find(page).pictures / np.float32(255)
    assert pictures.shape == (40, 28, 28)
    assert np.median([np.abs(one - other).mean() for one, other in zip(pictures, whole, strict=True)]) < 0.03


@pytest.mark.parametrize("scale", [1, 2])
def test_the_nearest_digits_tell_them_as_well_as_mnists_own(digits: Pixels, scale: float) -> None:
    labels = np.frombuffer(gzip.decompress((MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)

    def read(pictures: Pixels) -> Pixels:
        known = digits[1000:].reshape(9000, -1)
        near = 2 * pictures.reshape(len(pictures), -1) @ known.T - np.square(known).sum(axis=1)
        return labels[1000:][near.argmax(axis=1)]

    page = written(digits[:400], grid(20, 20, 32 * scale), scale, (round(640 * scale), round(640 * scale)))
    pictures = writing.find(page).pictures / np.float32(255)
    assert abs(len(pictures) - 400) <= 4
    own = np.mean(read(digits[:400]) == labels[:400])
    there = [np.abs(pictures - digit).mean(axis=(1, 2)).min() < 0.1 for digit in digits[:400]]
    assert np.mean(there) > 0.97
    if len(pictures) == 400:
        assert np.mean(read(pictures) == labels[:400]) > own - 0.01


def test_the_parts_of_a_digit_are_one() -> None:
    five = np.zeros((40, 60), np.float32)
    five[10:12, 14:26] = 1
    five[14:30, 12:15] = five[20:23, 12:24] = five[20:30, 22:25] = five[28:31, 12:24] = 1
    found = writing.find(five)
    assert np.transpose(found.boxes).tolist() == [[10, 12, 31, 26]]


def test_digits_that_touch_stay_one_box_and_say_so(whole: Pixels) -> None:
    page = written(whole[:5], [(20, 20), (20, 60), (20, 100), (20, 120), (60, 20)])
    page[34:36, 106:136] = 1
    assert writing.find(page).wide.tolist() == [False, False, True, False]


@pytest.mark.parametrize("thickness", [1, 2])
def test_rules_and_margins_are_no_digits_also_where_they_cross_one(whole: Pixels, thickness: int) -> None:
    page = written(whole, grid(5, 8, 34), shape=(200, 400))
    expected = writing.find(page).boxes
    for row in range(20, 200, 34):
        page[row : row + thickness] = 1
    page[:, 340 : 340 + thickness] = 1
    found = writing.find(page).boxes
    assert len(found.top) == 40
    off = np.abs(np.transpose(found) - np.transpose(expected)).max(axis=1)
    assert np.mean(off <= 2) > 0.9


def test_specks_blots_and_the_papers_edge_are_no_digits(whole: Pixels) -> None:
    page = written(whole[:8], grid(2, 4, 40), shape=(200, 300))
    expected = np.transpose(writing.find(page).boxes).tolist()
    page[100:103, 50:53] = page[150:152, 200:204] = 1
    page[110:140, 100:130] = 1
    page[190:] = page[:, 290:] = 1
    assert np.transpose(writing.find(page).boxes).tolist() == expected


@pytest.mark.parametrize("shape", [(26, 90), (26, 40)])
def test_digits_may_take_most_of_a_narrow_picture(whole: Pixels, shape: tuple[int, int]) -> None:
    strip = np.zeros(shape, np.float32)
    count = shape[1] // 20
    for number, digit in enumerate(whole[:count]):
        rows, columns = np.nonzero(digit > writing.INK)
        inked = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        strip[2 : 2 + inked.shape[0], 20 * number : 20 * number + min(18, inked.shape[1])] = inked[:, :18]
    assert len(writing.find(strip).boxes.top) == count


@pytest.mark.parametrize("page", [np.zeros((28, 28)), np.ones((50, 90)), np.zeros((1, 1)), np.ones((1, 5000))])
def test_there_may_be_none(page: Pixels) -> None:
    found = writing.find(page.astype(np.float32))
    assert found.pictures.shape == (0, 28, 28)
    assert [len(edge) for edge in found.boxes] == [0, 0, 0, 0]


def test_a_digit_may_reach_over_the_edge(digits: Pixels) -> None:
    found = writing.find(digits[0, 8:, :20])
    assert len(found.boxes.top) == 1
    assert found.pictures.max() == 255


def test_boxes_are_in_pixels_of_the_page_that_was_sent(digits: Pixels) -> None:
    large = np.kron(digits[0], np.ones((10, 10), np.float32))[:277, :279]
    seen, frame = framing.fit(large, None, inverted=False)
    assert seen.shape != large.shape
    found = writing.find_in(seen, frame)
    assert np.abs(np.transpose(found.boxes) - np.multiply(10, boxes(digits[:1], [(0, 0)]))).max() <= 10


def test_more_digits_than_are_taken_are_refused(digits: Pixels) -> None:
    page = np.tile(digits[0], (75, 75))
    with pytest.raises(TooLarge, match="shows 5,625 marks of a digit's size; at most 5,000"):
        writing.find(page)
