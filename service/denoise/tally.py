"""Observations are counted a moment later, many of a histogram together. This file is here for speed alone.

For each observation prometheus_client takes two locks and writes two numbers into a file. It does so five times in a
request, which takes longer than framing its digit. The row "this service, counting at once" of
`python -m benchmarks.serving` shows what is saved. Three private parts of a histogram are touched, `_sum`, `_buckets`
and `_upper_bounds`, and tests/test_telling.py fails when one of them means anything else.
"""

import asyncio
from bisect import bisect_left
from collections import Counter, defaultdict

from prometheus_client import Histogram

# What has been observed is counted within so many seconds; with 0 at once.
PAUSE_S = 0.05

_seen: defaultdict[Histogram, list[float]] = defaultdict(list)
# The event loop whose timer will count what has been seen.
_loops: list[asyncio.AbstractEventLoop] = []


def observe(*observed: tuple[Histogram, float]) -> None:
    """Has each histogram count its value; in a thread without an event loop they do so at once."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if not loop or not PAUSE_S:
        for histogram, value in observed:
            histogram.observe(value)
        return
    if not _seen or _loops[0] is not loop:  # The timer of a loop that has ended never comes.
        _loops[:] = [loop]
        loop.call_later(PAUSE_S, flush)
    for histogram, value in observed:
        _seen[histogram].append(value)


def flush() -> None:
    """Has the histograms count all that has been observed so far."""
    while _seen:
        histogram, values = _seen.popitem()
        histogram._sum.inc(sum(values))
        for bucket, count in Counter([bisect_left(histogram._upper_bounds, value) for value in values]).items():
            histogram._buckets[bucket].inc(count)
