"""`python -m benchmarks.quality`: how good every model and every classical denoiser is, on every kind of noise.

Writes docs/quality.csv, and from it docs/quality.md and its plots. The classical denoisers, BM3D above all, take most
of the half hour: `--keep-bm3d` measures the others again, `--models` the models alone, `--quick` a part of them and
whether docs/quality.csv still holds.
"""

import argparse
import gzip
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import classical, figures, sheet
from benchmarks.classical import METHODS
from benchmarks.figures import CLEAN, INPUT, Figure
from denoise.inference import denoiser, tiling
from denoise.inference.denoiser import Denoiser
from denoise.pictures import Pixels, framing
from training import noise, pages, score

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "tests" / "mnist" / "t10k-images-idx3-ubyte.gz"  # MNIST's test digits: no model was trained on them
COUNT = 40  # single digits per kind and level
SEED = 2017
PAGE = (112, 448)  # px: the page that is spoilt in every way
LARGE_PAGES = tuple((shape, scale) for shape in ((200, 800), (1200, 1600)) for scale in (1, 3, 6))
GAUSSIAN = "gaussian"
LARGE_PAGE_NOISE = 0.3
TIMED_NOISE = 0.5
TIMED_RUNS = 20  # of which the median counts
PROCESSES = 2
TOLERANCE = 0.005  # of a figure: two decimals


@dataclass(frozen=True)
class Task:
    """Pictures of one size, spoilt in one way: `[count, height, width, 1]`, light ink on black."""

    pictures: str
    noise: str
    level: float
    clean: Pixels
    noisy: Pixels

    def figure(self, method: str, value: float | None, answer: Pixels) -> Figure:
        """How good `answer` is."""
        scores = score.score(self.clean, self.clean, answer)
        measured = (round(scores[name], 4) for name in ("psnr", "ssim", "loss"))
        return Figure(self.pictures, self.noise, self.level, method, value, *measured)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--models", action="store_true", help="the models alone; what is classical stays as it was")
    parser.add_argument("--keep-bm3d", action="store_true", help="BM3D alone stays as it was")
    parser.add_argument("--quick", action="store_true", help="check a part, write nothing")
    options = parser.parse_args(arguments)
    models = denoiser.load(ROOT / "models", "cpu", threads=1)
    tasks = list(_tasks(quick=options.quick))
    measured = [figure for task in tasks for figure in _by_models(task, models)]
    if options.quick:
        _check(measured)
        return
    kept = list(METHODS) if options.models else ["BM3D"] if options.keep_bm3d else []
    measured += [figure for figure in figures.read() if figure.method in kept] if kept else []
    measured += _by_classical(tasks, [name for name in METHODS if name not in kept])
    places = {(task.pictures, task.noise, task.level): place for place, task in enumerate(tasks)}
    order = [INPUT, *METHODS, *models]
    measured.sort(key=lambda figure: (places[figure.key[:3]], order.index(figure.method)))
    figures.write(measured)
    sheet.write(measured, list(models), dict(_samples(tasks, models, measured)), _times(tasks, models))


def _check(measured: list[Figure]) -> None:
    """Ends the process with status 1 when a figure is not the committed one."""
    committed = {figure.key: figure for figure in figures.read()}
    wrong = []
    for figure in measured:
        told = committed.get(figure.key)
        if not told or any(abs(getattr(figure, n) - getattr(told, n)) > TOLERANCE for n in ("psnr", "ssim", "loss")):
            wrong.append(f"measured {figure}\ntold     {told}")
    print(f"{len(measured)} figures measured, {len(wrong)} of them not as in {figures.FILE}")
    if wrong:
        sys.exit("\n".join(wrong))


