"""Any picture to what a model takes, light ink on black in its own size, and the answer back to the picture's place.

A model of one size gets the picture's digit, framed as MNIST frames its digits: the longer side of the digit's box
becomes 20 of 28 pixels, the centre of mass the middle. Inside, paper becomes 0 and ink 1. Outside the picture there is
paper. Where the digit lies is seen on a thumbnail (paper, ink); `polarity` says whether its ink is dark.

A model that takes any size gets the whole picture, shrunk so that strokes are at most 5 px wide, or 3.5 px in strong
noise. A large picture is shrunk to 2 megapixels, but for strokes that would be narrower than MNIST's; the answer gets
the picture's own edges where that has little noise. Nothing is enlarged, which was tried and made all answers worse.
What the model sees:

- Up to SMALL_PICTURE pixels (64×64) the picture as it is but for its polarity: light ink on black, 0 … 1.
- Of anything larger `clip(gain · (1 - light / paper), 0, 1)`, where `light` is the picture as dark ink on light paper.
- Where strokes are out of focus, by a Gaussian of 1.4 pixels or more, `light` is sharpened first.
- `paper` is the local paper that `page` finds, without ink, with noise and texture averaged: so noise on paper is
  clipped at 0 in half of its pixels, as on MNIST's black. It is 1, and nothing is divided, where paper is saturated.
- `gain` is 1 over the ink's strength (1.33 where ink takes 0.75 of the light; 2.5 for 0.4), at most 3, or 12 where
  noise stays under 0.25; it is 1 from a strength of 0.9 on, and where no strokes are found. Noise grows by the same
  factor. Where glare veils ink, it is up to 8 times as large.
"""

import math
from typing import NamedTuple

import numpy as np

from denoise.errors import BadParameter
from denoise.pictures import MULTIPLE, SMALL_PICTURE, Pixels, Plane, edges, ink, neighbourhood, page, paper, polarity
from denoise.pictures.edges import Edges
from denoise.pictures.ink import Mask
from denoise.pictures.paper import LEAST_CONTRAST, Look
from denoise.pictures.resampling import Span, inside, resample
from denoise.pictures.strokes import Strokes

# What a caller says of the ink, and `fit`'s argument for it.
INVERTED = {"auto": None, "true": True, "false": False}
# A digit whose surroundings take less than this share of the picture's sides is looked at again, from nearer.
FAR_SHARE = 0.7
# MNIST's digits have boxes of 20 pixels in frames of 28, and centres of mass on 14 … 15 of them: half a pixel off the
# middle, measured over its 10,000 test digits.
BOX_SHARE = 20 / 28
CENTRE_OFFSET_PX = 0.5
# The brightest part of a frame, of this share, is ink in any digit; its mean becomes 1.
INK_SHARE = 0.06
LONGEST_THIN_SIDE = 100_000
# Broader strokes are shrunk to so many pixels; MNIST's have 2.5, and a model of any size has learnt them at up to three
# times their size. Where noise is strong, a smaller picture is worth more than its finer edges.
WORKING_STROKES_PX, NOISY_STROKES_PX = 5.0, 3.5
# These deviations of the noise, as shares of the ink's strength, are little and much.
LITTLE_NOISE, MUCH_NOISE = 0.09, 0.2
# A large picture is shrunk to so many pixels, which take a model two seconds or less, while strokes stay as wide as
# MNIST's. `edges` says what becomes of finer edges.
LARGE_PICTURE, LEAST_STROKES_PX = 2_000_000, 2.5
# A picture loses by being resampled, so less than this factor is left alone.
WORTHWHILE_SHRINKING = 1.25
# So much of fine print is the picture's, where the answer has so much ink within so many pixels.
KEPT_OF_FINE_PRINT = 0.6
INKED_PX, LEAST_INKED = 3, 0.1


