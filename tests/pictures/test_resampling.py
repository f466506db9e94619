"""Pictures shrink without aliasing and grow smoothly, whatever their proportions."""

import tracemalloc

import numpy as np
import pytest

from denoise.pictures.resampling import resample


def test_the_same_size_is_the_same_picture() -> None:
    picture = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    assert np.allclose(resample(picture, (20, 30), (0, 20), (0, 30)), picture, atol=1e-6)


@pytest.mark.parametrize("side", [28, 100, 400, 1500])
def test_shrinking_does_not_alias(side: int) -> None:
    board = np.indices((3000, 3000)).sum(axis=0, dtype=np.float32) % 2
    small = resample(board, (side, side), (0, 3000), (0, 3000))
    assert np.abs(small - 0.5).max() < 0.02


@pytest.mark.parametrize("shape", [(9, 7), (40, 60), (1000, 1200), (9000, 30)])
def test_a_slope_stays_the_same_slope(shape: tuple[int, int]) -> None:
    slope = np.add.outer(np.linspace(0, 0.5, 300), np.linspace(0, 0.5, 300))
    rows, columns = ((np.arange(count) + 0.5) / count / 2 for count in shape)
    difference = resample(slope, shape, (0, 300), (0, 300)) - np.add.outer(rows, columns)
    assert np.abs(difference[1:-1, 1:-1]).max() < 0.005  # at its edges the kernel has one side only


def test_a_stretch_over_the_edge_is_zero_there() -> None:
    stretch = resample(np.ones((10, 10), np.float32), (20, 20), (-5, 15), (0, 10))
    assert not stretch[:5].any()
    assert not stretch[15:].any()
    assert np.allclose(stretch[5:15], 1)


@pytest.mark.parametrize("shape", [(4_000_000, 1), (1, 4_000_000)])
def test_long_thin_pictures_take_no_more_memory_than_square_ones(shape: tuple[int, int]) -> None:
    picture = np.ones(shape, np.float32)
    tracemalloc.start()
    small = resample(picture, (28, 28), (0, shape[0]), (0, shape[1]))
    large = resample(small, shape, (0, 28), (0, 28))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(large, 1, atol=1e-5)
    assert peak < 10 * picture.nbytes
