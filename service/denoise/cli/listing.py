"""The table that `denoise models` prints: a row for each model of a service or a folder."""

from collections.abc import Iterator, Mapping, Sequence

from denoise.cli.client import HttpClient
from denoise.cli.progress import printable
from denoise.inference import denoiser
from denoise.settings import Settings

Row = tuple[str, ...]
"""Name, task, pictures, PSNR and title of a model."""


def of_service(url: str, key: str | None) -> list[Row]:
    """A running service's models. Raises RequestError."""
    return [
        _row(card.name, card.default and card.task == "denoise", card.task, card.size, card.scores, card.title)
        for card in HttpClient(url, key).models()
    ]


def of_folder(settings: Settings) -> list[Row]:
    """The models in the settings' folder. Raises SetupError."""
    models = denoiser.load(settings.models, settings.device, 1)
    best = denoiser.default(models, "denoise", settings.default_model)
    return [
        _row(name, name == best, model.task, model.size, model.scores, model.facts["title"])
        for name, model in models.items()
    ]


def align(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as lines whose columns lie below each other."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(
    name: str, default: bool, task: str, size: tuple[int, int] | None, scores: Mapping[str, float], title: str
) -> Row:
    pictures = f"{size[1]}×{size[0]}" if size else "any size"
    return (f"{name}{' *' if default else ''}", task, pictures, f"{scores.get('psnr', 0):.2f} dB", title)