def _tasks(*, quick: bool) -> Iterator[Task]:
    """All that is measured: single digits and a page in every way, large pages in one."""
    content = gzip.decompress(DIGITS.read_bytes())
    digits: Pixels = (np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28, 1) / 255).astype(np.float32)
    page = pages.page(digits, PAGE, 1.0, np.random.default_rng(SEED))[np.newaxis]
    for pictures, clean in ((sheet.DIGITS, digits[:COUNT]), (_named(PAGE, 1), page)):
        yield Task(pictures, CLEAN, 0, clean, clean)
        for place, (name, kind) in enumerate(noise.KINDS.items()):
            for level in kind.levels:
                random = np.random.default_rng([SEED, place, round(level * 100)])
                yield Task(pictures, name, level, clean, kind.spoil(clean, level, random))
    for shape, scale in LARGE_PAGES:
        if quick and shape != LARGE_PAGES[0][0]:
            continue
        random = np.random.default_rng([SEED, *shape, scale])
        clean = pages.page(digits, shape, scale, random)[np.newaxis]
        noisy = noise.gaussian(clean, LARGE_PAGE_NOISE, random)
        yield Task(_named(shape, scale), GAUSSIAN, LARGE_PAGE_NOISE, clean, noisy)


def _named(shape: tuple[int, int], scale: float) -> str:
    return f"page of {shape[0]}×{shape[1]} px, digits at {scale}×"


def _by_models(task: Task, models: Mapping[str, Denoiser]) -> Iterator[Figure]:
    """The input itself, and every model that takes such pictures."""
    if task.noise != CLEAN:
        yield task.figure(INPUT, None, task.noisy)
    for name, model in models.items():
        if task.pictures == sheet.DIGITS:
            yield task.figure(name, None, model(task.noisy).pixels)
        elif model.size is None and task.noise != CLEAN:
            answer = _by_service(model, task.noisy[0, ..., 0])
            yield task.figure(name, None, answer[np.newaxis, ..., np.newaxis])


def _by_service(model: Denoiser, noisy: Pixels) -> Pixels:
    """What the service makes of a page `[height, width]` that it gets as dark ink on light paper, turned back."""
    seen, frame = framing.fit(1 - noisy, None, None)
    answer, _ = tiling.run(model, seen)
    return 1 - framing.restore(answer, frame)


def _by_classical(tasks: list[Task], methods: list[str]) -> Iterator[Figure]:
    """The classical denoisers, each tuned on the very pictures; the slowest first, so that no process idles at last."""
    todo = [(task, name) for task in tasks if task.noise != CLEAN for name in methods]
    todo.sort(key=lambda work: (work[1] == "BM3D", work[0].clean.size), reverse=True)
    if not todo:
        return
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        for (task, name), (value, answer) in zip(todo, pool.map(_tuned, *zip(*todo, strict=True)), strict=True):
            print(f"{task.pictures}, {task.noise} {task.level}: {name} at {value}", flush=True)
            yield task.figure(name, value, answer)


def _tuned(task: Task, name: str) -> tuple[float, Pixels]:
    return classical.tuned(METHODS[name], task.noisy[..., 0], task.clean[..., 0])


def _samples(
    tasks: list[Task], models: Mapping[str, Denoiser], measured: list[Figure]
) -> Iterator[tuple[str, dict[str, Pixels]]]:
    """For every kind of noise, at its middle level: the first digits, spoilt, and what is made of them."""
    for task in tasks:
        if task.pictures != sheet.DIGITS or task.noise == CLEAN:
            continue
        levels = noise.KINDS[task.noise].levels
        if task.level == levels[len(levels) // 2]:
            noisy = task.noisy[: sheet.SHOWN]
            best = sheet.best_classical(measured, task.pictures, task.noise, task.level)
            assert best.value is not None
            answers = [METHODS[best.method].run(picture, best.value) for picture in noisy[..., 0]]
            rows = {"clean": task.clean[: sheet.SHOWN], "noisy": noisy, best.method: np.array(answers)[..., np.newaxis]}
            rows |= {name: models[name](noisy).pixels for name in sheet.DENOISERS}
            yield f"{task.noise} {task.level:g}", rows


def _times(tasks: list[Task], models: Mapping[str, Denoiser]) -> dict[str, float]:
    """Seconds for one digit under Gaussian noise, on one thread, by method."""
    (task,) = (t for t in tasks if (t.pictures, t.noise, t.level) == (sheet.DIGITS, GAUSSIAN, TIMED_NOISE))
    digit = task.noisy[:1]
    value = {
        name: classical.tuned(method, digit[..., 0], task.clean[:1, ..., 0])[0] for name, method in METHODS.items()
    }
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
