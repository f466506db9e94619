"""`python -m benchmarks.quality.precision`: how much quality the precision costs in which a model runs here.

Many digits and pages are spoilt in every way of docs/quality.md and cleaned twice, as `/denoise` does it: in float32,
and in what `DENOISE_PRECISION=auto` chooses. The last bits decide what becomes of some digit in a hundred, so the 40
digits and the one page of a row there say more of these than of the precision. Prints a row for each way; ten minutes
on one core.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.quality import reader
from benchmarks.quality.figures import CLEAN
from benchmarks.quality.spoilt import PAGE_PX
from denoise import cleaning
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser
from denoise.pictures import Pixels
from denoise.pictures.noise import psnr
from denoise.pictures.parameters import Parameters
from denoise.settings import MAX_PIXELS, read
from training import noise, pages

DIGITS, PAGES = 1000, 30  # Of each kind and level.
SEED = 2017


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table, and its largest differences."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.precision", description=__doc__)
    parser.add_argument("--model", default="unet_dae")
    parser.add_argument("--digits", type=int, default=DIGITS)
    parser.add_argument("--pages", type=int, default=PAGES)
    options = parser.parse_args(arguments)
    settings = read()
    path = settings.models / f"{options.model}.onnx"
    exact, chosen = (denoiser.load_files([path], settings.device, 1, each)[0] for each in ("float32", "auto"))
    print(f"| noise | level | pictures | {exact.way}, dB | {chosen.way}, dB |")
    print("| --- | ---: | --- | ---: | ---: |")
    levels = [(CLEAN, 0.0), *((name, level) for name, kind in noise.KINDS.items() for level in kind.levels)]
    differences: dict[bool, list[float]] = {}
    for pictures, count in (("digits", options.digits), ("pages", options.pages if exact.size is None else 0)):
        for name, level in levels if count else ():
            before, after = (_measure(model, name, level, pictures, count) for model in (exact, chosen))
            differences.setdefault(name == CLEAN, []).append(after - before)
            print(f"| {name} | {level:g} | {count:,} {pictures} | {before:.3f} | {after - before:+.3f} |", flush=True)
    for is_clean, each in differences.items():
        print(f"{'clean' if is_clean else 'noisy'}: {min(each):+.3f} to {max(each):+.3f} dB in {len(each)} rows")


def _measure(model: Denoiser, name: str, level: float, pictures: str, count: int) -> float:
    """The mean PSNR of a model's answers, in dB."""
    scores = []
    for clean, noisy in _draw(name, level, pictures, count):
        answer = cleaning.clean(1 - noisy, model, Parameters(invert="true"), MAX_PIXELS)
        scores.append(psnr(clean, 1 - answer.restored))
    return float(np.mean(scores))


def _draw(name: str, level: float, pictures: str, count: int) -> Iterator[tuple[Pixels, Pixels]]:
    """Clean and spoilt pictures, light ink on black, the same for each call."""
    digits: Pixels = (reader.test_digits()[0][..., np.newaxis] / 255).astype(np.float32)
    random = np.random.default_rng(SEED)
    for number in range(count):
        clean = digits[number] if pictures == "digits" else pages.page(digits, PAGE_PX, 1.0, random)
        noisy = clean if name == CLEAN else noise.KINDS[name].spoil(clean[np.newaxis], level, random)[0]
        yield clean[..., 0], noisy[..., 0]


if __name__ == "__main__":
    main()
