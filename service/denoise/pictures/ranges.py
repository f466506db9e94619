"""Samples of any width and sign as grey, 0 … 1; pure numpy."""

import numpy as np
from numpy.typing import NDArray

from denoise.errors import BrokenBody
from denoise.pictures import Pixels

# Samples may exceed the range that they are taken to have by this factor, and fall below 0 by what is over 1 in it.
OVERSHOOT = 1.1
# The ranges that samples are looked for in, each with 0 as its other end.
OF_FLOATS = (1.0, 255.0, 65535.0)
OF_INTEGERS = (255.0, 65535.0)


def scale(values: NDArray[np.floating], whole: float) -> Pixels:
    """Samples of a known range 0 … `whole`, or -`whole` … `whole` where some are clearly negative.

    Raises BrokenBody when there are values that are no finite numbers.
    """
    if not np.isfinite(values).all():
        raise BrokenBody("The image holds values that are no finite numbers.")
    has_negative = float(values.min()) < (1 - OVERSHOOT) * whole
    shares = values / np.float32(whole)  # A sum of two floats may be larger than any float is.
    scaled: Pixels = np.clip((shares + 1) / 2 if has_negative else shares, 0, 1).astype(np.float32, copy=False)
    return scaled


def scale_unknown(values: NDArray[np.floating], ranges: tuple[float, ...]) -> Pixels:
    """Samples without a known range: it is the first of `ranges` that holds them, or their own. Raises as `scale`."""
    largest = float(np.abs(values).max())
    return scale(values, next((whole for whole in ranges if largest <= whole * OVERSHOOT), largest))
