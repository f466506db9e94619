"""What every stack does for a request: decode, run, encode. Pixels `[28, 28]`, 0 … 1."""

import io
import os

import numpy as np
import onnxruntime
from PIL import Image

SIDE = 28
MODEL = os.environ.get("MODEL", "models/conv_dae.onnx")


def session() -> onnxruntime.InferenceSession:
    """The model, on one thread: every stack has its processes for the other CPUs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def decode(content: bytes) -> np.ndarray:
    """A PNG's pixels."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        return np.asarray(image, np.float32) / np.float32(255)


def run(model: onnxruntime.InferenceSession, pixels: np.ndarray) -> np.ndarray:
    """A batch `[count, 28, 28]` through the model."""
    return model.run(["restored"], {"image": pixels[..., np.newaxis]})[0][..., 0]


def encode(pixels: np.ndarray) -> bytes:
    """A PNG, packed as the service packs so small a one: not at all."""
    file = io.BytesIO()
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(file, "PNG", compress_level=0)
    return file.getvalue()
