"""Whether a picture's ink is dark on light paper or light on dark; pure numpy.

A small picture's skewness about its mean or median often says it all at once. Any other is looked at in tiles. Ink is
what differs from the median around it and is narrower than that neighbourhood: on a tile with ink these differences
are skewed, towards dark or towards light, while shadows and the edges of tables leave next to none. Each tile has a
vote that weighs as much as its skewness is clear and its ink is strong, and one without marks has none. Where nobody
votes, the picture has the polarity of its brightness.
"""

from typing import NamedTuple

import numpy as np

from denoise.pictures import MID_GREY, SMALL_PICTURE, Pixels, Plane, ink, neighbourhood, paper
from denoise.pictures.paper import LEAST_CONTRAST, Look

# MNIST's clean digits have a skewness of 0.9 … 3, and no noise turns it below -0.5.
CLEAR_SKEWNESS = 0.6
# Skewness about the median is larger and holds under more noise, but takes longer to find.
CLEAR_SKEWNESS_ABOUT_MEDIAN = 1.0
# The votes are taken on a thumbnail of about so many pixels.
THUMBNAIL_PIXELS = 120_000
# A picture that is no larger is averaged over so many pixels: what lies between printed dots looks like light ink.
SMOOTHING_PX = 5
# The window of the median and a tile are these shares of the thumbnail's shorter side.
WINDOW_SHARE, LEAST_WINDOW = 1 / 4, 9
TILE_SHARE, LEAST_TILE = 1 / 10, 8
# What is as wide as this share of the median's window, down and across, is no stroke.
STROKE_SHARE = 0.6
# The skewness from which on a tile has a vote, and from which on a whole one.
LEAST_SKEWNESS, FULL_SKEWNESS = 0.4, 1.5
# A tile whose deviation is this share of the clearest tiles' has a whole vote, and the others one by the square of what
# they have of it: printed patterns are many and faint.
CLEAR_SHARE, CLEAR_PERCENTILE = 0.5, 90
# Pictures that people send are mostly dark ink on light paper, which decides between votes that are as good as even.
LEAN_TO_DARK = 0.1
# A side that is ahead by less than this share of all votes is a close call.
CLOSE_MARGIN = 0.3


class Verdict(NamedTuple):
    """What a picture's polarity was found to be.

    Attributes:
        dark: whether its ink is dark on light paper.
        margin: by how much of all votes that side is ahead, 0 (as many against it) … 1 (none).
    """

    dark: bool
    margin: float


def judge(pixels: Pixels) -> Verdict:
    """The polarity of a picture `[height, width]`, 0 … 1, at little cost where it is small and clear."""
    if pixels.size > SMALL_PICTURE:
        bright = float(pixels[:: max(1, pixels.shape[0] // 100)].mean()) > MID_GREY
        return _count_votes(_vote(pixels)) or Verdict(bright, 1.0)
    flat = pixels.ravel()
    skewness = _skewness(flat, float(np.add.reduce(flat)) / flat.size)
    if abs(skewness) <= CLEAR_SKEWNESS:
        skewness = _skewness(flat, float(np.median(flat)))
        if abs(skewness) <= CLEAR_SKEWNESS_ABOUT_MEDIAN:
            return Verdict(shows_dark_ink(paper.look(pixels)), 1.0)
    return Verdict(skewness < 0, 1.0)


def judge_digit(pixels: Pixels, look: Look) -> Verdict:
    """The polarity of a picture of one digit, which may fill it so that no tile has a vote; `look` is the look at it.

    Of digits in shadows and on dark tables votes that are no close call are wrong a third as often as the look alone.
    """
    votes = _count_votes(_vote(pixels)) if pixels.size > SMALL_PICTURE else None
    if votes and votes.margin >= CLOSE_MARGIN:
        return votes
    return Verdict(shows_dark_ink(look), votes.margin if votes else 1.0)


def shows_dark_ink(look: Look) -> bool:
    """Whether the ink of a picture that has been looked at from afar is dark.

    Ink stands off the paper one way, further than the paper's noise does: the sum of the cubes of the smoothed
    difference is negative for dark ink.
    """
    dark = float(np.sum(look.ink**3)) < 0
    return dark if ink.find_digit(look, dark).any() else look.bright


def turn(pixels: Pixels, inverted: bool) -> Pixels:
    """The picture with black and white exchanged, if it is `inverted`."""
    return 1 - pixels if inverted else pixels


def _vote(pixels: Pixels) -> Plane:
    """Each tile's vote, -1 (dark ink) … 1 (light ink)."""
    block = max(1, round(float(np.sqrt(pixels.size / THUMBNAIL_PIXELS))))
    thumbnail = neighbourhood.block_means(pixels, min(block, pixels.shape[0]), min(block, pixels.shape[1]))
    if block == 1:
        thumbnail = neighbourhood.mean(thumbnail, SMOOTHING_PX)
    off = _off_surroundings(thumbnail, max(LEAST_WINDOW, round(WINDOW_SHARE * min(thumbnail.shape))))
    tile = max(LEAST_TILE, round(TILE_SHARE * min(thumbnail.shape)))
    second = neighbourhood.block_means(off * off, tile, tile)
    third = neighbourhood.block_means(off**3, tile, tile)
    skewness = third / np.maximum(second, LEAST_CONTRAST**2) ** 1.5
    deviations = np.sqrt(second)
    clear = CLEAR_SHARE * float(np.percentile(deviations, CLEAR_PERCENTILE)) + np.finfo(np.float32).tiny
    votes = np.clip(skewness / FULL_SKEWNESS, -1, 1) * (np.abs(skewness) > LEAST_SKEWNESS)
    weighed: Plane = votes * np.square(np.minimum(1, deviations / clear))
    return weighed


def _off_surroundings(thumbnail: Plane, window: int) -> Plane:
    """How far each pixel stands off the median around it, as far as it belongs to something narrow."""
    narrow = round(STROKE_SHARE * window)
    opened = neighbourhood.maximum(neighbourhood.minimum(thumbnail, narrow), narrow)
    closed = neighbourhood.minimum(neighbourhood.maximum(thumbnail, narrow), narrow)
    # At the corner of a sheet on a table the median is the table's, and the sheet would pass for light ink.
    off: Plane = np.clip(thumbnail - neighbourhood.median(thumbnail, window), thumbnail - closed, thumbnail - opened)
    return off


def _count_votes(votes: Plane) -> Verdict | None:
    """What the tiles' votes come to; None where nobody votes."""
    cast = float(np.abs(votes).sum())
    if not cast:
        return None
    balance = float(votes.sum()) / cast
    return Verdict(balance < LEAN_TO_DARK, abs(balance))


def _skewness(values: Pixels, middle: float) -> float:
    """The third standardized moment about `middle`."""
    off = values - middle
    squares = off * off
    second, third = float(off.dot(off)) / off.size, float(squares.dot(off)) / off.size
    return float(third / max(second, LEAST_CONTRAST**2) ** 1.5)
