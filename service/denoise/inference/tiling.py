"""A picture of any size through a model, in overlapping tiles, so that memory stays bounded and no seam shows.

What is blank costs next to nothing: in each tile the model sees only what is around the ink. Paper of one tone is
answered alike everywhere but near the picture's edges, so the answer to a small patch of that tone is stretched.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denoise.inference.denoiser import Restored
from denoise.pictures import MULTIPLE, Pixels

# The longest side of a tile, its margins included.
TILE = 512
# A tile sees so many pixels on each side that it does not answer for: more than a model looks around itself, which is
# 31 pixels for the committed one. Every 8 more pixels would make large pages 7 % slower.
MARGIN = 32
# A patch of one tone is two margins, and MULTIPLE pixels of plain paper between them.
PATCH = 2 * MARGIN + MULTIPLE
# Pixels that differ by less, a quarter of one of 255 steps, are of one tone.
TOLERANCE = 1e-3
# The paper's tone is the median of a sample of a tile's pixels: each 15th of each 15th row.
SAMPLED_EVERY = 15
# The ink in a tile is run by itself where this leaves the model at most this share of the tile.
WORTHWHILE_SHARE = 0.8

Model = Callable[[Pixels], Restored]
# A stretch of rows and one of columns, which start and stop at multiples of MULTIPLE.
Area = tuple[slice, slice]


class Piece(NamedTuple):
    """A part of a picture that is answered at once.

    Attributes:
        own: what the answer is for.
        seen: what the model has to see for it: `own` with its margins.
        tone: the one that all pixels of `seen` have; None where they have several.
    """

    own: Area
    seen: Area
    tone: float | None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of what the model runs on."""
        height, width = _shape(self.seen)
        return (height, width) if self.tone is None else (min(height, PATCH), min(width, PATCH))


class TiledRun:
    """A picture on its way through a model, a piece at a time, so that others can have their turn in between.

    Attributes:
        answer: `[height, width]`, 0 … 1; whole once `step` has nothing left to do.
        code: of a picture that is run in one piece, where the model has a hidden code.
        seconds: how long the model ran.
        pixels_run: on how many pixels the model was run.
    """

    def __init__(self, model: Model, pixels: Pixels, *, skip_blank: bool) -> None:
        """`model`, `pixels` and `skip_blank` as `run` takes them."""
        self._model, self._pixels = model, pixels
        self._whole = max(pixels.shape) <= TILE
        self._pieces = _plan(pixels) if skip_blank or not self._whole else iter([_whole(pixels)])
        self._patches: dict[tuple[float, tuple[int, int]], Pixels] = {}
        self.answer = np.empty_like(pixels)
        self.code: Pixels | None = None
        self.seconds = 0.0
        self.pixels_run = 0

    def step(self) -> bool:
        """Runs the next piece. False, and nothing was done, when there is none left."""
        piece = next(self._pieces, None)
        if piece is not None:
            self._run_piece(piece)
        return piece is not None

    def _run_piece(self, piece: Piece) -> None:
        seen, code = self._answer_piece(piece)
        whole = _whole(self._pixels)
        if code is not None and self._whole:
            if piece != whole:  # The code of a part, or of a patch, tells nothing of the picture.
                seen, code = self._run(self._pixels)
                piece, self._pieces = whole, iter(())
            self.code = code
        self.answer[piece.own] = seen[_within(piece.seen, piece.own)]

    def _answer_piece(self, piece: Piece) -> tuple[Pixels, Pixels | None]:
        """The model's answer to what it sees of a piece, and its code where it was run for it."""
        if piece.tone is None:
            return self._run(self._pixels[piece.seen])
        key, code = (piece.tone, piece.shape), None
        if key not in self._patches:
            self._patches[key], code = self._run(np.full(piece.shape, piece.tone, np.float32))
        rows, columns = (_map_to_patch(length) for length in _shape(piece.seen))
        return self._patches[key][np.ix_(rows, columns)], code

    def _run(self, pixels: Pixels) -> tuple[Pixels, Pixels | None]:
        start = time.perf_counter()
        restored = self._model(pixels[np.newaxis, :, :, np.newaxis])
        self.seconds += time.perf_counter() - start
        self.pixels_run += pixels.size
        return restored.pixels[0, :, :, 0], None if restored.code is None else restored.code[0]


