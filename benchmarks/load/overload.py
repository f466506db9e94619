"""`python -m benchmarks.load.overload`: what the service does when four times as much is asked of it as it can do.

As many callers as keep it busy take turns with callers who together ask for four times that rate, whether they get
answers or not. Prints the pictures a second of both, how soon a refusal comes, and the memory before and after. The
service has one half of the CPUs and the callers the other, since in the world they would not take the service's. With
`--against FOLDER` another checkout takes its turns beside this one. Needs wrk, Linux and two CPUs.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import httpx2
import psutil

from benchmarks import DIGIT, checkouts
from benchmarks.checkouts import THIS, Checkout
from benchmarks.load import service

BUSY_CALLERS = 64
TIMES = 4
TURNS = 5
SECONDS_PER_TURN = 4
MEAN_PAUSE_S = 0.25  # Each caller's pauses are random: with equal ones all would come at once, and then nobody.
PROBERS = 8
PROBER_PAUSE_S = 0.05
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


class Load(NamedTuple):
    """What became of the requests of one turn, each a second."""

    answered: float
    refused: float
    other: float


@dataclass
class Subject:
    """A service under overload, and what its turns gave.

    Attributes:
        callers: as many as ask for TIMES its best rate.
        memory_before: resident bytes before the first turn.
    """

    name: str
    process: psutil.Process
    url: str
    callers: int
    probers: Sequence[httpx2.Client]
    memory_before: int
    busy: list[Load] = field(default_factory=list)
    overloaded: list[Load] = field(default_factory=list)
    refusals_s: list[float] = field(default_factory=list)

    def take_turn(self, seconds: int) -> None:
        """Keeps the service busy, then overloads it while the probers measure how long a refusal takes."""
        self.busy.append(drive(self.url, BUSY_CALLERS, 0, seconds))
        over = threading.Event()
        with ThreadPoolExecutor(PROBERS) as pool:
            probes = [pool.submit(probe, prober, self.url, over) for prober in self.probers]
            self.overloaded.append(drive(self.url, self.callers, round(1000 * MEAN_PAUSE_S), seconds))
            over.set()
            self.refusals_s += chain.from_iterable(each.result() for each in probes)

    @property
    def kept(self) -> float:
        """How much of the best rate is left under overload: the median of the turns' own ratios."""
        turns = zip(self.overloaded, self.busy, strict=True)
        return statistics.median(load.answered / busy.answered for load, busy in turns)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures; ends the process with status 1 when an answer was neither a picture nor a refusal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.overload", description=__doc__)
    parser.add_argument("--model", default="unet_dae")
    parser.add_argument("--seconds", type=int, default=SECONDS_PER_TURN, help="length of a turn")
    parser.add_argument("--turns", type=int, default=TURNS)
    checkouts.add_arguments(parser)
    options = parser.parse_args(arguments)
    measured = [THIS] if (other := checkouts.other(options)) is None else [THIS, other]
    with ExitStack() as up:
        subjects = [up.enter_context(prepare(each, options.model, options.seconds)) for each in measured]
        for turn in range(options.turns):
            for subject in subjects[::-1] if turn % 2 else subjects:
                subject.take_turn(options.seconds)
        for subject in subjects:
            print("\n".join(report(subject)))
    if any(load.other for subject in subjects for load in subject.overloaded):
        sys.exit(1)


@contextmanager
def prepare(checkout: Checkout, model: str, seconds: int) -> Iterator[Subject]:
    """A service that has been started and timed, with room for more connections than it will have."""
    room = {"DENOISE_QUEUE": "64", "DENOISE_MAX_CONNECTIONS": "100000"}
    with service.start(on_half_of_the_cpus(0), checkout, **room) as (process, address), ExitStack() as connected:
        url = f"{address}/denoise?model={model}"
        best = drive(url, BUSY_CALLERS, 0, seconds)
        probers = [connected.enter_context(httpx2.Client(timeout=60)) for _ in range(PROBERS)]
        for prober in probers:
            prober.post(url, content=DIGIT.read_bytes())
        callers = round(TIMES * best.answered * MEAN_PAUSE_S)
        yield Subject(str(checkout.folder), process, url, callers, probers, service.resident_bytes(process))


def on_half_of_the_cpus(which: int) -> list[str]:
    """The command that makes another one run on the first (0) or second (1) half of the CPUs, or on the only one."""
    ours = sorted(os.sched_getaffinity(0))
    half = len(ours) // 2
    return ["taskset", "--cpu-list", ",".join(map(str, ours[half:] if which else ours[: max(1, half)]))]


def drive(url: str, callers: int, mean_pause_ms: int, seconds: int) -> Load:
    """Has so many callers send a digit again and again."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(picture=DIGIT, longest_pause_ms=2 * mean_pause_ms))
        script.flush()
        command = [*on_half_of_the_cpus(1), "wrk", "-t1", f"-c{callers}", f"-d{seconds}", "-s", script.name, url]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = re.search(r"answered (\d+) refused (\d+) other (\d+) in (\d+) us", report)
    assert counts, report
    duration_s = int(counts[4]) / 1e6
    return Load(*(int(counts[place]) / duration_s for place in (1, 2, 3)))


def probe(client: httpx2.Client, url: str, over: threading.Event) -> list[float]:
    """Asks now and then, on a connection from before the overload; how many seconds each refusal took."""
    refusals = []
    while not over.wait(PROBER_PAUSE_S):
        answer = client.post(url, content=DIGIT.read_bytes())
        if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS:
            refusals.append(answer.elapsed.total_seconds())
    return refusals


def report(subject: Subject) -> Iterator[str]:
    """The lines that say what became of one service."""
    best = statistics.median(load.answered for load in subject.busy)
    answered, refused, other = (statistics.median(column) for column in zip(*subject.overloaded, strict=True))
    yield f"{subject.name}"
    yield f"busy, {BUSY_CALLERS} callers: {best:,.0f} pictures/s"
    yield (
        f"asked for {answered + refused:,.0f}/s by {subject.callers} callers: {answered:,.0f} pictures/s "
        f"({subject.kept:.0%}), {refused:,.0f} refusals/s, {other:,.0f} other answers/s; medians of "
        f"{len(subject.overloaded)} turns"
    )
    if refusals := sorted(subject.refusals_s):
        mean, late = sum(refusals) / len(refusals), refusals[int(0.99 * len(refusals))]
        yield f"a refusal took {1000 * mean:.0f} ms on the mean, p99 {1000 * late:.0f} ms, of {len(refusals)}"
    after = service.resident_bytes(subject.process)
    yield f"resident memory: {subject.memory_before / 2**20:.0f} MiB before, {after / 2**20:.0f} MiB after"


if __name__ == "__main__":
    main()
