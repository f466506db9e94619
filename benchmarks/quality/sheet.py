"""docs/quality.md and its plots, from measured figures."""

import io
import itertools
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Plot
from PIL import Image

from benchmarks.quality import written
from benchmarks.quality.classical import METHODS
from benchmarks.quality.figures import CLEAN, DOCS, INPUT, Figure
from denoise.pictures import Pixels
from training import noise

DIGITS = "digits of 28×28 px"
DENOISERS = ("easy_dae", "conv_dae", "unet_dae")
BEST = "unet_dae"
ENOUGH_DB = 3.0  # BEST is meant to be so much above the best classical denoiser.
SHOWN = 5  # Digits in a row of samples.
DOTS_PER_INCH = 80
COLOURS = {INPUT: "0.6", "best classical": "C1", "easy_dae": "C2", "conv_dae": "C3", "unet_dae": "C0"}
INTRODUCTION = """\
# How good the models are

Written by `make report`; `python -m benchmarks.quality --models` measures the models alone again. The figures are in
[quality.csv](quality.csv).

Pictures that no model was trained on are spoilt in every way that [training/noise.py](../training/noise.py) knows, and
what comes back is compared with what they were: peak signal-to-noise ratio (PSNR, dB, mean over pictures), structural
similarity (SSIM), and cross-entropy (loss, nats per pixel). The classical denoisers (median and Gaussian from SciPy,
total variation, non-local means and wavelets from scikit-image, BM3D from its authors) each have the one number that
they need tuned on the very pictures, with the clean ones at hand, which nobody who has noisy pictures has. The models
are told nothing. `basic_ae` is no denoiser: it reconstructs. `easy_dae` and `conv_dae` were trained for Gaussian noise
of 0.5 alone. Photos of written sheets have [a page of their own](photographs.md).
"""

mpl.use("Agg")


def write(
    figures: Sequence[Figure],
    models: Sequence[str],
    samples: Mapping[str, Mapping[str, Pixels]],
    seconds: Mapping[str, float],
) -> None:
    """Writes docs/quality.md and the pictures that it shows.

    Args:
        figures: all that was measured.
        models: their names, in the order of columns.
        samples: for each kind of noise, rows of SHOWN digits by caption.
        seconds: for one digit, by method.
    """
    _plot_levels(figures)
    _plot_samples(samples)
    _plot_times(figures, seconds)
    text = itertools.chain([INTRODUCTION], _sections(figures, models, seconds), written.section(written.read()))
    (DOCS / "quality.md").write_text("\n".join(text), encoding="utf-8")


def best_classical(figures: Iterable[Figure], pictures: str, kind: str, level: float) -> Figure:
    """The classical denoiser with the highest PSNR there."""
    there = (figure for figure in figures if figure.key[:3] == (pictures, kind, level) and figure.method in METHODS)
    return max(there, key=lambda figure: figure.psnr)


def _sections(figures: Sequence[Figure], models: Sequence[str], seconds: Mapping[str, float]) -> Iterator[str]:
    sheets: dict[str, dict[tuple[str, float], dict[str, Figure]]] = {}
    for figure in figures:
        sheet = sheets.setdefault(figure.pictures, {})
        sheet.setdefault((figure.noise, figure.level), {})[figure.method] = figure
    large = [name for name, sheet in sheets.items() if len(sheet) == 1]
    spoilt = {name: {at: row for at, row in sheet.items() if at[0] != CLEAN} for name, sheet in sheets.items()}
    digits = sheets[DIGITS]

    yield from ("## Over the level of noise", "", "![PSNR over the level of every kind](quality-levels.png)", "")
    yield from ("## Side by side", "", "![samples of every kind](quality-samples.png)", "")
    yield from ("## Where the default model falls short", "")
    short = [
        f"- {name}, {kind} {level:g}: {row[BEST].psnr - best.psnr:+.2f} dB"
        f"{', below its input' if row[BEST].psnr < row[INPUT].psnr else ''}"
        for name, sheet in spoilt.items()
        for (kind, level), row in sheet.items()
        if (best := best_classical(row.values(), name, kind, level))
        and (row[BEST].psnr - best.psnr < ENOUGH_DB or row[BEST].psnr < row[INPUT].psnr)
    ]
    count = sum(map(len, spoilt.values()))
    yield f"Of {count} ways to spoil a picture, `{BEST}` is {ENOUGH_DB:g} dB or more above the best classical denoiser"
    yield f"in {count - len(short)}. In the others, by how much:"
    yield from ("", *(short or ["- none"]), "")
    yield f"Clean digits come back at {digits[CLEAN, 0.0][BEST].psnr:.2f} dB; from `conv_dae`, which harms what is"
    yield f"clean, at {digits[CLEAN, 0.0]['conv_dae'].psnr:.2f} dB."
    yield ""
    for name, sheet in sheets.items():
        if name not in large:
            columns = [*METHODS, *(model for model in models if model in next(iter(sheet.values())))]
            yield from (f"## {name.capitalize()}: PSNR, dB", "")
            yield from _table(sheet, [INPUT, *columns], "psnr", ".2f", marked=True)
    yield from ("## Large pages: PSNR, dB", "", "Sent as dark ink on light paper, through everything that the service")
    yield from ("does with a page: polarity, scale, tiles.", "")
    pages = {(f"{name}, {kind}", level): row for name in large for (kind, level), row in spoilt[name].items()}
    yield from _table(pages, [INPUT, *METHODS, BEST], "psnr", ".2f", marked=True)
    for measure, title, form in (("ssim", "SSIM", ".3f"), ("loss", "loss, nats per pixel", ".3f")):
        yield from (f"## {DIGITS.capitalize()}: {title}", "")
        yield from _table(digits, [INPUT, *METHODS, *models], measure, form)
    yield from ("## Time", "", "For one digit under Gaussian noise, on one thread of the machine that measured this")
    yield from (f"({platform.machine()}); unlike all above, these change from run to run.", "")
    yield from ("![quality over time](quality-times.png)", "", "| method | ms |", "| --- | --- |")
    yield from (f"| {name} | {1000 * spent:.2f} |" for name, spent in seconds.items())
    yield ""


