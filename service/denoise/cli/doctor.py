"""`python -m denoise doctor`: what the service would run on here, proved and timed; fails when something is missing."""

import platform
import shutil
import subprocess
import time
from collections.abc import Iterator

import numpy as np

from denoise import machine
from denoise.errors import SetupError
from denoise.inference import denoiser
from denoise.inference.denoiser import CPU, CUDA, Denoiser
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
    yield f"runtime     {', '.join(f'{name} {version}' for name, version in denoiser.versions().items())}"
    yield f"CPUs        {cpus()} may be used; {settings.workers or best_worker_count()} worker processes"
    yield f"memory      {machine.memory()}"
    yield f"GPU         {_gpu()}"
    for provider in (CUDA, CPU):
        if provider not in denoiser.providers():
            yield f"{provider}: no, the onnxruntime installed here is built without it"
            continue
        yield f"{provider}:"
        for path in sorted(settings.models.glob("*.onnx")):
            try:
                model = Denoiser(path, provider, settings.threads or cpus())
            except SetupError as error:
                yield f"  {path.stem:10}  {error}"
                continue
            rates = ", ".join(f"{_rate(model, batch):,.0f} in batches of {batch}" for batch in BATCHES)
            yield f"  {path.stem:10}  self-check within {model.difference:.1g}; digits/s: {rates}"
    served = denoiser.load(settings.models, settings.device, settings.threads or cpus())
    denoiser.default(served, "denoise", settings.default_model)
    places = ", ".join(f"{name} on {model.provider}" for name, model in served.items())
    yield f"All is well. With DENOISE_DEVICE={settings.device}: {places}."


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
