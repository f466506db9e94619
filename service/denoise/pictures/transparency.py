"""Transparent pictures laid over the paper that leaves their ink visible; pure numpy."""

import math

import numpy as np

from denoise.pictures import MID_GREY, Pixels

# Opaque pixels whose grey deviates by less are of one tone.
LEAST_DEVIATION_OF_TWO_TONES = 0.1


def lay_over_paper(luma: Pixels, alpha: Pixels) -> Pixels:
    """Transparency laid over white or black.

    What is opaque and all of one tone is bare ink: it gets the paper it stands out from. What has light and dark in it
    has its own paper: the rest gets the like.
    """
    weight = max(float(alpha.sum()), 1e-9)
    mean = float((luma * alpha).sum()) / weight
    spread = math.sqrt(float((np.square(luma - mean) * alpha).sum()) / weight)
    light = mean >= MID_GREY
    laid: Pixels = luma * alpha + np.float32(light != (spread < LEAST_DEVIATION_OF_TWO_TONES)) * (1 - alpha)
    return laid
