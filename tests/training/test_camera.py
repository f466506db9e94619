"""A camera's noise is of the deviation and the likeness of neighbours that is asked for."""

import numpy as np
import pytest

from training import camera


@pytest.mark.parametrize("sigma", [0, 0.7, 1.5])
def test_noise_has_deviation_1_whatever_its_low_pass(sigma: float) -> None:
    noise = camera.low_passed((80, 80), sigma, np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=1e-3)
    likeness = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    assert likeness == pytest.approx(np.exp(-1 / (4 * sigma**2)) if sigma else 0, abs=0.08)


def test_what_it_saves_is_the_picture_with_some_noise() -> None:
    light = np.full((64, 64), 0.6, np.float32)
    light[20:40, 20:40] = 0.2
    errors = []
    for seed in range(20):
        seen = camera.photograph(light, np.random.default_rng(seed))
        assert seen.shape == light.shape
        assert 0 <= seen.min() <= seen.max() <= 1
        errors.append(float(np.sqrt(np.mean(np.square(seen - light)))))
    assert min(errors) < 0.02
    assert 0.05 < max(errors) < 0.4
