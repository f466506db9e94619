"""What operators count, in Prometheus' form, by prometheus_client.

With several worker processes the numbers of each lie in files that all can read (`PROMETHEUS_MULTIPROC_DIR`, set before
this module is imported), so that every worker tells the sum of all.

Observations are counted a moment later, many of a histogram together, for speed alone: for each one prometheus_client
takes two locks and writes two numbers into a file, five times in a request, which takes longer than framing its digit.
The row "this service, counting at once" of `python -m benchmarks.serving` shows what is saved. `flush` touches three
private parts of a histogram, `_sum`, `_buckets` and `_upper_bounds`, and tests/test_telling.py fails when one of them
means anything else.
"""

import asyncio
import contextlib
import os
import platform
import time
from bisect import bisect_left
from collections import Counter as Count
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    multiprocess,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# What has been observed is counted within so many seconds; with 0 at once.
COUNTING_PAUSE_S = 0.05
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PICTURES = (1, 2, 4, 8, 16, 32, 64)
STAGES, BATCHES = "denoise_stage_seconds", "denoise_batch_pictures"

disable_created_metrics()  # type: ignore[no-untyped-call]  # Nobody reads when each number was first counted.
_requests = Histogram(
    "denoise_request_duration_seconds", "Requests, and the time that they took", ["route", "status"], buckets=SECONDS
)
_stages = Histogram(STAGES, "Time by stage: decode, queue, infer, encode", ["model", "stage"], buckets=SECONDS)
_batches = Histogram(BATCHES, "Runs, and the pictures in each", ["model"], buckets=PICTURES)
_refusals = Counter("denoise_refusals_total", "Requests that were not answered with a picture", ["reason"])
_waiting = Gauge("denoise_waiting_pictures", "Pictures that wait for their turn", ["size"], multiprocess_mode="livesum")
_models = Gauge(
    "denoise_model_info", "Models served, 1 each", ["model", "sha256", "provider"], multiprocess_mode="livemax"
)

_build = Gauge(
    "denoise_build_info", "What it is made of, 1", ["version", "python", "onnxruntime"], multiprocess_mode="livemax"
)

# Finding the number with these labels takes the library longer than counting.
_request = lru_cache(_requests.labels)
_stage = lru_cache(_stages.labels)
_batch = lru_cache(_batches.labels)
_refusal = lru_cache(_refusals.labels)
_queue = lru_cache(_waiting.labels)
# What has been observed, and how many pictures wait, since it was last counted; and the event loop whose timer counts.
_seen: deque[tuple[Histogram, float]] = deque()
_now_waiting: dict[str, int] = {}
_loops: list[asyncio.AbstractEventLoop] = []


def observe(*observed: tuple[Histogram, float]) -> None:
    """Has each histogram count its value; in a thread without an event loop they do so at once."""
    if _flush_soon():
        _seen.extend(observed)
        return
    for histogram, value in observed:
        histogram.observe(value)


def _flush_soon() -> bool:
    """Whether an event loop will call `flush`; if it is the first to be waited for, it is told to."""
    # The timer of a loop that has ended never comes. To ask for the running loop takes a call of the system.
    if (_seen or _now_waiting) and not _loops[0].is_closed():
        return True
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    if COUNTING_PAUSE_S:
        _loops[:] = [loop]
        loop.call_later(COUNTING_PAUSE_S, flush)
    return COUNTING_PAUSE_S > 0


def flush() -> None:
    """Counts all that has been observed so far, each once, also while a thread does the same; and tells what waits."""
    values_of: defaultdict[Histogram, list[float]] = defaultdict(list)
    with contextlib.suppress(IndexError):  # Nothing is left.
        while True:
            histogram, value = _seen.popleft()
            values_of[histogram].append(value)
    for histogram, values in values_of.items():
        histogram._sum.inc(sum(values))
        for bucket, count in Count([bisect_left(histogram._upper_bounds, value) for value in values]).items():
            histogram._buckets[bucket].inc(count)
    with contextlib.suppress(KeyError):  # Nothing is left.
        while True:
            size, pictures = _now_waiting.popitem()
            _queue(size).set(pictures)


