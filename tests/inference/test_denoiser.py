"""A model file is loaded only when it keeps its contract and proves itself on the provider it runs on."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from denoise.errors import DeviceFailed, SetupError
from denoise.inference import choice, denoiser, onnx_runner
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU, CUDA, CUDA_TFLOAT32, TOLERANCES, Way
from denoise.settings import AllowedPrecision, Precision
from denoise.web import problems
from tests.conftest import ROOT, Pixels, tiny_model


def test_models_are_named_by_their_files_and_run(tiny_models: Path) -> None:
    models = denoiser.load(tiny_models, "cpu", threads=1)
    assert list(models) == ["any", "copy", "half"]
    batch = np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32)
    restored = models["half"](batch)
    assert np.array_equal(restored.pixels, batch / 2)
    assert restored.code is not None
    assert models["half"].size == (28, 28)
    assert models["any"].size is None
    assert models["any"](batch[:, :9, :5]).pixels.shape == (3, 9, 5, 1)


class Gone:
    """A runner whose device was taken away."""

    def run(self, pixels: Pixels) -> Sequence[Pixels]:
        """Fails as onnxruntime does."""
        raise RuntimeError(f"CUDA failure 999 at {pixels.shape}")


def test_a_gpu_that_fails_is_told_and_a_fault_on_the_cpu_stays_one(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = Denoiser(tiny_models / "half.onnx", CPU, 1)
    monkeypatch.setattr(model, "_runner", Gone())
    with pytest.raises(RuntimeError, match="999"):
        model(np.zeros((1, 28, 28, 1), np.float32))
    monkeypatch.setattr(model, "way", CUDA)
    with pytest.raises(DeviceFailed, match="The GPU that runs half failed"):
        model(np.zeros((1, 28, 28, 1), np.float32))
    assert "CUDA failure 999" in caplog.text
    assert problems.STATUS[DeviceFailed] == 503


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be loaded"),
        (b"not a model", "cannot be loaded"),
        (tiny_model()[:2000], "cannot be loaded"),
        (tiny_model(shape=("batch", 28, 28, 3)), "`image` tensor.float. .'batch', 28, 28, 3."),
        (tiny_model(shape=(1, 28, 28, 1)), "does not keep the models' contract"),
        (tiny_model(shape=("batch", 784)), "does not keep the models' contract"),
        (tiny_model(input_name="x"), "does not keep the models' contract"),
        (tiny_model(without="task"), "its metadata lack 'task'"),
        (tiny_model(without="probe_input"), "its metadata lack 'probe_input'"),
        (tiny_model(task="paint"), "'paint'"),
        (tiny_model(scores="[]"), "its metadata cannot be read"),
        (tiny_model(scores='{"psnr": "good"}'), "its metadata cannot be read"),
        (tiny_model(probe_off=0.01), "fails its self-check on CPUExecutionProvider"),
    ],
    ids=[
        "empty",
        "garbage",
        "cut",
        "colour",
        "fixed batch",
        "flat",
        "other name",
        "no task",
        "no probe",
        "task",
        "no scores",
        "odd score",
        "wrong",
    ],
)
def test_a_file_that_breaks_the_contract_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(SetupError, match=f"bad.onnx.*{sentence}"):
        denoiser.load(tmp_path, "cpu", threads=1)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SetupError, match=r"gone.onnx cannot be read: No such file or directory\."):
        denoiser.load(tmp_path, "cpu", threads=1)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_models_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SetupError, match=f"There is no (.onnx file in|folder) {tmp_path / folder};"):
        denoiser.load(tmp_path / folder, "cpu", threads=1)


def test_the_default_is_the_best_by_score_unless_one_is_named(tiny_models: Path) -> None:
    models = denoiser.load(tiny_models, "cpu", threads=1)
    assert denoiser.default(models, "denoise") == "copy"
    assert denoiser.default(models, "denoise", "half") == "half"
    with pytest.raises(SetupError, match="DENOISE_DEFAULT_MODEL=any is no model that can denoise"):
        denoiser.default(models, "denoise", "any")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this runtime has CUDA")
def test_a_gpu_that_is_insisted_on_and_not_there_stops_the_start(tiny_models: Path) -> None:
    with pytest.raises(SetupError, match="DENOISE_DEVICE=cuda"):
        denoiser.load(tiny_models, "cuda", threads=1)


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_auto_falls_back_to_the_cpu_and_says_so(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, precision: AllowedPrecision
) -> None:
    # The runtime says that it was built with CUDA, but no session gets it: what a machine without a driver sees.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [onnx_runner.CUDA, onnx_runner.CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", _without_gpu(onnxruntime.InferenceSession))
    with caplog.at_level(logging.WARNING):
        models = denoiser.load(tiny_models, "auto", 1, precision)
        assert not any(model.way.on_gpu for model in models.values())
        assert caplog.text.count("FALLING BACK TO THE CPU from any on: No GPU") == 1
        with pytest.raises(SetupError, match="No GPU that onnxruntime can use was found"):
            denoiser.load(tiny_models, "cuda", 1, precision)
        assert caplog.text.count("FALLING BACK") == 1


def _without_gpu(session: type[onnxruntime.InferenceSession]) -> object:
    def create(content: bytes, options: onnxruntime.SessionOptions, providers: list[object]) -> object:
        assert providers[-1] == onnx_runner.CPU
        return session(content, options, providers=[onnx_runner.CPU])

    return create


@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no GPU here")
def test_every_model_runs_on_the_gpu() -> None:
    models = denoiser.load(ROOT / "models", "cuda", threads=1)
    assert {model.way for model in models.values()} == {CUDA}


@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no GPU here")
@pytest.mark.parametrize("reference", [CPU, CUDA])
def test_every_model_proves_itself_in_tf32(reference: Way) -> None:
    for path in (ROOT / "models").glob("*.onnx"):
        model = Denoiser(path, CUDA_TFLOAT32, 1)
        assert model.difference <= TOLERANCES["tfloat32"].largest
        choice._prove(model, Denoiser(path, reference, 1))


@pytest.mark.parametrize(("precision", "use"), [("float32", "0"), ("tfloat32", "1")])
def test_a_gpu_uses_tf32_only_where_that_is_the_precision(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, use: str
) -> None:
    asked: list[object] = []

    class Session:
        def __init__(self, _content: bytes, _options: object, providers: list[object]) -> None:
            asked.extend(providers)

        def get_providers(self) -> list[str]:
            return [onnx_runner.CUDA]

    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    onnx_runner.OnnxRunner(Path("any.onnx"), b"", onnx_runner.CUDA, precision, any_size=False, threads=1)
    assert asked == [(onnx_runner.CUDA, onnx_runner.CUDA_OPTIONS | {"use_tf32": use}), onnx_runner.CPU]
