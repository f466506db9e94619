"""What spoils a picture: pixels, levels and a random generator in, spoilt pixels out.

Every function takes pictures `[count, height, width, 1]`, 0 … 1, light ink on black, and how strongly to spoil them:
one level, or one for each picture as `[count, 1, 1, 1]`. It gives new pictures, clipped to 0 … 1. KINDS has them all,
in the order in which they come about in the world: paper, lens, sensor, file.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.mnist import Pixels

Levels = float | NDArray[np.floating]

# This share of ruled pages has lines along the rows, the others along the columns.
SHARE_RULED_ALONG_ROWS = 0.75


class Kind(NamedTuple):
    """A way to spoil a picture.

    Attributes:
        spoil: pictures, level and a random generator in, spoilt pictures out.
        least: a level that can hardly be seen.
        most: the level that the denoiser is trained up to.
        levels: those that it is measured at.
    """

    spoil: Callable[[Pixels, Levels, np.random.Generator], Pixels]
    least: float
    most: float
    levels: tuple[float, ...]


def gaussian(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """The tutorial's noise, `clip(pixels + level * N(0, 1), 0, 1)`; `level` is the deviation before clipping."""
    spoilt = random.standard_normal(pixels.shape, dtype=np.float32)
    spoilt *= np.asarray(level, np.float32)
    spoilt += pixels
    return np.clip(spoilt, 0, 1, out=spoilt)


def low_passed(pixels: Pixels, level: Levels, sigma: Levels, random: np.random.Generator) -> Pixels:
    """Gaussian noise of deviation `level` after a Gaussian low-pass of `sigma` px: neighbours get nearly the same."""
    drawn = random.standard_normal(pixels.shape[:3], dtype=np.float32)
    rows, columns = (_blurring(length, _each(sigma, len(pixels))) for length in pixels.shape[1:3])
    passed = (rows @ drawn @ columns.transpose(0, 2, 1))[..., np.newaxis]
    return _clipped(pixels + np.asarray(level, np.float32) * passed / passed.std(axis=(1, 2, 3), keepdims=True))


