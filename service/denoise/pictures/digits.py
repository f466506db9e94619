"""The digits of a clean page: which marks make one, where it stands, and its picture as MNIST has it; pure numpy.

Marks much smaller than most are specks, and those much larger are rules, frames or the paper's edge. A small mark close
to a larger one is a part of it: the bar of a 5, what is left of a broken stroke.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denoise.errors import TooLarge
from denoise.pictures import Pixels, Plane, marks, mnist, neighbourhood, rules, writing
from denoise.pictures.framing import Frame
from denoise.pictures.ink import Mask
from denoise.pictures.marks import Boxes, Marks, Numbers

# Ink from this light on belongs to a mark, ink from that light on is solid, and so much of a digit's ink is.
INK, SOLID, LEAST_SOLID = 0.24, 0.6, 0.33
# A digit's longer side has at least so many pixels. A model of any size has learnt digits of twice as many.
LEAST_SIDE_PX = 8
# Sizes in those of the page's typical mark: a smaller mark is a speck, a higher one no digit.
LEAST_SIZE, MOST_HEIGHT = 0.35, 3.0
# In a mark larger than this, in typical sizes, what is faint joins digits: the edge of a shadow, a stain. Only what is
# as near to solid ink as this, in thicknesses of strokes, is its edge.
MOST_SIZE_OF_SURE, EDGE_SHARE_OF_STROKE = 1.6, 0.25
# Of marks at the page's edge, only those of such sizes, in typical ones, are digits: others are cut off, or no writing.
SIZES_AT_EDGE = 0.75, 1.3
# What is lower than this, in typical sizes, and so many times as wide as it is high is a piece of a rule.
LEAST_HEIGHT_OF_WIDE, MOST_WIDTHS_OF_LOW = 0.4, 2.5
# A digit leaves more of its box free, unless that is less than half as wide as it is high, as a bold 1 is.
MOST_FILLED, LEAST_WIDTH_OF_BLOT = 0.85, 0.5
# What is wider than this, in typical sizes, is several digits that touch, and what is so many times as wide as high: of
# MNIST's digits one in a thousand is.
LEAST_WIDTH_OF_SEVERAL, LEAST_WIDTH_BY_HEIGHT = 1.4, 1.7
# A part is smaller than this, in sizes of its digit.
MOST_SIZE_OF_PART = 0.75
# A part is nearer to its digit than this, in sizes of that; two halves of a digit are nearer still, in typical sizes.
MOST_GAP_OF_PART, MOST_GAP_OF_HALF = 0.2, 0.1
# Two marks whose boxes have so much of the smaller one in common are one digit.
LEAST_SHARE_IN_COMMON = 0.4
# With its parts a digit is not larger than this, in typical sizes or its own without them.
MOST_GROWTH = 1.3
# A page's sides are whole multiples of its scale but for this part of a pixel.
ROUNDING = 1e-6
MOST_MARKS = 10_000
MOST_DIGITS = 5_000
# So many marks are compared with those around them at a time.
MARKS_PER_TURN = 256


class Found(NamedTuple):
    """The digits of a page, in reading order.

    Attributes:
        boxes: in pixels of the page.
        wide: whether each is several digits that touch.
        pictures: uint8 `[count, 28, 28]`, light ink on black, framed as MNIST frames its digits.
    """

    boxes: Boxes
    wide: Mask
    pictures: NDArray[np.uint8]

    def rows(self) -> Iterator[tuple[int, int, int, int, bool]]:
        """Of each digit the box, as x, y, width and height, and whether it is wide."""
        boxes = self.boxes
        columns = boxes.left, boxes.top, boxes.width, boxes.height, self.wide
        return zip(*(column.tolist() for column in columns), strict=True)


def find(page: Pixels) -> Found:
    """The digits of a clean page `[height, width]`, light ink on black, 0 … 1, of the size that a model works at.

    Raises:
        TooLarge: it shows more marks than writing has, or more than MOST_DIGITS digits.
    """
    solid = page >= SOLID
    ink = rules.take_off_long(page >= INK)
    likely = _likely(_find_marks(ink, solid), page.shape)
    size = writing.typical_size(likely)
    ink, thickness = rules.take_off_thin(ink, likely.runs, size)
    found = _find_marks(ink, solid)
    if (large := found.boxes.size > MOST_SIZE_OF_SURE * size).any():
        ink &= ~marks.draw(found.pick(large).runs, ink.shape) | _near(solid, thickness)
        found = _find_marks(ink, solid)
    found = found.pick(_may_be_written(found, size, thickness))
    _check_count(len(found.boxes.top), MOST_MARKS)
    joined = marks.join(found, _owners(found.boxes, size))
    joined = joined.pick(_are_digits(joined, size, page.shape))
    _check_count(len(joined.boxes.top), MOST_DIGITS)
    order = writing.reading_order(joined.boxes)
    wide = joined.boxes.width > np.minimum(LEAST_WIDTH_OF_SEVERAL * size, LEAST_WIDTH_BY_HEIGHT * joined.boxes.height)
    return Found(joined.boxes.pick(order), wide[order], mnist.frame_all(page, joined)[order])


def find_in(answer: Pixels, frame: Frame) -> Found:
    """The digits in a model's answer `[height, width]` to a whole page; boxes are in pixels of the page of `frame`.

    Raises TooLarge as `find` does.
    """
    lengths = [stop - start for start, stop in (frame.rows, frame.columns)]
    down, across = (length / count for length, count in zip(lengths, answer.shape, strict=True))
    # Outside of the page the answer is padding.
    height, width = math.ceil(frame.shape[0] / down - ROUNDING), math.ceil(frame.shape[1] / across - ROUNDING)
    found = find(answer[:height, :width])
    top, left, bottom, right = (
        np.clip(np.rint(edge * scale).astype(np.int64), 0, limit)
        for edge, scale, limit in zip(found.boxes, 2 * (down, across), 2 * frame.shape, strict=True)
    )
    return found._replace(boxes=Boxes(top, left, bottom, right))


def _near(solid: Mask, thickness: float) -> Mask:
    """Where a faint edge of solid ink may be."""
    return neighbourhood.maximum(solid, 2 * max(1, round(thickness * EDGE_SHARE_OF_STROKE)) + 1)


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise TooLarge(
            f"The page shows {count:,} marks of a digit's size; at most {most:,} are taken: send it in parts."
        )


def _find_marks(ink: Mask, solid: Mask) -> Marks:
    """The marks that are no shade and no single pixel."""
    found = marks.find(ink, solid)
    return found.pick((found.solid > 0) & (found.boxes.size > 1))


def _likely(found: Marks, page: tuple[int, ...]) -> Marks:
    """The marks that tell how the page is written: no blots, and none that span the page, if there are others."""
    likely = ~(_is_blot(found) | writing.spans(found.boxes, page))
    return found.pick(likely) if likely.any() else found


def _is_blot(found: Marks) -> Mask:
    boxes = found.boxes
    compact = np.minimum(boxes.height, boxes.width) > LEAST_WIDTH_OF_BLOT * boxes.size
    blot: Mask = compact & (boxes.size >= LEAST_SIDE_PX) & (found.area > MOST_FILLED * boxes.area)
    return blot


def _may_be_written(found: Marks, size: float, thickness: float) -> Mask:
    """Which marks are not too high, and no piece of a rule: those have less ink than a stroke of their length."""
    low = (found.boxes.height < LEAST_HEIGHT_OF_WIDE * size) & (found.boxes.width > MOST_WIDTHS_OF_LOW * size)
    thin = found.area < rules.LEAST_THICKNESS * thickness * found.boxes.size
    written: Mask = ~(low | thin) & (found.boxes.height <= MOST_HEIGHT * size)
    return written


def _are_digits(joined: Marks, size: float, page: tuple[int, ...]) -> Mask:
    """Which groups of marks are large enough, and no piece of a rule, blot or edge of the paper."""
    boxes = joined.boxes
    low = (boxes.height < LEAST_HEIGHT_OF_WIDE * size) & (boxes.width > MOST_WIDTHS_OF_LOW * boxes.height)
    spanning = writing.spans(boxes, page)
    cut = writing.touches_edge(boxes, page) & (len(boxes.top) > 1)
    cut &= (boxes.size < SIZES_AT_EDGE[0] * size) | (boxes.size > SIZES_AT_EDGE[1] * size)
    faint = joined.solid < LEAST_SOLID * joined.area
    digits: Mask = ~(low | _is_blot(joined) | spanning | cut | faint)
    return digits & (boxes.size >= max(LEAST_SIDE_PX, LEAST_SIZE * size))


def _owners(boxes: Boxes, size: float) -> Numbers:
    """For each mark one of its digit's: a part has that of the nearest larger mark that it may belong to."""
    owner = np.arange(len(boxes.top))
    for start in range(0, len(owner), MARKS_PER_TURN):
        turn = owner[start : start + MARKS_PER_TURN]
        # Marks are numbered from the top down.
        first = np.searchsorted(boxes.top, boxes.top[start] - (MOST_HEIGHT + 1) * size)
        last = np.searchsorted(boxes.top, boxes.bottom[turn].max() + size)
        gaps = _gaps(boxes, turn, np.arange(first, last), size)
        nearest = gaps.argmin(axis=1)
        near = np.isfinite(gaps[np.arange(len(turn)), nearest])
        owner[turn[near]] = first + nearest[near]
    return marks.flatten(owner)


