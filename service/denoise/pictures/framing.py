"""Any picture to what a model takes, light ink on black in its own size, and the answer back to the picture's place.

How the decisions are made, all on a thumbnail of at most THUMBNAIL pixels a side, where noise is averaged away:

*Paper.* A quadratic surface is fitted to a band along the four edges, where the paper shows, by reweighted least
squares (Cauchy weights), so that a digit touching an edge does not bend it. It follows uneven light.

*Polarity.* What stands off that surface is ink. Ink stands off it one way, further than the paper's noise does: the sum
of the cubes of the smoothed difference is positive for light ink and negative for dark. A picture in which no digit is
found has the polarity of its brightness. A small picture's skewness about its median often says it all at once.

*The digit's box.* The smoothed difference is ink where it reaches a share of its peak and stands above the noise
(median absolute deviation). Of the connected pieces, one that takes most of a side of the picture is the edge of the
paper, and those much lighter than the heaviest are specks; the box holds the rest.

*The frame.* As MNIST frames its digits: the box's longer side becomes 20 of 28 pixels, the centre of mass the middle.
Inside, paper becomes 0 and ink 1. Outside the picture there is paper.

What is cut out to the digit's very edges shows little paper: there a bold digit's paper can be taken for its ink.

A model that takes any size gets the whole picture, as it is but for its polarity, and shrunk where its strokes are much
larger than those that the model has learnt from.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denoise.errors import BadParameter
from denoise.pictures import MULTIPLE, SMALL_PICTURE, Pixels, strokes
from denoise.pictures.resampling import Plane, Span, centres, inside, resample

Mask = NDArray[np.bool_]

INVERTED = {"auto": None, "true": True, "false": False}  # what a caller says of the ink, as fit takes it
THUMBNAIL = 128  # px, its longer side at most
BAND = 0.1  # of each side: the edge where the paper is looked for
REWEIGHTINGS = 6
SMOOTHING = 1 / 110  # of the thumbnail's longer side: standard deviation, and at least
LEAST_SMOOTHING = 0.8  # px
INK_SHARE = 0.4  # of the peak: what counts as ink
NOISE_FLOOR = 4.0  # standard deviations of the noise that ink must exceed
SMALL = 0.7  # of the picture's sides: a digit whose surroundings take less is looked at again, from nearer
EDGE_SHARE = 0.6  # of a side of the picture: a piece that takes more of it is no ink, if there is any other
SPECK_SHARE = 0.1  # of the heaviest piece's mass: lighter pieces are specks
BOX_SHARE = 20 / 28  # of the frame's side: the box of a digit in MNIST
CENTRE_OFFSET = 0.5  # px: MNIST's centres of mass lie on 14 … 15 of 28, measured over its 10,000 test digits
INK_PIXELS = 0.06  # of a frame: the brightest part, which is ink in any digit; its mean becomes 1
LONGEST_THIN = 100_000  # px
LARGEST_SIZE = 3.0  # of strokes, in MNIST's: such a model has learnt up to that
WORKING_SIZE = 2.0  # to which larger ones are shrunk
SMALLEST_LARGE = 64  # px: in pictures with a shorter side no stroke can be larger than LARGEST_SIZE
MID_GREY = 0.5
CLEAR_SKEWNESS = 0.6  # MNIST's digits have 0.9 … 3 when clean; no noise turns it below -0.5
CLEAR_SKEWNESS_ABOUT_MEDIAN = 1.0  # is larger, and holds under more noise, but takes longer to find
LEAST_CONTRAST = 0.02  # between paper and ink: under it a picture is blank


class Frame(NamedTuple):
    """Where a picture's frame lies, and what was done to its light: enough to put an answer back."""

    shape: tuple[int, int]  # height, width of the picture, px
    inverted: bool  # dark ink on light paper was turned over
    rows: Span
    columns: Span


