"""The colours of ink, given back to a clean answer that is grey; pure numpy.

A pixel that ink covers by a share lies between the paper's colour and the ink's by that share. The answer says how much
ink there is; so in each neighbourhood the ink's colour is what explains its pixels best by least squares, which leaves
noise and half-covered edges without a say. It is taken relative to the paper, which becomes white.
"""

import numpy as np
from numpy.typing import NDArray

from denoise.pictures import Colours, Pixels, Plane
from denoise.pictures.resampling import Span, resample

# A cell has one colour of ink. A picture's longer side has so many cells, and a cell's side at least so many pixels.
CELLS_PER_SIDE, LEAST_CELL_PX = 500, 2
# Ink's colour is looked for in a square of so many cells, the paper's in a larger one.
INK_CELLS, PAPER_CELLS = 3, 15
# Where there is less ink than this share of a cell, the colour of all ink of the picture has more and more of a say.
SURE_SHARE = 0.1
DARKEST_PAPER = 0.05
PIXELS_PER_BAND = 500_000


def of_grey(grey: Pixels) -> Colours:
    """The shades of a grey picture as colours `[height, width, 3]`."""
    shades = np.rint(np.clip(grey, 0, 1) * np.float32(255)).astype(np.uint8)
    return np.repeat(shades[:, :, None], 3, axis=2)


def take(colours: Colours, shape: tuple[int, int], rows: Span, columns: Span) -> Colours:
    """A stretch of a picture in colours as `shape` pixels, black where it reaches outside."""
    planes = [resample(plane.astype(np.float32), shape, rows, columns) for plane in np.moveaxis(colours, 2, 0)]
    taken: Colours = np.clip(np.rint(np.stack(planes, axis=2)), 0, 255).astype(np.uint8)
    return taken


def keep(colours: Colours, answer: Pixels, dark: bool, strength: float = 1.0) -> Colours:
    """A clean answer in the colours of its picture: on white where the ink is `dark`, on black where it is light.

    Args:
        colours: the picture, `[height, width, 3]`, 0 … 255.
        answer: the same picture, clean, `[height, width]`, 0 … 1.
        dark: whether its ink is dark on light paper.
        strength: how much of this there is in what is given, 0 … 1; the rest is the picture.
    """
    cell = max(LEAST_CELL_PX, round(max(answer.shape) / CELLS_PER_SIDE))
    inks = _find_inks(colours, answer, dark, cell)
    coloured = np.empty_like(colours)
    for rows in _bands(answer.shape, cell):
        share = _share(answer[rows], dark)[:, :, None]
        off = share * _spread(inks, rows, answer.shape, cell)
        clean = 255 * (1 - off if dark else off)
        coloured[rows] = np.rint(strength * clean + (1 - strength) * colours[rows])
    return coloured


def _find_inks(colours: Colours, answer: Pixels, dark: bool, cell: int) -> Plane:
    """How far the ink of each cell is from white (from black, where it is light), `[rows, columns, 3]`, 0 … 1."""
    sums = [_sum_cells(colours[rows], _share(answer[rows], dark), dark, cell) for rows in _bands(answer.shape, cell)]
    ink, squares, inked, paper, papered = (np.concatenate(parts) for parts in zip(*sums, strict=True))
    whole = paper.sum((0, 1)) / max(float(papered.sum()), 1e-9) if papered.any() else np.ones(3)
    around = _box(papered, PAPER_CELLS)
    grounds = np.maximum((_box(paper, PAPER_CELLS) + whole) / (around + 1), DARKEST_PAPER)
    off = 1 - inked / np.maximum(grounds * ink, 1e-9)  # Ink gives back so much less of the light than paper does.
    weighted = off * ink
    everywhere = weighted.sum((0, 1)) / max(float(squares.sum()), 1e-9)
    sure = SURE_SHARE * cell * cell
    inks: Plane = (_box(weighted, INK_CELLS) + sure * everywhere) / (_box(squares, INK_CELLS) + sure)
    return np.clip(inks, 0, 1)


def _sum_cells(colours: Colours, share: Pixels, dark: bool, cell: int) -> tuple[Plane, ...]:
    """Sums over each cell of some rows: of ink, of its square, of inked colour, of paper's colour, and of paper."""
    light = colours / np.float32(255)
    light = (light if dark else 1 - light).astype(np.float32, copy=False)
    share = share[:, :, None]
    bare = np.square(1 - share)
    rows, columns = (np.arange(0, length, cell) for length in share.shape[:2])

    def summed(values: Plane) -> Plane:
        cells: Plane = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
        return cells

    return tuple(map(summed, (share, np.square(share), share * light, bare * light, bare)))


def _share(answer: Pixels, dark: bool) -> Pixels:
    """How much of each pixel is ink, 0 … 1."""
    answer = np.clip(answer, 0, 1)
    return 1 - answer if dark else answer


def _bands(shape: tuple[int, ...], cell: int) -> list[slice]:
    """Stretches of whole rows of cells, so that memory stays bounded."""
    step = cell * max(1, PIXELS_PER_BAND // (cell * shape[1]))
    return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]


def _box(cells: Plane, side: int) -> Plane:
    """Sums over squares of `side` cells around each."""
    reach = side // 2
    for axis in (0, 1):
        padding = [(0, 0)] * 3
        padding[axis] = (reach + 1, reach)
        total = np.cumsum(np.pad(cells, padding), axis=axis, dtype=np.float64)
        length = cells.shape[axis]
        cells = total.take(range(side, side + length), axis) - total.take(range(length), axis)
    return cells


def _spread(cells: Plane, rows: slice, shape: tuple[int, ...], cell: int) -> NDArray[np.float32]:
    """Values of cells at the pixels of some rows, interpolated between the cells' middles."""
    down = _middles(np.arange(rows.start, rows.stop), cells.shape[0], cell)
    across = _middles(np.arange(shape[1]), cells.shape[1], cell)
    spread = cells.astype(np.float32)
    for axis, (before, after, weight) in enumerate((down, across)):
        weights = np.expand_dims(weight, tuple(each for each in range(3) if each != axis))
        spread = spread.take(before, axis) * (1 - weights) + spread.take(after, axis) * weights
    return spread


def _middles(
    places: NDArray[np.intp], count: int, cell: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For pixels of an axis: the cells whose middles are before and behind each, and the weight of the latter."""
    at = np.clip((places + 0.5) / cell - 0.5, 0, count - 1)
    before = at.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), (at - before).astype(np.float32)
