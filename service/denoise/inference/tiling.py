"""A picture of any size through a model, in overlapping tiles, so that memory stays bounded and no seam shows."""

from collections.abc import Callable

import numpy as np

from denoise.inference.denoiser import Restored
from denoise.pictures import Pixels

TILE = 512  # px a side, margins included
MARGIN = 64  # px on each side that a tile sees and does not answer for: more than a model looks around itself


def run(model: Callable[[Pixels], Restored], pixels: Pixels) -> tuple[Pixels, Pixels | None]:
    """What `model` makes of a picture `[height, width]`: pixels of that shape, and the code of one that has any.

    The sides are multiples of what the model halves them to; so are those of the tiles. A picture in tiles has no code.
    """
    height, width = pixels.shape
    if max(height, width) <= TILE:
        restored = model(pixels[np.newaxis, :, :, np.newaxis])
        return restored.pixels[0, :, :, 0], None if restored.code is None else restored.code[0]
    answer = np.empty_like(pixels)
    inner = TILE - 2 * MARGIN
    for top in range(0, height, inner):
        for left in range(0, width, inner):
            seen_top, seen_left = max(0, top - MARGIN), max(0, left - MARGIN)
            seen = pixels[seen_top : top + inner + MARGIN, seen_left : left + inner + MARGIN]
            tile = model(seen[np.newaxis, :, :, np.newaxis]).pixels[0, :, :, 0]
            own = tile[top - seen_top : top - seen_top + inner, left - seen_left : left - seen_left + inner]
            answer[top : top + inner, left : left + inner] = own
    return answer, None