def fit(pixels: Pixels, size: tuple[int, int] | None, inverted: bool | None) -> tuple[Pixels, Frame]:
    """A picture as a model takes it, and the frame by which `restore` puts the answer back.

    Args:
        pixels: `[height, width]`, 0 … 1.
        size: the model's height and width; None for a model that takes any. A picture of that size goes in as it is
            but for its polarity.
        inverted: whether the ink is dark; None to find out.

    Raises:
        BadParameter: the picture is too thin for a model of any size.

    Returns:
        Pixels of `size` (or of the picture's), light ink on black, 0 … 1, and the frame.
    """
    height, width = pixels.shape
    if size in (None, pixels.shape):
        if inverted is None:
            inverted = _inverted(pixels)
        light = _turned(pixels, inverted)
        if size:
            return light, Frame((height, width), inverted, (0.0, height), (0.0, width))
        fitted, rows, columns = _whole(light)
        return fitted, Frame((height, width), inverted, rows, columns)

    look = _look(pixels)
    if inverted is None:
        inverted = _dark_on_light(look)
    digit = _digit(-look.ink if inverted else look.ink)
    found = bool(digit.any())
    rows, columns = _frame(look, digit, size)
    near = _around(rows, height), _around(columns, width)
    if found and max((near[0].stop - near[0].start) / height, (near[1].stop - near[1].start) / width) < SMALL:
        look = _look(pixels[near])  # a small digit is only a few pixels of the thumbnail: look again from nearer
        rows, columns = _frame(look, _digit(-look.ink if inverted else look.ink), size)
    else:
        near = slice(0, height), slice(0, width)

    pixels = pixels[near]
    framed: Plane = resample(pixels, size, rows, columns) - _surface(pixels.shape, size, rows, columns) @ look.paper
    # outside the picture there is paper
    framed *= np.outer(inside(pixels.shape[0], size[0], rows), inside(pixels.shape[1], size[1], columns))
    fitted = _contrasted(-framed if inverted else framed, found)
    return fitted, Frame((height, width), inverted, _moved(rows, near[0].start), _moved(columns, near[1].start))


def restore(answer: Pixels, frame: Frame, native: bool = False) -> Pixels:
    """A model's answer in the polarity of the picture that `frame` was made from, at its place there, on clean paper.

    With `native` it stays as large as the model gave it.
    """
    (height, width), (rows, columns) = frame.shape, (frame.rows, frame.columns)
    if (rows, columns) == ((0, answer.shape[0]), (0, answer.shape[1])):
        answer = answer[:height, :width]
    elif not native:
        seen = _seen_from(rows, answer.shape[0], height), _seen_from(columns, answer.shape[1], width)
        answer = np.clip(resample(answer, frame.shape, *seen), 0, 1)
    return _turned(answer, frame.inverted)


def _whole(light: Pixels) -> tuple[Pixels, Span, Span]:
    """A whole picture at the scale that a model of any size is at home in, its sides multiples of MULTIPLE.

    Also the rows and columns of the picture that it takes: more than there are, where it was padded by reflection.
    """
    strokes_are = strokes.size(light) if min(light.shape) >= SMALLEST_LARGE else 1.0
    shrink = strokes_are / WORKING_SIZE if strokes_are > LARGEST_SIZE else 1.0
    height, width = (max(1, round(side / shrink)) for side in light.shape)
    scale = light.shape[0] / height, light.shape[1] / width
    if (height, width) != light.shape:
        small = resample(light, (height, width), (0, light.shape[0]), (0, light.shape[1]))
        light = np.clip(small, 0, 1).astype(np.float32)
    if min(height, width) < MULTIPLE and max(height, width) > LONGEST_THIN:  # padding would multiply the work
        raise BadParameter(
            f"A picture of {light.shape[1]}×{light.shape[0]} pixels is too thin for a model of any size: "
            f"with a side under {MULTIPLE} the other one may have {LONGEST_THIN:,}."
        )
    if height % MULTIPLE or width % MULTIPLE:
        light = np.pad(light, ((0, -height % MULTIPLE), (0, -width % MULTIPLE)), mode="symmetric")
    return light, (0.0, light.shape[0] * scale[0]), (0.0, light.shape[1] * scale[1])


