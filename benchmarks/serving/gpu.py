"""`python -m benchmarks.serving.gpu`: what an NVIDIA GPU makes of the models, in process and over HTTP.

Times each model in the ways that onnxruntime has for a GPU beside the CPU provider, tells how far their answers are
off, and drives the service on the GPU and on the CPU with wrk. A way that fails has its error in its cell. With
`--write` the tables go to the end of docs/performance.md.
"""

import argparse
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import psutil

from benchmarks import ROOT
from benchmarks.serving import pages, requests, servers, variants, wrk
from benchmarks.serving.__main__ import PERFORMANCE
from benchmarks.serving.lineup import Stack, ours, ours_by_tensor
from benchmarks.serving.table import processor
from benchmarks.serving.variants import REFERENCE, Variant
from denoise.errors import SetupError
from denoise.inference import onnx_runner, proof, tiling
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU, CUDA, CUDA_TFLOAT32, Way, find
from denoise.machine import cpus
from denoise.pictures import Pixels
from denoise.pictures.noise import psnr
from denoise.settings import AllowedPrecision, Device

HEADING = "\n## On a GPU\n"
MODELS = ("unet_dae", "conv_dae", "easy_dae", "basic_ae")
SERVED = MODELS[:2]
BATCHES = (1, 8, 64, 1024)
DIGITS = 1024
LARGE_TENSOR = 1024
ASK_DRIVER = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
PACKAGES = {"cuBLAS": "nvidia-cublas", "CUDA's runtime": "nvidia-cuda-runtime", "cuDNN": "nvidia-cudnn-cu13"}
LONGEST_ERROR = 100
PNG_CALLERS, TENSOR_CALLERS = 64, 16
WARM_UP_S, TURN_S, LARGE_TURN_S = 1, 2, 6


@dataclass(frozen=True)
class Service:
    """The service as it starts by itself on a device, with as many workers as it has there."""

    device: Device
    precision: AllowedPrecision

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}"

    def starting(self, stack: Stack) -> Stack:
        """A stack whose server runs so."""
        # Empty is unset. Every caller's large tensor has room at once.
        own = {"DENOISE_DEVICE": self.device, "DENOISE_PRECISION": self.precision, "DENOISE_WORKERS": ""}
        environment = stack.environment | own | {"DENOISE_QUEUE": "1000000"}
        return replace(stack, environment=environment, precision=self.precision)


