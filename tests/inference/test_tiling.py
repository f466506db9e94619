"""A large picture in tiles is the same as in one, and takes no more memory however large it is."""

import numpy as np
import pytest

from denoise.inference import denoiser, tiling
from denoise.inference.denoiser import Restored
from denoise.pictures import Pixels
from tests.conftest import ROOT


def neighbours(pixels: Pixels) -> Restored:
    """A model that looks 60 px around itself: each pixel becomes the mean of its row and column there."""
    kernel = np.ones(121, np.float32) / 121
    plane = pixels[0, :, :, 0]
    for _ in range(2):
        plane = np.stack([np.convolve(np.pad(row, 60), kernel, "valid") for row in plane]).T
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


def test_the_committed_model_looks_no_further_than_the_margin(digits: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    model = denoiser.load(ROOT / "models", "cpu", threads=1)["unet_dae"]
    rows = [np.concatenate(list(digits[first : first + 24]), axis=1) for first in range(0, 480, 24)]
    page = np.concatenate(rows)[:560, :672]
    spoilt = np.clip(page + 0.3 * np.random.default_rng(0).standard_normal(page.shape, dtype=np.float32), 0, 1)
    tiled, _ = tiling.run(model, spoilt)
    monkeypatch.setattr(tiling, "TILE", 10_000)
    whole, _ = tiling.run(model, spoilt)
    assert np.abs(tiled - whole).max() < 1 / 255
