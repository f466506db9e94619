"""`python -m benchmarks.capacity`: what so many pictures a second take, and how Kubernetes' autoscaler follows a load.

Measures for a minute what a picture costs the running service, works out from it what each rate takes, and simulates a
queue whose pods an autoscaler adds and removes, with that cost as its service time. The simulation is held against the
service with as many processes and callers. Writes docs/scaling.md from TOLD on. Needs wrk.
"""

import argparse
import heapq
import math
import os
import textwrap
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks import serving
from denoise.settings import Settings

DOCS = serving.ROOT / "docs" / "scaling.md"
TOLD = "\n## What a picture costs\n"  # from here on the page is written by this script
PAGE = serving.ROOT / "tests" / "digits" / "noisy_page.png"
PAGES = 30
MODELS = ("easy_dae", "conv_dae", "unet_dae")
DEFAULT = "unet_dae"
BUSY_CALLERS = 16
CHECKED = ((1, 16), (2, 16), (2, 64))  # processes, callers
RATES = (1, 10, 1_000, 100_000)  # pictures a second
QUEUE: int = Settings.model_fields["queue"].default
POD_MIB = 512  # that the manifest requests
REQUEST_HEAD_BYTES = 150  # about what curl and wrk send before the picture
STEADY_S = 120
UTILIZATIONS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
PODS = (1, 2, 10)
BASE, CALM_S = 0.6, 60  # what one pod can do, before the load grows, and for how long; ten times is the most pods' 60 %
SEED = 7


class Cost(NamedTuple):
    """What one picture takes."""

    what: str
    cpu_us: float
    told_us: float | None  # the same in docs/performance.md
    sent_bytes: int
    answered_bytes: int  # with the headers

    @property
    def sized_us(self) -> float:
        """What the sizes are worked out from: the median that was told, if any."""
        return self.told_us or self.cpu_us


@dataclass(frozen=True)
class Autoscaler:
    """The HorizontalPodAutoscaler as deploy/kubernetes has it, on CPU; what that leaves out, as Kubernetes has it."""

    target: float = 0.6  # of the CPU that is requested, which is one
    least: int = 2  # pods
    most: int = 10
    start_s: float = 10.0  # from the decision until a pod is ready: scheduling, container, models, probe
    window_s: float = 300.0  # of which the highest wish holds, before pods are taken away
    sync_s: float = 15.0  # between decisions; also the length and the age of what the metrics are the mean of
    tolerance: float = 0.1
    fewer: float = 0.2  # share of the pods that may go in FEWER_S

    def desired(self, current: int, use: float) -> int:
        """Pods wanted where `current` use that much of their CPU each: ceil(current × use / target)."""
        ratio = use / self.target
        wanted = current if abs(ratio - 1) <= self.tolerance else math.ceil(round(current * ratio, 9))
        return min(max(wanted, self.least), self.most)

    def step(self, current: int, wishes: Sequence[int], before: int) -> int:
        """Pods from now on: the last of the wishes within the window, as far as the policies let it.

        Up: twice as many, or four more, a sync. Down: no less than the highest wish, nor than the pods `before`, a
        minute ago, less their share.
        """
        if wishes[-1] > current:
            return min(wishes[-1], max(2 * current, current + MORE))
        return min(current, max(*wishes, int(before * (1 - self.fewer)), self.least))


MORE = 4  # pods that may come in a sync, however few there are
FEWER_S = 60.0


@dataclass
class Run:
    """What became of the pictures that a simulation sent."""

    waits_s: NDArray[np.float64]  # of those that were taken
    refused: int
    last_refusal_s: float | None
    pods: list[int] = field(default_factory=list)  # that were ready, at each sync

    @property
    def refused_share(self) -> float:
        """Of all pictures."""
        return self.refused / max(1, self.refused + len(self.waits_s))

    def wait_ms(self, percent: float) -> float:
        """A percentile of the waits."""
        return 1000 * float(np.percentile(self.waits_s, percent)) if len(self.waits_s) else 0.0


def arrivals(rates: Sequence[float], seed: int) -> NDArray[np.float64]:
    """Times in seconds, ascending: a Poisson process with one rate for each second."""
    random = np.random.default_rng(seed)
    counts = random.poisson(rates)
    return np.sort(np.repeat(np.arange(len(rates)), counts) + random.random(int(counts.sum())))


