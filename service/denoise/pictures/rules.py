"""Takes the lines of ruled and squared paper off a clean page, also where they run through the writing; pure numpy.

A rule is longer than any stroke of a digit, or much thinner than most strokes. Of what lies on it, that alone is taken
which is as thin as it: where a stroke crosses, the page is thicker.
"""

import numpy as np

from denoise.pictures import marks
from denoise.pictures.ink import Mask
from denoise.pictures.marks import Numbers, Runs

# No stroke of a digit is straight for longer than this, in pixels and in sides of the page: a model of any size works
# on strokes of up to three times MNIST's.
LONGEST_STROKE_PX, LONGEST_STROKE_SHARE = 120, 0.15
# A rule is at most so thick.
THICKEST_RULE_PX = 12
# Where a long rule is thicker than most of all rules by this factor and a pixel, a stroke lies on it.
MOST_THICKNESS = 1.5
# What is thinner than this, in thicknesses of most strokes, and longer than that, in typical sizes, is no stroke.
LEAST_THICKNESS, LEAST_LENGTH = 0.45, 0.5


def take_off_long(ink: Mask) -> Mask:
    """The mask `[height, width]` without the rules that are longer than any stroke. Raises TooLarge."""
    along, down = run_lengths(ink), run_lengths(ink.T).T
    return ink & ~(_long(along, down, ink.shape[1]) | _long(down, along, ink.shape[0]))


def take_off_thin(ink: Mask, writing: Runs, size: float) -> tuple[Mask, float]:
    """The mask without the rules that are much thinner than the strokes of writing whose digits have that `size`.

    Also the thickness of most strokes, in pixels. Raises TooLarge.
    """
    along, down = run_lengths(ink), run_lengths(ink.T).T
    thickness = _thickness(writing, down)
    thinnest, shortest = LEAST_THICKNESS * thickness, LEAST_LENGTH * size
    across_page = run_lengths(ink & (down <= thinnest))
    down_page = run_lengths((ink & (along <= thinnest)).T).T
    return ink & (np.maximum(across_page, down_page) < shortest), thickness


def _thickness(writing: Runs, down: Numbers) -> float:
    """The thickness that half of the ink has at least: the shorter way through it at the middle of each run."""
    lengths = writing.stop - writing.start
    if not len(lengths):
        return 1.0
    thickness = np.minimum(lengths, down[writing.row, (writing.start + writing.stop) // 2])
    order = np.argsort(thickness)
    ink = np.cumsum(lengths[order])
    return float(thickness[order][np.searchsorted(ink, ink[-1] / 2)])


def run_lengths(ink: Mask) -> Numbers:
    """For each pixel of a mask how many pixels of its row hang together with it; 0 where there is no ink."""
    runs = marks.find_runs(ink)
    lengths = np.zeros(ink.shape, np.int64)
    lengths[ink] = np.repeat(runs.stop - runs.start, runs.stop - runs.start)
    return lengths


def _long(along: Numbers, across: Numbers, length: int) -> Mask:
    """Where a long rule is and no stroke lies on it, by the runs along and across it, on a page of that `length`."""
    long = along >= max(LONGEST_STROKE_PX, LONGEST_STROKE_SHARE * length)
    if not long.any():
        return long
    thickness = float(np.median(across[long]))
    rule: Mask = long & (across <= min(MOST_THICKNESS * thickness + 1, THICKEST_RULE_PX))
    return rule
