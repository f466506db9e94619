"""Bytes and pixels: decoding, finding the ink, framing, and back. Knows no HTTP and no onnxruntime."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]  # 0 … 1, [height, width] unless it is said otherwise
MULTIPLE = 4  # px: what the sides of a picture are padded to for a model of any size, which halves them twice
SMALL_PICTURE = 64 * 64  # px: up to here a picture takes less time than handing it to a thread
