"""Pages of digits, made of the training digits: what a denoiser meets that is more than one framed digit."""

import math

import numpy as np
from PIL import Image, ImageFilter

from training.mnist import SIDE, Pixels

MOST_DEGREES_TURNED = 15
# Of the digits, the share up to the first number is drawn thinner, up to the second as they are, the rest thicker.
THINNER, UNCHANGED = 0.15, 0.7


def page(
    digits: Pixels, shape: tuple[int, int], scale: float, random: np.random.Generator, crowd: float = 0.8
) -> Pixels:
    """A page `[height, width, 1]`, light ink on black, of digits drawn `scale` times their size.

    They stand in a grid, a little displaced and turned, now and then overlapping, thinner or thicker; a share `crowd`
    of the places is taken.
    """
    paper = np.zeros(shape, np.float32)
    cell = SIDE * scale * random.uniform(0.75, 1.15)
    start = -random.uniform(0, cell, 2)
    for top in np.arange(start[0], shape[0], cell):
        for left in np.arange(start[1], shape[1], cell):
            if random.random() < crowd:
                shift = random.uniform(-0.15, 0.15, 2) * cell
                digit = digits[random.integers(len(digits)), ..., 0]
                _draw(paper, digit, top + shift[0], left + shift[1], float(scale * random.uniform(0.9, 1.1)), random)
    return paper[..., np.newaxis]


def pages(digits: Pixels, count: int, side: int, scales: tuple[float, float], random: np.random.Generator) -> Pixels:
    """`count` square pages `[count, side, side, 1]`, their scales spread evenly (by ratio) over `scales`."""
    drawn = np.exp(random.uniform(math.log(scales[0]), math.log(scales[1]), count))
    return np.stack([page(digits, (side, side), float(scale), random, random.uniform(0.3, 1)) for scale in drawn])


def _draw(paper: Pixels, digit: Pixels, top: float, left: float, scale: float, random: np.random.Generator) -> None:
    """Lays a digit over the paper, its corner at `top`, `left`."""
    angle = np.radians(random.uniform(-MOST_DEGREES_TURNED, MOST_DEGREES_TURNED))
    side = int(np.ceil(SIDE * scale)) + 1
    row, column = int(np.floor(top)), int(np.floor(left))
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    middle = SIDE * scale / 2
    x, y = left - column + middle, top - row + middle
    image = Image.fromarray(np.rint(digit * 255).astype(np.uint8))
    stroke = random.random()
    if stroke < THINNER:
        image = image.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC).filter(ImageFilter.MinFilter(3))
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    elif stroke > UNCHANGED:
        image = image.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC).filter(ImageFilter.MaxFilter(3))
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    if scale < 1:
        image = image.filter(ImageFilter.GaussianBlur(float(0.4 / scale)))
    turned = image.transform(
        (side, side),
        Image.Transform.AFFINE,
        (cos, sin, SIDE / 2 - cos * x - sin * y, -sin, cos, SIDE / 2 + sin * x - cos * y),
        Image.Resampling.BICUBIC,
    )
    ink = np.asarray(turned, np.float32) / 255
    rows = slice(max(row, 0), min(row + side, paper.shape[0]))
    columns = slice(max(column, 0), min(column + side, paper.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        part = ink[rows.start - row : rows.stop - row, columns.start - column : columns.stop - column]
        np.maximum(paper[rows, columns], part, out=paper[rows, columns])
