"""`python -m denoise doctor` says plainly what there is, and fails when what was asked for is not."""

import os
import subprocess
import sys
from pathlib import Path

from denoise.inference.onnx_runner import has_cuda
from tests.conftest import ROOT, tiny_model


def doctor(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "denoise", "doctor"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_it_tells_what_the_models_run_on() -> None:
    told = doctor(DENOISE_DEVICE="cpu")
    assert told.returncode == 0, told.stderr
    for word in ("onnxruntime", "CPUs", "memory", "GPU", "unet_dae", "self-check within", "in batches of 64"):
        assert word in told.stdout
    assert "CUDAExecutionProvider in float32: DENOISE_DEVICE=cpu uses no GPU." in told.stdout
    assert "OpenVINO in bfloat16: DENOISE_PRECISION=float32 asks for the same bits everywhere." in told.stdout
    assert "basic_ae is served by CPUExecutionProvider in float32" in told.stdout
    assert "All is well, with DENOISE_DEVICE=cpu and DENOISE_PRECISION=float32." in told.stdout


def test_it_fails_when_the_default_is_no_model() -> None:
    told = doctor(DENOISE_DEFAULT_MODEL="best")
    assert told.returncode == 1
    assert "DENOISE_DEFAULT_MODEL=best is no model" in told.stderr


def test_it_fails_when_the_gpu_that_was_asked_for_is_not_there() -> None:
    if has_cuda():
        return
    told = doctor(DENOISE_DEVICE="cuda")
    assert told.returncode == 1
    assert "DENOISE_DEVICE=cuda, but the onnxruntime installed here is built without CUDA" in told.stderr


def test_without_a_runtime_it_says_how_to_get_one_and_the_version_is_told_all_the_same() -> None:
    hide = "import sys; sys.modules['onnxruntime'] = None; from denoise.cli.commands import main; main()"
    version, told = (
        subprocess.run([sys.executable, "-c", hide, word], capture_output=True, text=True, check=False)
        for word in ("--version", "doctor")
    )
    assert (version.returncode, told.returncode) == (0, 1)
    assert "is not installed here: pip install 'denoise-service[cpu]', or 'denoise-service[cuda]'" in told.stderr


def test_it_fails_when_a_model_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "good.onnx").write_bytes(tiny_model())
    (tmp_path / "off.onnx").write_bytes(tiny_model(probe_off=0.5))
    told = doctor(DENOISE_MODELS=str(tmp_path))
    assert told.returncode == 1
    assert "off.onnx fails its self-check" in told.stderr
    assert "good" in told.stdout
