"""Transparent pictures laid over the paper that leaves their ink visible; pure numpy."""

import math

import numpy as np

from denoise.pictures import MID_GREY, Pixels

# Opaque pixels whose grey deviates by less are of one tone.
LEAST_DEVIATION_OF_TWO_TONES = 0.1
# Ink is light when at most this share of it is darker than mid grey, as the edges of its strokes may be.
DARK_SHARE_OF_LIGHT_INK = 0.05
# Ink alone covers less than this share of a picture; what covers more, and has two tones, has paper of its own.
MOST_INK = 0.75


def lay_over(pixels: Pixels, alpha: Pixels, paper: float) -> Pixels:
    """A picture, opaque by `alpha`, 0 … 1, over paper of one tone."""
    laid: Pixels = pixels * alpha + np.float32(paper) * (1 - alpha)
    return laid


def find_paper(luma: Pixels, alpha: Pixels) -> float:
    """The tone of the paper, 0 or 1, that leaves the ink of a picture `[height, width]` visible.

    Ink that is light throughout gets black paper; any other, of one colour or several, gets white. A picture that
    brings paper of its own gets the like. Where nothing is opaque there is nothing to be seen: that is white.
    """
    weight = max(float(alpha.sum()), 1e-9)
    mean = float((luma * alpha).sum()) / weight
    spread = math.sqrt(float((np.square(luma - mean) * alpha).sum()) / weight)
    if weight > MOST_INK * alpha.size and spread >= LEAST_DEVIATION_OF_TWO_TONES:
        return float(mean >= MID_GREY)
    dark = float(alpha[luma < MID_GREY].sum()) / weight
    return float(dark > DARK_SHARE_OF_LIGHT_INK or mean < MID_GREY)