class Frame(NamedTuple):
    """Where a picture's frame lies, and what was done to its light: enough to put an answer back.

    Attributes:
        shape: height and width of the picture, in pixels.
        inverted: whether its dark ink on light paper was turned over.
        rows, columns: what the frame takes of it; it may reach over the edges.
        marks: how many marks a picture shows of which one digit was to be framed; 1 of a small one.
        margin: by which the polarity was found, as `polarity` gives it; 1 where the caller told it.
        shrunk: by what factor a whole page was shrunk for the model.
        kept: how much of what the model saw there is in the answer where it found ink, 0 … 1.
        edges: how an answer gets the edges of its picture, where that was shrunk; None where it gets none.
    """

    shape: tuple[int, int]
    inverted: bool
    rows: Span
    columns: Span
    marks: int = 1
    margin: float = 1.0
    shrunk: float = 1.0
    kept: float = 0.0
    edges: Edges | None = None


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
    if size not in (None, pixels.shape):
        return _fit_digit(pixels, size, inverted)
    inverted, margin = polarity.judge(pixels) if inverted is None else (inverted, 1.0)
    if size:
        return polarity.turn(pixels, inverted), Frame(
            (height, width), inverted, (0.0, height), (0.0, width), margin=margin
        )
    fitted, frame = _fit_page(pixels, inverted)
    return fitted, frame._replace(margin=margin)


def keep_print(seen: Pixels, answer: Pixels, frame: Frame) -> Pixels:
    """The answer of a model to what it saw, with fine print as grey as it was seen; all light ink on black.

    Print of two pixels on quiet paper is all edges, whose greys a model guesses and the picture has. So the answer says
    where there is ink, and the picture has its say in how much.
    """
    if not frame.kept:
        return answer
    inked = neighbourhood.maximum(answer, INKED_PX) > LEAST_INKED
    return np.where(inked, answer + np.float32(frame.kept) * (seen - answer), answer)


def restore(answer: Pixels, frame: Frame, picture: Pixels | None = None, *, native: bool = False) -> Pixels:
    """A model's answer in the polarity of the picture that `frame` was made from, at its place there, on clean paper.

    It gets the edges of that `picture`, where it was shrunk and has little noise. With `native` it stays as large as
    the model gave it, but for what padded a page.
    """
    (height, width), (rows, columns) = frame.shape, (frame.rows, frame.columns)
    is_resampled = (rows, columns) != ((0, answer.shape[0]), (0, answer.shape[1]))
    seen = _seen_from(rows, answer.shape[0], height), _seen_from(columns, answer.shape[1], width)
    if frame.edges and picture is not None and not native:
        answer = edges.enlarge(answer, picture, *seen, frame.edges)
    elif is_resampled and not native:
        answer = np.clip(resample(answer, frame.shape, *seen), 0, 1)
    elif not is_resampled or frame.shrunk > 1:  # It is a page's, which was padded below and at the right.
        answer = answer[: round(seen[0][1]), : round(seen[1][1])]
    return polarity.turn(answer, frame.inverted)


def _fit_digit(pixels: Pixels, size: tuple[int, int], inverted: bool | None) -> tuple[Pixels, Frame]:
    """The digit of a picture, framed as MNIST frames its digits."""
    height, width = pixels.shape
    look = paper.look(pixels)
    inverted, margin = polarity.judge_digit(pixels, look) if inverted is None else (inverted, 1.0)
    digit = ink.find_digit(look, inverted)
    found = bool(digit.any())
    rows, columns = _frame(look, digit, size)
    near = _around(rows, height), _around(columns, width)
    far = max((near[0].stop - near[0].start) / height, (near[1].stop - near[1].start) / width) < FAR_SHARE
    if found and far:  # A far digit is only a few pixels of the thumbnail.
        look = paper.look(pixels[near])
        rows, columns = _frame(look, ink.find_digit(look, inverted), size)
    else:
        near = slice(0, height), slice(0, width)
    framed = _off_paper(pixels[near], look, size, rows, columns)
    fitted = _stretch_contrast(-framed if inverted else framed, found)
    rows, columns = _move(rows, near[0].start), _move(columns, near[1].start)
    marks = ink.count_pieces(digit) if pixels.size > SMALL_PICTURE else 1
    return fitted, Frame((height, width), inverted, rows, columns, marks, margin)


def _off_paper(pixels: Pixels, look: Look, size: tuple[int, int], rows: Span, columns: Span) -> Plane:
    """A stretch of a picture as `size` pixels, each as far as it stands off the paper: 0 outside the picture."""
    off: Plane = resample(pixels, size, rows, columns) - paper.surface(look, pixels.shape, size, rows, columns)
    off *= np.outer(inside(pixels.shape[0], size[0], rows), inside(pixels.shape[1], size[1], columns))
    return off


