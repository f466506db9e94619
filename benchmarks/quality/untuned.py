"""Plain ways to clean a photo of writing, with nothing tuned on the picture: what the model is measured against there.

All take and give a picture `[height, width]`, 0 … 1, dark ink on light paper, and how large its digits are, in px.
"""

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import filters

from benchmarks.quality import classical
from denoise.pictures import Pixels

# The paper is looked for in a window as wide as a digit, on a thumbnail where that has so many pixels.
WINDOW_PX = 15
DARKEST_PAPER = 0.02
HISTOGRAM_BINS = 128
NEAR_PAPER, PAPER_DEVIATIONS, PAPER_MARGIN = 0.15, 3, 0.02
DARKEST_PERCENT, INK_MARGIN = 1, 0.1
SAUVOLA_K = 0.2
MEANS_H = 0.08


def divide(picture: Pixels, digit_px: int) -> Pixels:
    """Divided by its background, which is the maximum and then the median around each place; then levelled."""
    shrink = max(1, digit_px // WINDOW_PX)
    window = max(3, digit_px // shrink) | 1
    thumbnail = np.asarray(Image.fromarray(picture).reduce(shrink))
    background = ndimage.median_filter(ndimage.maximum_filter(thumbnail, window // 2 | 1), window, mode="nearest")
    large = Image.fromarray(background).resize(picture.shape[::-1], Image.Resampling.BICUBIC)
    return level(np.clip(picture / np.maximum(np.asarray(large), DARKEST_PAPER), 0, 1))


def level(picture: Pixels) -> Pixels:
    """Automatic levels: paper, the commonest light grey, becomes white, and the darkest hundredth black."""
    counts, edges = np.histogram(picture, HISTOGRAM_BINS, (0, 1))
    paper = edges[HISTOGRAM_BINS // 2 + counts[HISTOGRAM_BINS // 2 :].argmax()]
    spread = np.median(np.abs(picture[picture > paper - NEAR_PAPER] - paper))
    white = paper - PAPER_DEVIATIONS * spread - PAPER_MARGIN
    black = min(np.percentile(picture, DARKEST_PERCENT) + INK_MARGIN, white - INK_MARGIN)
    levelled: Pixels = np.clip((picture - black) / (white - black), 0, 1).astype(np.float32)
    return levelled


def sauvola(picture: Pixels, digit_px: int) -> Pixels:
    """Black below the local threshold of Sauvola and Pietikäinen, 2000, white above it."""
    threshold = filters.threshold_sauvola(picture, digit_px | 1, k=SAUVOLA_K)  # type: ignore[no-untyped-call]
    lighter: Pixels = (picture > threshold).astype(np.float32)
    return lighter


def smooth_and_divide(picture: Pixels, digit_px: int) -> Pixels:
    """Non-local means of one strength, then division."""
    return divide(classical.non_local_means(picture, MEANS_H).astype(np.float32), digit_px)


def guess_digit_px(picture: Pixels) -> int:
    """A digit's side where nobody tells it: a twentieth of the picture's shorter one."""
    return max(WINDOW_PX, int(min(picture.shape)) // 20)


METHODS = {"division": divide, "Sauvola": sauvola, "non-local means, division": smooth_and_divide}
