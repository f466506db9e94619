"""Synthetic sheets of paper and the light on them: what ink lies on where a picture is no scan of white paper.

Every function gives how much light each pixel throws back, `[height, width]`, 0 … 1, or how much falls on it. None of
it is ink: a denoiser is to take it all away.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from training.mnist import Pixels

Shape = tuple[int, int]

# Of all sheets, the share that has each thing; a sheet may have several.
GRAIN, FIBRE, FOLDS, CRUMPLED, STAINS, RULES, SCREEN, BLEED = 0.6, 0.3, 0.15, 0.15, 0.2, 0.35, 0.22, 0.25
# Likewise for light. The rest lies in even light.
SLOPE, SHADOW, VIGNETTE, TABLE = 0.6, 0.3, 0.2, 0.12


def chance(share: float, random: np.random.Generator) -> bool:
    """True in a `share` of all calls."""
    return bool(random.random() < share)


def clouds(shape: Shape, size: float, random: np.random.Generator) -> Pixels:
    """Smooth noise of mean 0 and deviation of about 1, its clouds `size` px wide."""
    height, width = (max(2, math.ceil(length / size) + 1) for length in shape)
    small = Image.fromarray(random.standard_normal((height, width), dtype=np.float32))
    return np.asarray(small.resize(shape[::-1], Image.Resampling.BICUBIC)) * np.float32(1.4)


def sheet(shape: Shape, larger: float, bleeding: Callable[[], Pixels], random: np.random.Generator) -> Pixels:
    """A sheet of paper; `larger` times as large as usual are its lines and dots.

    Args:
        shape: height and width, px.
        larger: how many times as large as usual.
        bleeding: gives the ink on the back, which shines through where this sheet is thin.
        random: draws everything.
    """
    paper = np.full(shape, random.uniform(0.6, 1), np.float32)
    marks = (
        (GRAIN, lambda: 1 + random.uniform(0.004, 0.06) * _grain(shape, random)),
        (FIBRE, lambda: 1 - random.uniform(0.02, 0.12) * _fibres(shape, random)),
        (FOLDS, lambda: _folds(shape, random)),
        (CRUMPLED, lambda: _crumple(shape, random)),
        (STAINS, lambda: _stains(shape, random)),
        (RULES, lambda: _rules(shape, larger, random)),
        (SCREEN, lambda: _screen(shape, larger, random)),
        (
            BLEED,
            lambda: 1 - random.uniform(0.1, 0.3) * _blur(bleeding()[:, ::-1], random.uniform(0.8, 2.5) * larger),
        ),
    )
    for share, mark in marks:
        if chance(share, random):
            paper *= mark()
    return np.clip(paper, 0, 1, out=paper)


def light(shape: Shape, random: np.random.Generator) -> Pixels:
    """The light that falls on a sheet: slopes to a quarter, hard shadows, the dark corners of a lens."""
    lit = np.ones(shape, np.float32)
    if chance(SLOPE, random):
        ramp = _along(shape, random.uniform(0, 2 * math.pi)) + 0.2 * clouds(shape, 0.7 * max(shape), random)
        lit *= np.exp(-random.uniform(0, math.log(4)) * np.clip(ramp, 0, 1))
    if chance(SHADOW, random):
        lit *= 1 - random.uniform(0.2, 0.7) * _shade(shape, random)
    if chance(VIGNETTE, random):
        y, x = _places(shape)
        row, column = random.uniform(-0.5, 0.5, 2)
        lit *= 1 - random.uniform(0.2, 0.6) * np.clip((np.square(y - row) + np.square(x - column)) / 2.5, 0, 1)
    return lit * np.float32(random.uniform(0.55, 1))


def table(shape: Shape, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Where the sheet lies, 1 there and 0 beside it, and how light what lies beside it is; most fill the picture."""
    if not chance(TABLE, random):
        return np.ones(shape, np.float32), np.zeros(shape, np.float32)
    turn = random.integers(4) * math.pi / 2 + random.normal(0, 0.08)
    on = _edge(_along(shape, turn), random.uniform(0.04, 0.35), random.uniform(0.002, 0.01))
    top = random.uniform(0.03, 0.4) * np.exp(random.uniform(0, 0.3) * clouds(shape, random.uniform(2, 30), random))
    return on, np.clip(top, 0, 1).astype(np.float32)


