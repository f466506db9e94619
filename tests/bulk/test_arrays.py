"""Arrays of every form go through a model and come back as they were: form, shape, type."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from denoise.bulk import arrays
from denoise.bulk.arrays import Work
from denoise.errors import BadTensor, BrokenBody, RequestError
from denoise.inference import tiling
from denoise.inference.denoiser import Denoiser, Restored
from denoise.inference.ways import CPU
from denoise.pictures import Pixels
from tests.conftest import MNIST, ROOT

DIGIT = (28, 28)


def half(pixels: Pixels) -> Restored:
    return Restored(pixels * np.float32(0.5), None)


HALF = Work(half, DIGIT)
ANY = Work(half, None)


def saved(values: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def cleaned(source: Path | bytes, work: Work = HALF, name: str = "") -> bytes:
    target = io.BytesIO()
    for _ in arrays.clean(source, target, name, work):
        pass
    return target.getvalue()


def loaded(content: bytes) -> NDArray[np.generic]:
    values: NDArray[np.generic] = np.load(io.BytesIO(content))
    return values


@pytest.mark.parametrize("shape", [(28, 28), (3, 28, 28), (3, 28, 28, 1), (0, 28, 28), (2500, 28, 28)])
@pytest.mark.parametrize("kind", ["u1", "<f4", ">f4", "f8", "f2"])
def test_shape_and_type_stay(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    values = np.full(shape, 200 if kind == "u1" else 0.5, kind)
    np.save(tmp_path / "in.npy", values)
    for source in (tmp_path / "in.npy", saved(values)):
        clean = loaded(cleaned(source))
        assert (clean.shape, clean.dtype) == (values.shape, values.dtype)
        np.testing.assert_array_equal(clean, np.full(shape, 100 if kind == "u1" else 0.25))


def test_bytes_hold_what_a_model_overshoots() -> None:
    beyond = Work(lambda pixels: Restored(pixels * np.float32(1.1) - np.float32(0.05), None), DIGIT)
    values = np.zeros((2, 28, 28), np.uint8)
    values[:, :, 14:] = 255
    np.testing.assert_array_equal(loaded(cleaned(saved(values), beyond)), values)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_answers_are_the_models_own(digits: Pixels, threads: int) -> None:
    model = Denoiser(ROOT / "models" / "easy_dae.onnx", CPU, 1)
    clean = loaded(cleaned(saved(digits[:3000]), Work(model, model.size, threads)))
    np.testing.assert_allclose(clean, model(digits[:3000, ..., np.newaxis]).pixels[..., 0], atol=1e-6)


def test_columns_first_is_the_same() -> None:
    values = np.random.default_rng(1).random((5, 28, 28)).astype(np.float32)
    assert cleaned(saved(np.asfortranarray(values))) == cleaned(saved(values))


def test_idx_in_and_out(digits: Pixels, tmp_path: Path) -> None:
    archive = MNIST / "t10k-images-idx3-ubyte.gz"
    content = gzip.decompress(archive.read_bytes())
    (tmp_path / "images-idx3-ubyte").write_bytes(content)
    same = Work(lambda pixels: Restored(pixels, None), DIGIT, 2)
    assert cleaned(tmp_path / "images-idx3-ubyte", same) == content
    assert gzip.decompress(cleaned(archive, same)) == content
    assert cleaned(content, same) == content
    as_npy = loaded(cleaned(archive, same, "clean.npy"))
    np.testing.assert_array_equal(as_npy, np.rint(digits * 255))
    assert cleaned(saved(as_npy), same, "clean-idx3-ubyte") == content
    with pytest.raises(BadTensor, match="IDX has no float32"):
        cleaned(saved(digits[:2]), same, "clean-idx3-ubyte")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_keeps_what_is_no_picture(save: "type[np.savez]", digits: Pixels, tmp_path: Path) -> None:  # type: ignore[valid-type]
    save(tmp_path / "in.npz", x_train=digits[:100], y_train=np.arange(100), x_test=digits[:5])
    (tmp_path / "out.npz").write_bytes(cleaned(tmp_path / "in.npz"))
    with np.load(tmp_path / "out.npz") as clean:
        assert sorted(clean) == ["x_test", "x_train", "y_train"]
        np.testing.assert_array_equal(clean["x_train"], digits[:100] / 2)
        np.testing.assert_array_equal(clean["y_train"], np.arange(100))
    packed = (tmp_path / "out.npz").stat().st_size < digits[:100].nbytes
    assert packed == (save is np.savez_compressed)


def test_any_size_goes_through_a_model_of_any_size() -> None:
    for shape in ((3, 30, 41), (1, tiling.TILE + 2, 9)):
        values = np.random.default_rng(1).random(shape).astype(np.float32)
        np.testing.assert_array_equal(loaded(cleaned(saved(values), ANY)), values / 2)


def test_dark_ink_is_turned_over_and_back() -> None:
    values = np.full((2, 28, 28), 0.75, np.float32)
    clean = loaded(cleaned(saved(values), Work(half, DIGIT, inverted=True)))
    np.testing.assert_allclose(clean, 1 - 0.25 / 2)


def test_noise_is_the_same_for_a_seed_and_not_for_a_batch() -> None:
    values = saved(np.full((200, 28, 28), 0.5, np.float32))
    noisy = Work(lambda pixels: Restored(pixels, None), DIGIT, 2, noise=0.5, seed=7)
    clean = loaded(cleaned(values, noisy))
    np.testing.assert_array_equal(clean, loaded(cleaned(values, noisy)))
    assert not np.array_equal(clean[:64], clean[64:128])


def test_progress_is_told() -> None:
    found: list[int] = []
    done = list(arrays.clean(saved(np.zeros((2500, 28, 28), np.uint8)), io.BytesIO(), "", HALF, found.append))
    assert (found, sum(done)) == ([2500], 2500)
    assert len(done) > 1


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (saved(np.zeros((2, 30, 28), np.uint8)), BadTensor, "the model's pictures are 28×28"),
        (saved(np.zeros(784, np.uint8)), BadTensor, r"\[784\]; \[count, height, width\]"),
        (saved(np.zeros((2, 28, 28), np.int64)), BadTensor, "Its values are int64"),
        (saved(np.full((2, 28, 28), 255.0)), BadTensor, "floats are taken from 0 to 1"),
        (saved(np.full((2, 28, 28), np.nan)), BadTensor, "floats are taken from 0 to 1"),
        (saved(np.zeros((2, 28, 28), np.uint8))[:-1], BrokenBody, "cannot be read"),
        (saved(np.array([{}], object)), BrokenBody, "cannot be read"),
        (b"\x00\x00\x08\x03" + bytes([0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28]), BrokenBody, "7,056 bytes of values"),
        (b"\x00\x00\x08\x03\x00", BrokenBody, "cut in its head"),
        (b"\x00\x00\x08", BrokenBody, "cannot be read"),
        (b"PK\x03\x04 and no more", BrokenBody, "cannot be read"),
        (gzip.compress(b"no array", mtime=0), BrokenBody, "no array of a known form"),
        (gzip.compress(saved(np.zeros((2, 28, 28), np.uint8)), mtime=0)[:-4], BrokenBody, "cannot be read"),
        (b"", BrokenBody, "no array of a known form"),
    ],
)
def test_what_cannot_be_taken_is_told(content: bytes, error: type[RequestError], words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    for source in (content, tmp_path / "file"):
        with pytest.raises(error, match=words):
            cleaned(source)


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    shape = (20_000, 28, 28)  # 60 MB as float32
    np.lib.format.open_memmap(tmp_path / "in.npy", "w+", np.float32, shape).flush()
    block = arrays.PICTURES_PER_RUN * arrays.RUNS_PER_BLOCK * 28 * 28 * 4

    class Counted(io.RawIOBase):
        largest = 0

        def write(self, data: object) -> int:
            size = memoryview(data).nbytes  # type: ignore[arg-type]
            self.largest = max(self.largest, size)
            return size

    target = Counted()
    assert sum(arrays.clean(tmp_path / "in.npy", target, "", HALF)) == shape[0]  # type: ignore[arg-type]
    assert target.largest <= block
