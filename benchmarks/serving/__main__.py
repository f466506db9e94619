"""`python -m benchmarks.serving`: requests a second, latency and CPU time, side by side with other servers.

Every stack does the same work on the same 28×28 PNG with the same model, in two processes where it has processes, and
is checked against the model run in process before it is timed. The medians of all turns go to docs/performance.md.
With `--against FOLDER` the service here is measured beside another checkout of it instead, and nothing is written.
Needs wrk, and for the other servers the environments that `make bench` sets up.
"""

import argparse
from collections.abc import Sequence

from benchmarks import ROOT, checkouts
from benchmarks.serving import pages, table, turns
from benchmarks.serving.lineup import GROUPS, Stack, beside

PERFORMANCE = ROOT / "docs" / "performance.md"
NEXT_HEADING = "\n## Overload and soak\n"  # From this heading on, the page has the figures of other scripts.


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures all stacks, or those whose rows contain a word of the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("words", nargs="*", help="rows to measure, by a part of their name; without any: all")
    parser.add_argument("--rounds", type=int, default=turns.ROUNDS)
    checkouts.add_arguments(parser)
    options = parser.parse_args(arguments)
    if other := checkouts.other(options):
        pairs = [pair for pair in beside(other) if pick(pair[:1], options.words)]
        print("\n".join(table.comparison(pairs, turns.measure(pairs, options.rounds))))
        return
    groups = [group for group in (pick(group, options.words) for group in GROUPS) if group]
    lines = list(table.report(turns.measure(groups, options.rounds), options.rounds))
    if not options.words or pages.WORD in options.words:
        lines += ["## A page by itself", "", *pages.report(pages.measure(options.rounds)), ""]
    print("\n".join(lines))
    if not options.words:
        write("\n".join(lines))


def pick(group: Sequence[Stack], words: Sequence[str]) -> list[Stack]:
    """The stacks of a group whose row contains one of the words; all of them if there are no words."""
    return [stack for stack in group if not words or any(word in stack.row for word in words)]


def write(text: str) -> None:
    """Puts the tables into docs/performance.md."""
    _, heading, rest = PERFORMANCE.read_text(encoding="utf-8").partition(NEXT_HEADING)
    PERFORMANCE.write_text(text + heading + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