SERVICES = (Service("cuda", "auto"), Service("cuda", "float32"), Service("cpu", "float32"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables as they come. Ends the process where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.gpu", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args(arguments)
    try:
        find("cuda", "auto")
        Denoiser(_path(MODELS[-1]), CUDA, 1)
    except SetupError as error:
        sys.exit(f"There is no GPU to measure: {error}")
    lines = []
    for line in report():
        print(line, flush=True)
        lines.append(line)
    if options.write:
        write("\n".join(lines))


def write(text: str) -> None:
    """Puts the tables at the end of docs/performance.md, in place of those that were there."""
    rest, _, _ = PERFORMANCE.read_text(encoding="utf-8").partition(HEADING)
    PERFORMANCE.write_text(f"{rest.rstrip()}\n{HEADING}\n{text}\n", encoding="utf-8")


def report() -> Iterator[str]:
    """The lines below the heading."""
    yield "Written by `python -m benchmarks.serving.gpu --write`."
    yield ""
    yield f"{_cell(_card)}; {processor()}, {cpus()} CPUs; {_versions()}."
    yield ""
    yield "*Bound*: inputs and outputs stay on the GPU, and nothing is copied. *NHWC*: onnxruntime lays out what is"
    yield "between the layers with the channels last. Digits a second in process, from one caller:"
    for model in MODELS:
        yield ""
        yield from speeds(model)
    yield ""
    yield f"How far the answers to {DIGITS:,} test digits with Gaussian noise ({pages.NOISE}) are off those of the CPU"
    yield "provider in float32, and the PSNR to the clean digits:"
    yield ""
    yield from exactness(MODELS)
    yield ""
    yield f"Pages of noisy digits by `{pages.MODEL}`, in tiles as the service runs them, and in one run:"
    yield ""
    yield from page_times()
    yield ""
    yield "Over HTTP on loopback, driven by wrk: the service as it starts by itself, with up to four workers on a GPU"
    yield f"and one for each CPU without. {PNG_CALLERS} callers send PNGs, {TENSOR_CALLERS} send tensors."
    yield ""
    yield from served()


def speeds(model: str) -> Iterator[str]:
    """The table of a model's digits a second, by variant and batch size."""
    yield f"| {model} | {' | '.join(f'{batch:,}' for batch in BATCHES)} |"
    yield f"| --- |{' ---: |' * len(BATCHES)}"
    noisy = _noisy_digits()
    for variant in (REFERENCE, *variants.COPYING, *variants.BOUND):
        cells = (_cell(partial(_rate, model, variant, noisy[:batch])) for batch in BATCHES)
        yield f"| {variant.name} | {' | '.join(cells)} |"


def _rate(model: str, variant: Variant, pixels: Pixels) -> str:
    session = variants.load(_path(model), variant, pixels.shape)
    seconds, _ = variants.time_runs(variants.prepare(session, variant, pixels))
    return f"{len(pixels) / seconds:,.0f}"


def exactness(models: Sequence[str]) -> Iterator[str]:
    """The table of how far variants are off the reference, and of their PSNR."""
    yield "| model | | off at most | on the mean | PSNR, dB |"
    yield "| --- | --- | ---: | ---: | ---: |"
    clean, noisy = pages.read_digits()[:DIGITS], _noisy_digits()
    for model in models:
        expected = variants.answer(variants.load(_path(model), REFERENCE, noisy.shape), noisy)
        for variant in (REFERENCE, *variants.COPYING):
            yield f"| {model} | {variant.name} | {_cell(partial(_differ, model, variant, noisy, expected, clean))} |"


def _differ(model: str, variant: Variant, noisy: Pixels, expected: Pixels, clean: Pixels) -> str:
    found = variants.answer(variants.load(_path(model), variant, noisy.shape), noisy)
    ratio = np.mean([psnr(*pair) for pair in zip(found[..., 0], clean, strict=True)])
    return f"{_off(found, expected)} | {ratio:.3f}"


def _off(answer: Pixels, expected: Pixels) -> str:
    difference = proof.compare(answer, expected)
    return f"{difference.largest:.1e} | {difference.mean:.1e}"


def page_times() -> Iterator[str]:
    """The table of how long pages take, how far their answers are off those of the CPU, and of their PSNR."""
    yield "| page | | seconds | off at most | on the mean | PSNR, dB |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for name, shape in pages.SHAPES_PX.items():
        clean = pages.lay_out(shape)
        noisy = pages.spoil(clean)
        for engines in (in_tiles(), in_one_run(noisy.shape)):
            expected = None
            for row, start in engines.items():
                try:
                    seconds, found = variants.time_runs(partial(start(), noisy))
                except Exception as error:  # onnxruntime's exceptions have no base class of their own.
                    yield f"| {name} | {row} | {_shorten(error)} |"
                else:
                    expected = found if expected is None else expected
                    yield f"| {name} | {row} | {seconds:.3f} | {_off(found, expected)} | {psnr(found, clean):.3f} |"


Engine = Callable[[Pixels], Pixels]
"""What answers a page `[height, width]`."""


def in_tiles() -> dict[str, Callable[[], Engine]]:
    """What makes the service's own engines, by their rows; the CPU comes first."""

    def start(way: Way) -> Engine:
        model = Denoiser(_path(pages.MODEL), way, cpus())
        return lambda page: tiling.run(model, page, skip_blank=True)[0]

    return {f"{way}, in tiles": partial(start, way) for way in (CPU, CUDA, CUDA_TFLOAT32)}


def in_one_run(shape: tuple[int, ...]) -> dict[str, Callable[[], Engine]]:
    """What makes bare sessions for a page of a shape, by their rows; the CPU comes first."""

    def start(variant: Variant) -> Engine:
        session = variants.load(_path(pages.MODEL), variant, (1, *shape, 1))
        return lambda page: variants.answer(session, page[np.newaxis, ..., np.newaxis])[0, ..., 0]

    reference = replace(REFERENCE, name=f"CPU, float32, {cpus()} threads", threads=cpus())
    return {f"{each.name}, in one run": partial(start, each) for each in (reference, *variants.COPYING)}


def served() -> Iterator[str]:
    """The table of what callers get over HTTP."""
    yield "| model | a request | service | runs on | digits/s | p50, ms | p99, ms | CPU, µs a digit | failed |"
    yield "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for service in SERVICES:
        try:
            yield from _drive(service)
        except (Exception, SystemExit) as error:  # A server that does not answer ends the process elsewhere.
            yield f"| | | {service} | {_shorten(error)} |"


def _drive(service: Service) -> Iterator[str]:
    first = service.starting(ours(SERVED[0]))
    with servers.start(first) as (process, url):
        address = url.removesuffix(first.path)
        for model in SERVED:
            small = ours_by_tensor(model)
            for stack in (ours(model), small, replace(small, digits_per_tensor=LARGE_TENSOR)):
                yield _take_turn(service, service.starting(stack), process, address)


def _take_turn(service: Service, stack: Stack, process: psutil.Process, address: str) -> str:
    digits = stack.digits_per_tensor or 1
    callers = TENSOR_CALLERS if stack.digits_per_tensor else PNG_CALLERS
    seconds = LARGE_TURN_S if stack.digits_per_tensor == LARGE_TENSOR else TURN_S
    requests.check_pixels(stack, address + stack.path)
    found = wrk.drive(stack, process, address + stack.path, callers, seconds, WARM_UP_S)
    sent = f"a tensor of {digits:,} digits" if stack.digits_per_tensor else "a PNG"
    return (
        f"| {stack.model} | {sent} | {service} | {_runs_on(stack.model, address)} | {found.requests_s * digits:,.0f} | "
        f"{found.p50_ms:.2f} | {found.p99_ms:.2f} | {found.cpu_us / digits:.1f} | {f'{found.failed:.0%}'} |"
    )


def _runs_on(model: str, address: str) -> str:
    stack = ours(model)
    request = urllib.request.Request(address + stack.path, *requests.body(stack))
    with urllib.request.urlopen(request, timeout=servers.LONGEST_START_S) as response:
        return str(Way(response.headers["X-Execution-Provider"], response.headers["X-Precision"]))


def _path(model: str) -> Path:
    return ROOT / "models" / f"{model}.onnx"


def _noisy_digits() -> Pixels:
    return pages.spoil(pages.read_digits()[:DIGITS])[..., np.newaxis]


def _cell(measure: Callable[[], str]) -> str:
    try:
        return measure()
    except Exception as error:  # onnxruntime's exceptions have no base class of their own.
        return _shorten(error)


def _shorten(error: BaseException) -> str:
    print(error, file=sys.stderr)  # All of it, for whoever looks for the cause.
    return " ".join(str(error).replace("|", "/").split())[:LONGEST_ERROR] or type(error).__name__


def _card() -> str:
    told = subprocess.run(ASK_DRIVER, capture_output=True, text=True, check=True)
    name, _, driver = told.stdout.strip().partition(", ")
    return f"{name}, driver {driver}"


def _versions() -> str:
    found = onnx_runner.versions()
    for name, package in PACKAGES.items():
        with suppress(PackageNotFoundError):  # CUDA may come without Python's packages as well.
            found[name] = version(package)
    return ", ".join(f"{name} {number}" for name, number in found.items())


if __name__ == "__main__":
    main()
