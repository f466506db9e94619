"""Photos of written sheets, as a denoiser sees them: pieces of synthetic ones, and the ink that is on them.

Ink takes a share of the light that paper throws back, so a photo is `light · paper · (1 - strength · coverage)`. The
service divides a photo by an estimate of light and paper before the denoiser sees it. The estimate here is a plain one
of the same kind, and its numbers are drawn at random, so that the denoiser learns what any such estimate leaves.
"""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from training import camera, pages, paper, pens
from training.mnist import Pixels
from training.paper import chance

SHEET_PX = 192
# A drawn sheet is photographed so many times, each time with other ink, light, noise and estimate of its paper.
SHOTS_PER_SHEET = 3
# A sheet that is shrunk or enlarged by the camera, and how much.
SHARE_RESIZED = 0.4
RESIZED = (0.55, 1.5)
DIGIT_SCALES = (0.8, 2.8)
INK_STRENGTHS = (0.3, 1.0)
# Shares of the sheets: nothing but ink, ink on white paper, two inks; digits, printed type, and the rest is pens'.
SHARE_CLEAN, SHARE_WHITE, SHARE_TWO_INKS = 0.14, 0.15, 0.2
SHARE_OF_DIGITS, SHARE_OF_TYPE, SHARE_BILEVEL = 0.45, 0.25, 0.1
# Share of the shots whose ink the service makes stronger, as it does where it knows how pale the ink is.
SHARE_STRENGTHENED = 0.5
MOST_STRENGTHENED = 3.0
SHARE_CLOSED = 0.6


class Sheet(NamedTuple):
    """A written sheet before it is photographed, each `[height, width]`, 0 … 1.

    Attributes:
        inks: the coverage of each ink.
        paper: how much light it throws back.
        on: 1 where the sheet lies, 0 beside it.
        beside: how light what lies beside it is.
    """

    inks: list[Pixels]
    paper: Pixels
    on: Pixels
    beside: Pixels


