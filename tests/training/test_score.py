"""Scores are what their formulas say."""

import numpy as np
import pytest

from tests.conftest import Pixels
from training import score


def test_psnr_is_the_mean_over_digits_in_db() -> None:
    clean = np.zeros((2, 28, 28, 1), np.float32)
    off = clean + np.float32([0.1, 0.01]).reshape(2, 1, 1, 1)
    assert score.psnr(clean, off) == pytest.approx((20 + 40) / 2)


def test_loss_is_the_mean_cross_entropy_in_nats() -> None:
    clean = np.float32([[0, 1]])
    assert score.loss(clean, np.float32([[0.5, 0.5]])) == pytest.approx(np.log(2))
    assert score.loss(clean, np.float32([[0, 1]])) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(score.loss(clean, np.float32([[1, 0]])))


def test_the_noisy_digits_are_scored_where_there_is_noise(digits: Pixels) -> None:
    clean = digits[:50, ..., np.newaxis]
    noisy = score.add_noise(clean, 0.5)
    scores = score.score(clean, noisy, clean * np.float32(0.9))
    assert scores["ssim"] > 0.9 > scores["noisy_ssim"]
    assert scores["psnr"] > scores["noisy_psnr"] == pytest.approx(9.4, abs=0.2)
    assert set(score.score(clean, clean, noisy)) == {"loss", "psnr", "ssim"}


def test_rank_correlation_is_spearmans() -> None:
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert score.rank_correlation(a, a**3) == pytest.approx(1)
    assert score.rank_correlation(a, -a) == pytest.approx(-1)
    assert score.rank_correlation(a, np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(0.8)


def test_doubt_counts_where_the_model_moved_an_uncertain_pixel() -> None:
    seen = np.float32([[0.5, 0.0, 1.0]]).reshape(3, 1, 1, 1)
    answer = np.float32([[0.5, 0.5, 1.0]]).reshape(3, 1, 1, 1)
    assert score.doubt(seen, answer).tolist() == [0, 0.5, 0]
