"""A digit's marks on a page as a picture like MNIST's own: 28×28, light ink on black, framed alike; pure numpy.

The longer side of its box becomes 20 pixels and its centre of mass the middle (LeCun, Cortes and Burges, "The MNIST
database of handwritten digits").
"""

import numpy as np
from numpy.typing import NDArray

from denoise.pictures import Pixels, Plane, marks
from denoise.pictures.framing import BOX_SHARE, CENTRE_OFFSET_PX
from denoise.pictures.ink import Mask
from denoise.pictures.marks import Marks, Runs
from denoise.pictures.resampling import Span, resample

SIDE = 28
# Ink becomes white, but no more than so many times as light.
MOST_STRETCH = 1.6
# An area reaches so many pixels over its digit's box, where faint edges of ink may be.
EDGE_PX = 1


def frame_all(page: Pixels, digits: Marks) -> NDArray[np.uint8]:
    """The pictures `[count, 28, 28]` of the digits of a page, each without what else lies in its box.

    Args:
        page: `[height, width]`, light ink on black, 0 … 1.
        digits: the marks of each are one.
    """
    boxes = digits.boxes
    pictures = np.zeros((len(boxes.top), SIDE, SIDE), np.uint8)
    order = np.argsort(digits.mark, kind="stable")
    runs = digits.runs.pick(order)
    starts = np.searchsorted(digits.mark[order], np.arange(len(pictures) + 1))
    for number, (top, left, bottom, right) in enumerate(zip(*boxes, strict=True)):
        own = Runs(*(each[starts[number] : starts[number + 1]] for each in runs))
        rows, columns = (
            slice(int(start) - EDGE_PX, int(stop) + EDGE_PX) for start, stop in ((top, bottom), (left, right))
        )
        pictures[number] = _frame(np.where(_near(own, rows, columns), _cut(page, rows, columns), 0))
    return pictures


def _cut(page: Pixels, rows: slice, columns: slice) -> Pixels:
    """A part of a page that may reach over its edges, where there is no ink."""
    (above, below), (before, behind) = (
        (max(0, -part.start), max(0, part.stop - length))
        for part, length in zip((rows, columns), page.shape, strict=True)
    )
    there = page[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop]
    return np.pad(there, ((above, below), (before, behind))) if above or below or before or behind else there


def _near(runs: Runs, rows: slice, columns: slice) -> Mask:
    """Where runs of ink lie in a part of a page, and the pixels next to them."""
    own = Runs(runs.row - rows.start, runs.start - columns.start, runs.stop - columns.start)
    return marks.grow(marks.draw(own, (rows.stop - rows.start, columns.stop - columns.start)))


def _frame(area: Pixels) -> NDArray[np.uint8]:
    """The picture of the digit in an area."""
    boxes = [_find_ink(area.max(axis=1 - axis)) for axis in (0, 1)]
    pixel = max(stop - start for start, stop in boxes) / (BOX_SHARE * SIDE)
    spans = (_span(area.sum(axis=1 - axis), boxes[axis], pixel) for axis in (0, 1))
    framed = resample(area, (SIDE, SIDE), *spans)
    lightest = max(float(framed.max()), 1 / MOST_STRETCH)
    picture: NDArray[np.uint8] = np.rint(np.clip(framed / lightest, 0, 1) * 255).astype(np.uint8)
    return picture


def _find_ink(lightest: Plane) -> tuple[int, int]:
    """Where the ink of an axis starts and stops, seen from its lightest pixels: at half of what it is at most."""
    inked = np.flatnonzero(lightest >= lightest.max() / 2)
    return int(inked[0]), int(inked[-1]) + 1


def _span(mass: Plane, box: tuple[int, int], pixel: float) -> Span:
    """The stretch of an axis that the frame takes; `pixel` is one of the frame's in those of the axis."""
    centre = float(mass @ (np.arange(len(mass)) + 0.5) / mass.sum())
    start = centre - pixel * (SIDE / 2 + CENTRE_OFFSET_PX)
    # A digit that is heavy at one end is centred less rather than cut.
    start = min(max(start, box[1] - pixel * SIDE), box[0])
    return start, start + pixel * SIDE
