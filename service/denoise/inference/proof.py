"""The proof that a way to run a model gives the model's own answers."""

from typing import NamedTuple

import numpy as np

from denoise.inference.ways import Tolerance
from denoise.pictures import Pixels

SEED = 7
DIGIT = (28, 28)
DIGITS = 16
PAGE = (96, 128)
DIGITS_ON_PAGE = ((4, 8), (30, 50), (60, 96), (64, 12))
STROKE_PX = 1.6
# Every kind of spoiling that a model may meet makes its numbers large somewhere.
NOISES = (0.0, 0.1, 0.3, 0.5)


class Difference(NamedTuple):
    """How much pixels of answers are off: the worst one, and all of them on the mean."""

    largest: float
    mean: float

    def __str__(self) -> str:
        return f"{self.largest:.2g}, or {self.mean:.2g} on the mean"

    def fits(self, tolerance: Tolerance) -> bool:
        """Whether it is as small as it must be; answers that are no numbers never are."""
        return self.largest <= tolerance.largest and self.mean <= tolerance.mean


def compare(answer: Pixels, expected: Pixels) -> Difference:
    """How much an answer is off what is expected, pixel by pixel; both are 0 … 1 and of one shape."""
    off = np.abs(answer - expected)
    return Difference(float(np.max(off)), float(np.mean(off)))


def examples(size: tuple[int, int] | None) -> list[Pixels]:
    """Batches `[batch, height, width, 1]` as a model of `size` gets them: digits, and a page where it takes any size.

    They are drawn here, the same ones at every start.
    """
    rng = np.random.default_rng(SEED)
    clean = np.stack([_draw_digit(rng) for _ in range(DIGITS)])
    factors = np.resize(np.array(NOISES, np.float32), DIGITS)[:, np.newaxis, np.newaxis]
    digits = spoil(clean, factors, rng)
    if size is None:
        return [digits[..., np.newaxis], spoil(_lay_out(clean), np.float32(0.2), rng)[np.newaxis, :, :, np.newaxis]]
    return [_stretch(digits, size)[..., np.newaxis]]


def draw(size: tuple[int, int] | None) -> Pixels:
    """Clean drawn digits `[16, height, width, 1]`, light on black; a sheet of all for any size, `[1, ...]`."""
    rng = np.random.default_rng(SEED)
    clean = np.stack([_draw_digit(rng) for _ in range(DIGITS)])
    if size is None:
        rows = clean.reshape(4, 4, *DIGIT).transpose(0, 2, 1, 3)
        return rows.reshape(1, 4 * DIGIT[0], 4 * DIGIT[1], 1)
    return _stretch(clean, size)[..., np.newaxis]


def _stretch(pictures: Pixels, size: tuple[int, int]) -> Pixels:
    """The nearest pixels of pictures `[batch, height, width]` of a digit's size, for another size."""
    rows, columns = (np.arange(side) * of // side for side, of in zip(size, DIGIT, strict=True))
    return pictures[:, rows][:, :, columns]


def _draw_digit(rng: np.random.Generator) -> Pixels:
    """A stroke along a curve through four places, light on black, soft at its edges."""
    along = np.linspace(0, 1, 60)[:, np.newaxis]
    first, second, third, last = rng.uniform(5, 23, (4, 2))
    inner = 3 * (1 - along) * along * ((1 - along) * second + along * third)
    curve = (1 - along) ** 3 * first + inner + along**3 * last
    grid = np.argwhere(np.ones(DIGIT))[:, np.newaxis]
    distance = np.sqrt(((grid - curve) ** 2).sum(axis=-1)).min(axis=1).reshape(DIGIT)
    drawn: Pixels = np.clip(STROKE_PX + 0.5 - distance, 0, 1).astype(np.float32)
    return drawn


def _lay_out(digits: Pixels) -> Pixels:
    """A page with some digits, on paper whose tone changes from side to side."""
    page = np.tile(np.linspace(0, 0.2, PAGE[1], dtype=np.float32), (PAGE[0], 1))
    for digit, (top, left) in zip(digits, DIGITS_ON_PAGE, strict=False):
        area = page[top : top + DIGIT[0], left : left + DIGIT[1]]
        np.maximum(area, digit, out=area)
    return page


def spoil(pixels: Pixels, factor: Pixels | np.float32, rng: np.random.Generator) -> Pixels:
    """Pixels of any shape with Gaussian noise of that factor, clipped to 0 … 1."""
    noisy = pixels + factor * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(noisy, 0, 1).astype(np.float32)
