"""Which of what stands off the paper is the digit, and which is specks, noise and the paper's edge; pure numpy.

Ink reaches a share of its peak and stands above the noise (median absolute deviation). Of the connected pieces, one
that takes most of a side of the picture is the edge of the paper, and those much lighter than the heaviest are specks.
The rest is the digit.
"""

import numpy as np
from numpy.typing import NDArray

from denoise.pictures import Plane
from denoise.pictures.paper import LEAST_CONTRAST, Look

Mask = NDArray[np.bool_]

LEAST_SHARE_OF_PEAK = 0.4
LEAST_DEVIATIONS_OF_NOISE = 4.0
# A piece that takes more than this share of a side of the picture is no ink, if there is any other piece.
EDGE_SHARE = 0.6
# A piece with less than this share of the heaviest piece's mass is a speck.
SPECK_SHARE = 0.1


def find_digit(look: Look, dark: bool) -> Mask:
    """Where the digit is on a thumbnail, whose ink is `dark` or light; nowhere in a picture that shows none."""
    return _find_digit(-look.ink if dark else look.ink)


def _find_digit(ink: Plane) -> Mask:
    noise = 1.4826 * float(np.median(np.abs(ink - np.median(ink))))
    top = max(1, ink.size // 200)
    peak = float(np.partition(ink, -top, axis=None)[-top:].mean())
    mask = ink > max(LEAST_SHARE_OF_PEAK * peak, LEAST_DEVIATIONS_OF_NOISE * noise, LEAST_CONTRAST)
    pieces = number_pieces(mask)
    masses = np.bincount(pieces.ravel(), weights=np.where(mask, ink, 0).ravel())
    for side in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        along = np.bincount(side, minlength=len(masses))
        if (others := np.where(along > EDGE_SHARE * len(side), 0, masses)).any():
            masses = others
    heavy: Mask = masses >= SPECK_SHARE * masses.max()
    return mask & heavy[pieces]


def count_pieces(mask: Mask) -> int:
    """How many connected pieces a mask `[height, width]` has."""
    return len(np.unique(number_pieces(mask)[mask]))


def number_pieces(mask: Mask) -> NDArray[np.int64]:
    """Numbers the connected pieces of a mask `[height, width]`, diagonal neighbours included; 0 where there is none.

    The largest number of each piece spreads until it is everywhere. Each number names a pixel of the same piece; the
    number which that pixel has got meanwhile is taken as well, so that long and winding pieces take no more rounds than
    others (Shiloach and Vishkin, 1982).
    """
    pieces = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        padded = np.pad(pieces, 1)
        spread = np.max(
            [padded[i : i + mask.shape[0], j : j + mask.shape[1]] for i in range(3) for j in range(3)], axis=0
        )
        spread = np.where(mask, spread.ravel()[spread - 1], 0)
        if np.array_equal(spread, pieces):
            return pieces
        pieces = spread
