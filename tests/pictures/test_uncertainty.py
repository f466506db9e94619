"""What may be wrong with an answer is told in a number and in sentences."""

import numpy as np
import pytest

from denoise.pictures import framing
from denoise.pictures.framing import Frame
from denoise.pictures.uncertainty import judge
from tests.conftest import Pixels
from tests.pictures.test_strokes import row_of_digits

FRAME = Frame((112, 448), True, (0.0, 112.0), (0.0, 448.0))


def test_a_black_page_is_as_good_as_certainly_wrong(digits: Pixels) -> None:
    page = row_of_digits(digits, 4)
    assert judge(page, page, FRAME).uncertainty < 0.01
    assert judge(1 - page, 1 - page, FRAME).uncertainty > 0.9


def test_all_digits_have_less_ink_than_is_warned_of(digits: Pixels) -> None:
    assert not any(judge(digit, digit, FRAME).warnings for digit in digits)


def test_a_close_call_counts_as_a_doubt_and_is_told(digits: Pixels) -> None:
    page = row_of_digits(digits, 4)
    sure = judge(page, page, FRAME)
    assert judge(page, page, FRAME._replace(margin=0.31)) == sure
    assert judge(page, page, FRAME._replace(margin=0.0)).uncertainty == pytest.approx(0.5, abs=0.01)
    (sentence,) = judge(page, page, FRAME._replace(margin=0.1)).warnings
    assert "close call" in sentence


def test_warnings_fit_into_a_header(digits: Pixels) -> None:
    black = 1 - row_of_digits(digits, 4)
    warnings = judge(black, black, FRAME._replace(margin=0.1, shrunk=2.5)).warnings
    assert len(warnings) == 3
    assert " ".join(warnings).isascii()


def test_a_shrunk_picture_is_told_by_how_much(digits: Pixels) -> None:
    seen, frame = framing.fit(1 - row_of_digits(digits, 12), None, None)
    (sentence,) = judge(seen, seen, frame).warnings
    assert f"shrunk by {frame.shrunk:.1f}, to {seen.shape[1]} by {seen.shape[0]} pixels" in sentence


def test_a_page_before_a_model_of_one_digit_is_told(digits: Pixels) -> None:
    for page, sentences in ((np.kron(digits[0], np.ones((8, 8))), 0), (row_of_digits(digits, 4), 1)):
        seen, frame = framing.fit(1 - page.astype(np.float32), (28, 28), None)
        warnings = judge(seen, seen, frame).warnings
        assert len(warnings) == sentences
    assert f"shows {frame.marks} marks, and this model takes one digit" in warnings[0]


def test_a_small_picture_has_nothing_to_be_warned_of(digits: Pixels) -> None:
    seen, frame = framing.fit(np.ascontiguousarray(digits[0]), None, None)
    assert judge(seen, seen, frame).warnings == ()
