"""The tutorial's noise, laid over a picture to see a model work, and how much it and the model changed; pure numpy."""

import numpy as np

from denoise.pictures import Pixels

# Two equal pictures have an endless PSNR, which JSON cannot say.
BEST_DB = 100.0


def gaussian(pixels: Pixels, factor: float, seed: int | None) -> Pixels:
    """`clip(pixels + factor * N(0, 1), 0, 1)`, the same for the same seed; without one it is drawn anew."""
    drawn = np.random.default_rng(seed).standard_normal(pixels.shape, dtype=np.float32)
    noisy: Pixels = np.clip(pixels + np.float32(factor) * drawn, 0, 1)
    return noisy


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio of two pictures of one shape, 0 … 1, in dB: `10 · log10(1 / mean squared error)`."""
    error = float(np.mean(np.square(a - b, dtype=np.float64)))
    return BEST_DB if error == 0 else min(BEST_DB, -10 * float(np.log10(error)))
