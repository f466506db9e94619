"""How long a page of digits takes, sent alone: of one megapixel, and of twelve."""

import gzip
import io
import statistics
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks import TEST_DIGITS
from benchmarks.serving import servers
from benchmarks.serving.lineup import OURS, by_hand, by_hand_in_bfloat16, ours, ours_in_float32
from denoise.pictures import Pixels

MODEL = "unet_dae"
WORD = "page"  # Among the words of the command line it means these rows.
SHAPES_PX = {"1 MP": (1000, 1000), "12 MP": (3000, 4000)}  # height, width
WHOLE = "1 MP"  # The bare handler runs a page as a whole, and has no memory for a larger one.
SCALE, NOISE, SEED = 3, 0.3, 7
# A file of MNIST's images begins with four numbers of four bytes.
HEADER_BYTES = 16
LONGEST_S = 300

Seconds = dict[tuple[str, str], list[float]]
"""What each request took, by the stack's row and the page."""


def measure(rounds: int) -> Seconds:
    """Sends each page to each stack that takes it, in turns, and prints each figure as it comes."""
    stacks = [ours(MODEL), ours_in_float32(MODEL), by_hand(MODEL), *by_hand_in_bfloat16(MODEL)]
    files = {name: draw(shape) for name, shape in SHAPES_PX.items()}
    seconds: Seconds = {}
    patient = {"DENOISE_DEADLINE_SECONDS": str(LONGEST_S)}
    for stack in [replace(stack, environment=stack.environment | patient) for stack in stacks] * rounds:
        with servers.start(stack) as (_, url):
            for page in [page for page in files if page == WHOLE or stack.name.startswith(OURS)]:
                took = _ask(url, files[page])
                seconds.setdefault((stack.row, page), []).append(took)
                print(f"{stack.row}, a page of {page}: {took:.2f} s", flush=True)
    return seconds


def report(seconds: Seconds) -> Iterator[str]:
    """The lines of the table."""
    yield f"| stack | {' | '.join(f'{page}, s' for page in SHAPES_PX)} |"
    yield f"| --- |{' ---: |' * len(SHAPES_PX)}"
    for row in dict.fromkeys(row for row, _ in seconds):
        cells = (seconds.get((row, page)) for page in SHAPES_PX)
        yield f"| {row} | {' | '.join(f'{statistics.median(each):.2f}' if each else '' for each in cells)} |"


def draw(shape: tuple[int, int]) -> bytes:
    """A PNG of noisy digits, SCALE times their size, light ink on black."""
    file = io.BytesIO()
    noisy = np.rint(255 * spoil(lay_out(shape))).astype(np.uint8)
    Image.fromarray(noisy).save(file, "PNG", compress_level=1)
    return file.getvalue()


def lay_out(shape: tuple[int, int]) -> Pixels:
    """A clean page `[height, width]` of digits, SCALE times their size, light ink on black, 0 … 1."""
    rows, columns = (-(-length // (28 * SCALE)) for length in shape)
    grid = np.resize(read_digits(), (rows, columns, 28, 28)).swapaxes(1, 2).reshape(rows * 28, columns * 28)
    clean: Pixels = np.kron(grid, np.ones((SCALE, SCALE), np.float32))[: shape[0], : shape[1]]
    return clean


def read_digits() -> Pixels:
    """The test digits, `[10000, 28, 28]`, light ink on black, 0 … 1."""
    content = gzip.decompress(TEST_DIGITS.read_bytes())
    digits = np.frombuffer(content, np.uint8, offset=HEADER_BYTES).reshape(-1, 28, 28)
    return digits.astype(np.float32) / np.float32(255)


def spoil(clean: Pixels) -> Pixels:
    """Pixels of any shape with Gaussian noise, 0 … 1."""
    noisy = clean + NOISE * np.random.default_rng(SEED).standard_normal(clean.shape, dtype=np.float32)
    return np.clip(noisy, 0, 1)


def _ask(url: str, content: bytes) -> float:
    """Seconds until the answer is there. Raises OSError when it is a refusal."""
    request = urllib.request.Request(url, content, {"Content-Type": "image/png"})
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=LONGEST_S) as response:
        response.read()
    return time.perf_counter() - start
