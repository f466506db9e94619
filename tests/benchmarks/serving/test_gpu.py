"""The measurements on a GPU say when there is none; what they do is tried on the CPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving import gpu, pages, variants
from benchmarks.serving.variants import BOUND, COPYING, REFERENCE, Variant
from denoise.inference.onnx_runner import CPU, has_cuda
from denoise.inference.ways import OPENVINO
from tests.conftest import ROOT

UNET = ROOT / "models" / "unet_dae.onnx"


@pytest.mark.skipif(has_cuda(), reason="this runtime has CUDA")
def test_without_a_gpu_it_ends_and_says_so() -> None:
    with pytest.raises(SystemExit, match="There is no GPU to measure: DENOISE_DEVICE=cuda, but the onnxruntime"):
        gpu.main([])


@pytest.mark.parametrize("variant", [*COPYING, *BOUND], ids=str)
def test_every_variant_runs_and_gives_the_models_answer(variant: Variant) -> None:
    clean = pages.read_digits()[:4]
    noisy = pages.spoil(clean)[..., np.newaxis]
    session = variants.load(UNET, replace(variant, provider=CPU), noisy.shape)
    variants.prepare(session, replace(variant, provider=CPU), noisy)()
    expected = variants.answer(variants.load(UNET, REFERENCE, noisy.shape), noisy)
    assert np.abs(variants.answer(session, noisy) - expected).max() < (0.01 if variant.float16 else 1e-4)


def test_a_variant_that_fails_has_its_error_in_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise RuntimeError("[ONNXRuntimeError] :\n no | way")

    monkeypatch.setattr(variants, "load", fail)
    monkeypatch.setattr(gpu, "BATCHES", (1, 2))
    assert f"| CUDA, TF32 | {' | '.join(['[ONNXRuntimeError] : no / way'] * 2)} |" in list(gpu.speeds("easy_dae"))


def test_pages_are_compared_with_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SHAPES_PX", {"small": (60, 64)})
    monkeypatch.setattr(gpu, "CUDA", OPENVINO)
    rows = [row.split(" | ") for row in gpu.page_times()][2:]
    assert [row[1] for row in rows][:2] == ["CPUExecutionProvider in float32, in tiles", f"{OPENVINO}, in tiles"]
    assert rows[0][3:5] == ["0.0e+00", "0.0e+00"]
    assert float(rows[0][5].rstrip(" |")) > 15


def test_the_tables_go_to_the_end_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# How fast it is\n\n## Large pictures\n\nSlow.\n")
    monkeypatch.setattr(gpu, "PERFORMANCE", page)
    gpu.write("first")
    gpu.write("second")
    assert page.read_text() == "# How fast it is\n\n## Large pictures\n\nSlow.\n\n## On a GPU\n\nsecond\n"
