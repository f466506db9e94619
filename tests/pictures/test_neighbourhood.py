"""Filters over neighbourhoods give what their plain definitions give."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from denoise.pictures import neighbourhood
from tests.conftest import Pixels


@pytest.fixture
def noise() -> Pixels:
    return np.random.default_rng(1).random((23, 31), dtype=np.float32)


def windows(pixels: Pixels, window: int) -> Pixels:
    """The `window`×`window` pixels around each pixel, edges repeated, along the last axis."""
    before = window // 2
    padded = np.pad(pixels, (before, window - 1 - before), mode="edge")
    return sliding_window_view(padded, (window, window)).reshape(*pixels.shape, -1)


@pytest.mark.parametrize("window", [1, 2, 5, 8, 40])
def test_filters_are_what_their_names_say(noise: Pixels, window: int) -> None:
    around = windows(noise, window)
    assert np.array_equal(neighbourhood.maximum(noise, window), around.max(axis=2))
    assert np.array_equal(neighbourhood.minimum(noise, window), around.min(axis=2))
    assert np.allclose(neighbourhood.mean(noise, window), around.mean(axis=2), atol=1e-6)


def test_a_median_keeps_an_edge_and_drops_what_is_narrow() -> None:
    picture = np.zeros((60, 80), np.float32)
    picture[:, 40:] = 1
    picture[30, :] = 0.5
    for window in (5, 9, 20):
        found = neighbourhood.median(picture, window)
        assert found.shape == picture.shape
        assert (found[:, :34] == 0).all()
        assert (found[:, 46:] == 1).all()


def test_blocks_that_do_not_fit_are_averaged_too() -> None:
    assert neighbourhood.block_means(np.arange(10, dtype=np.float32)[None], 3, 4).tolist() == [[1.5, 5.5, 8.5]]