def _places(shape: Shape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows and columns, -1 … 1 from edge to edge."""
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return y.astype(np.float32), x.astype(np.float32)


def _along(shape: Shape, angle: float) -> Pixels:
    """0 … 1 from one edge to the other, at an angle."""
    y, x = _places(shape)
    reach = abs(math.cos(angle)) + abs(math.sin(angle))
    return (0.5 + 0.5 * (x * math.cos(angle) + y * math.sin(angle)) / reach).astype(np.float32)


def _edge(along: Pixels, place: float, soft: float) -> Pixels:
    """0 before a place and 1 behind it."""
    behind: Pixels = 0.5 + 0.5 * np.tanh((along - place) / (2 * soft))
    return behind


def _blur(picture: Pixels, sigma: float) -> Pixels:
    blurred: Pixels = ndimage.gaussian_filter(picture, sigma, mode="nearest", truncate=2.5)
    return blurred


def _grain(shape: Shape, random: np.random.Generator) -> Pixels:
    """Fine and coarse grain, of newsprint at its strongest."""
    fine = random.standard_normal(shape, dtype=np.float32)
    if chance(0.7, random):
        fine = _blur(fine, random.uniform(0.4, 1.3))
        fine /= fine.std()
    return fine + random.uniform(0, 0.6) * clouds(shape, random.uniform(3, 20), random)


def _fibres(shape: Shape, random: np.random.Generator) -> Pixels:
    """Short hairs in all directions."""
    canvas = Image.new("L", shape[::-1])
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(shape[0] * shape[1] * random.uniform(0.0005, 0.004))):
        x, y = random.uniform(0, shape[1]), random.uniform(0, shape[0])
        angle, length = random.uniform(0, 2 * math.pi), random.uniform(3, 14)
        shade = int(random.integers(80, 256))
        draw.line((x, y, x + length * math.cos(angle), y + length * math.sin(angle)), shade)
    return _blur(np.asarray(canvas, np.float32) / np.float32(255), 0.6)


def _folds(shape: Shape, random: np.random.Generator) -> Pixels:
    """One or two folds: a lighter and a darker side, or a dark line."""
    paper = np.ones(shape, np.float32)
    for _ in range(random.integers(1, 3)):
        far = (_along(shape, random.uniform(0, math.pi)) - random.uniform(0.1, 0.9)) * max(shape)
        near = np.exp(-np.abs(far) / random.uniform(1, 6))
        paper *= 1 - random.uniform(0.05, 0.3) * near * (far > 0) + random.uniform(0, 0.1) * near * (far < 0)
    return paper


def _crumple(shape: Shape, random: np.random.Generator) -> Pixels:
    """A sheet that was crumpled: creases, which are valleys of smooth noise, and facets in their own light."""
    size = random.uniform(12, 60)
    valleys = np.exp(-np.abs(clouds(shape, size, random)) * np.float32(random.uniform(4, 14)))
    facets = np.tanh(2 * clouds(shape, size, random))
    paper = 1 - random.uniform(0.05, 0.35) * valleys - random.uniform(0, 0.1) * facets
    return paper.astype(np.float32)


def _stains(shape: Shape, random: np.random.Generator) -> Pixels:
    """Stains of coffee: round or not, a little dark inside, a dark rim."""
    paper = np.ones(shape, np.float32)
    y, x = _places(shape)
    for _ in range(random.integers(1, 4)):
        row, column = random.uniform(-1, 1, 2)
        stretch = random.uniform(0.6, 1.6)
        reach = np.hypot((y - row) * stretch, (x - column) / stretch) + 0.06 * clouds(
            shape, random.uniform(10, 60), random
        )
        inside = _edge(random.uniform(0.15, 0.8) - reach, 0, random.uniform(0.004, 0.03))
        rim = 4 * inside * (1 - inside)
        paper *= 1 - random.uniform(0.02, 0.3) * inside - random.uniform(0.05, 0.35) * rim
    return np.clip(paper, 0, 1, out=paper)


def _rules(shape: Shape, larger: float, random: np.random.Generator) -> Pixels:
    """Printed lines of 1 to 4 px: of a notebook, squared, a margin, or a few boxes; level, or at any angle."""
    angle = random.normal(0, 0.03) if chance(0.8, random) else random.uniform(0, math.pi)
    width = larger * random.uniform(0.8, 3 if chance(0.8, random) else 4)
    apart = larger * math.exp(random.uniform(math.log(7), math.log(70))) + 2 * width
    depth = random.uniform(0.08, 0.6)
    paper = np.ones(shape, np.float32)
    # A quarter has margins alone; of the others half is squared.
    turns = [0.0, math.pi / 2] if chance(0.5, random) else [math.pi / 2]
    margin = chance(0.2, random)
    for turn in turns:
        far = _along_px(shape, angle + turn) + random.uniform(0, apart)
        if margin:
            off = np.abs(far - random.uniform(-0.5, 1) * max(shape))
        else:
            off = np.abs((far + apart / 2) % apart - apart / 2)
        paper *= 1 - depth * np.clip(width / 2 + 0.5 - off, 0, min(1.0, width))
    return paper


def _along_px(shape: Shape, angle: float) -> Pixels:
    """Pixels from the upper left corner, at an angle."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (x * math.cos(angle) + y * math.sin(angle)).astype(np.float32)


def _screen(shape: Shape, larger: float, random: np.random.Generator) -> Pixels:
    """The printed ground of a cheque or a newspaper: dots of a halftone, or a guilloche's waves, 3 to 16 px apart."""
    apart, angle = larger * random.uniform(3, 16), random.uniform(0, math.pi)
    across, down = _along_px(shape, angle), _along_px(shape, angle + math.pi / 2)
    if chance(0.5, random):
        wave = np.cos(2 * math.pi * across / apart) + np.cos(2 * math.pi * down / apart)
    else:
        swing = random.uniform(0, 1.5) * apart * np.sin(2 * math.pi * down / (apart * random.uniform(2, 8)))
        wave = 2 * np.cos(2 * math.pi * (across + swing) / apart)
    covered = 0.5 + 0.5 * np.tanh(random.uniform(1, 4) * (wave - random.uniform(-1, 1.5)))
    where = np.clip(0.5 + random.uniform(0.3, 2) * clouds(shape, 0.5 * max(shape), random), 0.0, 1.0)
    paper: Pixels = 1 - random.uniform(0.06, 0.5) * covered * where
    return paper


def _shade(shape: Shape, random: np.random.Generator) -> Pixels:
    """A hard shadow: behind one edge, between two, or a round one; 1 where it lies."""
    soft = math.exp(random.uniform(math.log(0.5), math.log(8))) / max(shape)
    along = _along(shape, random.uniform(0, 2 * math.pi)) + random.uniform(0, 0.02) * clouds(shape, 40, random)
    shape_of = random.integers(4)
    place = random.uniform(0.15, 0.85)
    if shape_of == 0:
        return _edge(along, place, soft) * (1 - _edge(along, place + random.uniform(0.1, 0.5), soft))
    if shape_of == 1:
        y, x = _places(shape)
        reach = np.hypot(y - random.uniform(-1, 1), x - random.uniform(-1, 1)) / 2
        return 1 - _edge(reach.astype(np.float32), random.uniform(0.1, 0.5), soft)
    return _edge(along, place, soft)