def _table(
    sheet: Mapping[tuple[str, float], Mapping[str, Figure]],
    columns: Sequence[str],
    measure: str,
    form: str,
    *,
    marked: bool = False,
) -> Iterator[str]:
    """One line per way to spoil; with `marked` also what BEST is above the best classical denoiser."""
    heads = ["noise", *columns, *(["above the best classical"] if marked else [])]
    yield f"| {' | '.join(heads)} |"
    yield f"| --- |{' ---: |' * (len(heads) - 1)}"
    for (kind, level), row in sheet.items():
        cells = [format(getattr(row[name], measure), form) if name in row else "" for name in columns]
        if marked:
            best = max((row[name].psnr for name in METHODS if name in row), default=None)
            cells.append("" if best is None else f"{row[BEST].psnr - best:+.2f}")
        yield f"| {kind}{f' {level:g}' if level else ''} | {' | '.join(cells)} |"
    yield ""


def _plot_levels(figures: Sequence[Figure]) -> None:
    plot, axes = plt.subplots(3, 4, figsize=(15, 10), layout="constrained")
    for axis, (kind, its) in zip(np.ravel(np.asarray(axes)), noise.KINDS.items(), strict=True):
        there = [figure for figure in figures if (figure.pictures, figure.noise) == (DIGITS, kind)]
        lines = {name: [f.psnr for f in there if f.method == name] for name in (INPUT, *DENOISERS)}
        lines["best classical"] = [best_classical(there, DIGITS, kind, level).psnr for level in its.levels]
        for name, colour in COLOURS.items():
            axis.plot(its.levels, lines[name], "o-", color=colour, label=name)
        axis.set_title(kind)
        axis.set_xlabel("level")
        axis.set_ylabel("PSNR, dB")
        axis.grid(alpha=0.3)
    np.ravel(np.asarray(axes))[0].legend()
    _save(plot, "quality-levels.png")


def _plot_samples(samples: Mapping[str, Mapping[str, Pixels]]) -> None:
    columns = 3
    rows = -(-len(samples) // columns)
    plot, axes = plt.subplots(rows, columns, figsize=(15, 4.4 * rows), layout="constrained")
    for axis, (title, lines) in zip(np.ravel(np.asarray(axes)), samples.items(), strict=True):
        sheet = np.concatenate([np.concatenate(list(pictures[..., 0]), axis=1) for pictures in lines.values()])
        side = sheet.shape[0] // len(lines)
        axis.imshow(np.clip(sheet, 0, 1), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
        axis.set_xticks([])
        axis.set_yticks(side * (np.arange(len(lines)) + 0.5), list(lines))
    _save(plot, "quality-samples.png")


def _plot_times(figures: Sequence[Figure], seconds: Mapping[str, float]) -> None:
    plot, axis = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, spent in seconds.items():
        psnr = np.mean([f.psnr for f in figures if f.pictures == DIGITS and f.noise != CLEAN and f.method == name])
        axis.semilogx(1000 * spent, psnr, "o", color="C1" if name in METHODS else "C0")
        axis.annotate(name, (1000 * spent, psnr), xytext=(5, 5), textcoords="offset points")
    axis.set_xlabel("ms per digit, one thread")
    axis.set_ylabel("PSNR, dB, mean over all kinds and levels")
    axis.grid(alpha=0.3)
    _save(plot, "quality-times.png")


def _save(plot: Plot, name: str) -> None:
    drawn = io.BytesIO()
    plot.savefig(drawn, dpi=DOTS_PER_INCH, bbox_inches="tight")
    plt.close(plot)
    # Every version of these files is in each clone, and with a palette they are half as large.
    Image.open(drawn).convert("RGB").quantize(dither=Image.Dither.NONE).save(DOCS / name, optimize=True)
