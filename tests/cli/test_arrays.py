"""Arrays and MNIST's own archives become arrays and archives."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import denoise, fill, told
from tests.conftest import MNIST, Pixels


def test_mnists_own_archive_becomes_an_array(tmp_path: Path, digits: Pixels, tiny_models: Path) -> None:
    archive = MNIST / "t10k-images-idx3-ubyte.gz"
    ended = denoise(archive, "-o", "clean.npy", "--model", "half", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 0, told(ended)
    assert "10,000 pictures in" in told(ended)
    clean = np.load(tmp_path / "clean.npy")
    assert (clean.shape, clean.dtype) == ((10_000, 28, 28), np.uint8)
    np.testing.assert_array_equal(clean, np.rint(digits * np.float32(0.5) * 255))


def test_an_array_through_standard_streams(digits: Pixels, tiny_models: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", digits[:100])
    content = (tmp_path / "digits.npy").read_bytes()
    ended = denoise("-", "--models", tiny_models, stdin=content)
    assert ended.returncode == 0, told(ended)
    assert ended.stdout == content
    ended = denoise("-", "--models", tiny_models, "--layout", "strip", stdin=content)
    assert ended.returncode == 2


@pytest.mark.parametrize("source", ["digits.npy", "-"])
def test_an_answer_has_the_name_of_an_array(source: str, digits: Pixels, tiny_models: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", digits[:10])
    content = (tmp_path / "digits.npy").read_bytes()
    ended = denoise(source, "-o", "clean.out", "--models", tiny_models, folder=tmp_path, stdin=content)
    assert ended.returncode == 2
    assert "'clean.out' cannot be written: an" in told(ended)
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npy"]


def test_an_array_may_go_to_a_device(digits: Pixels, tiny_models: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", digits[:10])
    ended = denoise("digits.npy", "-o", "/dev/null", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 0, told(ended)


def test_a_folder_of_arrays_and_pictures(digits: Pixels, tiny_models: Path, tmp_path: Path) -> None:
    fill(tmp_path / "in", digits, 2)
    np.save(tmp_path / "in" / "digits.npy", digits[:100])
    np.save(tmp_path / "in" / "labels.npy", np.arange(100))
    shutil.copy(MNIST / "t10k-labels-idx1-ubyte.gz", tmp_path / "in")
    ended = denoise("in", "-o", "out", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 1
    assert "102 pictures in" in told(ended)
    assert "1 failed: in/labels.npy: Its values are int64" in told(ended)
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["000.png", "001.png", "digits.npy"]


def test_a_packed_answer_is_packed(tmp_path: Path, tiny_models: Path) -> None:
    archive = MNIST / "t10k-images-idx3-ubyte.gz"
    ended = denoise(archive, "-o", "out/", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 0, told(ended)
    assert gzip.decompress((tmp_path / "out" / archive.name).read_bytes()) == gzip.decompress(archive.read_bytes())
