"""A large picture in tiles is the same as in one, and takes no more memory however large it is."""

import numpy as np
import pytest

from denoise.inference import denoiser, tiling
from denoise.inference.denoiser import Restored
from denoise.pictures import Pixels
from tests.conftest import ROOT


def neighbours(pixels: Pixels) -> Restored:
    """A model that looks 31 px around itself: each pixel becomes the mean of its row and column there."""
    kernel = np.ones(63, np.float32) / 63
    plane = pixels[0, :, :, 0]
    for _ in range(2):
        plane = np.stack([np.convolve(np.pad(row, 31), kernel, "valid") for row in plane]).T
    return Restored(plane.astype(np.float32)[None, :, :, None], None)


@pytest.mark.parametrize("shape", [(512, 512), (520, 520), (64, 1400), (900, 776)])
def test_tiles_show_no_seam(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(0).random(shape, dtype=np.float32)
    tiled, code = tiling.run(neighbours, picture)
    monkeypatch.setattr(tiling, "TILE", 10_000)
    whole, _ = tiling.run(neighbours, picture)
    assert code is None
    assert np.abs(tiled - whole).max() < 1e-5


def test_no_tile_is_larger_than_the_bound() -> None:
    sides: list[int] = []

    def seen(pixels: Pixels) -> Restored:
        sides.extend(pixels.shape[1:3])
        return Restored(pixels, None)

    picture = np.random.default_rng(0).random((2000, 1304), dtype=np.float32)
    assert np.array_equal(tiling.run(seen, picture)[0], picture)
    assert max(sides) <= tiling.TILE
    assert all(side % 4 == 0 for side in sides)


def seen_by_neighbours(picture: Pixels) -> int:
    """How many pixels the model that looks around itself is run on; its answer is as if it were run on all."""
    sizes: list[int] = []

    def model(pixels: Pixels) -> Restored:
        sizes.append(pixels.size)
        return neighbours(pixels)

    answer, _ = tiling.run(model, picture, skip_blank=True)
    assert np.abs(answer - neighbours(picture[np.newaxis, :, :, np.newaxis]).pixels[0, :, :, 0]).max() < 1e-5
    assert sum(sizes) == tiling.count_pixels(picture)
    return sum(sizes)


@pytest.mark.parametrize("tone", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(256, 400), (1200, 900), (64, 1400), (4, 2000)])
def test_a_blank_picture_is_answered_by_a_patch_of_its_tone(shape: tuple[int, int], tone: float) -> None:
    assert seen_by_neighbours(np.full(shape, tone, np.float32)) < 5 * tiling.PATCH**2


@pytest.mark.parametrize("place", [(0, 0), (0, 3), (447, 448), (700, 100), (1199, 899)])
def test_of_a_page_with_a_speck_only_what_is_around_it_is_run(place: tuple[int, int]) -> None:
    page = np.zeros((1200, 900), np.float32)
    page[place] = 1
    assert seen_by_neighbours(page) < page.size / 3


def test_a_model_with_a_code_gives_it_of_a_blank_picture_too() -> None:
    blank = np.zeros((256, 400), np.float32)
    assert tiling.run(lambda pixels: Restored(pixels, pixels), blank, skip_blank=True)[1].shape == (256, 400, 1)


@pytest.mark.parametrize("tone", [0.0, 0.3, 1.0])
def test_the_committed_model_says_the_same_of_a_page_of_which_it_saw_only_the_ink(digits: Pixels, tone: float) -> None:
    model = denoiser.load(ROOT / "models", "cpu", threads=1)["unet_dae"]
    page = np.full((520, 900), tone, np.float32)
    page[40:68, 700:728] = digits[0]
    answer, _ = tiling.run(model, page, skip_blank=True)
    assert np.abs(answer - model(page[np.newaxis, :, :, np.newaxis]).pixels[0, :, :, 0]).max() < 1e-4
    assert tiling.count_pixels(page) < page.size / 2


def test_the_committed_model_looks_no_further_than_the_margin(digits: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    model = denoiser.load(ROOT / "models", "cpu", threads=1)["unet_dae"]
    rows = [np.concatenate(list(digits[first : first + 24]), axis=1) for first in range(0, 480, 24)]
    page = np.concatenate(rows)[:560, :672]
    spoilt = np.clip(page + 0.3 * np.random.default_rng(0).standard_normal(page.shape, dtype=np.float32), 0, 1)
    tiled, _ = tiling.run(model, spoilt)
    monkeypatch.setattr(tiling, "TILE", 10_000)
    whole, _ = tiling.run(model, spoilt)
    assert np.abs(tiled - whole).max() < 1 / 255


def test_a_model_of_one_size_with_a_code_runs_once() -> None:
    shapes: list[tuple[int, ...]] = []

    def coded(pixels: Pixels) -> Restored:
        shapes.append(pixels.shape)
        return Restored(pixels, pixels[:, :1, 0, 0])

    answer, code = tiling.run(coded, np.ones((28, 28), np.float32))
    assert shapes == [(1, 28, 28, 1)]
    assert answer.shape == (28, 28)
    assert code is not None
