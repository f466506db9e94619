"""The archives are read, checked, and downloaded where they are missing; a wrong one is named and never used."""

import gzip
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import MNIST, Pixels
from tests.training.conftest import TEST, TRAIN
from training import mnist


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real mirror on this machine: its address, and the folder that it serves."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_the_real_test_digits_are_read_as_they_are(digits: Pixels) -> None:
    pixels = mnist.read_images(MNIST / "t10k-images-idx3-ubyte.gz")
    labels = mnist.read_labels(MNIST / "t10k-labels-idx1-ubyte.gz")
    assert pixels.shape == (10_000, 28, 28, 1)
    assert pixels.dtype == np.float32
    assert np.array_equal(pixels[..., 0], digits)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_both_halves_are_loaded(small_mnist: Path) -> None:
    train, test = mnist.load(small_mnist)
    assert train.pixels.shape == (TRAIN, 28, 28, 1)
    assert test.labels.shape == (TEST,)


def test_an_archive_that_is_not_mnist_is_named(small_mnist: Path) -> None:
    path = small_mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(mnist.DataError, match=f"{path} is damaged or another file"):
        mnist.load(small_mnist)


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b""), gzip.compress(b"\0\0\x08\x01" + bytes(12)), gzip.compress(bytes(8))[:-9]],
    ids=["no gzip", "empty", "labels", "cut"],
)
def test_what_is_no_idx_file_of_pictures_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(mnist.DataError, match=r"x\.gz"):
        mnist.read_images(tmp_path / "x.gz")


def test_missing_archives_come_from_the_first_mirror_that_gives_them(
    small_mnist: Path,
    mirror: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    address, folder = mirror
    for path in small_mnist.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(mnist, "MIRRORS", (f"{address}/nothing", address))
    train, _ = mnist.load(tmp_path / "new")
    assert len(train.pixels) == TRAIN
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(mnist.MD5_OF_ARCHIVES)
    assert f"{address}/train-images-idx3-ubyte.gz" in capsys.readouterr().out


def test_a_wrong_download_is_named_and_not_kept(
    small_mnist: Path, mirror: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    missing = small_mnist / "t10k-images-idx3-ubyte.gz"
    (folder / missing.name).write_bytes(missing.read_bytes()[:-10])
    missing.unlink()
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    with pytest.raises(mnist.DataError, match=f"{missing} is missing, and no mirror gave it.*is damaged"):
        mnist.load(small_mnist)
    assert not missing.exists()
