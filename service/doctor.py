"""`python -m service doctor`: what the service would run on here, proved and timed; fails when something is missing."""

import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from service import denoiser
from service.denoiser import CPU, CUDA, Denoiser
from service.errors import SetupError
from service.server import workers
from service.settings import Settings, cpus

BATCHES = (1, 8, 64)
DIGIT = (28, 28)  # px
TIMED_S = 0.3  # per model, provider and batch size
CGROUP = Path("/sys/fs/cgroup")
MEMORY_LIMITS = (CGROUP / "memory.max", CGROUP / "memory" / "memory.limit_in_bytes")
NO_LIMIT = 1 << 60  # bytes: control groups tell of none by a number as large
ASK_DRIVER = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")


def examine(settings: Settings) -> Iterator[str]:
    """Line by line what there is. Raises SetupError at the end when something that was asked for is missing."""
    yield f"system      {platform.platform()}, Python {platform.python_version()}"
    yield f"runtime     {', '.join(f'{name} {version}' for name, version in denoiser.versions().items())}"
    yield f"CPUs        {cpus()} may be used; {settings.workers or workers()} worker processes"
    yield f"memory      {_memory()}"
    yield f"GPU         {_gpu()}"
    paths = sorted(settings.models.glob("*.onnx"))
    missing = [] if paths else [f"There is no .onnx file in {settings.models}."]
    provider_works = {CPU: True, CUDA: CUDA in denoiser.providers()}
    if not provider_works[CUDA]:
        yield f"{CUDA}: no, the onnxruntime installed here is built without it"
    for provider in (CUDA, CPU):
        if not provider_works[provider]:
            continue
        yield f"{provider}:"
        for path in paths:
            try:
                model = Denoiser(path, provider, settings.threads or cpus())
            except SetupError as error:
                yield f"  {path.stem:10}  {error}"
                if provider == CPU:
                    missing.append(str(error))
                provider_works[provider] = provider == CPU
                continue
            rates = ", ".join(f"{_rate(model, batch):,.0f} in batches of {batch}" for batch in BATCHES)
            yield f"  {path.stem:10}  self-check within {model.difference:.1g}; digits/s: {rates}"
    if settings.device == "cuda" and not provider_works[CUDA]:
        missing.append("DENOISE_DEVICE=cuda, but the models do not run on a GPU here.")
    if missing:
        raise SetupError(" ".join(missing))
    used = CUDA if provider_works[CUDA] and settings.device != "cpu" else CPU
    yield f"All is well: with DENOISE_DEVICE={settings.device} the models run on {used}."


def _rate(model: Denoiser, batch: int) -> float:
    """Digits per second."""
    digits = np.zeros((batch, *(model.size or DIGIT), 1), np.float32)
    model(digits)
    runs, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < TIMED_S:
        model(digits)
        runs += 1
    return runs * batch / spent


def _memory() -> str:
    for path in MEMORY_LIMITS:
        if path.is_file() and (limit := path.read_text().strip()).isdigit() and int(limit) < NO_LIMIT:
            return f"{int(limit) / 2**30:.1f} GiB, by the container's limit"
    lines = Path("/proc/meminfo")
    if lines.is_file():
        total = next(line.split()[1] for line in lines.read_text().splitlines() if line.startswith("MemTotal"))
        return f"{int(total) / 2**20:.1f} GiB, no limit"
    return "not known"


def _gpu() -> str:
    if not shutil.which(ASK_DRIVER[0]):
        return "none: there is no NVIDIA driver here"
    told = subprocess.run(ASK_DRIVER, capture_output=True, text=True, check=False)  # noqa: S603  # a fixed command
    return "; ".join(told.stdout.strip().splitlines()) or f"none: {told.stderr.strip() or 'the driver tells of none'}"