def _turned(pixels: Pixels, inverted: bool) -> Pixels:
    return 1 - pixels if inverted else pixels


def _inverted(pixels: Pixels) -> bool:
    """Whether the ink is dark, at little cost where the picture is small and clear."""
    if pixels.size <= SMALL_PICTURE:
        flat = pixels.ravel()
        skewness = _skewness(flat, float(flat.sum()) / flat.size)
        if abs(skewness) > CLEAR_SKEWNESS:
            return skewness < 0
        skewness = _skewness(flat, float(np.median(flat)))
        if abs(skewness) > CLEAR_SKEWNESS_ABOUT_MEDIAN:
            return skewness < 0
    return _dark_on_light(_look(pixels))


def _skewness(values: Pixels, middle: float) -> float:
    """The third standardized moment about `middle`."""
    off = values - np.float32(middle)
    squares = off * off
    second, third = float(off @ off) / off.size, float(squares @ off) / off.size
    return float(third / max(second, LEAST_CONTRAST**2) ** 1.5)


@dataclass(frozen=True)
class _Look:
    """What the thumbnail of a picture shows."""

    ink: Plane  # how far each of its pixels stands off the paper, noise smoothed
    paper: Plane  # coefficients of the surface, over -1 … 1 along each axis of the picture
    scale: tuple[float, float]  # pixels of the picture per pixel of the thumbnail, down and across
    bright: bool  # on the whole it is nearer to white than to black


def _look(pixels: Pixels) -> _Look:
    height, width = pixels.shape
    shrink = min(1.0, THUMBNAIL / max(height, width))
    small = max(1, round(height * shrink)), max(1, round(width * shrink))
    thumbnail: Plane = pixels
    if small != pixels.shape:
        thumbnail = resample(pixels, small, (0, height), (0, width))
    surface = _surface(small, small, (0, small[0]), (0, small[1]))
    paper = _paper(thumbnail, surface)
    sigma = max(LEAST_SMOOTHING, SMOOTHING * max(small))
    ink = _smoothed(thumbnail - surface @ paper, sigma)
    return _Look(ink, paper, (height / small[0], width / small[1]), float(thumbnail.mean()) > MID_GREY)


def _paper(thumbnail: Plane, surface: Plane) -> Plane:
    """Coefficients of the quadratic surface through the paper along the edges of a thumbnail."""
    height, width = thumbnail.shape
    band = np.ones((height, width), bool)
    deep, wide = max(1, round(BAND * height)), max(1, round(BAND * width))
    band[deep : height - deep, wide : width - wide] = False
    terms = surface[band]
    values = thumbnail[band].astype(np.float64)
    off = np.abs(values - np.median(values))  # what lies along one edge alone has no say from the start
    for _ in range(REWEIGHTINGS):
        weights = 1 / np.sqrt(1 + np.square(off / max(1.5 * float(np.median(off)), 0.01)))
        coefficients = np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=None)[0]
        off = np.abs(values - terms @ coefficients)
    paper: Plane = coefficients
    return paper


