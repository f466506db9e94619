"""One captioned picture of what happened to another: sent, seen, hidden code, answer, difference."""

import math
from collections.abc import Sequence

import numpy as np

from denoise.pictures import Pixels
from denoise.pictures.images import text
from denoise.pictures.resampling import resample

HEIGHT, WIDTH = 196, 392  # px that a panel has at most
GAP = 12  # px around the panels
CAPTION = 20  # px above each
BACKGROUND = 0.93
INNER_GAP = 1  # px between the maps of a code


def explained(sent: Pixels, seen: Pixels, code: Pixels | None, answer: Pixels) -> Pixels:
    """The strip of a picture `sent`: what the model saw, its code (where it has one), the answer and the difference.

    All are pictures `[height, width]`, 0 … 1; `sent` and `answer` are of one shape. Where nothing differs, the
    difference is white.
    """
    hidden = [] if code is None else [("hidden code", as_picture(code))]
    difference = 1 - np.abs(answer - sent)
    panels = [("sent", sent), ("seen by the model", seen), *hidden, ("answer", answer), ("difference", difference)]
    return side_by_side(panels)


def side_by_side(panels: Sequence[tuple[str, Pixels]]) -> Pixels:
    """Captioned panels, each `[height, width]`, 0 … 1, brought to a size that can be looked at."""
    drawn = [(text(caption), _readable(pixels)) for caption, pixels in panels]
    widths = [max(caption.shape[1], pixels.shape[1]) for caption, pixels in drawn]
    height = CAPTION + max(pixels.shape[0] for _, pixels in drawn) + 2 * GAP
    sheet = np.full((height, sum(widths) + GAP * (len(drawn) + 1)), BACKGROUND, np.float32)
    left = GAP
    for (caption, pixels), width in zip(drawn, widths, strict=True):
        sheet[GAP : GAP + caption.shape[0], left : left + caption.shape[1]] *= caption
        top = GAP + CAPTION
        sheet[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        left += width + GAP
    return sheet


def as_picture(code: Pixels) -> Pixels:
    """A hidden code, `[units]` or `[height, width, channels]`, black at 0 and white at its largest number.

    Units become a rectangle as square as they allow; channels become maps side by side in such a rectangle.
    """
    maps: Pixels = np.abs(code.reshape(1, 1, -1) if code.ndim == 1 else code)
    maps = maps / np.float32(max(float(maps.max()), 1e-9))
    height, width, count = maps.shape
    gap = INNER_GAP if height * width > 1 else 0
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    columns = count // rows
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), BACKGROUND / 2, np.float32)
    for channel in range(count):
        top, left = channel // columns * (height + gap), channel % columns * (width + gap)
        picture[top : top + height, left : left + width] = maps[:, :, channel]
    return picture


def _readable(pixels: Pixels) -> Pixels:
    """Small pictures enlarged by whole pixels, so that each is seen; large ones shrunk."""
    height, width = pixels.shape
    fits = min(HEIGHT / height, WIDTH / width)
    if fits >= 1:
        return pixels.repeat(int(fits), axis=0).repeat(int(fits), axis=1)
    size = max(1, round(height * fits)), max(1, round(width * fits))
    return np.clip(resample(pixels, size, (0, height), (0, width)), 0, 1).astype(np.float32)
