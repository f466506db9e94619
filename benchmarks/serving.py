"""`python -m benchmarks.serving`: requests a second, latency and CPU time, side by side with other servers.

Every stack does the same work on the same 28×28 PNG with the same model, in two processes where it has processes, and
is checked against the model run in process before it is timed. They take turns, in ROUNDS, and medians are told. A
shared machine is not as fast in one minute as in the next: so the service and what it is compared with most closely are
up at the same time, and TURNS times a round each is asked for a little while. Writes docs/performance.md. Needs wrk,
and the environments that `make bench` sets up.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, product
from pathlib import Path

import numpy as np
import psutil

from benchmarks.stacks import work
from denoise.inference.denoiser import CPU, Denoiser
from denoise.machine import cpus

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "tests" / "digits" / "noisy_7.png"
DOCS = ROOT / "docs" / "performance.md"
CALLERS = (1, 16, 64)
ROUNDS = 3
TURNS = 3  # a round
TURN_S = 2
TENSORS_TURN_S = 6  # a request takes a second, and those under way at the end do not count
SECONDS = 4  # where there are no turns
WARM_UP_S = 1
START_S = 60
PROCESSES = 2  # of every stack
BATCHES = (1, 8, 64)
TIMED_S = 0.5
SAME = 3 / 255  # largest difference between a stack's pixels and the model's own
BOUNDARY = "benchmark"
OTHERS = "\n## Overload and soak\n"  # from here on the page is others'
OURS = "this service"
REFERENCE = "bare Starlette, work inline"


@dataclass(frozen=True)
class Stack:
    """A server to measure."""

    name: str
    model: str
    command: tuple[str, ...]  # PORT stands for the port
    form: bool = False  # it takes a form with a file; the others take the picture itself
    path: str = "/denoise"
    environment: dict[str, str] = field(default_factory=dict)
    fixed: bool = False  # it does no work
    tensors: int = 0  # it takes so many digits as one binary tensor

    @property
    def in_process(self) -> bool:
        """Whether its model is timed in process beside it: it is the service, asked in the way that others are not."""
        return self.name.startswith(OURS) and not self.form

    @property
    def row(self) -> str:
        """What the table calls it."""
        return self.name if self.fixed else f"{self.name}, {self.model}"


@dataclass(frozen=True)
class Measured:
    """A round of one stack with so many callers."""

    requests_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of all server processes, per request
    failed: float = 0.0  # share of the answers that were none


def plain(app: str) -> tuple[str, ...]:
    """A command for one of the apps made by hand."""
    options = ("--port", "PORT", "--workers", "2", "--no-access-log", "--log-level", "warning")
    return (sys.executable, "-m", "uvicorn", f"benchmarks.stacks.plain:{app}", *options)


def other(name: str, *arguments: str) -> tuple[str, ...]:
    """A command in the environment of another stack."""
    return (str(ROOT / f".venv-{name}" / "bin" / arguments[0]), *arguments[1:])


def of_tensors(model: str) -> Stack:
    """The service itself, by the Open Inference Protocol."""
    stack = ours(model)
    name, path = f"{OURS}, {max(BATCHES)} digits as a tensor", f"/v2/models/{model}/infer"
    queue = {"DENOISE_QUEUE": "10000"}  # room for all callers
    return replace(stack, name=name, path=path, tensors=max(BATCHES), environment=stack.environment | queue)


def ours(model: str, form: bool = False) -> Stack:
    """The service itself."""
    name = f"{OURS}{', form' if form else ''}"
    command = (sys.executable, "-m", "denoise")
    quiet = {"DENOISE_PORT": "PORT", "DENOISE_LOG_REQUESTS": "false", "DENOISE_WORKERS": "2"}
    return Stack(name, model, command, form, f"/denoise?model={model}", quiet)


GROUPS = (  # those that are up together; what costs something while nobody asks it is up alone
    (Stack("a fixed answer from bare Starlette", "", plain("bare"), fixed=True),),
    (
        ours("conv_dae"),
        Stack(REFERENCE, "conv_dae", plain("by_hand")),
        ours("conv_dae", form=True),
        Stack("FastAPI as tutorials have it", "conv_dae", plain("tutorial"), form=True),
    ),
    (Stack("LitServe", "conv_dae", other("litserve", "python", "-m", "benchmarks.stacks.litserve_stack"), form=True),),
    (
        Stack(
            "BentoML",
            "conv_dae",
            other("bentoml", "bentoml", "serve", "benchmarks.stacks.bentoml_stack:Denoise", "-p", "PORT", "-q"),
            form=True,
        ),
    ),
    (Stack("Ray Serve", "conv_dae", other("ray", "python", "-m", "benchmarks.stacks.ray_stack")),),
    (ours("easy_dae"), Stack(REFERENCE, "easy_dae", plain("by_hand"))),
    (ours("unet_dae"), Stack(REFERENCE, "unet_dae", plain("by_hand"))),
    (of_tensors("conv_dae"), of_tensors("unet_dae")),
)
STACKS = tuple(chain.from_iterable(GROUPS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures all stacks, or those whose rows contain a word of the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("words", nargs="*", help="rows to measure, by a part of their name; without any: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    measured: dict[tuple[str, int], list[Measured]] = defaultdict(list)
    alone: dict[str, list[Alone]] = defaultdict(list)
    for number, group in product(range(options.rounds), GROUPS):
        stacks = [stack for stack in group if not options.words or any(word in stack.row for word in options.words)]
        with contextlib.ExitStack() as up:
            started = [(stack, *up.enter_context(running(stack))) for stack in stacks]
            for stack, _, url in started:
                check(stack, url)
            for callers in CALLERS:
                for stack in stacks:
                    if stack.in_process:
                        alone[stack.row].append(in_process(stack.model))
                for turn, (stack, process, url) in product(range(TURNS), started):
                    seconds = TENSORS_TURN_S if stack.tensors else TURN_S
                    figure = load(stack, process, url, callers, seconds, 0 if turn else WARM_UP_S)
                    measured[stack.row, callers].append(figure)
                    print(f"round {number + 1}, {stack.row}, {callers} callers: {figure}", flush=True)
    text = "\n".join(report(measured, {row: typical(told) for row, told in alone.items()}, options.rounds))
    print(text)
    if not options.words:
        _, heading, others = DOCS.read_text(encoding="utf-8").partition(OTHERS)
        DOCS.write_text(text + heading + others, encoding="utf-8")


@contextmanager
def running(stack: Stack) -> Iterator[tuple[psutil.Process, str]]:
    """The stack's server, started and answering, for as long as the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = os.environ | {"PORT": port, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment |= {"MODEL": str(ROOT / "models" / f"{stack.model or 'conv_dae'}.onnx"), "ORT_DISABLE_TELEMETRY": "1"}
    environment |= {"BENTOML_DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    environment |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # which keeps Ray on loopback on any system
    environment |= {name: value.replace("PORT", port) for name, value in stack.environment.items()}
    command = [part.replace("PORT", port) for part in stack.command]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        tree = psutil.Process(process.pid)
        url = f"http://127.0.0.1:{port}{stack.path}"
        try:
            until = time.monotonic() + START_S
            while answer(stack, url) is None:
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    sys.exit(f"{stack.row} does not answer:\n{log.read()[-3000:]}")
                time.sleep(0.2)
            time.sleep(WARM_UP_S)  # its other processes start as well
            yield tree, url
        finally:
            family = [*tree.children(recursive=True), tree]
            process.send_signal(signal.SIGINT)
            _, alive = psutil.wait_procs(family, timeout=10)
            for child in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()


def body(stack: Stack) -> tuple[bytes, dict[str, str]]:
    """A request's body and its headers."""
    content = PICTURE.read_bytes()
    if stack.tensors:
        digits = np.repeat(work.decode(content)[np.newaxis, ..., np.newaxis], stack.tensors, axis=0)
        size = {"binary_data_size": digits.nbytes}
        image = {"name": "image", "datatype": "FP32", "shape": digits.shape, "parameters": size}
        wanted = [{"name": "restored", "parameters": {"binary_data": True}}]
        head = json.dumps({"inputs": [image], "outputs": wanted}).encode()
        kind = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        return head + digits.tobytes(), kind
    if not stack.form:
        return content, {"Content-Type": "image/png"}
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n'.encode()
    head += b"Content-Type: image/png\r\n\r\n"
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return head + content + f"\r\n--{BOUNDARY}--\r\n".encode(), kind


def answer(stack: Stack, url: str) -> bytes | None:
    """What one request gives; None where nobody answers, or not yet."""
    request = urllib.request.Request(url, *body(stack))
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            told: bytes = response.read()
            return told
    except OSError:
        return None


def check(stack: Stack, url: str) -> None:
    """Ends the process when the stack's pixels are not the model's."""
    if stack.fixed:
        return
    told = answer(stack, url)
    assert told is not None
    seen = work.decode(PICTURE.read_bytes())[np.newaxis, ..., np.newaxis]
    if stack.tensors:
        restored = np.frombuffer(told[-seen.nbytes :], np.float32).reshape(work.SIDE, work.SIDE)
    else:
        restored = work.decode(told)
    expected = Denoiser(ROOT / "models" / f"{stack.model}.onnx", CPU, 1)(seen).pixels[0, ..., 0]
    if (off := float(np.abs(restored - expected).max())) > SAME:
        sys.exit(f"{stack.row} gives other pixels than the model: {off:.3f} off.")


def load(
    stack: Stack,
    process: psutil.Process,
    url: str,
    callers: int,
    seconds: int = SECONDS,
    warm_up_s: int = WARM_UP_S,
) -> Measured:
    """What wrk measures with so many callers, after a warm-up."""
    content, headers = body(stack)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(content)
        script = Path(folder) / "post.lua"
        script.write_text(
            f'local file = io.open("{folder}/body", "rb")\nwrk.method = "POST"\nwrk.body = file:read("*a")\n'
            + "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
        )
        if warm_up_s:
            wrk(url, callers, warm_up_s, script)
        before = cpu_s(process)
        told = wrk(url, callers, seconds, script)
        spent = cpu_s(process) - before
    count = int(found(r"(\d+) requests in", told))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    return Measured(
        float(found(r"Requests/sec:\s+([\d.]+)", told)),
        milliseconds(found(r"(?m)^ +50%\s+(\S+)", told)),
        milliseconds(found(r"(?m)^ +99%\s+(\S+)", told)),
        1e6 * spent / count,
        int(failed[1]) / count if failed else 0.0,
    )


def wrk(url: str, callers: int, seconds: int, script: Path) -> str:
    """Wrk's report."""
    command = ["wrk", "--threads", "1", "--connections", str(callers), "--duration", str(seconds), "--latency"]
    told = subprocess.run([*command, "--script", str(script), url], capture_output=True, text=True, check=True)
    return told.stdout


def found(pattern: str, text: str) -> str:
    """The first group of the pattern's first match."""
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def milliseconds(told: str) -> float:
    """Wrk's `1.23ms` as a number."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", told).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds that a process and all that it has started have used."""
    used = 0.0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            used += times.user + times.system
    return used


@dataclass(frozen=True)
class Alone:
    """A model in process, on one thread of each of PROCESSES."""

    digits_s: dict[int, float]  # by batch size
    decode_us: float
    encode_us: float

    @property
    def limit_us(self) -> float:
        """The CPU time of decoding, of the run at its best batch size, and of encoding."""
        return self.decode_us + 1e6 / max(self.digits_s.values()) + self.encode_us


def in_process(model: str) -> Alone:
    """Times a model, and what stands before and behind it, in PROCESSES at once: busy CPUs slow each other down."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        timed = list(pool.map(_timed, [model] * PROCESSES))
    rates = {batch: statistics.mean(alone.digits_s[batch] for alone in timed) for batch in BATCHES}
    return Alone(rates, statistics.mean(a.decode_us for a in timed), statistics.mean(a.encode_us for a in timed))


def _timed(model: str) -> Alone:
    denoiser = Denoiser(ROOT / "models" / f"{model}.onnx", CPU, 1)
    content = PICTURE.read_bytes()
    digit = work.decode(content)
    rates = {}
    for batch in BATCHES:
        digits = np.repeat(digit[np.newaxis, ..., np.newaxis], batch, axis=0)
        rates[batch] = batch / each_s(lambda digits=digits: denoiser(digits))
    return Alone(rates, 1e6 * each_s(lambda: work.decode(content)), 1e6 * each_s(lambda: work.encode(digit)))


def each_s(call: object) -> float:
    """CPU seconds of a call, the median of five stretches."""
    assert callable(call)
    told = []
    call()
    for _ in range(5):
        runs, start, until = 0, time.process_time(), time.perf_counter() + TIMED_S / 5
        while time.perf_counter() < until:
            call()
            runs += 1
        told.append((time.process_time() - start) / runs)
    return statistics.median(told)


def median(figures: list[Measured]) -> Measured:
    """Figure by figure."""
    return Measured(*(statistics.median(column) for column in zip(*(vars(f).values() for f in figures), strict=True)))


def ratio(figures: list[Measured], others: list[Measured]) -> str:
    """Of requests a second: the median of the turns' own."""
    return f"{statistics.median(one.requests_s / two.requests_s for one, two in zip(figures, others, strict=True)):.2f}"


def typical(rounds: list[Alone]) -> Alone:
    """Figure by figure."""
    rates = {batch: statistics.median(alone.digits_s[batch] for alone in rounds) for batch in rounds[0].digits_s}
    decode_us = statistics.median(alone.decode_us for alone in rounds)
    return Alone(rates, decode_us, statistics.median(alone.encode_us for alone in rounds))


def report(measured: Mapping[tuple[str, int], list[Measured]], alone: dict[str, Alone], rounds: int) -> Iterator[str]:
    """docs/performance.md."""
    medians = {key: median(figures) for key, figures in measured.items()}
    bare = medians.get((STACKS[0].row, CALLERS[1]))
    yield from ("# How fast it is", "", "Written by `make bench` (`python -m benchmarks.serving`).", "")
    yield f"One 28×28 PNG in, one out, over HTTP on loopback, driven by wrk: every stack in two processes on {cpus()}"
    yield f"CPUs ({platform.machine()}) that wrk shares, medians of {TURNS} turns in each of {rounds} rounds."
    yield "*CPU* is the time of all server processes per request. *Efficiency* is the least that a request could take"
    yield "(a fixed answer from bare Starlette, decode, run at its best batch size, encode) over what it took. The"
    yield "machine is shared: read the ratios, not the figures. *To the bare handler* is the median of the turns' own"
    yield "ratios, which the quotient of two medians need not be. No stack logs its requests."
    for callers in CALLERS:
        yield from ("", f"## {callers} caller{'s' if callers > 1 else ''}", "")
        yield "| stack | requests/s | to the bare handler | p50, ms | p99, ms | CPU, µs | efficiency | failed |"
        yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        for stack in STACKS:
            told = medians.get((stack.row, callers))
            if told is None or stack.tensors:
                continue
            reference = measured.get((f"{REFERENCE}, {stack.model}", callers))
            to_it = ratio(measured[stack.row, callers], reference) if reference else ""
            efficiency = ""
            beside = alone.get(ours(stack.model).row)
            if bare and beside and not stack.fixed:
                efficiency = f"{(bare.cpu_us + beside.limit_us) / told.cpu_us:.2f}"
            yield (
                f"| {stack.row} | {told.requests_s:,.0f} | {to_it} | {told.p50_ms:.2f} | {told.p99_ms:.2f} | "
                f"{told.cpu_us:.0f} | {efficiency} | {f'{told.failed:.0%}' if told.failed else ''} |"
            )
    yield from ("", f"## {max(BATCHES)} digits a request, as a tensor", "")
    yield "| model | callers | digits/s | to the runs alone, in process | p50, ms | p99, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for stack in STACKS:
        for callers in CALLERS:
            told = medians.get((stack.row, callers))
            if told and stack.tensors:
                rate, best = told.requests_s * stack.tensors, PROCESSES * alone[stack.row].digits_s[stack.tensors]
                yield (
                    f"| {stack.model} | {callers} | {rate:,.0f} | {rate / best:.2f} | {told.p50_ms:.2f} | "
                    f"{told.p99_ms:.2f} |"
                )
    yield from ("", f"## In process, one thread, in {PROCESSES} processes at once", "")
    yield f"| model | {' | '.join(f'digits/s in batches of {batch}' for batch in BATCHES)} | decode, µs | encode, µs |"
    yield f"| --- |{' ---: |' * (len(BATCHES) + 2)}"
    for stack in STACKS:
        if not stack.in_process or stack.tensors or stack.row not in alone:
            continue
        figures = alone[stack.row]
        rates = " | ".join(f"{rate:,.0f}" for rate in figures.digits_s.values())
        yield f"| {stack.model} | {rates} | {figures.decode_us:.0f} | {figures.encode_us:.0f} |"
    yield ""


if __name__ == "__main__":
    main()
