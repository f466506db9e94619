"""Sheets that a page may be written on, and the light, table and camera that make a photo of it.

All are drawn here with fixed numbers, not by the code that draws what the default model learns from, of which only
noise, its low-pass and JPEG are taken. A sheet is how much light it throws back, `[height, width]`, 0 … 1; lengths
are in pixels of MNIST's digits, 28 to a side, times the scale at which the page is drawn.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.quality.written import WrittenPage
from denoise.pictures import Pixels
from training import camera, noise, paper

Shape = tuple[int, int]

PAPER, GRAIN = 0.85, 0.02
# Of the light that printed lines and dots, the back's ink, stains and creases take.
LINES, DOTS, BLEED, STAIN, RIM, CREASE = 0.4, 0.35, 0.2, 0.15, 0.3, 0.25
# The back is the page itself, mirrored and displaced, out of focus by the paper.
BACK_OFF, BLEED_BLUR = 14.0, 0.7
LINE_WIDTH, LINES_APART, SQUARES_APART, SCREEN_PERIOD = 0.8, 16.0, 12.0, 3.5
SHADOW = 0.5
TABLE, TABLE_LEFT, TABLE_TOP = 0.08, 0.15, 0.2
# Light falls to this much across every photo.
DARKEST_LIGHT = 0.75
DEFOCUS = 0.5
# Deviation of a good photo's noise, at a brightness of camera.GREY, and how it is saved; the same of a bad one.
QUIET, GOOD_JPEG = 0.01, 90
LOUD, BAD_JPEG = (0.03, 0.06, 0.10), 60
DEMOSAICING_PX = 0.9


def plain(shape: Shape, scale: float, random: np.random.Generator) -> Pixels:
    """Grey paper with a fine grain."""
    return (PAPER * (1 + GRAIN * camera.low_passed(shape, 0.6 * scale, random))).astype(np.float32)


def lined(shape: Shape, scale: float, random: np.random.Generator) -> Pixels:
    """Lines of a notebook, a little turned."""
    rows, columns = np.indices(shape, np.float32)
    return plain(shape, scale, random) * _lines(rows + 0.01 * columns, LINES_APART * scale, scale)


def squared(shape: Shape, scale: float, random: np.random.Generator) -> Pixels:
    """Squares of an exercise book, a little turned."""
    rows, columns = np.indices(shape, np.float32)
    down, across = rows + 0.02 * columns, columns - 0.02 * rows
    apart = SQUARES_APART * scale
    return plain(shape, scale, random) * _lines(down, apart, scale) * _lines(across, apart, scale)


def halftone(shape: Shape, scale: float, random: np.random.Generator) -> Pixels:
    """Dots of a printed ground at 45 degrees."""
    rows, columns = np.indices(shape, np.float32)
    turn = 2 * np.pi / (SCREEN_PERIOD * scale * np.sqrt(2))
    covered = _covered(np.cos(turn * (rows + columns)) + np.cos(turn * (rows - columns)))
    return plain(shape, scale, random) * (1 - DOTS * covered)


def guilloche(shape: Shape, scale: float, random: np.random.Generator) -> Pixels:
    """Fine waves as on cheques."""
    rows, columns = np.indices(shape, np.float32) / np.float32(SCREEN_PERIOD * scale)
    covered = _covered(2 * np.cos(2 * np.pi * (rows + np.sin(columns / 2))))
    return plain(shape, scale, random) * (1 - DOTS * covered)


def stained(shape: Shape, scale: float, random: np.random.Generator) -> Pixels:
    """Three stains with dark rims."""
    sheet = plain(shape, scale, random)
    rows, columns = np.indices(shape, np.float32)
    for _ in range(3):
        row, column = random.uniform(0, 1, 2) * shape
        reach = np.hypot(rows - row, columns - column) + 4 * scale * paper.clouds(shape, 20 * scale, random)
        outwards = (reach - random.uniform(0.15, 0.35) * shape[0]) / (1.5 * scale)
        sheet *= 1 - STAIN / (1 + np.exp(np.clip(outwards, -30, 30))) - RIM * np.exp(-np.square(outwards))
    return sheet


def crumpled(shape: Shape, scale: float, random: np.random.Generator) -> Pixels:
    """Creases in all directions."""
    creases = np.exp(-12 * np.abs(paper.clouds(shape, 30 * scale, random)))
    sheet: Pixels = plain(shape, scale, random) * (1 - CREASE * creases)
    return sheet


PLAIN, BACK, SHADE, ON_TABLE = "plain", "the back shines through", "half in shadow", "on a dark table"
KINDS: dict[str, Callable[[Shape, float, np.random.Generator], Pixels]] = {
    PLAIN: plain,
    "lined": lined,
    "squared": squared,
    "halftone": halftone,
    "guilloche": guilloche,
    BACK: plain,
    "stains": stained,
    "crumpled": crumpled,
    SHADE: plain,
    ON_TABLE: plain,
}


class Photo(NamedTuple):
    """A photo of a written sheet.

    Attributes:
        picture: what the camera saved, `[height, width]`, 0 … 1, dark ink on light paper.
        truth: the same ink, black on white.
        corners: top and left of each digit's frame.
    """

    picture: Pixels
    truth: Pixels
    corners: NDArray[np.int64]


def photograph(
    kind: str, page: WrittenPage, scale: float, strength: float, random: np.random.Generator, deviation: float = QUIET
) -> Photo:
    """A photo of a page's ink on a sheet of that kind.

    Where ink covers all, it takes `strength` of the light; `deviation` is that of the noise at camera.GREY.
    """
    ink, corners = page.ink, page.corners
    shape = ink.shape[0], ink.shape[1]
    sheet = KINDS[kind](shape, scale, random)
    if kind == BACK:
        back = np.roll(ink[:, ::-1], round(BACK_OFF * scale), axis=(0, 1))
        sheet *= 1 - BLEED * ndimage.gaussian_filter(back, BLEED_BLUR * scale)
    light = sheet * (1 - strength * ndimage.gaussian_filter(ink, DEFOCUS))
    if kind == SHADE:
        light *= 1 - SHADOW * _shadow(shape, scale)
    light *= np.linspace(1, DARKEST_LIGHT, shape[1], dtype=np.float32)
    truth = 1 - ink
    if kind == ON_TABLE:
        top, left = round(TABLE_TOP * shape[0]), round(TABLE_LEFT * shape[1])
        light = np.pad(light, ((top, 0), (left, 0)), constant_values=TABLE)
        truth = np.pad(truth, ((top, 0), (left, 0)), constant_values=1)
        corners = np.add(corners, (top, left))
    return Photo(save(light, deviation, random), truth, corners)


def save(light: Pixels, deviation: float, random: np.random.Generator) -> Pixels:
    """What a camera makes of light: noise that goes with its square root, low-passed, and a JPEG file."""
    grain = camera.low_passed(light.shape, DEMOSAICING_PX, random) * np.sqrt(np.maximum(light, 0.05) / camera.GREY)
    seen = np.clip(light + deviation * grain, 0, 1)
    return noise.pass_through_jpeg(seen, GOOD_JPEG if deviation == QUIET else BAD_JPEG)


def _lines(along: Pixels, apart: float, scale: float) -> Pixels:
    """Lines across an axis, that far apart; 1 between them."""
    off = np.abs((along + apart / 2) % apart - apart / 2)
    lines: Pixels = 1 - LINES * np.clip(LINE_WIDTH * scale / 2 + 0.5 - off, 0, min(1.0, LINE_WIDTH * scale))
    return lines


def _covered(wave: Pixels) -> Pixels:
    """Printed where a wave of -2 … 2 is high, with soft edges."""
    covered: Pixels = (0.5 + 0.5 * np.tanh(3 * (wave - 0.5))).astype(np.float32)
    return covered


def _shadow(shape: Shape, scale: float) -> Pixels:
    """1 in the lower right half of a page, its edge slanted and hard."""
    rows, columns = np.indices(shape, np.float32)
    behind = columns + 0.7 * rows > 0.5 * shape[1] + 0.35 * shape[0]
    shade: Pixels = ndimage.gaussian_filter(behind.astype(np.float32), scale)
    return shade
