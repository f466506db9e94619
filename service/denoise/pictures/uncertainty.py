"""How unsure an answer is, from the answer itself and from what was found in its picture; pure numpy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from denoise.pictures import Pixels
from denoise.pictures.framing import Frame
from denoise.pictures.polarity import CLOSE_MARGIN

# Writing covers less of a page: from the first share of ink on an answer is doubtful, from the second on ruined.
MUCH_INK, ALL_INK = 0.4, 0.8
# A polarity of which the vote was even is as doubtful as a coin.
DOUBT_OF_EVEN_VOTE = 0.5
# A digit's strokes may be broken into so many marks.
MOST_MARKS = 4


class Doubts(NamedTuple):
    """How far an answer is to be trusted.

    Attributes:
        uncertainty: 0 (sure) … 1: ranks answers by their error.
        warnings: what a caller should know, in sentences of ASCII: they travel in a header.
    """

    uncertainty: float
    warnings: tuple[str, ...]


def judge(seen: Pixels, answer: Pixels, frame: Frame) -> Doubts:
    """The doubts about what a model made of what it saw, light ink on black, both of one shape, 0 … 1.

    `frame` tells how clear the picture's polarity was, and by how much it was shrunk.
    """
    ink = float(np.add.reduce(answer.ravel())) / answer.size
    return Doubts(_uncertainty(seen, answer, ink, frame.margin), _warnings(answer.shape, ink, frame))


def join(several: Sequence[Doubts]) -> Doubts:
    """Those about one answer that holds several pictures: the largest uncertainty, and each warning once."""
    warnings = dict.fromkeys(warning for doubts in several for warning in doubts.warnings)
    return Doubts(max(doubts.uncertainty for doubts in several), tuple(warnings))


def _uncertainty(seen: Pixels, answer: Pixels, ink: float, margin: float) -> float:
    """One number, 0 (sure) … 1, that ranks answers by their error.

    A pixel of an answer trained by cross-entropy on near-binary ink is the probability p of ink, and 4·p·(1-p) its
    doubt: 1 at an even chance. Grey edges have p near a half as well, and no error where they were grey already; so
    each pixel's doubt counts by how far the model moved it from what it saw. The mean over all pixels is the model's
    own doubt. A model is sure of a page that it was shown the wrong way round: what covers more of the page than
    writing does, and a polarity that was a close call, are doubts of their own. The chances that each of the three is
    no fault are multiplied.
    """
    moved = answer - seen
    np.abs(moved, out=moved)
    doubt = answer * answer
    np.subtract(answer, doubt, out=doubt)
    own = 4 * float(doubt.ravel().dot(moved.ravel())) / answer.size
    covered = 0.0 if ink <= MUCH_INK else min(1.0, (ink - MUCH_INK) / (ALL_INK - MUCH_INK))
    undecided = 0.0 if margin >= CLOSE_MARGIN else DOUBT_OF_EVEN_VOTE * (1 - margin / CLOSE_MARGIN)
    return 1 - (1 - own) * (1 - covered) * (1 - undecided)


def _warnings(shape: tuple[int, ...], ink: float, frame: Frame) -> tuple[str, ...]:
    warnings = []
    if frame.margin < CLOSE_MARGIN:
        found = "dark ink on light paper" if frame.inverted else "light ink on dark paper"
        warnings.append(f"The picture was taken for {found}, which was a close call: 'invert' says which it is.")
    if ink > MUCH_INK:
        warnings.append(f"Ink covers {ink:.0%} of the answer, more than writing does: try 'invert', or look at it.")
    if frame.marks > MOST_MARKS:
        warnings.append(
            f"The picture shows {frame.marks} marks, and this model takes one digit of {shape[1]} by {shape[0]} "
            "pixels; one of any size takes pages."
        )
    if frame.shrunk > 1:
        height, width = shape
        warnings.append(f"The picture was shrunk by {frame.shrunk:.1f}, to {width} by {height} pixels, for the model.")
    return tuple(warnings)
