"""`python -m benchmarks.load.capacity`: what a picture costs, and what so many pictures a second take.

Measures for a minute what a picture costs the running service, and works out what each rate takes: cost times rate.
Writes docs/scaling.md from FIRST_HEADING on. Needs wrk.
"""

import argparse
import math
import os
import textwrap
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import psutil

from benchmarks import DIGIT, PAGE, ROOT
from benchmarks.serving import servers, wrk
from benchmarks.serving.lineup import Stack, ours

DOCS = ROOT / "docs" / "scaling.md"
PERFORMANCE = ROOT / "docs" / "performance.md"
FIRST_HEADING = "\n## What a picture costs\n"  # From this heading on, the page is written by this script.
PAGES = 30
MODELS = ("easy_dae", "conv_dae", "unet_dae")
DEFAULT = "unet_dae"
BUSY_CALLERS = 16
PICTURES_PER_SECOND = (1, 10, 1_000, 100_000)
REQUEST_HEAD_BYTES = 150  # Curl and wrk send about as much before the picture.
# The next three are what deploy/kubernetes asks for.
POD_MIB = 512
LEAST_PODS = 2
TARGET_UTILIZATION = 0.6


class Cost(NamedTuple):
    """What one picture takes.

    Attributes:
        what: the picture, in the words of the tables.
        cpu_us: CPU time of the service, as measured now.
        published_us: the same in docs/performance.md; None where it does not stand there.
        sent_bytes: the size of a request with its headers.
        answered_bytes: the size of an answer with its headers.
    """

    what: str
    cpu_us: float
    published_us: float | None
    sent_bytes: int
    answered_bytes: int

    @property
    def sized_by_us(self) -> float:
        """The CPU time that sizes are worked out from: the published median, if any."""
        return self.published_us or self.cpu_us


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.capacity", description=__doc__)
    parser.parse_args(arguments)
    load = os.getloadavg()[0]
    text = "\n".join(report([*map(digit_cost, MODELS), page_cost()], load))
    print(text)
    above, _, _ = DOCS.read_text(encoding="utf-8").partition(FIRST_HEADING)
    DOCS.write_text(above + FIRST_HEADING + text, encoding="utf-8")


def one_process(model: str) -> Stack:
    """The service in one process."""
    stack = ours(model)
    return replace(stack, environment=stack.environment | {"DENOISE_WORKERS": "1"})


def digit_cost(model: str) -> Cost:
    """What a digit costs one process that is kept busy."""
    stack = one_process(model)
    with servers.start(stack) as (process, url):
        answered = answer_bytes(url, DIGIT.read_bytes())
        measurement = wrk.drive(stack, process, url, BUSY_CALLERS)
    print(f"{model}: {measurement}", flush=True)
    sent = REQUEST_HEAD_BYTES + DIGIT.stat().st_size
    return Cost(f"`{model}`, a digit", measurement.cpu_us, published_us(model), sent, answered)


def published_us(model: str) -> float:
    """What a digit costs by docs/performance.md, in µs of CPU time."""
    _, _, busy = PERFORMANCE.read_text(encoding="utf-8").partition(f"\n## {BUSY_CALLERS} callers\n")
    return float(wrk.find(rf"\| this service, {model} \|(?:[^|]*\|){{4}} (\d+) \|", busy))


def page_cost() -> Cost:
    """What a page costs one process."""
    content = PAGE.read_bytes()
    with servers.start(one_process(DEFAULT)) as (process, url):
        answered = answer_bytes(url, content)
        spent = cpu_seconds_per_page(process, url, content)
    return Cost(f"`{DEFAULT}`, a page", 1e6 * spent, None, REQUEST_HEAD_BYTES + len(content), answered)


def cpu_seconds_per_page(process: psutil.Process, url: str, content: bytes) -> float:
    """CPU seconds of a page, on the mean over PAGES."""
    before = wrk.cpu_seconds(process)
    for _ in range(PAGES):
        answer_bytes(url, content)
    return (wrk.cpu_seconds(process) - before) / PAGES


def answer_bytes(url: str, content: bytes) -> int:
    """The size of an answer, headers included."""
    request = urllib.request.Request(url, content, {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return len(response.read()) + sum(len(f"{name}: {value}\r\n") for name, value in response.headers.items())


def report(costs: Sequence[Cost], load: float) -> Iterator[str]:
    """The lines of docs/scaling.md, from FIRST_HEADING on."""
    yield from cost_table(costs, load)
    yield from rate_table(costs)
    yield ""


def paragraph(text: str) -> str:
    """The text in lines, with an empty one before and after it."""
    return "\n" + textwrap.fill(text, 120) + "\n"


def cost_table(costs: Sequence[Cost], load: float) -> Iterator[str]:
    """The measured figures."""
    yield paragraph(
        f"Measured by `python -m benchmarks.load.capacity`: one process, {BUSY_CALLERS} callers for digits and one for "
        "pages, on loopback. *CPU* is that of the process, per picture; the bytes are those of a request and of its "
        f"answer, with their headers. The machine is shared: its load average was {load:.1f} before anything was "
        "measured here, and what others do there makes each picture cost more."
    )
    yield "| | CPU, µs | by docs/performance.md, µs | bytes sent | bytes answered |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for what, cpu_us, published, sent, answered in costs:
        yield f"| {what} | {cpu_us:,.0f} | {f'{published:,.0f}' if published else ''} | {sent:,} | {answered:,} |"


def rate_table(costs: Sequence[Cost]) -> Iterator[str]:
    """What each rate takes."""
    yield "\n## What each rate takes"
    yield paragraph(
        f"Pods of one core, busy {TARGET_UTILIZATION:.0%} of the time, which is the autoscaler's target; {LEAST_PODS} "
        f"at least. The memory is what they request, {POD_MIB} MiB each. Arithmetic, not measured: from the CPU time "
        "of docs/performance.md where there is one, and as if pods did not slow each other down."
    )
    yield "| | pictures/s | cores busy | pods | memory, GiB | in, Mbit/s | out, Mbit/s |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for each in costs:
        for rate in PICTURES_PER_SECOND:
            busy, pods = rate * each.sized_by_us / 1e6, pods_for(rate, each.sized_by_us)
            cores, memory = f"{busy:,.{3 if busy < 1 else 1}f}", f"{pods * POD_MIB / 1024:,.0f}"
            megabits = (8e-6 * rate * size for size in (each.sent_bytes, each.answered_bytes))
            into, out = (f"{amount:,.{2 if amount < 1 else 0}f}" for amount in megabits)
            yield f"| {each.what} | {rate:,} | {cores} | {pods:,} | {memory} | {into} | {out} |"


def pods_for(rate: float, cpu_us: float) -> int:
    """Pods that answer so many pictures a second at the autoscaler's target."""
    return max(LEAST_PODS, math.ceil(round(rate * cpu_us / 1e6 / TARGET_UTILIZATION, 9)))


if __name__ == "__main__":
    main()
