"""What operators count, in Prometheus' form. The one module that knows prometheus_client.

With several worker processes the numbers of each lie in files that all can read (`PROMETHEUS_MULTIPROC_DIR`, set before
this module is imported), so that every worker tells the sum of all.
"""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, multiprocess
from prometheus_client.exposition import choose_encoder

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PICTURES = (1, 2, 4, 8, 16, 32, 64)

_requests = Histogram(
    "denoise_request_seconds", "Requests, and the time that they took", ["route", "status"], buckets=SECONDS
)
_stages = Histogram("denoise_stage_seconds", "Time by stage: decode, queue, infer, encode", ["stage"], buckets=SECONDS)
_batches = Histogram("denoise_batch_pictures", "Runs, and the pictures in each", ["model"], buckets=PICTURES)
_refusals = Counter("denoise_refusals_total", "Requests that were not answered with a picture", ["reason"])
_waiting = Gauge("denoise_waiting_pictures", "Pictures that wait for their turn", ["size"], multiprocess_mode="livesum")
_models = Gauge(
    "denoise_model_info", "Models served, 1 each", ["model", "sha256", "provider"], multiprocess_mode="livemax"
)


_request = lru_cache(_requests.labels)  # finding the one with these labels takes longer than counting
_stage = lru_cache(_stages.labels)
_batch = lru_cache(_batches.labels)


def answered(route: str, status: int, seconds: float) -> None:
    """A request has its answer."""
    _request(route, status).observe(seconds)


def staged(milliseconds: Iterable[tuple[str, float]]) -> None:
    """A picture went through these stages."""
    for stage, spent in milliseconds:
        _stage(stage).observe(spent / 1000)


def ran(model: str, pictures: int) -> None:
    """A model ran on so many pictures at once."""
    _batch(model).observe(pictures)


def refused(reason: str) -> None:
    """A request could not be answered with a picture."""
    _refusals.labels(reason).inc()


def waiting(size: str, pictures: int) -> None:
    """So many `small` or `large` pictures wait now."""
    _waiting.labels(size).set(pictures)


def serves(models: Iterable[tuple[str, str, str]], *, no_more: Iterable[tuple[str, str, str]] = ()) -> None:
    """Models by name, sha256 and provider."""
    for labels in no_more:
        _models.labels(*labels).set(0)
    for labels in models:
        _models.labels(*labels).set(1)


def exposition(accept: str) -> tuple[bytes, str]:
    """All of it, and its media type, in the form that a scraper accepts."""
    registry = REGISTRY
    if FOLDER in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    try:
        encode, media_type = choose_encoder(accept)
    except Exception:  # it trips over versions that are none
        encode, media_type = choose_encoder("")
    return encode(registry), media_type


def ended(worker: int, folder: Path) -> None:
    """The worker with that process id is no more: what it had waiting counts no more."""
    multiprocess.mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]
