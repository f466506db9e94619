"""How well a model does on the test digits: loss, PSNR and SSIM, the same figures for every model."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training import noise
from training.mnist import Pixels

# Every model and every run is scored on the same noisy digits.
NOISE_SEED = 2017
# The memory of a call of TensorFlow grows with its digits.
DIGITS_PER_CALL = 500
# A float32 sigmoid may reach 0 or 1, whose logarithms are not finite.
SMALLEST_P = 1e-7


def add_noise(clean: Pixels, factor: float) -> Pixels:
    """The digits that every score is taken on: Gaussian noise of `factor`, always the same."""
    return noise.gaussian(clean, factor, np.random.default_rng(NOISE_SEED))


def score(clean: Pixels, noisy: Pixels, restored: Pixels) -> dict[str, float]:
    """The scores of `restored` against `clean`, and where there was noise those of `noisy`, all `[count, 28, 28, 1]`.

    Gives `loss` (mean binary cross-entropy, nats per pixel), `psnr` (mean over digits, dB) and `ssim` (mean over
    digits); with noise also `noisy_psnr` and `noisy_ssim`.
    """
    scores = {"loss": loss(clean, restored), "psnr": psnr(clean, restored), "ssim": ssim(clean, restored)}
    if not np.array_equal(clean, noisy):
        scores |= {"noisy_psnr": psnr(clean, noisy), "noisy_ssim": ssim(clean, noisy)}
    return scores


def doubt(seen: Pixels, answer: Pixels) -> NDArray[np.float64]:
    """How unsure each answer is, `[count]`, 0 … 1: the mean of `4·p·(1-p)·|p - seen|` over its pixels p."""
    each: NDArray[np.float64] = np.mean(4.0 * answer * (1 - answer) * np.abs(answer - seen), axis=(1, 2, 3))
    return each


def squared_error(clean: Pixels, answer: Pixels) -> NDArray[np.float64]:
    """The mean squared error of each answer, `[count]`."""
    each: NDArray[np.float64] = np.mean(np.square(answer.astype(np.float64) - clean), axis=(1, 2, 3))
    return each


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's: 1 where `a` puts everything in the order that `b` does."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def loss(clean: Pixels, restored: Pixels) -> float:
    """Mean binary cross-entropy of the pixels, in nats: what training brings down."""
    p = np.clip(restored.astype(np.float64), SMALLEST_P, 1 - SMALLEST_P)
    return float(-np.mean(clean * np.log(p) + (1 - clean) * np.log1p(-p)))


def psnr(clean: Pixels, restored: Pixels) -> float:
    """Peak signal-to-noise ratio of each digit, `10 · log10(1 / mean squared error)`, averaged over digits, in dB."""
    return float(np.mean(-10 * np.log10(squared_error(clean, restored))))


def ssim(clean: Pixels, restored: Pixels) -> float:
    """Structural similarity (Wang et al., 2004: 11×11 Gaussian window of 1.5 px), averaged over digits, -1 … 1."""
    parts = [
        tf.image.ssim(clean[i : i + DIGITS_PER_CALL], restored[i : i + DIGITS_PER_CALL], max_val=1.0)
        for i in range(0, len(clean), DIGITS_PER_CALL)
    ]
    return float(np.mean(np.concatenate(parts)))
