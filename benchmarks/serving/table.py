"""The tables of what was measured, as docs/performance.md has them."""

import platform
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.serving import in_process, turns
from benchmarks.serving.in_process import BATCHES, InProcess
from benchmarks.serving.lineup import (
    DIGITS_PER_TENSOR,
    FIXED,
    PROCESSES,
    REFERENCE,
    Stack,
    all_stacks,
    ours,
    ours_in_float32,
)
from benchmarks.serving.turns import Figures
from benchmarks.serving.wrk import Measurement
from denoise.machine import cpus

INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
BARE_CALLERS = 16  # The fixed answer's CPU time is taken from the rows of so many callers.


def median(measurements: Sequence[Measurement]) -> Measurement:
    """The median of several measurements, figure by figure."""
    columns = zip(*(vars(each).values() for each in measurements), strict=True)
    return Measurement(*(statistics.median(column) for column in columns))


def ratio(ones: Sequence[Measurement], others: Sequence[Measurement]) -> float:
    """How many requests a second one stack does to another's: the median of the turns' own ratios."""
    return statistics.median(one.requests_s / other.requests_s for one, other in zip(ones, others, strict=True))


def report(figures: Figures, rounds: int) -> Iterator[str]:
    """The lines of docs/performance.md down to the sections that other scripts' figures stand in."""
    yield from ("# How fast it is", "", "Written by `make bench` (`python -m benchmarks.serving`).", "")
    yield f"One 28×28 PNG in, one out, over HTTP on loopback, driven by wrk: every stack in two processes on {cpus()}"
    yield f"CPUs ({processor()}) that wrk shares, medians of {turns.TURNS_PER_ROUND} turns in each of {rounds}"
    yield "rounds. *CPU* is the time of all server processes per request. *Efficiency* is the least that a request"
    yield "could take (a fixed answer from bare Starlette, decode, run at its best batch size, encode) over what it"
    yield "took. The machine is shared: read the ratios, not the figures. *To the bare handler* is the median of the"
    yield "turns' own ratios, which the quotient of two medians need not be. No stack logs its requests."
    beside = {row: in_process.median(rounds_of) for row, rounds_of in figures.in_process.items()}
    for callers in turns.CALLERS:
        yield from ("", f"## {callers} caller{'s' if callers > 1 else ''}", "")
        yield from _stacks(figures, beside, callers)
    yield from ("", f"## {DIGITS_PER_TENSOR} digits a request, as a tensor", "")
    yield from _tensors(figures, beside)
    yield from ("", f"## In process, one thread, in {PROCESSES} processes at once", "")
    yield from _in_process(beside)
    yield ""


def processor() -> str:
    """The processor's name, and which of its instructions for small numbers it has."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = set(text.split())
    return ", ".join([name[1] if name else platform.machine(), *(each for each in INSTRUCTIONS if each in flags)])


def _stacks(figures: Figures, beside: dict[str, InProcess], callers: int) -> Iterator[str]:
    yield "| stack | requests/s | to the bare handler | p50, ms | p99, ms | CPU, µs | efficiency | failed |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for stack in all_stacks():
        each_turn = figures.turns.get((stack.row, callers))
        if not each_turn or stack.digits_per_tensor:
            continue
        middle = median(each_turn)
        reference = figures.turns.get((f"{REFERENCE}, {stack.model}", callers))
        yield (
            f"| {stack.row} | {middle.requests_s:,.0f} | {f'{ratio(each_turn, reference):.2f}' if reference else ''} | "
            f"{middle.p50_ms:.2f} | {middle.p99_ms:.2f} | {middle.cpu_us:.0f} | "
            f"{_efficiency(stack, middle, figures, beside)} | {f'{middle.failed:.0%}' if middle.failed else ''} |"
        )


def _efficiency(stack: Stack, middle: Measurement, figures: Figures, beside: dict[str, InProcess]) -> str:
    bare = figures.turns.get((FIXED.row, BARE_CALLERS))
    timed = ours(stack.model) if stack.precision == "auto" else ours_in_float32(stack.model)
    model = beside.get(timed.row)
    if not bare or not model or stack.fixed:
        return ""
    return f"{(median(bare).cpu_us + model.least_us) / middle.cpu_us:.2f}"


def _tensors(figures: Figures, beside: dict[str, InProcess]) -> Iterator[str]:
    yield "| model | callers | digits/s | to the runs alone, in process | p50, ms | p99, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for stack in all_stacks():
        for callers in turns.CALLERS:
            each_turn = figures.turns.get((stack.row, callers))
            if each_turn and stack.digits_per_tensor:
                middle = median(each_turn)
                rate = middle.requests_s * stack.digits_per_tensor
                best = PROCESSES * beside[stack.row].digits_s[stack.digits_per_tensor]
                yield (
                    f"| {stack.model} | {callers} | {rate:,.0f} | {rate / best:.2f} | {middle.p50_ms:.2f} | "
                    f"{middle.p99_ms:.2f} |"
                )


def _in_process(beside: dict[str, InProcess]) -> Iterator[str]:
    yield f"| model | {' | '.join(f'digits/s in batches of {batch}' for batch in BATCHES)} | decode, µs | encode, µs |"
    yield f"| --- |{' ---: |' * (len(BATCHES) + 2)}"
    for stack in all_stacks():
        if stack.timed_in_process and not stack.digits_per_tensor and stack.row in beside:
            model = beside[stack.row]
            rates = " | ".join(f"{rate:,.0f}" for rate in model.digits_s.values())
            name = stack.model if stack.precision == "auto" else f"{stack.model}, float32"
            yield f"| {name} | {rates} | {model.decode_us:.0f} | {model.encode_us:.0f} |"


def comparison(pairs: Sequence[Sequence[Stack]], figures: Figures) -> Iterator[str]:
    """The table of this checkout (*here*) beside another one (*there*)."""
    yield "| row | callers | requests/s there | here | here to there | CPU there, µs | here | failed there | here |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    worst: tuple[float, str] = (float("inf"), "")
    for here, there in pairs:
        for callers in turns.CALLERS:
            ones, others = figures.turns[here.row, callers], figures.turns[there.row, callers]
            new, old, to_it = median(ones), median(others), ratio(ones, others)
            worst = min(worst, (to_it, f"{here.row}, callers: {callers}"))
            yield (
                f"| {here.row} | {callers} | {old.requests_s:,.0f} | {new.requests_s:,.0f} | {to_it:.3f} | "
                f"{old.cpu_us:.0f} | {new.cpu_us:.0f} | {old.failed:.1%} | {new.failed:.1%} |"
            )
    yield from ("", f"The worst row: {worst[1]}, {worst[0]:.3f} of what it was.")
