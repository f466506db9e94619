"""The paper of a picture, as a smooth surface, and the ink that stands off it; pure numpy.

All is found on a thumbnail, where noise is averaged away. A quadratic surface is fitted to a band along the four edges,
where the paper shows, by reweighted least squares (Cauchy weights), so that a digit touching an edge does not bend it.
It follows uneven light. What stands off the surface is ink.

What is cut out to the digit's very edges shows little paper: there a bold digit's paper can be taken for its ink.
"""

from dataclasses import dataclass

import numpy as np

from denoise.pictures import MID_GREY, Pixels, Plane
from denoise.pictures.resampling import Span, centres, resample

LONGEST_THUMBNAIL_SIDE = 128
BAND_SHARE = 0.1
REWEIGHTINGS = 6
# The Gaussian that smooths the ink has a deviation of this share of the thumbnail's longer side.
SMOOTHING_SHARE = 1 / 110
LEAST_SMOOTHING_PX = 0.8
# A picture whose ink stands less than this off its paper is blank.
LEAST_CONTRAST = 0.02


@dataclass(frozen=True)
class Look:
    """What the thumbnail of a picture shows.

    Attributes:
        ink: how far each pixel of the thumbnail stands off the paper, noise smoothed; positive where it is lighter.
        paper: the six coefficients of the paper's surface, whose axes reach from -1 to 1 over the picture.
        scale: pixels of the picture per pixel of the thumbnail, down and across.
        bright: whether the picture is nearer to white than to black.
    """

    ink: Plane
    paper: Plane
    scale: tuple[float, float]
    bright: bool


def look(pixels: Pixels) -> Look:
    """What a picture `[height, width]`, 0 … 1, shows when it is looked at from afar."""
    height, width = pixels.shape
    shrink = min(1.0, LONGEST_THUMBNAIL_SIDE / max(height, width))
    small = max(1, round(height * shrink)), max(1, round(width * shrink))
    thumbnail: Plane = pixels if small == pixels.shape else resample(pixels, small, (0, height), (0, width))
    terms = _terms(small, small, (0, small[0]), (0, small[1]))
    coefficients = _fit_surface(thumbnail, terms)
    ink = _smooth(thumbnail - terms @ coefficients, max(LEAST_SMOOTHING_PX, SMOOTHING_SHARE * max(small)))
    return Look(ink, coefficients, (height / small[0], width / small[1]), float(thumbnail.mean()) > MID_GREY)


def surface(seen: Look, shape: tuple[int, int], size: tuple[int, int], rows: Span, columns: Span) -> Plane:
    """The paper alone, `[*size]`, of a stretch of a picture; `shape` is the picture's and `seen` the look at it."""
    paper: Plane = _terms(shape, size, rows, columns) @ seen.paper
    return paper


def _terms(shape: tuple[int, int], size: tuple[int, int], rows: Span, columns: Span) -> Plane:
    """The six terms of a quadratic surface at the pixels of a stretch, `[*size, 6]`; each axis of `shape` is -1 … 1."""
    places = centres(size[0], rows) * 2 / shape[0] - 1, centres(size[1], columns) * 2 / shape[1] - 1
    y, x = np.meshgrid(*places, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit_surface(thumbnail: Plane, terms: Plane) -> Plane:
    """Coefficients of the quadratic surface through the paper along the edges of a thumbnail."""
    band = _band(thumbnail.shape[0], thumbnail.shape[1])
    shown = terms[band]
    values = thumbnail[band].astype(np.float64)
    # Distances from the median come first, so that what lies along one edge alone has no say from the start.
    off = np.abs(values - np.median(values))
    coefficients: Plane = np.zeros(terms.shape[-1])
    for _ in range(REWEIGHTINGS):
        weights = 1 / np.sqrt(1 + np.square(off / max(1.5 * float(np.median(off)), 0.01)))
        coefficients = np.linalg.lstsq(shown * weights[:, None], values * weights, rcond=None)[0]
        off = np.abs(values - shown @ coefficients)
    return coefficients


def _band(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """True along the edges of a thumbnail, as deep as BAND_SHARE of each side, where the paper is looked for."""
    band = np.ones((height, width), bool)
    deep, wide = max(1, round(BAND_SHARE * height)), max(1, round(BAND_SHARE * width))
    band[deep : height - deep, wide : width - wide] = False
    return band


def _smooth(pixels: Plane, sigma: float) -> Plane:
    """Blurred by a Gaussian of `sigma` px, edges repeated."""
    reach = round(3 * sigma)
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    kernel /= kernel.sum()
    for _ in range(2):
        padded = np.pad(pixels, ((reach, reach), (0, 0)), mode="edge")
        pixels = np.sum([weight * padded[i : i + len(pixels)] for i, weight in enumerate(kernel)], axis=0).T
    return pixels
