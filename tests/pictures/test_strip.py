"""A strip can be looked at, whatever is in it."""

import numpy as np
import pytest

from denoise.pictures import strip


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (3000, 20), (200, 4000)])
def test_every_panel_has_a_readable_size(shape: tuple[int, int]) -> None:
    sheet = strip.lay_side_by_side([("a", np.zeros(shape, np.float32)), ("b", np.ones((28, 28), np.float32))])
    assert 196 <= sheet.shape[0] <= 300
    assert sheet.shape[1] <= 2 * (392 + 12) + 12


@pytest.mark.parametrize(
    ("code", "shape"), [((64,), (8, 8)), ((32,), (4, 8)), ((7,), (1, 7)), ((4, 4, 32), (4 * 5 - 1, 8 * 5 - 1))]
)
def test_a_code_is_as_square_as_it_can_be(code: tuple[int, ...], shape: tuple[int, int]) -> None:
    numbers = np.arange(np.prod(code), dtype=np.float32).reshape(code)
    picture = strip.draw_code(numbers)
    assert picture.shape == shape
    assert (picture.min(), picture.max()) == (0, 1)
    assert not strip.draw_code(np.zeros(code, np.float32))[0, 0]
