"""The MNIST digits: four IDX archives, checked, downloaded where they are missing, read as pixels.

Format: http://yann.lecun.com/exdb/mnist/ (big-endian magic number, one 32-bit count per axis, then unsigned bytes).
"""

import gzip
import hashlib
import http.client
import shutil
import tempfile
import urllib.request
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

Pixels = NDArray[np.float32]

# A digit has so many pixels along each side.
SIDE = 28
MD5_OF_ARCHIVES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
MIRROR_TIMEOUT_S = 30
IMAGES_MAGIC = 0x803
LABELS_MAGIC = 0x801


class DataError(TrainingError):
    """An archive is missing, damaged, or not what its name says; the message names the file and the way out."""


class Digits(NamedTuple):
    """One half of MNIST: pixels `[count, 28, 28, 1]`, light ink on black, 0 … 1; labels `[count]`, 0 … 9."""

    pixels: Pixels
    labels: NDArray[np.uint8]


def load(folder: Path) -> tuple[Digits, Digits]:
    """The 60,000 training and the 10,000 test digits from the archives in `folder`.

    Archives that are missing are downloaded there first. Every archive is checked against its md5 before it is read.

    Raises:
        DataError: an archive has the wrong md5, or is missing and no mirror gives it.
    """
    for name in MD5_OF_ARCHIVES:
        if not (folder / name).exists():
            _download(name, folder)
        _check(folder / name, name)
    return _digits(folder, "train"), _digits(folder, "t10k")


def _digits(folder: Path, half: str) -> Digits:
    return Digits(
        read_images(folder / f"{half}-images-idx3-ubyte.gz"),
        read_labels(folder / f"{half}-labels-idx1-ubyte.gz"),
    )


def read_images(path: Path) -> Pixels:
    """The pictures of a gzipped IDX file as `[count, height, width, 1]`, 0 … 1. Raises DataError when it is none."""
    return (_read_idx(path, IMAGES_MAGIC)[..., np.newaxis] / np.float32(255)).astype(np.float32)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """The labels of a gzipped IDX file as `[count]`. Raises DataError when it is none."""
    return _read_idx(path, LABELS_MAGIC)


def _read_idx(path: Path, magic: int) -> NDArray[np.uint8]:
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a gzip archive: {error}") from error
    axes = magic & 0xFF  # The last byte of the magic number counts the axes.
    header = np.frombuffer(content[: 4 * (1 + axes)].ljust(4 * (1 + axes), b"\0"), dtype=">u4")
    shape = tuple(int(length) for length in header[1:])
    values = np.frombuffer(content, dtype=np.uint8, offset=min(len(content), header.nbytes))
    if header[0] != magic or values.size != np.prod(shape):
        raise DataError(f"{path} is not the IDX file its name says: magic {magic:#x} and {axes} lengths are expected")
    return values.reshape(shape)


def _check(path: Path, name: str) -> None:
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if md5 != MD5_OF_ARCHIVES[name]:
        raise DataError(
            f"{path} is damaged or another file: its md5 is {md5}, that of MNIST's {name} {MD5_OF_ARCHIVES[name]}. "
            "Delete it to have it downloaded again."
        )


def _download(name: str, folder: Path) -> None:
    failures = []
    with tempfile.TemporaryDirectory() as unchecked:  # Archives that are cut or wrong never reach their place.
        path = Path(unchecked, name)
        for mirror in MIRRORS:
            try:
                _fetch(f"{mirror}/{name}", path)
                _check(path, name)
            except (OSError, http.client.HTTPException, DataError) as error:
                failures.append(f"{mirror}: {error}")
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.move(path, folder / name)
                return
    raise DataError(
        f"{folder / name} is missing, and no mirror gave it. Put the four archives there, or name their folder with "
        "--data. " + " ".join(failures)
    )


def _fetch(url: str, path: Path) -> None:
    print(f"downloading {url}", flush=True)
    with urllib.request.urlopen(url, timeout=MIRROR_TIMEOUT_S) as answer, path.open("wb") as file:  # noqa: S310  # of MIRRORS
        shutil.copyfileobj(answer, file)
