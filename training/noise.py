"""What spoils a picture: pixels and a random generator in, spoilt pixels out."""

import numpy as np

from training.mnist import Pixels


def gaussian(pixels: Pixels, factor: float, random: np.random.Generator) -> Pixels:
    """The tutorial's noise, `clip(pixels + factor * N(0, 1), 0, 1)`, drawn afresh for every pixel.

    Args:
        pixels: any shape, 0 … 1.
        factor: standard deviation of the noise before clipping, 0 … 1; 0 gives the pixels back.
        random: where the noise is drawn from.
    """
    spoilt = random.standard_normal(pixels.shape, dtype=np.float32)
    spoilt *= np.float32(factor)
    spoilt += pixels
    return np.clip(spoilt, 0, 1, out=spoilt)
