"""A small MNIST, made of the real test digits, so that whole runs take seconds."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Pixels
from training import mnist

TRAIN, TEST = 2000, 200  # digits


def archives(digits: Pixels) -> dict[str, bytes]:
    """The four archives, `TRAIN` digits to train on and `TEST` to test."""
    pixels = np.rint(digits * 255).astype(np.uint8)
    contents = {}
    for half, part in (("train", pixels[:TRAIN]), ("t10k", pixels[TRAIN : TRAIN + TEST])):
        images = struct.pack(">4I", mnist.IMAGES_MAGIC, *part.shape) + part.tobytes()
        labels = struct.pack(">2I", mnist.LABELS_MAGIC, len(part)) + bytes(len(part))
        contents[f"{half}-images-idx3-ubyte.gz"] = gzip.compress(images)
        contents[f"{half}-labels-idx1-ubyte.gz"] = gzip.compress(labels)
    return contents


@pytest.fixture(scope="session")
def small_archives(digits: Pixels) -> dict[str, bytes]:
    return archives(digits)


@pytest.fixture
def small_mnist(small_archives: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the four small archives, whose md5s are taken for MNIST's."""
    folder = tmp_path / "small_mnist"
    folder.mkdir()
    for name, content in small_archives.items():
        (folder / name).write_bytes(content)
        monkeypatch.setitem(mnist.MD5_OF_ARCHIVES, name, hashlib.md5(content).hexdigest())
    return folder
