"""Bytes and pixels: decoding, finding the ink, framing, and back. Knows no HTTP and no onnxruntime."""

import numpy as np
from numpy.typing import NDArray

# A grey picture `[height, width]` unless it is said otherwise: Pixels reach from 0 (black) to 1 (white), a Plane has no
# bounds.
Pixels = NDArray[np.float32]
Plane = NDArray[np.floating]
# A picture in colours: `[height, width, 3]`, red, green and blue from 0 to 255.
Colours = NDArray[np.uint8]

MID_GREY = 0.5
# A model of any size halves a picture twice, so both sides are padded to a multiple of this many pixels.
MULTIPLE = 4
# A picture of up to so many pixels takes less time than handing it to a thread.
SMALL_PICTURE = 64 * 64
# Floats may be outside 0 … 1 by this much, which is rounding.
RANGE_SLACK = 1e-3
