"""How a page is written: the size of its marks, its lines of writing, the order in which they are read; pure numpy."""

import numpy as np

from denoise.pictures.ink import EDGE_SHARE, Mask
from denoise.pictures.marks import Boxes, Marks, Numbers

# A mark belongs to a line of writing when it shares so much of the lower one's height with the line's last mark.
LEAST_SHARED_HEIGHT = 0.4


def typical_size(writing: Marks) -> float:
    """The longer side that half of the writing has, in pixels; marks count by their ink, so specks hardly count."""
    if not len(writing.solid):
        return 1.0
    order = np.argsort(writing.boxes.size)
    ink = np.cumsum(writing.area[order])
    return float(writing.boxes.size[order][np.searchsorted(ink, ink[-1] / 2)])


def spans(boxes: Boxes, page: tuple[int, ...]) -> Mask:
    """Which boxes take most of the page's longer side, if there are any others: in a small picture a digit may."""
    spanning: Mask = boxes.size > EDGE_SHARE * max(page)
    return spanning & ~spanning.all()


def touches_edge(boxes: Boxes, page: tuple[int, ...]) -> Mask:
    """Which boxes reach to an edge of the page."""
    touching: Mask = (boxes.top == 0) | (boxes.left == 0) | (boxes.bottom == page[0]) | (boxes.right == page[1])
    return touching


def reading_order(boxes: Boxes) -> Numbers:
    """The numbers of the boxes as they are read: line by line from the top, each from left to right."""
    line = _lines(boxes)
    centre = (boxes.top + boxes.bottom) / 2, (boxes.left + boxes.right) / 2
    counts = np.maximum(np.bincount(line), 1)
    down, across = (np.bincount(line, places) / counts for places in centre)
    # Lines of a page that lies askew are compared where they would reach its left edge.
    off = centre[1] - across[line]
    spread = float(off @ off)
    slope = float(off @ (centre[0] - down[line])) / spread if spread else 0.0
    rank = np.argsort(np.argsort(down - slope * across, kind="stable"), kind="stable")
    return np.lexsort((boxes.left, rank[line]))


def _lines(boxes: Boxes) -> Numbers:
    """The number of the line of writing of each box: that of the box to its left which is about as high up."""
    line = np.zeros(len(boxes.top), np.int64)
    last_top, last_bottom = np.zeros(len(line)), np.zeros(len(line))
    count = 0
    for box in np.argsort(boxes.left + boxes.right, kind="stable"):
        top, bottom = boxes.top[box], boxes.bottom[box]
        shared = np.minimum(last_bottom[:count], bottom) - np.maximum(last_top[:count], top)
        lower = np.minimum(last_bottom[:count] - last_top[:count], bottom - top)
        share = shared / np.maximum(lower, 1)
        best = int(share.argmax()) if count else 0
        if not count or share[best] < LEAST_SHARED_HEIGHT:
            best, count = count, count + 1
        line[box] = best
        last_top[best], last_bottom[best] = top, bottom
    return line
