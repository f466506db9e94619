"""Whatever is uploaded, the service answers 200 or 4xx, and goes on serving."""

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import CLEAN_7, NOISY_7

KEPT = sorted(path for path in (Path(__file__).parent.parent / "broken_uploads").iterdir() if path.suffix != ".md")
UPLOADS = int(os.environ.get("UPLOADS", "10000"))
CONTENT_TYPES = (
    "image/png",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "application/json",
    "text/plain",
)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_what_once_broke_something_is_answered(server: httpx2.Client, path: Path) -> None:
    assert server.post("/denoise", content=path.read_bytes()).status_code in range(400, 500)


def good_files() -> Iterator[bytes]:
    """The same digit in every kind that is taken."""
    seven = Image.open(CLEAN_7).resize((40, 50))
    for kind, mode in [
        ("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "1"), ("JPEG", "L"), ("JPEG", "CMYK"), ("WEBP", "RGBA"),
        ("BMP", "RGB"), ("BMP", "P"), ("GIF", "P"), ("TIFF", "L"), ("TIFF", "RGB"), ("PPM", "L"), ("PPM", "RGB"),
        ("AVIF", "L"), ("AVIF", "RGBA"), ("HEIF", "L"), ("HEIF", "RGBA"),
    ]:  # fmt: skip
        content = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        seven.convert(mode).save(content, kind, exif=exif)
        yield content.getvalue()
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"):
        content = io.BytesIO()
        seven.convert("1" if compression == "group4" else "L").save(content, "TIFF", compression=compression)
        yield content.getvalue()


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """A copy that is cut, or has bits flipped, bytes replaced, a stretch repeated, or huge numbers in its header."""
    broken = bytearray(content)
    match random.integers(5):
        case 0:
            del broken[random.integers(len(broken)) :]
        case 1:
            for place in random.integers(len(broken), size=random.integers(1, 20)):
                broken[place] ^= 1 << random.integers(8)
        case 2:
            start = random.integers(len(broken))
            broken[start : start + random.integers(1, 64)] = random.bytes(random.integers(1, 64))
        case 3:
            start = random.integers(len(broken))
            broken[start:start] = broken[start : start + random.integers(1, 200)]
        case 4:
            start = random.integers(min(64, len(broken) - 4))
            huge = int(random.choice([0, 0x7FFFFFFF, 0xFFFFFFFF, 0x00010000, 60_000]))
            broken[start : start + 4] = struct.pack(str(random.choice(["<I", ">I"])), huge)
    return bytes(broken)


def test_damaged_uploads_never_break_the_service(server: httpx2.Client) -> None:
    random = np.random.default_rng(7)
    files = list(good_files())
    statuses: dict[int, int] = {}
    for number in range(UPLOADS):
        content = damaged(files[number % len(files)], random)
        content_type = CONTENT_TYPES[0] if random.random() < 0.8 else str(random.choice(CONTENT_TYPES))
        if content_type.startswith("multipart"):
            head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            content = damaged(head + content + b"\r\n--x--\r\n", random)
        answer = server.post("/denoise?model=easy_dae", content=content, headers={"Content-Type": content_type})
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, content.hex()
    assert statuses[200] > UPLOADS / 20  # light damage is survived,
    assert statuses[400] > UPLOADS / 20  # heavy damage is told
    assert server.post("/denoise", content=NOISY_7.read_bytes()).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000 + b"]" * 200_000,
        b'{"inputs": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_001,
        b'{"inputs": "AAAA", "parameters": {"seed": ' + b"9" * 100_000 + b"}}",
    ],
    ids=["arrays", "objects", "digits"],
)
def test_json_that_is_deep_or_long_is_refused(server: httpx2.Client, body: bytes) -> None:
    answer = server.post("/denoise", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert len(answer.content) < 2000
