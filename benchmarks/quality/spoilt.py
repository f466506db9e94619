"""The pictures that quality is measured on: digits and pages, spoilt in every way that training/noise.py knows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.quality import reader, sheet
from benchmarks.quality.figures import CLEAN, Figure
from denoise.pictures import Pixels
from training import noise, pages, score

COUNT = 40  # Single digits per kind and level.
SEED = 2017
PAGE_PX = (112, 448)  # The page that is spoilt in every way: height, width.
LARGE_PAGES = tuple((shape, scale) for shape in ((200, 800), (1200, 1600)) for scale in (1, 3, 6))
GAUSSIAN = "gaussian"
LARGE_PAGE_NOISE = 0.3


@dataclass(frozen=True)
class Spoilt:
    """Pictures of one size, spoilt in one way: `[count, height, width, 1]`, light ink on black."""

    pictures: str
    noise: str
    level: float
    clean: Pixels
    noisy: Pixels

    def figure(self, method: str, value: float | None, answer: Pixels) -> Figure:
        """How good `answer` is."""
        scores = score.score(self.clean, self.clean, answer)
        measured = (round(scores[name], 4) for name in ("psnr", "ssim", "loss"))
        return Figure(self.pictures, self.noise, self.level, method, value, *measured)


def every_way(*, quick: bool) -> Iterator[Spoilt]:
    """Single digits and a page in every way, and large pages in one; with `quick` the small ones of these alone."""
    digits: Pixels = (reader.test_digits()[0][..., np.newaxis] / 255).astype(np.float32)
    page = pages.page(digits, PAGE_PX, 1.0, np.random.default_rng(SEED))[np.newaxis]
    for pictures, clean in ((sheet.DIGITS, digits[:COUNT]), (_page_name(PAGE_PX, 1), page)):
        yield Spoilt(pictures, CLEAN, 0, clean, clean)
        for place, (name, kind) in enumerate(noise.KINDS.items()):
            for level in kind.levels:
                random = np.random.default_rng([SEED, place, round(level * 100)])
                yield Spoilt(pictures, name, level, clean, kind.spoil(clean, level, random))
    for shape, scale in LARGE_PAGES:
        if quick and shape != LARGE_PAGES[0][0]:
            continue
        random = np.random.default_rng([SEED, *shape, scale])
        clean = pages.page(digits, shape, scale, random)[np.newaxis]
        noisy = noise.gaussian(clean, LARGE_PAGE_NOISE, random)
        yield Spoilt(_page_name(shape, scale), GAUSSIAN, LARGE_PAGE_NOISE, clean, noisy)


def _page_name(shape: tuple[int, int], scale: float) -> str:
    return f"page of {shape[0]}×{shape[1]} px, digits at {scale}×"