def salt_and_pepper(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """A share `level` of the pixels is black or white."""
    drawn = random.random(pixels.shape, dtype=np.float32)
    half = np.asarray(level, np.float32) / 2
    return np.where(drawn < half, np.float32(0), np.where(drawn > 1 - half, np.float32(1), pixels))


def speckle(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """Noise that grows with the light: `pixels * (1 + level * N(0, 1))`."""
    return gaussian(pixels, pixels * np.asarray(level, np.float32), random)


def poisson(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """Counted photons, `1 / level²` of them for white: the standard deviation at white is `level`."""
    photons = 1 / np.square(np.asarray(level, np.float32))
    return _clipped(random.poisson(pixels * photons) / photons)


def uniform(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """Noise drawn evenly from `-level … level`."""
    return _clipped(pixels + np.asarray(level, np.float32) * (2 * random.random(pixels.shape, dtype=np.float32) - 1))


def blur(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:  # noqa: ARG001  # All kinds have this signature.
    """Out of focus: a Gaussian of standard deviation `level` px, edges repeated."""
    rows, columns = (_blurring(length, _each(level, len(pixels))) for length in pixels.shape[1:3])
    return _clipped((rows @ pixels[..., 0] @ columns.transpose(0, 2, 1))[..., np.newaxis])


def _each(levels: Levels, count: int) -> NDArray[np.float32]:
    """One level for each of `count` pictures, `[count, 1, 1]`."""
    return np.broadcast_to(np.asarray(levels, np.float32).reshape(-1, 1, 1), (count, 1, 1))


def _blurring(length: int, sigma: NDArray[np.float32]) -> Pixels:
    """The matrices `[count, length, length]` that blur an axis."""
    places = np.arange(length, dtype=np.float32)
    weights = np.exp(-0.5 * np.square((places - places[:, np.newaxis]) / sigma))
    blurring: Pixels = weights / weights.sum(axis=2, keepdims=True)
    return blurring


def jpeg(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:  # noqa: ARG001  # All kinds have this signature.
    """Blocks and ringing of a JPEG file of quality `100 - level`."""
    qualities = 100 - np.broadcast_to(np.asarray(level).reshape(-1), len(pixels))
    return np.stack(
        [pass_through_jpeg(picture[..., 0], round(q)) for picture, q in zip(pixels, qualities, strict=True)]
    )[..., np.newaxis]


def pass_through_jpeg(picture: Pixels, quality: int) -> Pixels:
    """A picture `[height, width]`, 0 … 1, as it comes back from a JPEG file of that quality, 1 … 95."""
    file = io.BytesIO()
    Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image, np.float32) / np.float32(255)


def horizontal_stripes(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """A scanner's stripes: each row is lighter or darker by `level * N(0, 1)`."""
    rows = random.standard_normal((len(pixels), pixels.shape[1], 1, 1), dtype=np.float32)
    return _clipped(pixels + np.asarray(level, np.float32) * rows)


def vertical_stripes(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """The same for columns."""
    columns = random.standard_normal((len(pixels), 1, pixels.shape[2], 1), dtype=np.float32)
    return _clipped(pixels + np.asarray(level, np.float32) * columns)


def uneven_paper(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """Paper that is lighter to one side and has a stain: up to `level` where there is no ink."""
    count, height, width, _ = pixels.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    angle, depth, row, column, size, dark = (
        random.uniform(low, high, (count, 1, 1))
        for low, high in ((0, 2 * np.pi), (0.2, 1), (-1, 1), (-1, 1), (0.2, 0.7), (0, 1))
    )
    slope = 0.5 + 0.5 * depth * (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2)
    stain = dark * np.exp(-0.5 * (np.square(y - row) + np.square(x - column)) / np.square(size))
    paper = np.clip(slope * 0.7 + stain * 0.5, 0, 1)[..., np.newaxis]
    return _clipped(pixels + np.asarray(level) * paper * (1 - pixels))


def ruled_lines(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """Lines of a notebook, one pixel wide, a few apart, of brightness `level`, along the rows or the columns."""
    count, height, width, _ = pixels.shape
    apart = random.integers(5, 13, (count, 1, 1, 1))
    first = random.integers(0, 13, (count, 1, 1, 1)) % apart
    down = random.random((count, 1, 1, 1)) < SHARE_RULED_ALONG_ROWS
    rows = (np.arange(height).reshape(1, -1, 1, 1) % apart) == first
    columns = (np.arange(width).reshape(1, 1, -1, 1) % apart) == first
    return _clipped(np.maximum(pixels, np.asarray(level, np.float32) * np.where(down, rows, columns)))


def low_contrast(pixels: Pixels, level: Levels, random: np.random.Generator) -> Pixels:
    """Faded: the range from black to white shrinks by `level`, to anywhere within 0 … 1."""
    level = np.asarray(level, np.float32)
    return _clipped(pixels * (1 - level) + level * random.random((len(pixels), 1, 1, 1), dtype=np.float32))


def _clipped(pixels: NDArray[np.floating]) -> Pixels:
    clipped: Pixels = np.clip(pixels, 0, 1).astype(np.float32)
    return clipped


KINDS = {
    "uneven paper": Kind(uneven_paper, 0.05, 0.6, (0.2, 0.4, 0.6)),
    "ruled lines": Kind(ruled_lines, 0.1, 0.8, (0.2, 0.4, 0.8)),
    "low contrast": Kind(low_contrast, 0.05, 0.7, (0.2, 0.4, 0.7)),
    "blur": Kind(blur, 0.3, 1.5, (0.6, 1.0, 1.5)),
    "poisson": Kind(poisson, 0.05, 1.0, (0.2, 0.5, 1.0)),
    "speckle": Kind(speckle, 0.05, 1.0, (0.2, 0.5, 1.0)),
    "uniform": Kind(uniform, 0.05, 1.0, (0.2, 0.5, 1.0)),
    "salt and pepper": Kind(salt_and_pepper, 0.02, 0.4, (0.1, 0.2, 0.4)),
    "gaussian": Kind(gaussian, 0.02, 1.0, (0.1, 0.3, 0.5, 0.7, 1.0)),
    "horizontal stripes": Kind(horizontal_stripes, 0.05, 0.5, (0.1, 0.3, 0.5)),
    "vertical stripes": Kind(vertical_stripes, 0.05, 0.5, (0.1, 0.3, 0.5)),
    "jpeg": Kind(jpeg, 40, 97, (60, 80, 95)),
}
