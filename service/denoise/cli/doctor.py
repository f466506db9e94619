"""`python -m denoise doctor`: what the service would run on here, proved and timed; fails when something is missing."""

import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from denoise import machine
from denoise.errors import SetupError
from denoise.inference import denoiser, ways
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import Way
from denoise.machine import cpus
from denoise.server.process import best_worker_count
from denoise.settings import Settings

BATCHES = (1, 8, 64)
DIGIT = (28, 28)  # Models of any size are timed with pictures of this height and width.
TIMING_SECONDS = 0.3
DRIVER_SECONDS = 20
ASK_DRIVER = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")


def examine(settings: Settings) -> Iterator[str]:
    """Line by line what there is. Raises SetupError at the end where the service would refuse to start."""
    yield f"system      {platform.platform()}, Python {platform.python_version()}"
    yield f"runtime     {', '.join(f'{name} {version}' for name, version in ways.versions().items())}"
    yield f"CPUs        {cpus()} may be used; {settings.workers or best_worker_count()} worker processes"
    yield f"memory      {machine.memory()}"
    yield f"GPU         {_gpu()}"
    found = ways.find(settings.device, settings.precision)
    for way in ways.ALL:
        yield f"{way}: {found.closed.get(way, '')}".rstrip()
        for path in sorted(settings.models.glob("*.onnx")) if way in found.open else ():
            yield f"  {path.stem:10}  {_try(path, way, settings)}"
    served = denoiser.load(settings.models, settings.device, settings.threads or cpus(), settings.precision)
    denoiser.default(served, "denoise", settings.default_model)
    for name, model in served.items():
        yield f"{name} is served by {model.way}"
        yield from (f"  not by {way}: {why}" for way, why in model.ruled_out.items())
    yield f"All is well, with DENOISE_DEVICE={settings.device} and DENOISE_PRECISION={settings.precision}."


def _try(path: Path, way: Way, settings: Settings) -> str:
    """How a model does in a way, in words."""
    try:
        model = Denoiser(path, way, settings.threads or cpus())
    except SetupError as error:
        return str(error)
    rates = ", ".join(f"{_rate(model, batch):,.0f} in batches of {batch}" for batch in BATCHES)
    return f"self-check within {model.difference:.1g}; digits/s: {rates}"


def _rate(model: Denoiser, batch: int) -> float:
    """Digits per second."""
    digits = np.zeros((batch, *(model.size or DIGIT), 1), np.float32)
    model(digits)
    runs, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < TIMING_SECONDS:
        model(digits)
        runs += 1
    return runs * batch / spent


def _gpu() -> str:
    if not shutil.which(ASK_DRIVER[0]):
        return "none: there is no NVIDIA driver here"
    answer = subprocess.run(ASK_DRIVER, capture_output=True, text=True, check=False, timeout=DRIVER_SECONDS)  # noqa: S603  # It is a fixed command.
    return (
        "; ".join(answer.stdout.strip().splitlines()) or f"none: {answer.stderr.strip() or 'the driver tells of none'}"
    )
