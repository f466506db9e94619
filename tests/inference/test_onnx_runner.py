"""On a GPU all batches of digits have one size; a CPU session stands in for the GPU's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from denoise.inference import onnx_runner
from denoise.inference.onnx_runner import CPU, CUDA, GPU_BATCH, OnnxRunner
from tests.conftest import ROOT, Pixels

UNET = ROOT / "models" / "unet_dae.onnx"


class Recording:
    """A session that keeps the shapes that it runs."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.shapes: set[tuple[int, ...]] = set()

    def run(self, outputs: None, inputs: dict[str, Pixels]) -> list[Pixels]:
        """What the session gives."""
        self.shapes.add(inputs["image"].shape)
        answers: list[Pixels] = self.session.run(outputs, inputs)
        return answers


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    opened: list[Recording] = []

    def on_the_cpu(path: Path, content: bytes, _: str, threads: int, *precision: Any) -> Recording:
        opened.append(Recording(load(path, content, CPU, threads, *precision)))
        return opened[-1]

    load = onnx_runner._session
    monkeypatch.setattr(onnx_runner, "_session", on_the_cpu)
    return opened


def test_digits_keep_one_shape_on_a_gpu_and_what_is_larger_has_a_session_of_its_own(sessions: list[Recording]) -> None:
    content = UNET.read_bytes()
    on_gpu = OnnxRunner(UNET, content, CUDA, "float32", any_size=True, threads=1)
    on_cpu = OnnxRunner(UNET, content, CPU, "float32", any_size=True, threads=1)
    random = np.random.default_rng(0)
    for shape in ((1, 28, 28, 1), (37, 28, 28, 1), (GPU_BATCH, 28, 28, 1), (1, 40, 64, 1)):
        pixels = random.random(shape, dtype=np.float32)
        (answer,), (expected,) = on_gpu.run(pixels), on_cpu.run(pixels)
        assert answer.shape == shape
        assert answer == pytest.approx(expected, abs=1e-5)
    digits, larger, _ = sessions
    assert digits.shapes == {(GPU_BATCH, 28, 28, 1)}
    assert larger.shapes == {(1, 40, 64, 1)}
