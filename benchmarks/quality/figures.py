"""The figures of the score sheet, and the file that keeps them, docs/quality.csv."""

import csv
from dataclasses import asdict, dataclass, fields

from benchmarks import ROOT

DOCS = ROOT / "docs"
FILE = DOCS / "quality.csv"
INPUT, CLEAN = "input", "clean"


@dataclass(frozen=True)
class Figure:
    """How near a method comes to the clean pictures, on the mean over them.

    Attributes:
        value: the best value of a classical method's number; None of a model.
        psnr: peak signal-to-noise ratio in dB.
        ssim: structural similarity, 1 where nothing differs.
        loss: cross-entropy in nats per pixel.
    """

    pictures: str
    noise: str
    level: float
    method: str
    value: float | None
    psnr: float
    ssim: float
    loss: float

    @property
    def key(self) -> tuple[str, str, float, str]:
        """What it is a figure of."""
        return self.pictures, self.noise, self.level, self.method


def read() -> list[Figure]:
    """The committed figures."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [_figure(line) for line in csv.DictReader(file)]


def write(figures: list[Figure]) -> None:
    """Puts the figures where `read` finds them."""
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Figure))
        for figure in figures:
            row = asdict(figure)
            # Numbers that were read are 3.0 where measured ones are 3, and both are written as 3.
            writer.writerow(
                (row | {name: f"{row[name]:g}" for name in ("level", "value") if row[name] is not None}).values()
            )


def _figure(line: dict[str, str]) -> Figure:
    value = float(line["value"]) if line["value"] else None
    measured = (float(line[name]) for name in ("psnr", "ssim", "loss"))
    return Figure(line["pictures"], line["noise"], float(line["level"]), line["method"], value, *measured)
