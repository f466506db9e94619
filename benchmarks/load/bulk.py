"""`python -m benchmarks.load.bulk`: pictures per second of `denoise` over a mixed folder, and over arrays.

The folder holds test digits as PNG, JPEG, WebP, BMP, GIF, TIFF and PGM, of 28×28 pixels and larger, and some broken
files. Arrays are taken from file to file, by each model in the way that it is served in; beside them the model runs on
the same digits in batches of the same size, from memory, by as many threads. Prints the medians of several rounds, in
which both take turns.
"""

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import ROOT, TEST_DIGITS
from benchmarks.checkouts import THIS
from denoise import machine
from denoise.bulk import arrays
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser

KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
ENDINGS = {"PPM": "pgm", "JPEG": "jpg", "TIFF": "tif"}
SIDES_PX = ((28, 28), (28, 28), (28, 28), (56, 56), (100, 80), (160, 200))  # height, width
NOISE = 0.3
ROUNDS = 5
MOST_DIGITS = 50_000

Bytes = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.bulk", description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--broken", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a run over an array takes")
    parser.add_argument("--jobs", type=int, default=machine.cpus())
    parser.add_argument("--only-make", type=Path, help="make the folder there, and no more")
    options = parser.parse_args(arguments)
    content = gzip.decompress(TEST_DIGITS.read_bytes())
    digits = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
    if options.only_make:
        make(options.only_make, digits, options.pictures, options.broken)
        return
    with tempfile.TemporaryDirectory() as folder:
        scans = Path(folder) / "scans"
        make(scans, digits, options.pictures, options.broken)
        for jobs in sorted({1, options.jobs}):
            print(
                f"{options.pictures:,} pictures and {options.broken} broken ones, --jobs {jobs}: ", end="", flush=True
            )
            print(over_folder(scans, Path(folder) / f"clean-{jobs}", jobs))
        for name, model in denoiser.load(ROOT / "models", "auto", 1, "auto").items():
            for kind in ("uint8", "float32"):
                for threads in sorted({1, options.jobs}):
                    ours, alone = over_array(Path(folder), model, digits, options.seconds, kind, threads)
                    print(
                        f"{name} on {model.way}, {kind} .npy, {threads} threads: {ours:,.0f} digits/s; "
                        f"the runs alone: {alone:,.0f}; {ours / alone:.2f} of it",
                        flush=True,
                    )


def make(folder: Path, digits: Bytes, pictures: int, broken: int) -> None:
    """Fills a folder with noisy digits of many kinds, in two levels, and with broken files named `broken_*`."""
    random = np.random.default_rng(7)
    for number in range(pictures + broken):
        kind, (height, width) = KINDS[number % len(KINDS)], SIDES_PX[int(random.integers(len(SIDES_PX)))]
        image = Image.fromarray(digits[number % len(digits)]).resize((width, height), Image.Resampling.BICUBIC)
        noisy = np.asarray(image, np.float32) / 255 + NOISE * random.standard_normal((height, width))
        pixels = np.rint(np.clip(noisy if number % 2 else 1 - noisy, 0, 1) * 255).astype(np.uint8)
        name = f"{'broken' if number >= pictures else 'digit'}_{number:05}.{ENDINGS.get(kind, kind.lower())}"
        path = folder / f"{number // 500:02}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, kind)
        if number >= pictures:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 4] if number % 2 else b"no picture")


def over_folder(scans: Path, clean: Path, jobs: int) -> str:
    """The line that `denoise` ends with after cleaning the folder; its time includes the start."""
    command = [sys.executable, "-m", "denoise", str(scans), "-o", str(clean), "--jobs", str(jobs)]
    environment = os.environ | THIS.environment
    finished = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    return finished.stderr.partition("\n")[0]


def over_array(
    folder: Path, model: Denoiser, digits: Bytes, seconds: float, kind: str, threads: int
) -> tuple[float, float]:
    """Digits per second of `denoise` from file to file, and of the model's runs alone."""
    work = arrays.Work(model, model.size, threads)
    source, target = folder / "digits.npy", folder / "clean.npy"
    first = (digits[: 2 * arrays.PICTURES_PER_RUN, ..., np.newaxis] / np.float32(255)).astype(np.float32)
    rate = len(first) / _measure_seconds(lambda: model(first))
    count = min(MOST_DIGITS, max(1, int(rate * seconds)))
    digits = np.resize(digits, (count, *digits.shape[1:]))
    pixels = (digits / np.float32(255)).astype(np.float32)[..., np.newaxis]
    np.save(source, digits if kind == "uint8" else pixels)

    def ours() -> None:
        with target.open("wb") as file:
            for _ in arrays.clean(source, file, target.name, work):
                pass

    def alone() -> None:
        batches = range(0, len(pixels), arrays.PICTURES_PER_RUN)
        with ThreadPoolExecutor(threads) as pool:
            share = len(batches) // threads + 1
            parts = [batches[start : start + share] for start in range(0, len(batches), share)]
            for _ in pool.map(lambda part: [model(batch) for batch in _cut(pixels, part)], parts):
                pass

    ours()
    alone()
    times = [(_measure_seconds(ours), _measure_seconds(alone)) for _ in range(ROUNDS)]
    spent, least = (median(column) for column in zip(*times, strict=True))
    return len(digits) / spent, len(digits) / least


def _cut(pixels: NDArray[np.float32], starts: range) -> Iterator[NDArray[np.float32]]:
    return (pixels[start : start + arrays.PICTURES_PER_RUN] for start in starts)


def _measure_seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
