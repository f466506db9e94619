"""OpenVINO runs models where it is installed and proves itself; where it is not, the CPU provider does."""

import importlib.util
import logging
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from denoise.errors import SetupError
from denoise.inference import choice, denoiser, onnx_runner, openvino_runner, ways
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU, CUDA, CUDA_TFLOAT32, OPENVINO, OPENVINO_BFLOAT16
from denoise.pictures import Pixels
from tests.conftest import ROOT, tiny_model

# Where its pin installs OpenVINO, a lack of it is a failure and no reason to skip.
HAS_WHEEL = (sys.platform, platform.machine()) == ("linux", "x86_64")
needs_openvino = pytest.mark.skipif(not HAS_WHEEL, reason="OpenVINO's pin is for Linux on x86-64 alone")
UNET = ROOT / "models" / "unet_dae.onnx"


def test_where_openvino_is_missing_the_cpu_provider_serves(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    models = denoiser.load(tiny_models, "cpu", 1, "auto")
    assert {model.way for model in models.values()} == {CPU}
    assert models["copy"].ruled_out[OPENVINO_BFLOAT16] == "OpenVINO is not installed here."
    assert models["copy"].ruled_out[CUDA] == "DENOISE_DEVICE=cpu uses no GPU."
    assert models["copy"].ruled_out[CUDA_TFLOAT32] == "DENOISE_DEVICE=cpu uses no GPU."


def test_a_gpu_may_multiply_in_tf32_unless_float32_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runner, "has_cuda", lambda: True)
    assert ways.find("cuda", "auto").open == (CUDA_TFLOAT32, CUDA)
    assert ways.find("auto", "auto").open[:2] == (CUDA_TFLOAT32, CUDA)
    found = ways.find("cuda", "float32")
    assert found.open == (CUDA,)
    assert found.closed[CUDA_TFLOAT32] == "DENOISE_PRECISION=float32 allows no other precision."
    assert ways.find("auto", "float32").open == (CUDA, CPU)


def test_the_log_tells_of_ruled_out_ways_at_debug_level_alone(
    tiny_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "denoise"):
        denoiser.load(tiny_models, "cpu", 1)
    levels = [record.levelname for record in caplog.records if "does not run on" in record.message]
    assert set(levels) == {"DEBUG"}


@needs_openvino
def test_a_processor_without_bfloat16_has_float32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_runner, "has_bfloat16", lambda: False)
    found = ways.find("cpu", "auto")
    assert found.open == (OPENVINO, CPU)
    assert found.closed[OPENVINO_BFLOAT16] == "The processor does not multiply bfloat16 natively."


@needs_openvino
def test_openvino_that_does_not_work_is_told_and_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> object:
        raise RuntimeError("Exception from core.cpp:117:\nNo device is there.\n")

    monkeypatch.setattr(openvino_runner, "_core", fail)
    found = ways.find("cpu", "auto")
    assert found.open == (CPU,)
    assert found.closed[OPENVINO] == "OpenVINO does not work here: No device is there."


@needs_openvino
def test_a_machine_without_what_another_one_chose_uses_the_cpu_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    assert denoiser.load_elsewhere(UNET, OPENVINO).way == OPENVINO

    def fail() -> object:
        raise ModuleNotFoundError("No module named 'openvino'")

    monkeypatch.setattr(openvino_runner, "_core", fail)
    assert denoiser.load_elsewhere(UNET, OPENVINO).way == CPU


@needs_openvino
def test_what_openvino_cannot_load_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"bad\.onnx cannot be loaded by OpenVINO: "):
        openvino_runner.OpenVinoRunner(tmp_path / "bad.onnx", b"no model", "float32", any_size=False, threads=1)


@needs_openvino
@pytest.mark.parametrize("way", [OPENVINO, OPENVINO_BFLOAT16])
def test_the_committed_models_prove_themselves_on_openvino(way: ways.Way) -> None:
    for path in (ROOT / "models").glob("*.onnx"):
        model, reference = Denoiser(path, way, 1), Denoiser(path, CPU, 1)
        assert model.difference <= ways.TOLERANCES[way.precision].largest
        choice._prove(model, reference)


@needs_openvino
def test_pictures_of_any_size_come_back_in_theirs(digits: Pixels) -> None:
    model, reference = Denoiser(UNET, OPENVINO, 2), Denoiser(UNET, CPU, 2)
    for shape in ((28, 28), (36, 44), (4, 100), (132, 200)):
        pixels = np.resize(digits[0], (2, *shape, 1))
        answer = model(pixels).pixels
        assert answer.shape == pixels.shape
        assert np.abs(answer - reference(pixels).pixels).mean() < 0.02
    model.give_back()


@needs_openvino
def test_few_small_shapes_are_run_whatever_is_sent() -> None:
    shapes = {openvino_runner._pad(np.zeros((1, side, 28, 1), np.float32)).shape for side in range(4, 516, 4)}
    assert shapes == {(1, side, 28, 1) for side in openvino_runner.SIDES}


def test_a_page_is_run_in_its_own_shape() -> None:
    page = np.zeros((1, 132, 200, 1), np.float32)
    assert openvino_runner._pad(page) is page


@needs_openvino
def test_threads_may_share_a_model_and_give_its_memory_back_meanwhile(digits: Pixels) -> None:
    model = Denoiser(UNET, OPENVINO, 2)
    batches = [np.resize(digits[:8, ..., np.newaxis], (count, side, side, 1)) for count, side in ((8, 28), (1, 160))]
    expected = [model(batch).pixels for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            answers = pool.map(lambda batch: model(batch).pixels, batches * 2)
            pool.submit(model.give_back).result()
            assert all(np.array_equal(*pair) for pair in zip(answers, expected * 2, strict=True))


@needs_openvino
def test_a_model_with_a_code_gives_that_of_the_picture_itself(tmp_path: Path) -> None:
    (tmp_path / "any.onnx").write_bytes(tiny_model(shape=("batch", "height", "width", 1)))
    pixels = np.random.default_rng(0).random((1, 36, 44, 1), dtype=np.float32)
    answer = Denoiser(tmp_path / "any.onnx", OPENVINO, 1)(pixels)
    assert answer.code is not None
    assert np.array_equal(answer.code, pixels)


@needs_openvino
def test_openvino_reports_nothing_to_its_makers(tmp_path: Path) -> None:
    # A package of the name of its reporter, which would leave a file behind if it were imported.
    (tmp_path / "openvino_telemetry.py").write_text(f"open({str(tmp_path / 'reported')!r}, 'w')\nraise ImportError\n")
    load = f"from denoise.inference import denoiser as d; d.load(d.Path({str(UNET.parent)!r}), 'cpu', 1, 'auto')"
    watch = (
        "import sys; sys.addaudithook(lambda event, _: event.startswith('socket.') and sys.exit(event)); "
        f"{load}; assert 'openvino' in sys.modules"
    )
    path = os.pathsep.join((str(tmp_path), os.environ["PYTHONPATH"]))
    subprocess.run([sys.executable, "-c", watch], env=os.environ | {"PYTHONPATH": path}, check=True)
    assert not (tmp_path / "reported").exists()
