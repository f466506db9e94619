"""What tests of requests share: pictures as arrays and as files, forms and zips of them, and what a problem has."""

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import CLEAN_7, NOISY_7

SEVEN = NOISY_7.read_bytes()
PNG = {"Content-Type": "image/png"}


def pixels(content: bytes) -> NDArray[np.float64]:
    """The pixels of a file, 0 … 1."""
    return np.asarray(Image.open(io.BytesIO(content)), np.float64) / 255


def png(values: NDArray[np.floating[Any]]) -> bytes:
    """A PNG of pixels, 0 … 1."""
    content = io.BytesIO()
    Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


def squared_error(content: bytes) -> float:
    """How far a picture is from the clean seven."""
    return float(np.mean(np.square(pixels(content) - pixels(CLEAN_7.read_bytes()))))


def check_problem(answer: Any, status: int, sentence: str) -> None:
    """Fails where an answer is no problem with this status and sentence."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert sentence in problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert set(problem) == {"type", "title", "status", "detail", "instance", "request_id"}


def form(*files: tuple[str, bytes]) -> dict[str, Any]:
    """What httpx takes to send these files, each with its name, in one form."""
    return {"files": [("file", file) for file in files]}


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files, each with its name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return content.getvalue()


def members(answer: Any) -> dict[str, bytes]:
    """The files in an answer that is a zip, by their names."""
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}
