"""Drives a server with wrk, and reads what wrk reports."""

import contextlib
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.serving import requests
from benchmarks.serving.lineup import Stack

SECONDS = 4
WARM_UP_S = 1
MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}


@dataclass(frozen=True)
class Measurement:
    """What one stack did in one turn with so many callers.

    Attributes:
        cpu_us: CPU time of all server processes, per request.
        failed: share of the answers whose status was no success, 0 … 1.
    """

    requests_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    failed: float = 0.0


def drive(
    stack: Stack,
    process: psutil.Process,
    url: str,
    callers: int,
    seconds: int = SECONDS,
    warm_up_s: int = WARM_UP_S,
) -> Measurement:
    """Measures a stack with so many callers, each of whom asks again as soon as it is answered."""
    with tempfile.TemporaryDirectory() as folder:
        script = write_script(stack, Path(folder))
        if warm_up_s:
            run(url, callers, warm_up_s, script)
        before = cpu_seconds(process)
        report = run(url, callers, seconds, script)
        spent = cpu_seconds(process) - before
    count = int(find(r"(\d+) requests in", report))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    return Measurement(
        float(find(r"Requests/sec:\s+([\d.]+)", report)),
        milliseconds(find(r"(?m)^ +50%\s+(\S+)", report)),
        milliseconds(find(r"(?m)^ +99%\s+(\S+)", report)),
        1e6 * spent / count,
        int(failed[1]) / count if failed else 0.0,
    )


def write_script(stack: Stack, folder: Path) -> Path:
    """Writes the script that makes wrk send the stack's request."""
    content, headers = requests.body(stack)
    (folder / "body").write_bytes(content)
    script = folder / "post.lua"
    script.write_text(
        f'local file = io.open("{folder}/body", "rb")\nwrk.method = "POST"\nwrk.body = file:read("*a")\n'
        + "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
    )
    return script


def run(url: str, callers: int, seconds: int, script: Path) -> str:
    """Wrk's report."""
    command = ["wrk", "--threads", "1", "--connections", str(callers), "--duration", str(seconds), "--latency"]
    wrk = subprocess.run([*command, "--script", str(script), url], capture_output=True, text=True, check=True)
    return wrk.stdout


def find(pattern: str, text: str) -> str:
    """The first group of the pattern's first match, which there must be."""
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def milliseconds(duration: str) -> float:
    """Wrk's `1.23ms` as a number."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", duration).groups()  # type: ignore[union-attr]  # wrk's form
    return float(number) * MILLISECONDS[unit]


def cpu_seconds(process: psutil.Process) -> float:
    """CPU seconds that a process and all that it has started have used."""
    used = 0.0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            used += times.user + times.system
    return used