def _fit_page(pixels: Pixels, inverted: bool) -> tuple[Pixels, Frame]:
    """A whole picture at the scale that a model of any size is at home in, its sides multiples of MULTIPLE.

    The frame has more rows and columns than there are, where the picture was padded by reflection.
    """
    kept, found = 0.0, None
    if pixels.size <= SMALL_PICTURE:
        fitted, scale = polarity.turn(pixels, inverted), (1.0, 1.0)
    else:
        light = polarity.turn(pixels, not inverted)
        look = page.look(light)
        height, width = _working_shape(light.shape, look.strokes)
        scale = light.shape[0] / height, light.shape[1] / width
        if scale == (1, 1) and not page.is_white(look):
            kept = KEPT_OF_FINE_PRINT * look.strokes.fine
        if (height, width) != light.shape:
            found = edges.find(light, look, scale[0])
            light = resample(light, (height, width), (0, light.shape[0]), (0, light.shape[1]))
            light = np.clip(light, 0, 1).astype(np.float32, copy=False)  # The kernel overshoots at sharp edges.
        fitted = page.divide(*page.sharpen(light, look, scale[0]))
    height, width = fitted.shape
    if min(height, width) < MULTIPLE and max(height, width) > LONGEST_THIN_SIDE:  # Padding would multiply the work.
        raise BadParameter(
            f"A picture of {pixels.shape[1]}×{pixels.shape[0]} pixels is too thin for a model of any size: "
            f"with a side under {MULTIPLE} the other one may have {LONGEST_THIN_SIDE:,}."
        )
    if height % MULTIPLE or width % MULTIPLE:
        fitted = np.pad(fitted, ((0, -height % MULTIPLE), (0, -width % MULTIPLE)), mode="symmetric")
    rows, columns = ((0.0, side * shrunk) for side, shrunk in zip(fitted.shape, scale, strict=True))
    return fitted, Frame(pixels.shape, inverted, rows, columns, shrunk=scale[0], kept=kept, edges=found)


def _working_shape(shape: tuple[int, ...], found: Strokes) -> tuple[int, int]:
    """Height and width at which a picture's strokes are as wide as those that a model has learnt from."""
    noise = found.noise / max(found.strength, LEAST_CONTRAST)
    working = float(np.interp(noise, (LITTLE_NOISE, MUCH_NOISE), (WORKING_STROKES_PX, NOISY_STROKES_PX)))
    to_small = math.sqrt(shape[0] * shape[1] / LARGE_PICTURE)
    shrink = max(found.width / working, min(to_small, found.width / LEAST_STROKES_PX))
    if shrink <= WORTHWHILE_SHRINKING:
        shrink = 1.0
    height, width = (max(1, round(side / shrink)) for side in shape)
    return height, width


def _frame(look: Look, digit: Mask, size: tuple[int, int]) -> tuple[Span, Span]:
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
        start = centre - pixel * (size[axis] / 2 + CENTRE_OFFSET_PX)
        # A digit that is heavy at one end is centred less rather than cut.
        start = min(max(start, boxes[axis][1] - pixel * size[axis]), boxes[axis][0])
        spans.append((start, start + pixel * size[axis]))
    return spans[0], spans[1]


def _stretch_contrast(framed: Plane, found: bool) -> Pixels:
    """Ink stretched to 1, where any was found: paper alone is left as flat as it is."""
    top = max(1, round(INK_SHARE * framed.size))
    brightest = float(np.partition(framed, -top, axis=None)[-top:].mean())
    scaled: Plane = np.clip(framed / (max(brightest, LEAST_CONTRAST) if found else 1), 0, 1)
    return scaled.astype(np.float32)


def _around(span: Span, length: int) -> slice:
    """The span and half as much on either side, as far as the axis goes."""
    margin = (span[1] - span[0]) / 2
    return slice(max(0, int(span[0] - margin)), min(length, int(span[1] + margin) + 1))


def _move(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def _seen_from(span: Span, inside: int, length: int) -> Span:
    """An axis of `length` pixels, of which `span` is an answer of `inside` pixels, in the answer's pixels."""
    start, stop = span
    return (0 - start) * inside / (stop - start), (length - start) * inside / (stop - start)