def simulate(
    rates: Sequence[float], service_s: float, autoscaler: Autoscaler, queue: int = QUEUE, seed: int = SEED
) -> Run:
    """Pictures come at `rates`, one for each second, and each takes `service_s` of the pod with the least to do.

    A pod works on one at a time and refuses those for which `queue` are inside already.
    """
    busy_until = [0.0] * autoscaler.least  # of the pods that are ready; a heap
    starting: list[float] = []  # when each will be ready, ascending
    uses: list[float] = [0.0]  # CPUs in use, at each sync
    wishes: list[int] = []
    sizes: list[int] = [autoscaler.least]  # pods, ready or starting, at each sync
    run = Run(np.empty(0), 0, None, [autoscaler.least])
    waits: list[float] = []
    taken = done = 0.0  # seconds of work
    next_sync = autoscaler.sync_s
    for now in arrivals(rates, seed).tolist():
        while now >= next_sync:
            before, done = done, taken - sum(max(0.0, until - next_sync) for until in busy_until)
            uses.append((done - before) / autoscaler.sync_s)
            current = len(busy_until) + len(starting)
            wishes.append(autoscaler.desired(current, uses[-2] / current))
            kept = wishes[-max(1, round(autoscaler.window_s / autoscaler.sync_s)) :]
            pods = autoscaler.step(current, kept, sizes[-min(len(sizes), round(FEWER_S / autoscaler.sync_s))])
            starting += [next_sync + autoscaler.start_s] * (pods - current)
            for _ in range(current - pods):
                if starting:
                    starting.pop()
                else:
                    heapq.heappop(busy_until)  # which has the least left to do, and does it
            sizes.append(pods)
            run.pods.append(len(busy_until))
            next_sync += autoscaler.sync_s
        while starting and starting[0] <= now:
            heapq.heappush(busy_until, starting.pop(0))
        wait = max(0.0, busy_until[0] - now)
        if wait > (queue - 1) * service_s:
            run.refused += 1
            run.last_refusal_s = now
            continue
        heapq.heapreplace(busy_until, now + wait + service_s)
        waits.append(wait)
        taken += service_s
    run.waits_s = np.array(waits)
    return run


def steady(pods: int, utilization: float, service_s: float, seconds: int = STEADY_S) -> Run:
    """Pods of a fixed number that are busy for that share of the time."""
    fixed = Autoscaler(least=pods, most=pods)
    return simulate([pods * utilization / service_s] * seconds, service_s, fixed)


class Closed(NamedTuple):
    """What callers see who send the next picture when they have the answer to the last."""

    rate: float  # pictures a second
    p50_ms: float
    p99_ms: float


def closed(processes: int, callers: int, service_s: float, requests: int = 20_000, seed: int = SEED) -> Closed:
    """Simulates such callers; the kernel gives each of them to some process, with which he stays."""
    process_of = np.random.default_rng(seed).integers(processes, size=callers).tolist()
    busy_until = [0.0] * processes
    ready = [(0.0, caller) for caller in range(callers)]
    took = []
    now = 0.0
    for _ in range(requests):
        now, caller = ready[0]
        process = process_of[caller]
        busy_until[process] = max(now, busy_until[process]) + service_s
        took.append(busy_until[process] - now)
        heapq.heapreplace(ready, (busy_until[process], caller))
    settled = took[callers:]  # at first all come at once
    return Closed(requests / now, *(1000 * float(np.percentile(settled, percent)) for percent in (50, 99)))


@dataclass(frozen=True)
class Scenario:
    """A load, second by second, and the autoscaler that follows it."""

    load: str
    settings: str
    rates: Sequence[float]
    autoscaler: Autoscaler


