"""How unsure a model is of its answer, from the answer itself; pure numpy."""

import numpy as np

from denoise.pictures import Pixels


def uncertainty(seen: Pixels, answer: Pixels) -> float:
    """One number, 0 (sure) … 1, that ranks answers by their error.

    A pixel of an answer trained by cross-entropy on near-binary ink is the probability p of ink, and 4·p·(1-p) its
    doubt: 1 at an even chance. Grey edges have p near a half as well, and no error where they were grey already; so
    each pixel's doubt counts by how far the model moved it from what it saw. The mean over all pixels is given.

    Args:
        seen: what the model saw, 0 … 1.
        answer: what it made of it, of the same shape.
    """
    return 4 * float(np.vdot(answer * (1 - answer), np.abs(answer - seen))) / answer.size
