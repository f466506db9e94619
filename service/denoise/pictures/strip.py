"""One captioned picture of what happened to another: sent, seen, hidden code, answer, difference."""

import math
from collections.abc import Sequence

import numpy as np

from denoise.pictures import Pixels
from denoise.pictures.images import text
from denoise.pictures.resampling import resample

MOST_HEIGHT_PX, MOST_WIDTH_PX = 196, 392
GAP_PX = 12
CAPTION_PX = 20
BACKGROUND = 0.93
GAP_BETWEEN_MAPS_PX = 1


def explain(sent: Pixels, seen: Pixels, code: Pixels | None, answer: Pixels) -> Pixels:
    """The strip of a picture `sent`: what the model saw, its code (where it has one), the answer and the difference.

    All are pictures `[height, width]`, 0 … 1; `sent` and `answer` are of one shape. Where nothing differs, the
    difference is white.
    """
    hidden = [] if code is None else [("hidden code", draw_code(code))]
    difference = 1 - np.abs(answer - sent)
    panels = [("sent", sent), ("seen by the model", seen), *hidden, ("answer", answer), ("difference", difference)]
    return lay_side_by_side(panels)


def lay_side_by_side(panels: Sequence[tuple[str, Pixels]]) -> Pixels:
    """Captioned panels, each `[height, width]`, 0 … 1, brought to a size that can be looked at."""
    drawn = [(text(caption), _readable(pixels)) for caption, pixels in panels]
    widths = [max(caption.shape[1], pixels.shape[1]) for caption, pixels in drawn]
    height = CAPTION_PX + max(pixels.shape[0] for _, pixels in drawn) + 2 * GAP_PX
    sheet = np.full((height, sum(widths) + GAP_PX * (len(drawn) + 1)), BACKGROUND, np.float32)
    left = GAP_PX
    for (caption, pixels), width in zip(drawn, widths, strict=True):
        sheet[GAP_PX : GAP_PX + caption.shape[0], left : left + caption.shape[1]] *= caption
        top = GAP_PX + CAPTION_PX
        sheet[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        left += width + GAP_PX
    return sheet


def draw_code(code: Pixels) -> Pixels:
    """A hidden code, `[units]` or `[height, width, channels]`, black at 0 and white at its largest number.

    Units become a rectangle as square as they allow; channels become maps side by side in such a rectangle.
    """
    maps: Pixels = np.abs(code.reshape(1, 1, -1) if code.ndim == 1 else code)
    maps = maps / np.float32(max(float(maps.max()), 1e-9))
    height, width, count = maps.shape
    gap = GAP_BETWEEN_MAPS_PX if height * width > 1 else 0
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
    fits = min(MOST_HEIGHT_PX / height, MOST_WIDTH_PX / width)
    if fits >= 1:
        return pixels.repeat(int(fits), axis=0).repeat(int(fits), axis=1)
    size = max(1, round(height * fits)), max(1, round(width * fits))
    return np.clip(resample(pixels, size, (0, height), (0, width)), 0, 1).astype(np.float32)
