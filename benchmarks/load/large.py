"""`python -m benchmarks.load.large`: how long large pictures take, and how much memory.

For each row a service of its own, in one process, is sent so many noisy pages of digits at once. Prints the memory that
was resident once it had started, and the most that was while it worked. Needs Linux, which counts the latter.
"""

import argparse
import io
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

from benchmarks import TEST_DIGITS
from benchmarks.load import service
from denoise.pictures import Pixels
from training import mnist, noise, score
from training.pages import page

SHAPES_PX = ((2000, 2000), (3000, 4000), (4000, 4000))  # height, width
AT_ONCE = (1, 4)
SCALE, NOISE, JPEG_QUALITY = 3, 0.3, 80
SEED = 7
LONGEST_S = 300


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each size and number at once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.large", description=__doc__)
    parser.add_argument("--side", type=int, help="pixels of a square page, in place of all sizes")
    options = parser.parse_args(arguments)
    shapes = [(options.side, options.side)] if options.side else SHAPES_PX
    print("| page, px | at once | seconds | PSNR, dB: sent, answered | memory, MiB: before, at most |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for shape in shapes:
        random = np.random.default_rng(SEED)
        clean = 1 - page(mnist.read_images(TEST_DIGITS), shape, SCALE, random)[np.newaxis]
        noisy = noise.gaussian(clean, NOISE, random)
        for at_once in AT_ONCE:
            print(f"| {shape[0]:,}×{shape[1]:,} | {at_once} | {measure(clean, noisy, at_once)} |", flush=True)


def measure(clean: Pixels, noisy: Pixels, at_once: int) -> str:
    """The last three cells of a row, for pages `[1, height, width, 1]`.

    Raises:
        httpx2.HTTPStatusError: a page was refused.
    """
    file = io.BytesIO()
    Image.fromarray(np.rint(255 * noisy[0, ..., 0]).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    content = file.getvalue()
    # What is expected to take longer than the deadline is refused, and by its pixels this may.
    with service.start(DENOISE_WORKERS="1", DENOISE_DEADLINE_SECONDS=str(LONGEST_S)) as (process, url):
        before = memory_mib(process.pid, "VmRSS")

        def ask(_number: int) -> bytes:
            return httpx2.post(f"{url}/denoise", content=content, timeout=None).raise_for_status().content

        start = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            answers = list(pool.map(ask, range(at_once)))
        spent = time.perf_counter() - start
        most = memory_mib(process.pid, "VmHWM")
    sent, answered = (score.psnr(clean, decode(each)) for each in (content, answers[-1]))
    return f"{spent:.1f} | {sent:.1f}, {answered:.1f} | {before:.0f}, {most:.0f}"


def decode(content: bytes) -> Pixels:
    """A grey picture `[1, height, width, 1]`, 0 … 1."""
    values = np.asarray(Image.open(io.BytesIO(content)), np.float32)
    return values[np.newaxis, ..., np.newaxis] / np.float32(255)


def memory_mib(process: int, field: str) -> float:
    """A field of what Linux says about a process's memory, proc_pid_status(5)."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert match
    return int(match[1]) / 1024


if __name__ == "__main__":
    main()