def run(model: Model, pixels: Pixels, *, skip_blank: bool = False) -> tuple[Pixels, Pixels | None]:
    """What `model` makes of a picture `[height, width]`: pixels of that shape, and the code of one that has any.

    The sides are multiples of what the model halves them to; so are those of the tiles. A picture in tiles has no code.

    Args:
        model: takes a batch `[1, height, width, 1]`.
        pixels: larger than TILE only where the model takes any size.
        skip_blank: leaves out blank paper in a picture of one tile too; only of a model that takes any size.
    """
    tiled = TiledRun(model, pixels, skip_blank=skip_blank)
    while tiled.step():
        pass
    return tiled.answer, tiled.code


def count_pixels(pixels: Pixels) -> int:
    """On how many pixels `run` has to run a model of any size for a picture `[height, width]`."""
    pieces = list(_plan(pixels))
    patches = {(piece.tone, piece.shape) for piece in pieces if piece.tone is not None}
    shapes = [piece.shape for piece in pieces if piece.tone is None] + [shape for _, shape in patches]
    return sum(height * width for height, width in shapes)


def _plan(pixels: Pixels) -> Iterator[Piece]:
    """The pieces of a picture, in the order in which their answers are laid down: later ones over earlier ones."""
    height, width = pixels.shape
    inner = TILE if max(height, width) <= TILE else TILE - 2 * MARGIN
    for top in range(0, height, inner):
        for left in range(0, width, inner):
            yield from _pieces(pixels, (slice(top, min(top + inner, height)), slice(left, min(left + inner, width))))


def _whole(pixels: Pixels) -> Piece:
    """All of a picture as one piece."""
    area = slice(0, pixels.shape[0]), slice(0, pixels.shape[1])
    return Piece(area, area, None)


def _pieces(pixels: Pixels, own: Area) -> Iterator[Piece]:
    """A tile as it is, or its paper, where that is of one tone, and the surroundings of its ink."""
    seen = _with_margins(own, pixels.shape)
    around = pixels[seen]
    sample = np.sort(around[::SAMPLED_EVERY, ::SAMPLED_EVERY], axis=None)
    tone = float(sample[len(sample) // 2])
    off = np.abs(around - np.float32(tone)) > TOLERANCE
    if not off.any():
        yield Piece(own, seen, tone)
        return
    inked = _find_ink(off, own, seen)
    near = _with_margins(inked, pixels.shape)
    if np.prod(_shape(near)) > WORTHWHILE_SHARE * np.prod(_shape(seen)):
        yield Piece(own, seen, None)
        return
    if inked != own:
        yield Piece(own, seen, tone)
    yield Piece(inked, near, None)


def _find_ink(off: NDArray[np.bool_], own: Area, seen: Area) -> Area:
    """The part of `own` whose answer may differ from that of paper, by what is `off` the paper's tone in `seen`."""
    bounds = []
    for axis in (0, 1):
        places = np.nonzero(off.any(axis=1 - axis))[0] + seen[axis].start
        start = (int(places[0]) - MARGIN) // MULTIPLE * MULTIPLE
        stop = -((-int(places[-1]) - 1 - MARGIN) // MULTIPLE * MULTIPLE)
        bounds.append(slice(max(start, own[axis].start), min(stop, own[axis].stop)))
    return bounds[0], bounds[1]


def _map_to_patch(length: int) -> NDArray[np.intp]:
    """For each place on an axis of one tone, the place on a patch's axis that is as far from the edges."""
    if length <= PATCH:
        return np.arange(length)
    middle = MARGIN + np.arange(length - 2 * MARGIN) % MULTIPLE
    return np.concatenate([np.arange(MARGIN), middle, np.arange(PATCH - MARGIN, PATCH)])


def _with_margins(area: Area, shape: tuple[int, ...]) -> Area:
    rows, columns = (
        slice(max(0, part.start - MARGIN), min(length, part.stop + MARGIN))
        for part, length in zip(area, shape, strict=True)
    )
    return rows, columns


def _within(outer: Area, inner: Area) -> Area:
    """`inner` where it lies in the pixels of `outer`."""
    rows, columns = (
        slice(part.start - around.start, part.stop - around.start) for around, part in zip(outer, inner, strict=True)
    )
    return rows, columns


def _shape(area: Area) -> tuple[int, int]:
    return area[0].stop - area[0].start, area[1].stop - area[1].start
