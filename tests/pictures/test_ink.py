"""The digit is told from specks and noise by its connected pieces."""

import numpy as np
import pytest
from scipy import ndimage

from denoise.pictures import ink


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45, 0.6])
def test_pieces_are_those_that_hang_together(share: float) -> None:
    mask = np.random.default_rng(3).random((40, 60)) < share
    expected, count = ndimage.label(mask, np.ones((3, 3)))
    pieces = ink.number_pieces(mask)
    assert len(np.unique(pieces[mask])) == count
    assert len(np.unique(np.stack([pieces[mask], expected[mask]]), axis=1).T) == count
    assert not pieces[~mask].any()