def scenarios(service_s: float) -> Iterator[Scenario]:
    """Loads that grow slowly and at once, under several settings."""
    base = BASE / service_s
    calm = [base] * CALM_S
    loads = {
        "to ten times in ten minutes": [*calm, *np.linspace(base, 10 * base, 600).tolist(), *[10 * base] * 300],
        "to three times at once": [*calm, *[3 * base] * 600],
        "to ten times at once": [*calm, *[10 * base] * 600],
    }
    settings = {
        "as in deploy/kubernetes": Autoscaler(),
        "new nodes are needed: ready after 120 s": Autoscaler(start_s=120),
        "target 80 %": Autoscaler(target=0.8),
        "at least 5 pods": Autoscaler(least=5),
    }
    for load, rates in loads.items():
        for name, autoscaler in settings.items():
            yield Scenario(load, name, rates, autoscaler)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, simulates, and writes."""
    argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__).parse_args(arguments)
    load = os.getloadavg()[0]
    costs = [cost(model) for model in MODELS] + [page_cost()]
    checks = [(processes, callers, real(processes, callers)) for processes, callers in CHECKED]
    text = "\n".join(report(costs, checks, load))
    print(text)
    above, _, _ = DOCS.read_text(encoding="utf-8").partition(TOLD)
    DOCS.write_text(above + TOLD + text, encoding="utf-8")


def of(model: str, processes: int) -> serving.Stack:
    """The service with so many processes."""
    stack = serving.ours(model)
    return replace(stack, environment=stack.environment | {"DENOISE_WORKERS": str(processes)})


def cost(model: str) -> Cost:
    """What a digit costs one process that is kept busy."""
    stack = of(model, 1)
    with serving.running(stack) as (process, url):
        answered = answer_bytes(url, serving.PICTURE.read_bytes())
        measured = serving.load(stack, process, url, BUSY_CALLERS)
    print(f"{model}: {measured}", flush=True)
    sent = REQUEST_HEAD_BYTES + serving.PICTURE.stat().st_size
    return Cost(f"`{model}`, a digit", measured.cpu_us, told_us(model), sent, answered)


def told_us(model: str) -> float:
    """What a digit costs by docs/performance.md, in µs of CPU time."""
    _, _, busy = serving.DOCS.read_text(encoding="utf-8").partition(f"\n## {BUSY_CALLERS} callers\n")
    return float(serving.found(rf"\| this service, {model} \|(?:[^|]*\|){{4}} (\d+) \|", busy))


def page_cost() -> Cost:
    """What a page costs one process."""
    content = PAGE.read_bytes()
    with serving.running(of(DEFAULT, 1)) as (process, url):
        answered = answer_bytes(url, content)
        spent = page_s(process, url, content)
    return Cost(f"`{DEFAULT}`, a page", 1e6 * spent, None, REQUEST_HEAD_BYTES + len(content), answered)


def page_s(process: psutil.Process, url: str, content: bytes) -> float:
    """CPU seconds of a picture, on the mean."""
    before = serving.cpu_s(process)
    for _ in range(PAGES):
        answer_bytes(url, content)
    return (serving.cpu_s(process) - before) / PAGES


def answer_bytes(url: str, content: bytes) -> int:
    """The size of an answer, headers included."""
    request = urllib.request.Request(url, content, {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return len(response.read()) + sum(len(f"{name}: {value}\r\n") for name, value in response.headers.items())


def real(processes: int, callers: int) -> serving.Measured:
    """The service itself, as `closed` simulates it."""
    stack = of(DEFAULT, processes)
    with serving.running(stack) as (process, url):
        return serving.load(stack, process, url, callers)


def report(costs: Sequence[Cost], checks: Sequence[tuple[int, int, serving.Measured]], load: float) -> Iterator[str]:
    """docs/scaling.md, from TOLD on."""
    (default,) = (each for each in costs if each.what.startswith(f"`{DEFAULT}`, a digit"))
    service_s = default.cpu_us / 1e6
    yield from costs_told(costs, load)
    yield from rates_told(costs)
    yield from steady_told(service_s)
    yield from scenarios_told(service_s)
    yield from checks_told(checks, service_s)


def paragraph(text: str) -> str:
    """Its lines, and the empty ones around it."""
    return "\n" + textwrap.fill(text, 120) + "\n"


def costs_told(costs: Sequence[Cost], load: float) -> Iterator[str]:
    """The measured figures."""
    yield paragraph(
        f"Measured by `python -m benchmarks.capacity`: one process, {BUSY_CALLERS} callers for digits and one for "
        "pages, on loopback. *CPU* is that of the process, per picture; the bytes are those of a request and of its "
        f"answer, with their headers. The machine is shared: its load average was {load:.1f} before anything was "
        "measured here, and what others do there makes each picture cost more."
    )
    yield "| | CPU, µs | by docs/performance.md, µs | bytes sent | bytes answered |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for what, cpu_us, told, sent, answered in costs:
        yield f"| {what} | {cpu_us:,.0f} | {f'{told:,.0f}' if told else ''} | {sent:,} | {answered:,} |"


def rates_told(costs: Sequence[Cost]) -> Iterator[str]:
    """What each rate takes."""
    yield "\n## What each rate takes"
    yield paragraph(
        f"Pods of one core, busy {Autoscaler().target:.0%} of the time, which is the autoscaler's target; two at "
        f"least. The memory is what they request, {POD_MIB} MiB each. Arithmetic, not measured: from the CPU time of "
        "docs/performance.md where it is told there, and as if pods did not slow each other down."
    )
    yield "| | pictures/s | cores busy | pods | memory, GiB | in, Mbit/s | out, Mbit/s |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for each in costs:
        for rate in RATES:
            busy, pods = rate * each.sized_us / 1e6, pods_for(rate, each.sized_us)
            cores, memory = f"{busy:,.{3 if busy < 1 else 1}f}", f"{pods * POD_MIB / 1024:,.0f}"
            megabits = (8e-6 * rate * size for size in (each.sent_bytes, each.answered_bytes))
            into, out = (f"{amount:,.{2 if amount < 1 else 0}f}" for amount in megabits)
            yield f"| {each.what} | {rate:,} | {cores} | {pods:,} | {memory} | {into} | {out} |"


def pods_for(rate: float, cpu_us: float) -> int:
    """Pods that answer so many pictures a second at the autoscaler's target."""
    autoscaler = Autoscaler()
    return max(autoscaler.least, math.ceil(round(rate * cpu_us / 1e6 / autoscaler.target, 9)))


