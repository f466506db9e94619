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
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> Numbers:
        """In pixels."""
        return self.right - self.left

    @property
    def size(self) -> Numbers:
        """The longer side of each, in pixels."""
        return np.maximum(self.height, self.width)

    @property
    def area(self) -> Numbers:
        """In pixels."""
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
        peak: the lightest pixel of each mark.
    """

    runs: Runs
    mark: Numbers
    boxes: Boxes
    peak: Plane

    @property
    def area(self) -> Plane:
        """The pixels of each mark."""
        lengths = self.runs.stop - self.runs.start
        return np.bincount(self.mark, lengths, len(self.peak)).astype(np.float64)

    def pick(self, which: Mask) -> "Marks":
        """Some of the marks, with numbers of their own."""
        kept = which[self.mark]
        number = np.cumsum(which) - 1
        return Marks(self.runs.pick(kept), number[self.mark[kept]], self.boxes.pick(which), self.peak[which])


def find(page: Plane, mask: Mask) -> Marks:
    """The connected marks of a mask over a page `[height, width]` of light ink. Raises TooLarge."""
    runs = find_runs(mask)
    root = _connect(len(runs.row), *_links(runs, mask.shape[1] + 1))
    return _as_marks(runs, root, _peaks(page, runs))


def join(marks: Marks, owner: Numbers) -> Marks:
    """Marks that have the same owner as one."""
    return _as_marks(marks.runs, owner[marks.mark], marks.peak[marks.mark])


def _as_marks(runs: Runs, owner: Numbers, peak: Plane) -> Marks:
    """Runs that have the same owner as one mark each; the peaks of the runs."""
    owners, mark = np.unique(owner, return_inverse=True)
    top, left = (np.full(len(owners), np.iinfo(np.int64).max) for _ in range(2))
    bottom, right = (np.zeros(len(owners), np.int64) for _ in range(2))
    lightest = np.zeros(len(owners))
    np.minimum.at(top, mark, runs.row)
    np.minimum.at(left, mark, runs.start)
    np.maximum.at(bottom, mark, runs.row + 1)
    np.maximum.at(right, mark, runs.stop)
    np.maximum.at(lightest, mark, peak)
    return Marks(runs, mark, Boxes(top, left, bottom, right), lightest)


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


def _peaks(page: Plane, runs: Runs) -> Plane:
    """The lightest pixel of each run."""
    ends = np.stack([runs.start, runs.stop], axis=1) + runs.row[:, np.newaxis] * page.shape[1]
    ends = ends.ravel()
    # The last run may stop where the picture does.
    inside = ends[:-1] if len(ends) and ends[-1] == page.size else ends
    peaks: Plane = np.maximum.reduceat(page.ravel(), inside)[::2] if len(ends) else np.zeros(0)
    return peaks
