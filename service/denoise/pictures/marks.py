"""The connected marks of ink on a page of many megapixels, found by the runs of ink in its rows; pure numpy.

A run is a stretch of a row that is all ink. Runs of neighbouring rows that touch, also at a corner, belong to one mark.
Time and memory grow with the pixels and the runs, whatever their shape: `ink.number_pieces` gives the same pieces, with
nine copies of the picture in each of its rounds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denoise.errors import TooLarge
from denoise.pictures import Plane
from denoise.pictures.ink import Mask

Numbers = NDArray[np.int64]

# A page of A4 full of small writing at 300 dpi has fewer; noise has one on every eighth pixel.
MOST_RUNS = 400_000


class Runs(NamedTuple):
    """Stretches of rows, in the order of rows, then columns: each reaches from `start` to before `stop`."""

    row: Numbers
    start: Numbers
    stop: Numbers

    def pick(self, which: NDArray[np.int64] | Mask) -> "Runs":
        """Some of them."""
        return Runs(self.row[which], self.start[which], self.stop[which])


class Boxes(NamedTuple):
    """Boxes around ink, in pixels; the last row and column are `bottom - 1` and `right - 1`."""

    top: Numbers
    left: Numbers
    bottom: Numbers
    right: Numbers

    @property
    def height(self) -> Numbers:
        """How many pixels each has."""
        return self.bottom - self.top

    @property
    def width(self) -> Numbers:
        """How many pixels each has."""
        return self.right - self.left

    @property
    def size(self) -> Numbers:
        """The longer side of each, in pixels."""
        return np.maximum(self.height, self.width)

    @property
    def area(self) -> Numbers:
        """How many pixels each has."""
        area: Numbers = self.height * self.width
        return area

    def pick(self, which: NDArray[np.int64] | Mask) -> "Boxes":
        """Some of them."""
        return Boxes(*(edge[which] for edge in self))


class Marks(NamedTuple):
    """Connected marks, numbered by their first pixel: from the top down.

    Attributes:
        runs: those of all marks.
        mark: the number of the mark of each run.
        boxes: one for each mark.
        solid: how many pixels of each mark are solid ink.
    """

    runs: Runs
    mark: Numbers
    boxes: Boxes
    solid: Numbers

    @property
    def area(self) -> Plane:
        """How many pixels of ink each mark has."""
        lengths = self.runs.stop - self.runs.start
        return np.bincount(self.mark, lengths, len(self.solid)).astype(np.float64)

    def pick(self, which: Mask) -> "Marks":
        """Some of the marks, with numbers of their own."""
        kept = which[self.mark]
        number = np.cumsum(which) - 1
        return Marks(self.runs.pick(kept), number[self.mark[kept]], self.boxes.pick(which), self.solid[which])


def find(ink: Mask, solid: Mask) -> Marks:
    """The connected marks of a page's ink, of which a part is `solid`; both `[height, width]`. Raises TooLarge."""
    runs = find_runs(ink)
    root = _connect(len(runs.row), *_links(runs, ink.shape[1] + 1))
    return _as_marks(runs, root, _count(solid, runs))


def join(marks: Marks, owner: Numbers) -> Marks:
    """Marks that have the same owner as one."""
    owners, number = np.unique(owner, return_inverse=True)
    joined = _as_marks(marks.runs, number[marks.mark], np.zeros_like(marks.mark))
    solid = np.bincount(number, marks.solid, len(owners)).astype(np.int64)
    return joined._replace(solid=solid)


def draw(runs: Runs, shape: tuple[int, ...]) -> Mask:
    """The mask `[height, width]` of runs."""
    changes = np.zeros((shape[0], shape[1] + 1), np.int8)
    changes[runs.row, runs.start] = 1
    changes[runs.row, runs.stop] = -1
    drawn: Mask = np.cumsum(changes[:, :-1], axis=1, dtype=np.int8).astype(bool)
    return drawn


def grow(mask: Mask) -> Mask:
    """The mask and the pixels next to it, diagonal neighbours included."""
    grown = mask
    for _ in range(2):
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        grown = wider.T
    return grown


def _as_marks(runs: Runs, owner: Numbers, solid: Numbers) -> Marks:
    """Runs that have the same owner as one mark each; `solid` are the pixels of solid ink in each run."""
    owners, mark = np.unique(owner, return_inverse=True)
    top, left = (np.full(len(owners), np.iinfo(np.int64).max) for _ in range(2))
    bottom, right = (np.zeros(len(owners), np.int64) for _ in range(2))
    np.minimum.at(top, mark, runs.row)
    np.minimum.at(left, mark, runs.start)
    np.maximum.at(bottom, mark, runs.row + 1)
    np.maximum.at(right, mark, runs.stop)
    counts = np.bincount(mark, solid, len(owners)).astype(np.int64)
    return Marks(runs, mark, Boxes(top, left, bottom, right), counts)


def find_runs(mask: Mask) -> Runs:
    """The runs of ink in the rows of a mask. Raises TooLarge."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), bool)
    padded[:, 1:-1] = mask
    # Each row changes to ink and back as often, so starts and stops take turns.
    edges = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    if len(edges) > 2 * MOST_RUNS:
        raise TooLarge(
            f"The page shows {len(edges) // 2:,} strokes a pixel high, more than writing has; digits are looked for "
            f"among at most {MOST_RUNS:,}."
        )
    row, place = np.divmod(edges, width + 1)
    return Runs(row[::2], place[::2], place[1::2])


def _links(runs: Runs, stride: int) -> tuple[Numbers, Numbers]:
    """Pairs of runs in neighbouring rows that touch: the upper and the lower one of each."""
    starts, stops = runs.row * stride + runs.start, runs.row * stride + runs.stop
    first = np.searchsorted(stops, starts + stride, "left")
    counts = np.maximum(np.searchsorted(starts, stops + stride, "right") - first, 0)
    upper = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(upper)) - np.repeat(np.cumsum(counts) - counts, counts)
    return upper, first[upper] + within


def _connect(count: int, one: Numbers, other: Numbers) -> Numbers:
    """The first of the connected group of each of `count` things, of which these pairs belong together.

    Each group's root takes the smallest root that it is linked with, and pointers are halved until they are roots
    (Shiloach and Vishkin, 1982): of the roots that are linked at all, half are gone after two rounds at most.
    """
    root = np.arange(count)
    while len(one):
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        apart = low != high
        one, other, low, high = one[apart], other[apart], low[apart], high[apart]
        np.minimum.at(root, high, low)
        root = flatten(root)
    return root


def flatten(parent: Numbers) -> Numbers:
    """For each node of a forest, given by its parents, the root; a root is its own parent."""
    while not np.array_equal(above := parent[parent], parent):
        parent = above
    return parent


def _count(mask: Mask, runs: Runs) -> Numbers:
    """How many pixels of each run a mask has."""
    before = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
    rows = runs.row * mask.shape[1]
    counts: Numbers = before[rows + runs.stop] - before[rows + runs.start]
    return counts
