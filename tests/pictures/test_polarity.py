"""Whether ink is dark or light is found out from the picture alone."""

import pytest

from denoise.pictures import polarity
from tests.conftest import Pixels
from tests.pictures.test_framing import noisy


@pytest.mark.parametrize("factor", [0, 0.3, 0.5, 0.8])
def test_polarity_of_mnist_digits_is_found_under_any_noise(digits: Pixels, factor: float) -> None:
    wrong = 0
    for picture in noisy(digits[:300], factor):
        wrong += polarity.has_dark_ink(picture)
        wrong += not polarity.has_dark_ink(1 - picture)
    assert wrong <= 1  # At noise 0.8, one of the 600 may be hidden from people too.
