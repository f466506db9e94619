"""A camera: light in, the picture that it saves out, with its noise, its sharpening and its JPEG file."""

import math

import numpy as np
from scipy import ndimage

from training.mnist import Pixels
from training.noise import pass_through_jpeg
from training.paper import chance

# Noise is given at this brightness, and goes with the square root of it.
GREY = 0.4
SHARE_NEARLY_QUIET = 0.35
QUIET = (0.001, 0.015)
NOISY = (0.015, 0.14)
MOST_LOW_PASS_PX = 1.5
SHARPENED, SAVED_AS_JPEG, LEVEL_NOISE = 0.35, 0.6, 0.3
QUALITIES = (30, 95)


def photograph(light: Pixels, random: np.random.Generator) -> Pixels:
    """What a camera saves of light `[height, width]`, 0 … 1: noisier in the dark, low-passed, sharpened, packed."""
    bounds = QUIET if chance(SHARE_NEARLY_QUIET, random) else NOISY
    deviation = math.exp(random.uniform(math.log(bounds[0]), math.log(bounds[1])))
    seen = light + deviation * _noise(light, random)
    if chance(SHARPENED, random):
        seen += random.uniform(0.2, 1.2) * (seen - ndimage.gaussian_filter(seen, random.uniform(0.7, 1.5)))
    seen = np.clip(seen, 0, 1, out=seen)
    return pass_through_jpeg(seen, int(random.integers(*QUALITIES))) if chance(SAVED_AS_JPEG, random) else seen


def _noise(light: Pixels, random: np.random.Generator) -> Pixels:
    """Noise of photons, or of the electronics, of deviation 1 at GREY, low-passed as demosaicing does it."""
    noise = low_passed(light.shape, random.uniform(0, MOST_LOW_PASS_PX) * chance(0.75, random), random)
    return noise if chance(LEVEL_NOISE, random) else noise * np.sqrt(np.maximum(light, 0.05) / GREY)


def low_passed(shape: tuple[int, ...], sigma: float, random: np.random.Generator) -> Pixels:
    """Gaussian noise through a Gaussian low-pass of `sigma` px, brought back to deviation 1."""
    noise: Pixels = random.standard_normal(shape, dtype=np.float32)
    if sigma:
        noise = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    noise /= noise.std()
    return noise
