"""What measuring photos takes off the shelf: the test digits, who reads them, the models, and the measures."""

import functools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import ROOT
from benchmarks.quality import reader
from benchmarks.quality.reader import Reader
from benchmarks.quality.sheet import BEST
from denoise import cleaning
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser
from denoise.pictures import Pixels
from denoise.pictures.parameters import Parameters
from training import score


class Shelf(NamedTuple):
    """The test digits `[count, 28, 28]` and their labels, who reads such digits, and the models."""

    digits: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    read: Reader
    models: Mapping[str, Denoiser]


@functools.cache
def shelf() -> Shelf:
    """The project's own."""
    digits, labels = reader.test_digits()
    return Shelf(digits, labels, reader.trained(digits, labels), denoiser.load(ROOT / "models", "cpu", threads=1))


def clean(picture: Pixels, model: str = BEST) -> cleaning.Cleaned:
    """What `/denoise` makes of a picture `[height, width]`, 0 … 1."""
    return cleaning.clean(picture, shelf().models[model], Parameters(), picture.size)


def psnr(truth: Pixels, answer: Pixels) -> float:
    """Peak signal-to-noise ratio of a picture `[height, width]`, in dB."""
    return score.psnr(truth[np.newaxis, ..., np.newaxis], answer[np.newaxis, ..., np.newaxis])


def percent(right: Iterable[bool]) -> float:
    """The share that is right."""
    return 100 * float(np.mean(list(right)))