def steady_told(service_s: float) -> Iterator[str]:
    """Waits by utilization."""
    yield "\n## Waits, simulated"
    yield paragraph(
        f"Digits for `{DEFAULT}` that come at random (Poisson), each given to the pod with the least to do: p50 "
        "and p99 of the wait for a turn, in ms. Where nothing balances requests, each pod is as one alone."
    )
    yield f"| busy | {' | '.join(f'of {pods}' for pods in PODS)} |"
    yield f"| ---: |{' ---: |' * len(PODS)}"
    for utilization in UTILIZATIONS:
        runs = [steady(pods, utilization, service_s) for pods in PODS]
        yield f"| {utilization:.0%} | {' | '.join(f'{run.wait_ms(50):.1f}, {run.wait_ms(99):.1f}' for run in runs)} |"


def scenarios_told(service_s: float) -> Iterator[str]:
    """What the autoscaler makes of loads that grow."""
    usual = Autoscaler()
    yield "\n## The autoscaler, simulated"
    yield paragraph(
        f"From {BASE / service_s:,.0f} digits a second on, for `{DEFAULT}`, in {usual.least} to {usual.most} pods. A "
        "decision "
        f"every {usual.sync_s:.0f} s, on figures as old; a pod is ready {usual.start_s:.0f} s after it, which is "
        f"taken, not measured. A pod refuses (429) what comes when {QUEUE:,} pictures are in it; nobody tries "
        "again. The last refusal is counted from when the load begins to grow."
    )
    yield "| load grows | settings | refused | p50 wait, ms | p99 wait, ms | last refusal after, s | pods at the end |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for each in scenarios(service_s):
        run = simulate(each.rates, service_s, each.autoscaler)
        last = "" if run.last_refusal_s is None else f"{run.last_refusal_s - CALM_S:.0f}"
        waits = f"{run.wait_ms(50):,.1f} | {run.wait_ms(99):,.0f}"
        yield f"| {each.load} | {each.settings} | {run.refused_share:.1%} | {waits} | {last} | {run.pods[-1]} |"


def checks_told(checks: Sequence[tuple[int, int, serving.Measured]], service_s: float) -> Iterator[str]:
    """The simulation beside the service."""
    yield "\n## The simulation beside the service"
    yield paragraph(
        f"`{DEFAULT}`, callers who send a digit as soon as they have their last answer: simulated from the CPU "
        "time above alone, and real, with wrk on the same CPUs."
    )
    yield "| processes | callers | pictures/s: simulated, real | p50, ms: simulated, real | p99, ms: simulated, real |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for processes, callers, seen in checks:
        told = closed(processes, callers, service_s)
        rates = f"{told.rate:,.0f}, {seen.requests_s:,.0f}"
        p50, p99 = f"{told.p50_ms:.1f}, {seen.p50_ms:.1f}", f"{told.p99_ms:.1f}, {seen.p99_ms:.1f}"
        yield f"| {processes} | {callers} | {rates} | {p50} | {p99} |"
    yield ""


if __name__ == "__main__":
    main()
