"""`python -m benchmarks.overload`: what becomes of the service when four times as much is asked of it as it can do.

As many callers as keep it busy take turns with callers who together ask for four times that rate, whether they get
answers or not. Tells the pictures a second of both, how soon a refusal comes, and the memory before and after. The
service has one half of the CPUs and the callers the other, since in the world they would not take the service's. Needs
wrk, Linux and two CPUs.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from typing import NamedTuple

import httpx2
import psutil

from benchmarks import started

PICTURE = started.ROOT / "tests" / "digits" / "noisy_7.png"
BUSY_CALLERS = 64
TIMES = 4
TURNS = 5
SECONDS = 4  # a turn
PAUSE_S = (
    0.25  # of a caller between its requests, on the mean: random, or all would come at once, and nobody in between
)
PROBERS = 8
PROBE_S = 0.05  # that each of them pauses
SCRIPT = """\
local file = io.open("{picture}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "image/png"
local answered, refused, other = 0, 0, 0
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init(args) good = 0; busy = 0; odd = 0 end
function delay() return math.random(0, {longest_pause_ms}) end
function response(status)
  if status == 200 then good = good + 1 elseif status == 429 then busy = busy + 1 else odd = odd + 1 end
end
function done(summary)
  for _, thread in ipairs(threads) do
    answered = answered + thread:get("good")
    refused = refused + thread:get("busy")
    other = other + thread:get("odd")
  end
  print(string.format("answered %d refused %d other %d in %d us", answered, refused, other, summary.duration))
end
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures; ends the process with status 1 when an answer was neither a picture nor a refusal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--model", default="unet_dae")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    options = parser.parse_args(arguments)
    room = {"DENOISE_QUEUE": "64", "DENOISE_MAX_CONNECTIONS": "100000"}  # requests are what there is too much of
    with started.service(on_half_of_the_cpus(0), **room) as (process, url):
        measure(f"{url}/denoise?model={options.model}", process, options.seconds)


def on_half_of_the_cpus(which: int) -> list[str]:
    """What makes a command run on the first (0) or second (1) half of the CPUs."""
    ours = sorted(os.sched_getaffinity(0))
    half = len(ours) // 2
    return ["taskset", "--cpu-list", ",".join(map(str, ours[half:] if which else ours[:half]))]


class Load(NamedTuple):
    """What became of it, a second."""

    answered: float
    refused: float
    other: float


def measure(url: str, process: psutil.Process, seconds: int) -> None:
    """Both loads, in turns: a shared machine is not as fast in one minute as in the next."""
    callers = round(TIMES * wrk(url, BUSY_CALLERS, 0, seconds).answered * PAUSE_S)
    before = memory(process)
    turns: list[tuple[Load, Load]] = []
    over = threading.Event()
    with ThreadPoolExecutor(PROBERS) as pool, ExitStack() as connected:
        probers = [connected.enter_context(httpx2.Client(timeout=60)) for _ in range(PROBERS)]
        for prober in probers:
            prober.post(url, content=PICTURE.read_bytes())
        refusals: list[float] = []
        for _ in range(TURNS):
            busy = wrk(url, BUSY_CALLERS, 0, seconds)
            over.clear()
            probes = [pool.submit(probe, prober, url, over) for prober in probers]
            turns.append((busy, wrk(url, callers, round(1000 * PAUSE_S), seconds)))
            over.set()
            refusals += chain.from_iterable(told.result() for told in probes)
    refusals.sort()
    best, answered, refused, other = (
        statistics.median(figures)
        for figures in zip(
            *((busy.answered, load.answered, load.refused, load.other) for busy, load in turns), strict=True
        )
    )
    kept = statistics.median(load.answered / busy.answered for busy, load in turns)
    print(f"busy, {BUSY_CALLERS} callers: {best:,.0f} pictures/s")
    print(
        f"asked for {answered + refused:,.0f}/s by {callers} callers: {answered:,.0f} pictures/s ({kept:.0%}),", end=" "
    )
    print(f"{refused:,.0f} refusals/s, {other:,.0f} other answers/s; medians of {TURNS} turns")
    if refusals:
        mean, late = sum(refusals) / len(refusals), refusals[int(0.99 * len(refusals))]
        print(f"a refusal took {1000 * mean:.0f} ms on the mean, p99 {1000 * late:.0f} ms, of {len(refusals)}")
    print(f"resident memory: {before / 2**20:.0f} MiB before, {memory(process) / 2**20:.0f} MiB after")
    if any(load.other for _, load in turns):
        sys.exit(1)


def wrk(url: str, callers: int, pause_ms: int, seconds: int) -> Load:
    """So many callers, who pause for so long on the mean."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(picture=PICTURE, longest_pause_ms=2 * pause_ms))
        script.flush()
        command = [*on_half_of_the_cpus(1), "wrk", "-t1", f"-c{callers}", f"-d{seconds}", "-s", script.name, url]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = re.search(r"answered (\d+) refused (\d+) other (\d+) in (\d+) us", told)
    assert counts, told
    duration = int(counts[4]) / 1e6
    return Load(*(int(counts[place]) / duration for place in (1, 2, 3)))


def probe(client: httpx2.Client, url: str, over: threading.Event) -> list[float]:
    """Asks now and then, on a connection that was there before the others, and tells how long refusals took, in s."""
    refusals = []
    while not over.wait(PROBE_S):
        answer = client.post(url, content=PICTURE.read_bytes())
        if answer.status_code == 429:  # noqa: PLR2004  # Too Many Requests
            refusals.append(answer.elapsed.total_seconds())
    return refusals


def memory(process: psutil.Process) -> int:
    """Resident bytes of the process and its workers."""
    return sum(member.memory_info().rss for member in [process, *process.children(recursive=True)])


if __name__ == "__main__":
    main()
