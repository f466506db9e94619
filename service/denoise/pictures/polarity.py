"""Whether a picture's ink is dark on light paper or light on dark; pure numpy.

Ink stands off the paper one way, further than the paper's noise does: the sum of the cubes of the smoothed difference
is positive for light ink and negative for dark. A picture in which no digit is found has the polarity of its
brightness. A small picture's skewness about its median often says it all at once.
"""

import numpy as np

from denoise.pictures import SMALL_PICTURE, Pixels, ink, paper
from denoise.pictures.paper import LEAST_CONTRAST, Look

# MNIST's clean digits have a skewness of 0.9 … 3, and no noise turns it below -0.5.
CLEAR_SKEWNESS = 0.6
# Skewness about the median is larger and holds under more noise, but takes longer to find.
CLEAR_SKEWNESS_ABOUT_MEDIAN = 1.0


def has_dark_ink(pixels: Pixels) -> bool:
    """Whether the ink of a picture `[height, width]`, 0 … 1, is dark, at little cost where it is small and clear."""
    if pixels.size <= SMALL_PICTURE:
        flat = pixels.ravel()
        skewness = _skewness(flat, float(np.add.reduce(flat)) / flat.size)
        if abs(skewness) > CLEAR_SKEWNESS:
            return skewness < 0
        skewness = _skewness(flat, float(np.median(flat)))
        if abs(skewness) > CLEAR_SKEWNESS_ABOUT_MEDIAN:
            return skewness < 0
    return shows_dark_ink(paper.look(pixels))


def shows_dark_ink(look: Look) -> bool:
    """The same for a picture that has been looked at already."""
    dark = float(np.sum(look.ink**3)) < 0
    return dark if ink.find_digit(look, dark).any() else look.bright


def turn(pixels: Pixels, inverted: bool) -> Pixels:
    """The picture with black and white exchanged, if it is `inverted`."""
    return 1 - pixels if inverted else pixels


def _skewness(values: Pixels, middle: float) -> float:
    """The third standardized moment about `middle`."""
    off = values - np.float32(middle)
    squares = off * off
    second, third = float(off @ off) / off.size, float(squares @ off) / off.size
    return float(third / max(second, LEAST_CONTRAST**2) ** 1.5)
