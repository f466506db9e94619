"""MNIST's test digits, and who reads digits by them: what is read of a picture before and after it was cleaned."""

import gzip

import numpy as np
from numpy.typing import NDArray

from benchmarks import TEST_DIGITS
from denoise.pictures import Pixels

LABELS = TEST_DIGITS.with_name("t10k-labels-idx1-ubyte.gz")
SIDE = 28
# The digits before this one are on the pages, those from it on are known to the reader.
FIRST_KNOWN = 2000
IMAGES_HEAD_BYTES, LABELS_HEAD_BYTES = 16, 8


class Reader:
    """Reads a digit as the nearest of those that it knows."""

    def __init__(self, digits: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        self._known = self._flat(digits)
        self._squares = np.square(self._known).sum(axis=1)
        self._labels = labels

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What pictures `[count, 28, 28]` show."""
        nearness = 2 * self._flat(pictures) @ self._known.T - self._squares
        labels: NDArray[np.uint8] = self._labels[nearness.argmax(axis=1)]
        return labels

    def _flat(self, pictures: NDArray[np.uint8]) -> Pixels:
        return pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)


def test_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """MNIST's 10,000 test digits `[count, 28, 28]`, light ink on black, which no model was trained on; their labels."""
    images, labels = (gzip.decompress(path.read_bytes()) for path in (TEST_DIGITS, LABELS))
    digits = np.frombuffer(images, np.uint8, offset=IMAGES_HEAD_BYTES).reshape(-1, SIDE, SIDE)
    return digits, np.frombuffer(labels, np.uint8, offset=LABELS_HEAD_BYTES)


def trained(digits: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Reader:
    """A reader that knows the clean test digits which are on no page."""
    return Reader(digits[FIRST_KNOWN:], labels[FIRST_KNOWN:])