def count_answer(route: str, status: int, seconds: float) -> None:
    """Counts a request that has its answer."""
    observe((_request(route, status), seconds))


def count_stages(model: str, milliseconds: Iterable[tuple[str, float]]) -> None:
    """Counts the stages that a request for a model went through."""
    observe(*[(_stage(model, stage), spent / 1000) for stage, spent in milliseconds])


def count_run(model: str, pictures: int) -> None:
    """Counts a run of a model on so many pictures at once."""
    observe((_batch(model), pictures))


def count_refusal(reason: str) -> None:
    """Counts a request that could not be answered with a picture."""
    _refusal(reason).inc()


def set_waiting(size: str, pictures: int) -> None:
    """So many `small` or `large` pictures wait now."""
    if _flush_soon():
        _now_waiting[size] = pictures
    else:
        _queue(size).set(pictures)


def set_models(served: Iterable[tuple[str, str, str]], *, gone: Iterable[tuple[str, str, str]] = ()) -> None:
    """Tells which models are served, by name, sha256 and provider, and which are not any more."""
    for labels in gone:
        _models.labels(*labels).set(0)
    for labels in served:
        _models.labels(*labels).set(1)


def set_build(version: str, onnxruntime: str) -> None:
    """Tells the versions of the service, of Python and of onnxruntime."""
    _build.labels(version, platform.python_version(), onnxruntime).set(1)


class Stages:
    """How long each stage of a request took, by name, in `milliseconds`."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        """Begins the next stage."""
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        """Ends the stage, which has this name, and begins the next."""
        now = time.perf_counter()
        self.milliseconds[name] = 1000 * (now - self._since)
        self._since = now

    def header(self) -> str:
        """The `Server-Timing` header (W3C)."""
        return ", ".join([f"{name};dur={duration:.3f}" for name, duration in self.milliseconds.items()])


class Totals(NamedTuple):
    """What a model has done since the start, in all processes.

    Attributes:
        pictures: how many it ran on.
        runs: how many runs they took.
        stages: requests that went through each stage, and the seconds that they took.
    """

    pictures: int
    runs: int
    stages: dict[str, tuple[int, float]]


def read_totals(model: str) -> Totals:
    """What a model has done so far."""
    sums: dict[tuple[str, str], float] = {}
    for metric in _registry().collect():
        for sample in metric.samples:
            if sample.labels.get("model") == model:
                sums[sample.name, sample.labels.get("stage", "")] = sample.value
    counts = {stage: int(count) for (name, stage), count in sums.items() if name == f"{STAGES}_count"}
    stages = {stage: (count, sums[f"{STAGES}_sum", stage]) for stage, count in counts.items()}
    return Totals(int(sums.get((f"{BATCHES}_sum", ""), 0)), int(sums.get((f"{BATCHES}_count", ""), 0)), stages)


def exposition(accept: str) -> tuple[bytes, str]:
    """All metrics as text, and its media type, in the form that a scraper accepts."""
    registry = _registry()
    try:
        encode, media_type = choose_encoder(accept)
    except Exception:  # The library fails at versions that are no numbers.
        encode, media_type = choose_encoder("")
    return encode(registry), media_type


class _Families(NamedTuple):
    """Metrics by name, as prometheus_client's encoders take them."""

    families: dict[str, Metric]

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        return self.families.values()


def merge_replicas(texts: Mapping[str, str]) -> tuple[bytes, str]:
    """The expositions of replicas, by name, as one whose numbers have the name as a label; and its media type."""
    encode, media_type = choose_encoder("")
    families: dict[str, Metric] = {}
    for replica, text in texts.items():
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known.samples += [each._replace(labels={**each.labels, "replica": replica}) for each in family.samples]
    return encode(_Families(families)), media_type


def _registry() -> CollectorRegistry:
    """The sums over all processes; those of the others are as they were COUNTING_PAUSE_S ago."""
    flush()
    if FOLDER not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def forget_worker(process_id: int, folder: Path) -> None:
    """What a worker that has ended had waiting counts no more; `folder` holds the numbers of all workers."""
    multiprocess.mark_process_dead(process_id, str(folder))  # type: ignore[no-untyped-call]