def _surface(shape: tuple[int, int], size: tuple[int, int], rows: Span, columns: Span) -> Plane:
    """The six terms of a quadratic surface at the pixels of a stretch, `[*size, 6]`; each axis of `shape` is -1 … 1."""
    places = centres(size[0], rows) * 2 / shape[0] - 1, centres(size[1], columns) * 2 / shape[1] - 1
    y, x = np.meshgrid(*places, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _dark_on_light(look: _Look) -> bool:
    dark = float(np.sum(look.ink**3)) < 0
    return dark if _digit(-look.ink if dark else look.ink).any() else look.bright


def _frame(look: _Look, digit: Mask, size: tuple[int, int]) -> tuple[Span, Span]:
    """Rows and columns of the picture that the digit's frame takes; those of a whole picture without a digit."""
    mask = digit if digit.any() else np.ones_like(digit)
    mass = np.where(mask, np.abs(look.ink), 0) + np.finfo(np.float32).tiny
    along = [mass.sum(axis=1), mass.sum(axis=0)]
    taken = [np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]]
    boxes = [(where[0] * scale, (where[-1] + 1) * scale) for where, scale in zip(taken, look.scale, strict=True)]
    pixel = max((stop - start) / count for (start, stop), count in zip(boxes, size, strict=True)) / BOX_SHARE
    spans = []
    for axis in (0, 1):
        centre = float(along[axis] @ (np.arange(len(along[axis])) + 0.5) / along[axis].sum()) * look.scale[axis]
        start = centre - pixel * (size[axis] / 2 + CENTRE_OFFSET)
        # a digit heavy at one end is centred less rather than cut
        start = min(max(start, boxes[axis][1] - pixel * size[axis]), boxes[axis][0])
        spans.append((start, start + pixel * size[axis]))
    return spans[0], spans[1]


def _digit(ink: Plane) -> Mask:
    """Where the digit is, specks and noise left out."""
    noise = 1.4826 * float(np.median(np.abs(ink - np.median(ink))))
    top = max(1, ink.size // 200)
    peak = float(np.partition(ink, -top, axis=None)[-top:].mean())
    mask = ink > max(INK_SHARE * peak, NOISE_FLOOR * noise, LEAST_CONTRAST)
    pieces = _pieces(mask)
    masses = np.bincount(pieces.ravel(), weights=np.where(mask, ink, 0).ravel())
    for side in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        along = np.bincount(side, minlength=len(masses))
        if (others := np.where(along > EDGE_SHARE * len(side), 0, masses)).any():
            masses = others
    heavy: Mask = masses >= SPECK_SHARE * masses.max()
    return mask & heavy[pieces]


def _pieces(mask: Mask) -> NDArray[np.int64]:
    """Numbers the connected pieces of a mask, diagonal neighbours included; pixels of one piece share a number."""
    pieces = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:  # the largest number of each piece spreads until it is everywhere
        padded = np.pad(pieces, 1)
        spread = np.max(
            [padded[i : i + mask.shape[0], j : j + mask.shape[1]] for i in range(3) for j in range(3)], axis=0
        )
        # a number names a pixel of the same piece: what that one has got meanwhile is taken as well, so that long and
        # winding pieces take no more rounds than others (Shiloach and Vishkin, 1982)
        spread = np.where(mask, spread.ravel()[spread - 1], 0)
        if np.array_equal(spread, pieces):
            return pieces
        pieces = spread


def _contrasted(framed: Plane, found: bool) -> Pixels:
    """Ink stretched to 1, where any was found: paper alone is left as flat as it is."""
    top = max(1, round(INK_PIXELS * framed.size))
    ink = float(np.partition(framed, -top, axis=None)[-top:].mean())
    scaled: Plane = np.clip(framed / (max(ink, LEAST_CONTRAST) if found else 1), 0, 1)
    return scaled.astype(np.float32)


def _smoothed(pixels: Plane, sigma: float) -> Plane:
    """Blurred by a Gaussian of `sigma` px, edges repeated."""
    reach = round(3 * sigma)
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    kernel /= kernel.sum()
    for _ in range(2):
        padded = np.pad(pixels, ((reach, reach), (0, 0)), mode="edge")
        pixels = np.sum([weight * padded[i : i + len(pixels)] for i, weight in enumerate(kernel)], axis=0).T
    return pixels


def _around(span: Span, length: int) -> slice:
    """The span and half as much on either side, as far as the axis goes."""
    margin = (span[1] - span[0]) / 2
    return slice(max(0, int(span[0] - margin)), min(length, int(span[1] + margin) + 1))


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def _seen_from(span: Span, inside: int, length: int) -> Span:
    """An axis of `length` pixels, of which `span` is an answer of `inside` pixels, in the answer's pixels."""
    start, stop = span
    return (0 - start) * inside / (stop - start), (length - start) * inside / (stop - start)