def photos(digits: Pixels, count: int, side: int, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    """`count` pieces of photos `[count, side, side, 1]`, light ink on black, and the ink that is in them."""
    shots: list[tuple[Pixels, Pixels]] = []
    per_row = SHEET_PX // side
    while len(shots) * per_row**2 < count:
        shots += sheet_shots(digits, random)
    order = random.permutation(len(shots) * per_row**2)[:count]
    seen, ink = (
        np.concatenate([_pieces(picture, side) for picture in pictures]) for pictures in zip(*shots, strict=True)
    )
    return seen[order], ink[order]


def _pieces(picture: Pixels, side: int) -> Pixels:
    """The squares of a picture, `[count, side, side, 1]`."""
    per_row = SHEET_PX // side
    squares = picture[: per_row * side, : per_row * side].reshape(per_row, side, per_row, side)
    return squares.transpose(0, 2, 1, 3).reshape(-1, side, side, 1)


def sheet_shots(digits: Pixels, random: np.random.Generator) -> Iterator[tuple[Pixels, Pixels]]:
    """Photos of one sheet, divided by its paper, and the ink on it: `[SHEET_PX, SHEET_PX]`, light ink on black."""
    enlarged = random.uniform(*RESIZED) if chance(SHARE_RESIZED, random) else 1.0
    side = math.ceil(SHEET_PX / enlarged)
    shape, larger = (side, side), 1 / enlarged
    if chance(SHARE_CLEAN, random):
        ink = _resize(_draw_ink(digits, shape, larger, random))
        yield ink, ink
        return
    sheet = _sheet(digits, shape, larger, random)
    for _ in range(SHOTS_PER_SHEET):
        yield _shot(sheet, random)


def _sheet(digits: Pixels, shape: tuple[int, int], larger: float, random: np.random.Generator) -> Sheet:
    """A sheet that is written on, with one ink or two that do not cross."""
    inks = [_draw_ink(digits, shape, larger, random)]
    if chance(SHARE_TWO_INKS, random):
        inks.append(_draw_ink(digits, shape, larger, random))
        cut = round(random.uniform(0.2, 0.8) * shape[0])
        inks[0][cut:] = 0
        inks[1][:cut] = 0
    if chance(SHARE_WHITE, random):
        return Sheet(inks, np.ones(shape, np.float32), np.ones(shape, np.float32), np.zeros(shape, np.float32))
    back = functools.partial(_draw_ink, digits, shape, larger, random)
    return Sheet(inks, paper.sheet(shape, larger, back, random), *paper.table(shape, random))


def _shot(sheet: Sheet, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    """A photo of a sheet, divided by its paper, and the ink on it."""
    light = sheet.paper.copy()
    strengths = 1 - (1 - INK_STRENGTHS[0]) * random.random(len(sheet.inks)) ** 1.3
    for ink, strength in zip(sheet.inks, strengths, strict=True):
        light *= 1 - strength * _wear(_defocus(ink, random), random)
    light = (light * sheet.on + sheet.beside * (1 - sheet.on)) * paper.light(light.shape, random)
    picture = _resize(camera.photograph(light, random))
    seen = np.clip(1 - picture / _paper(picture, random), 0, 1)
    if chance(SHARE_STRENGTHENED, random):
        stronger = random.uniform(0.8, 1.3) / strengths[0]
        seen = np.clip(seen * min(MOST_STRENGTHENED, max(1.0, stronger)), 0, 1)
    ink = _resize(np.maximum.reduce(sheet.inks) * sheet.on)
    return seen.astype(np.float32), ink


def _draw_ink(digits: Pixels, shape: tuple[int, int], larger: float, random: np.random.Generator) -> Pixels:
    """Ink on a page: MNIST's digits, printed type, or a pen's strokes; now and then in two levels, as a fax has it."""
    ink = _draw_writing(digits, shape, larger, random)
    return (ink > 1 / 2).astype(np.float32) if chance(SHARE_BILEVEL, random) else ink


def _draw_writing(digits: Pixels, shape: tuple[int, int], larger: float, random: np.random.Generator) -> Pixels:
    kind = random.random()
    if kind < SHARE_OF_DIGITS:
        low, high = DIGIT_SCALES
        scale = larger * low * (high / low) ** random.random()
        return pages.page(digits, shape, scale, random, random.uniform(0.4, 1))[..., 0]
    if kind < SHARE_OF_DIGITS + SHARE_OF_TYPE:
        return pens.type_set(shape, larger, random)
    return pens.write(shape, larger, random)


def _defocus(ink: Pixels, random: np.random.Generator) -> Pixels:
    """The ink as a lens sees it, half a pixel out of focus most of the time."""
    if chance(0.2, random):
        return ink
    blurred: Pixels = ndimage.gaussian_filter(ink, random.uniform(0.3, 0.7 if chance(0.8, random) else 1.2), truncate=3)
    return blurred


def _wear(ink: Pixels, random: np.random.Generator) -> Pixels:
    """Ink that covers unevenly: a dry brush, a pencil, a felt tip that runs out; most of the time it covers well."""
    if chance(0.7, random):
        return ink
    gaps = paper.clouds(ink.shape, random.uniform(1.2, 6), random)
    worn: Pixels = ink * np.clip(1 - random.uniform(0.1, 0.6) * np.clip(gaps, 0, 1.5), 0, 1)
    return worn


def _resize(picture: Pixels) -> Pixels:
    if picture.shape == (SHEET_PX, SHEET_PX):
        return picture
    resized = Image.fromarray(picture).resize((SHEET_PX, SHEET_PX), Image.Resampling.BICUBIC)
    clipped: Pixels = np.clip(np.asarray(resized), 0, 1)
    return clipped


def _paper(picture: Pixels, random: np.random.Generator) -> Pixels:
    """An estimate of paper and light: of a thumbnail the maximum around each place, then the median, then smooth."""
    shrunk = int(random.integers(2, 5))
    small = Image.fromarray(picture).reduce(shrunk)
    thumbnail = np.asarray(small)
    around = 2 * round(random.uniform(6, 22) / shrunk) + 1
    estimate = ndimage.maximum_filter(thumbnail, around, mode="nearest")
    if chance(SHARE_CLOSED, random):  # A minimum after the maximum keeps the edges of shadows where they are.
        estimate = ndimage.minimum_filter(estimate, around, mode="nearest")
    estimate = ndimage.median_filter(estimate, 2 * round(random.uniform(6, 24) / shrunk / 2) + 1, mode="nearest")
    estimate = ndimage.gaussian_filter(estimate, random.uniform(1, 6) / shrunk, mode="nearest")
    large = np.asarray(Image.fromarray(estimate).resize(picture.shape[::-1], Image.Resampling.BICUBIC))
    return np.maximum(large * np.float32(random.uniform(0.93, 1.04)), 0.02)
