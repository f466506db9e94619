"""Runs over many files, counted and shown: by this process and others like it, by a service, or by a cluster."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from denoise.bulk import arrays, processes
from denoise.bulk.files import Failure, Item, explain
from denoise.bulk.picture_files import ItemOutcome
from denoise.bulk.plan import Plan
from denoise.bulk.processes import WORTH_A_PROCESS
from denoise.bulk.provenance import write_many
from denoise.cli.backend import Backend
from denoise.cli.progress import Tally, print_summary, say
from denoise.cli.report import write_report
from denoise.errors import RequestError

Record = Callable[[ItemOutcome], None]
Work = Callable[[Tally, Record], None]
"""Does what is planned: counts it, and records what has become of each picture that has a file of its own."""


def carry_out(plan: Plan, work: Work, report: Path | None, *, overwrite: bool) -> int:
    """Has `work` do what is planned, and sums it up, also when it is interrupted. The exit status.

    `report` is the table to write of what has become of the pictures, where one is wanted. Raises OSError when it
    cannot be written.
    """
    tally = Tally(plan)
    outcomes: list[ItemOutcome] = []
    if not has_work(plan):
        status = nothing_left(plan)
    else:
        try:
            with tally:
                work(tally, outcomes.append)
        except KeyboardInterrupt as interrupt:
            status = tally.summarize(interrupt)
        else:
            status = tally.summarize()
    if report:
        write_report(report, outcomes, overwrite=overwrite)
    else:
        _warn(outcomes)
    return status


def _warn(outcomes: Sequence[ItemOutcome]) -> None:
    """Says what may be wrong with an answer, or with how many of several."""
    if len(outcomes) == 1:
        for warning in outcomes[0].warnings:
            say(f"{outcomes[0].item.source}: {warning}", sys.stderr)
    elif doubtful := sum(bool(outcome.warnings) for outcome in outcomes):
        say(f"{doubtful:,} of the answers have warnings, which --report FILE lists.", sys.stderr)


def has_work(plan: Plan) -> bool:
    """Whether there is anything to be cleaned."""
    return bool(plan.pictures or plan.arrays)


def nothing_left(plan: Plan) -> int:
    """Sums up a plan that has no work. The exit status."""
    return print_summary(plan, [], "Nothing was left to do" if plan.done else "")


def clean_files(plan: Plan, backend: Backend, tally: Tally, record: Record) -> None:
    """Cleans what is planned, pictures first."""
    with closing(_clean_pictures(plan.pictures, backend)) as outcomes:
        for outcome in outcomes:
            record(outcome)
            tally.show(1)
            if outcome.why is None:
                tally.count(1)
            else:
                tally.count(0, [Failure(str(outcome.item.source), outcome.why)])
    for item in plan.arrays:
        _clean_array(item, backend, tally)


def _clean_pictures(items: Sequence[Item], backend: Backend) -> Generator[ItemOutcome]:
    """Cleans pictures as many at a time as pays."""
    side_by_side = min(backend.jobs, len(items) // WORTH_A_PROCESS)
    if backend.engine and side_by_side > 1:
        return processes.clean_in_processes(items, backend.engine, side_by_side)
    if not backend.engine and backend.jobs > 1:
        return processes.clean_in_threads(items, backend.clean, backend.maker, backend.jobs)
    return processes.clean_in_turn(items, backend.clean, backend.maker)


def _clean_array(item: Item, backend: Backend, tally: Tally) -> None:
    """Cleans a file of an array, and counts its pictures once all of them are in the answer."""
    cleaned = 0
    try:
        with write_many(item, backend.maker.label_many(item)) as file:
            for count in arrays.clean(item.source, file, item.target.name, backend.work, tally.expect):
                tally.show(count)
                cleaned += count
    except (RequestError, OSError, MemoryError) as error:
        tally.count(0, [Failure(str(item.source), explain(error, item))])
    else:
        tally.count(cleaned)
