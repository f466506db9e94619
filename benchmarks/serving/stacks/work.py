"""What every stack does for a request: decode, run, encode. Pixels `[28, 28]`, 0 … 1."""

import io
import os
import sys
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

SIDE = 28
MODEL = os.environ.get("MODEL", "models/conv_dae.onnx")


class OpenVino:
    """A model that OpenVINO runs, called as a session of onnxruntime's is."""

    def __init__(self, precision: str) -> None:
        sys.modules["openvino_telemetry"] = None
        import openvino  # noqa: PLC0415  # The environments of the other servers do not have it.

        core = openvino.Core()
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        self._request = core.compile_model(MODEL, "CPU", options | {"ENABLE_CPU_PINNING": False}).create_infer_request()

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs of those names."""
        answers = self._request.infer(inputs, share_inputs=True)
        return [answers[name] for name in names]


def session() -> Any:
    """The model, on one thread: every stack has its processes for the other CPUs."""
    if precision := os.environ.get("PRECISION"):
        return OpenVino(precision)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def decode(content: bytes) -> np.ndarray:
    """A PNG's pixels."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        return np.asarray(image, np.float32) / np.float32(255)


def run(model: Any, pixels: np.ndarray) -> np.ndarray:
    """A batch `[count, 28, 28]` through the model."""
    return model.run(["restored"], {"image": pixels[..., np.newaxis]})[0][..., 0]


def encode(pixels: np.ndarray) -> bytes:
    """A PNG, packed as the service packs so small a one: not at all."""
    file = io.BytesIO()
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(file, "PNG", compress_level=0)
    return file.getvalue()
