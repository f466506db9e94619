"""Measures stacks side by side: those of a group are up together and are asked in turn.

A shared machine is not as fast in one minute as in the next, so only figures of the same minute can be compared.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import psutil

from benchmarks.serving import in_process, requests, servers, wrk
from benchmarks.serving.in_process import InProcess
from benchmarks.serving.lineup import Stack
from benchmarks.serving.wrk import Measurement

CALLERS = (1, 16, 64)
ROUNDS = 3
TURNS_PER_ROUND = 3
TURN_S = 2
TENSORS_TURN_S = 6  # A request takes a second, and those under way at the end of a turn are not counted.
# Before a turn of tensors those are done whose callers left at the end of the turn before.
TENSORS_PAUSE_S = 1


@dataclass
class Figures:
    """What all turns gave, by a stack's row, and by the number of callers."""

    turns: dict[tuple[str, int], list[Measurement]] = field(default_factory=lambda: defaultdict(list))
    in_process: dict[str, list[InProcess]] = field(default_factory=lambda: defaultdict(list))


def measure(groups: Sequence[Sequence[Stack]], rounds: int = ROUNDS) -> Figures:
    """Measures every group in every round, and prints each figure as it comes."""
    figures = Figures()
    for number, group in product(range(rounds), groups):
        print(f"round {number + 1} of {rounds}: {' | '.join(stack.row for stack in group)}", flush=True)
        _measure_group(group, figures)
    return figures


def _measure_group(group: Sequence[Stack], figures: Figures) -> None:
    with contextlib.ExitStack() as up:
        started = [(stack, *up.enter_context(servers.start(stack))) for stack in group]
        for stack, _, url in started:
            requests.check_pixels(stack, url)
        for callers in CALLERS:
            for stack in group:
                if stack.timed_in_process:
                    figures.in_process[stack.row].append(in_process.measure(stack.model, stack.precision))
            for turn in range(TURNS_PER_ROUND):
                _take_turn(started[::-1] if turn % 2 else started, callers, figures, first=turn == 0)


def _take_turn(
    started: Sequence[tuple[Stack, psutil.Process, str]], callers: int, figures: Figures, *, first: bool
) -> None:
    for stack, process, url in started:
        seconds = TENSORS_TURN_S if stack.digits_per_tensor else TURN_S
        time.sleep(TENSORS_PAUSE_S if stack.digits_per_tensor else 0)
        figure = wrk.drive(stack, process, url, callers, seconds, wrk.WARM_UP_S if first else 0)
        figures.turns[stack.row, callers].append(figure)
        print(f"{stack.row}, {callers} callers: {figure}", flush=True)