def _gaps(boxes: Boxes, turn: Numbers, others: Numbers, size: float) -> Plane:
    """How far each of `turn` is from each of the `others` that it may be a part of, else infinity: `[turn, others]`."""
    one, other = boxes.pick(turn[:, np.newaxis]), boxes.pick(others)
    across = np.maximum(one.left, other.left) - np.minimum(one.right, other.right)
    down = np.maximum(one.top, other.top) - np.minimum(one.bottom, other.bottom)
    gap = np.maximum(np.maximum(across, down), 0)
    joint = Boxes(
        np.minimum(one.top, other.top),
        np.minimum(one.left, other.left),
        np.maximum(one.bottom, other.bottom),
        np.maximum(one.right, other.right),
    )
    smaller = (one.size < MOST_SIZE_OF_PART * other.size) | (one.height < MOST_SIZE_OF_PART * other.height)
    part = smaller & (gap <= MOST_GAP_OF_PART * np.minimum(other.size, size))
    stacked = -across >= np.minimum(one.width, other.width) / 2
    half = stacked & (other.size < MOST_SIZE_OF_PART * size) & (gap <= MOST_GAP_OF_HALF * size)
    common = np.maximum(-across, 0) * np.maximum(-down, 0)
    tangled = common >= LEAST_SHARE_IN_COMMON * np.minimum(one.area, other.area)
    fits = joint.size <= MOST_GROWTH * np.maximum(other.size, size)
    larger = (other.area > one.area) | ((other.area == one.area) & (others < turn[:, np.newaxis]))
    return np.where(larger & (part | half | tangled) & fits, gap, np.inf)
