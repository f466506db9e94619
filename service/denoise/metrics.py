"""What operators count, in Prometheus' form. The one module that knows prometheus_client.

With several worker processes the numbers of each lie in files that all can read (`PROMETHEUS_MULTIPROC_DIR`, set before
this module is imported), so that every worker tells the sum of all.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, multiprocess, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
COUNTED_EVERY_S = 0.05
STAGES, BATCHES = "denoise_stage_seconds", "denoise_batch_pictures"
PICTURES = (1, 2, 4, 8, 16, 32, 64)

_Value: type[Any] = values.ValueClass
_changed: list["_Kept"] = []


class _Kept(_Value):  # type: ignore[misc]  # its base is chosen at run time
    """A number of prometheus_client's, which goes into its file (of each worker, for all to read) only now and then."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._more = 0.0

    def inc(self, amount: float) -> None:
        """Adds to it."""
        if not self._more:
            _changed.append(self)
        self._more += amount

    def put(self) -> None:
        """What was added goes into the file."""
        super().inc(self._more)
        self._more = 0.0


values.ValueClass = _Kept  # the library's own hook for other kinds of numbers

_requests = Histogram(
    "denoise_request_seconds", "Requests, and the time that they took", ["route", "status"], buckets=SECONDS
)
_stages = Histogram(STAGES, "Time by stage: decode, queue, infer, encode", ["model", "stage"], buckets=SECONDS)
_batches = Histogram(BATCHES, "Runs, and the pictures in each", ["model"], buckets=PICTURES)
_refusals = Counter("denoise_refusals_total", "Requests that were not answered with a picture", ["reason"])
_waiting = Gauge("denoise_waiting_pictures", "Pictures that wait for their turn", ["size"], multiprocess_mode="livesum")
_models = Gauge(
    "denoise_model_info", "Models served, 1 each", ["model", "sha256", "provider"], multiprocess_mode="livemax"
)


_request = lru_cache(_requests.labels)  # finding the one with these labels takes longer than counting
_stage = lru_cache(_stages.labels)
_batch = lru_cache(_batches.labels)
_refusal = lru_cache(_refusals.labels)


_seen: deque[tuple[Histogram, float]] = deque()  # and not counted yet
_levels: dict[str, int] = {}  # of what waits, by size; not told yet
_timers: list[tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle]] = []


def answered(route: str, status: int, seconds: float) -> None:
    """A request has its answer. To be called on the event loop, where all is counted a little later.

    What counts then is code that has just run: for many at once it takes a third of the time.
    """
    _seen.append((_request(route, status), seconds))
    loop = asyncio.get_running_loop()
    if not _timers or _timers[0][0] is not loop:  # whose timer may have ended with it
        _timers[:] = [(loop, loop.call_later(COUNTED_EVERY_S, count))]


def count() -> None:
    """What has been seen goes into the numbers."""
    while _timers:
        _timers.pop()[1].cancel()
    while _seen:
        histogram, value = _seen.popleft()
        histogram.observe(value)
    while _changed:
        _changed.pop().put()
    while _levels:
        size, pictures = _levels.popitem()
        _waiting.labels(size).set(pictures)


class Stages:
    """How long each stage of a request took."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        """The next stage begins now."""
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        """So a stage ended, and the next begins."""
        now = time.perf_counter()
        self.milliseconds[name] = 1000 * (now - self._since)
        self._since = now

    def header(self) -> str:
        """The `Server-Timing` header (W3C)."""
        return ", ".join([f"{name};dur={duration:.3f}" for name, duration in self.milliseconds.items()])


def staged(model: str, milliseconds: Iterable[tuple[str, float]]) -> None:
    """A request for a model went through these stages."""
    _seen.extend([(_stage(model, stage), spent / 1000) for stage, spent in milliseconds])


def ran(model: str, pictures: int) -> None:
    """A model ran on so many pictures at once."""
    _seen.append((_batch(model), pictures))


def refused(reason: str) -> None:
    """A request could not be answered with a picture."""
    _refusal(reason).inc()


def waiting(size: str, pictures: int) -> None:
    """So many `small` or `large` pictures wait now."""
    _levels[size] = pictures


def serves(models: Iterable[tuple[str, str, str]], *, no_more: Iterable[tuple[str, str, str]] = ()) -> None:
    """Models by name, sha256 and provider."""
    for labels in no_more:
        _models.labels(*labels).set(0)
    for labels in models:
        _models.labels(*labels).set(1)


class Done(NamedTuple):
    """What a model has done since the start, in all processes."""

    pictures: int
    runs: int
    stages: dict[str, tuple[int, float]]  # requests that went through each, and the seconds they took


def done(model: str) -> Done:
    """What a model has done."""
    sums: dict[tuple[str, str], float] = {}
    for metric in _registry().collect():
        for sample in metric.samples:
            if sample.labels.get("model") == model:
                sums[sample.name, sample.labels.get("stage", "")] = sample.value
    counts = {stage: int(count) for (name, stage), count in sums.items() if name == f"{STAGES}_count"}
    stages = {stage: (count, sums[f"{STAGES}_sum", stage]) for stage, count in counts.items()}
    return Done(int(sums.get((f"{BATCHES}_sum", ""), 0)), int(sums.get((f"{BATCHES}_count", ""), 0)), stages)


def exposition(accept: str) -> tuple[bytes, str]:
    """All of it, and its media type, in the form that a scraper accepts."""
    registry = _registry()
    try:
        encode, media_type = choose_encoder(accept)
    except Exception:  # it trips over versions that are none
        encode, media_type = choose_encoder("")
    return encode(registry), media_type


class _Families(NamedTuple):
    """What is to be told, as prometheus_client takes it."""

    families: dict[str, Metric]

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return self.families.values()


def together(told: Mapping[str, str]) -> tuple[bytes, str]:
    """What replicas tell, by their names, which their numbers get as a label; and its media type."""
    encode, media_type = choose_encoder("")
    families: dict[str, Metric] = {}
    for replica, text in told.items():
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known.samples += [each._replace(labels={**each.labels, "replica": replica}) for each in family.samples]
    return encode(_Families(families)), media_type


def _registry() -> CollectorRegistry:
    """The sums over all processes; of others, as they were COUNTED_EVERY_S ago."""
    count()
    if FOLDER not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def ended(worker: int, folder: Path) -> None:
    """The worker with that process id is no more: what it had waiting counts no more."""
    multiprocess.mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]
