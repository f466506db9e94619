"""`python -m benchmarks.quality`: how good every model and every classical denoiser is, on every kind of noise.

Writes docs/quality.csv, and from it docs/quality.md and its plots. The classical denoisers, BM3D above all, take most
of the half hour: `--keep-bm3d` measures the others again, `--models` the models alone, `--quick` a part of them and
whether docs/quality.csv still holds.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from benchmarks import ROOT
from benchmarks.quality import classical, figures, sheet, spoilt
from benchmarks.quality.classical import METHODS
from benchmarks.quality.figures import CLEAN, INPUT, Figure
from benchmarks.quality.spoilt import GAUSSIAN, Spoilt
from denoise import cleaning
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser
from denoise.pictures import Pixels
from denoise.pictures.parameters import Parameters
from denoise.settings import MAX_PIXELS
from training import noise

TIMED_NOISE = 0.5
TIMED_RUNS = 20
PROCESSES = 2
TOLERANCE = 0.005  # Two decimals of a figure must be the committed ones.


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--models", action="store_true", help="the models alone; what is classical stays as it was")
    parser.add_argument("--keep-bm3d", action="store_true", help="BM3D alone stays as it was")
    parser.add_argument("--quick", action="store_true", help="check a part, write nothing")
    options = parser.parse_args(arguments)
    models = denoiser.load(ROOT / "models", "cpu", threads=1)
    ways = list(spoilt.every_way(quick=options.quick))
    measured = [figure for way in ways for figure in _by_models(way, models)]
    if options.quick:
        _check(measured)
        return
    kept = list(METHODS) if options.models else ["BM3D"] if options.keep_bm3d else []
    measured += [figure for figure in figures.read() if figure.method in kept] if kept else []
    measured += _by_classical(ways, [name for name in METHODS if name not in kept])
    places = {(way.pictures, way.noise, way.level): place for place, way in enumerate(ways)}
    order = [INPUT, *METHODS, *models]
    measured.sort(key=lambda figure: (places[figure.key[:3]], order.index(figure.method)))
    figures.write(measured)
    sheet.write(measured, list(models), dict(_samples(ways, models, measured)), _seconds(ways, models))


def _check(measured: list[Figure]) -> None:
    """Ends the process with status 1 when a figure is not the committed one."""
    committed = {figure.key: figure for figure in figures.read()}
    wrong = []
    for figure in measured:
        before = committed.get(figure.key)
        if not before or any(
            abs(getattr(figure, n) - getattr(before, n)) > TOLERANCE for n in ("psnr", "ssim", "loss")
        ):
            wrong.append(f"measured  {figure}\ncommitted {before}")
    print(f"{len(measured)} figures measured, {len(wrong)} of them not as in {figures.FILE}")
    if wrong:
        sys.exit("\n".join(wrong))


def _by_models(way: Spoilt, models: Mapping[str, Denoiser]) -> Iterator[Figure]:
    """The input itself, and every model that takes such pictures."""
    if way.noise != CLEAN:
        yield way.figure(INPUT, None, way.noisy)
    for name, model in models.items():
        if way.pictures == sheet.DIGITS:
            yield way.figure(name, None, model(way.noisy).pixels)
        elif model.size is None and way.noise != CLEAN:
            answer = _by_service(model, way.noisy[0, ..., 0])
            yield way.figure(name, None, answer[np.newaxis, ..., np.newaxis])


def _by_service(model: Denoiser, noisy: Pixels) -> Pixels:
    """What the service makes of a page `[height, width]` that it gets as dark ink on light paper, turned back."""
    return 1 - cleaning.clean(1 - noisy, model, Parameters(), MAX_PIXELS).restored


def _by_classical(ways: list[Spoilt], methods: list[str]) -> Iterator[Figure]:
    """The classical denoisers, each tuned on the very pictures; the slowest first, so that no process idles at last."""
    work = [(way, name) for way in ways if way.noise != CLEAN for name in methods]
    work.sort(key=lambda each: (each[1] == "BM3D", each[0].clean.size), reverse=True)
    if not work:
        return
    pictures = ((name, way.noisy[..., 0], way.clean[..., 0]) for way, name in work)
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        tuned = pool.map(classical.tune_by_name, *zip(*pictures, strict=True))
        for (way, name), (value, answer) in zip(work, tuned, strict=True):
            print(f"{way.pictures}, {way.noise} {way.level}: {name} at {value}", flush=True)
            yield way.figure(name, value, answer)


def _samples(
    ways: list[Spoilt], models: Mapping[str, Denoiser], measured: list[Figure]
) -> Iterator[tuple[str, dict[str, Pixels]]]:
    """For every kind of noise, at its middle level: the first digits, spoilt, and what is made of them."""
    for way in ways:
        if way.pictures != sheet.DIGITS or way.noise == CLEAN:
            continue
        levels = noise.KINDS[way.noise].levels
        if way.level == levels[len(levels) // 2]:
            noisy = way.noisy[: sheet.SHOWN]
            best = sheet.best_classical(measured, way.pictures, way.noise, way.level)
            assert best.value is not None
            answers = [METHODS[best.method].run(picture, best.value) for picture in noisy[..., 0]]
            rows = {"clean": way.clean[: sheet.SHOWN], "noisy": noisy, best.method: np.array(answers)[..., np.newaxis]}
            rows |= {name: models[name](noisy).pixels for name in sheet.DENOISERS}
            yield f"{way.noise} {way.level:g}", rows


def _seconds(ways: list[Spoilt], models: Mapping[str, Denoiser]) -> dict[str, float]:
    """Seconds for one digit under Gaussian noise, on one thread, by method."""
    (way,) = (w for w in ways if (w.pictures, w.noise, w.level) == (sheet.DIGITS, GAUSSIAN, TIMED_NOISE))
    digit = way.noisy[:1]
    value = {name: classical.tune(method, digit[..., 0], way.clean[:1, ..., 0])[0] for name, method in METHODS.items()}
    calls: dict[str, Callable[[], object]] = {}
    for name, method in METHODS.items():
        calls[name] = lambda method=method, name=name: method.run(digit[0, ..., 0], value[name])  # type: ignore[misc]
    for name, model in models.items():
        calls[name] = lambda model=model: model(digit)  # type: ignore[misc]
    return {name: _median_seconds(call) for name, call in calls.items()}


def _median_seconds(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
