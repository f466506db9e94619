"""What a stack is sent, and whether it answers with the model's own pixels."""

import json
import sys
import urllib.request

import numpy as np

from benchmarks import DIGIT
from benchmarks.serving.lineup import Stack
from benchmarks.serving.stacks import work
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU

BOUNDARY = "benchmark"
TOLERANCES = {"float32": 3 / 255, "auto": 0.05}  # A stack's pixels may be so far off the model's own in float32.


def body(stack: Stack) -> tuple[bytes, dict[str, str]]:
    """A request's body and its headers."""
    if stack.digits_per_tensor:
        return _tensor(stack.digits_per_tensor)
    if stack.form:
        return _form()
    return DIGIT.read_bytes(), {"Content-Type": "image/png"}


def _tensor(count: int) -> tuple[bytes, dict[str, str]]:
    digits = np.repeat(work.decode(DIGIT.read_bytes())[np.newaxis, ..., np.newaxis], count, axis=0)
    size = {"binary_data_size": digits.nbytes}
    image = {"name": "image", "datatype": "FP32", "shape": digits.shape, "parameters": size}
    wanted = [{"name": "restored", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [image], "outputs": wanted}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return head + digits.tobytes(), headers


def _form() -> tuple[bytes, dict[str, str]]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n'.encode()
    head += b"Content-Type: image/png\r\n\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return head + DIGIT.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode(), headers


def answer(stack: Stack, url: str) -> bytes | None:
    """The body of one answer; None where nobody answers, or not yet."""
    request = urllib.request.Request(url, *body(stack))
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            content: bytes = response.read()
            return content
    except OSError:
        return None


def check_pixels(stack: Stack, url: str) -> None:
    """Ends the process when the stack's pixels are not the model's."""
    if stack.fixed:
        return
    content = answer(stack, url)
    assert content is not None
    digit = work.decode(DIGIT.read_bytes())[np.newaxis, ..., np.newaxis]
    if stack.digits_per_tensor:
        restored = np.frombuffer(content[-digit.nbytes :], np.float32).reshape(work.SIDE, work.SIDE)
    else:
        restored = work.decode(content)
    expected = Denoiser(stack.folder / "models" / f"{stack.model}.onnx", CPU, 1)(digit).pixels[0, ..., 0]
    if (off := float(np.abs(restored - expected).max())) > TOLERANCES[stack.precision]:
        sys.exit(f"{stack.row} gives other pixels than the model: {off:.3f} off.")
