"""Many pictures on many machines: `denoise bulk`, by Ray Data.

The work is cut into pieces that know nothing of each other: some pictures, or a part of an array or a table. A process
that dies with its machine costs the piece that it had, which another does. Parts lie in a hidden folder beside their
answer until all of them are there, so that the same command goes on where it was interrupted. All machines see the same
files at the same paths.
"""

import hashlib
import io
import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is told to its makers; Ray looks when it is imported

import numpy as np
import ray
import ray.data
from ray.exceptions import RayError

from denoise import cleaning
from denoise.bulk import arrays, files, processes, tables
from denoise.bulk.files import Failure, Item, Plan
from denoise.bulk.processes import Engine
from denoise.errors import RequestError, SetupError
from denoise.inference.denoiser import CUDA, Denoiser

PICTURES = 64  # that are a piece
RETRIES = 3  # of a piece whose process or machine dies, before its pictures are tried one by one
STORE_BYTES = 200 * 1024 * 1024  # of Ray's memory for what it moves, which is little here
ON_A_GPU = 4  # processes
DIED = "Every process that worked on it died."


class Outcome(NamedTuple):
    """What has become of a piece."""

    cleaned: int  # pictures
    failures: list[Failure]


class Job(NamedTuple):
    """How all of it is to be done."""

    engine: Engine  # for each process
    work: arrays.Work  # of arrays; its `run` is not called
    sha256: str  # of the model
    column: str | None  # of tables
    address: str | None  # of a running cluster
    jobs: int | None  # processes, at most
    anew: bool


@dataclass(frozen=True)
class Piece:
    """What a process does at a time: pictures, or a part of the one file that is named."""

    items: tuple[Item, ...]
    part: arrays.Part | tables.Part | None = None
    kept: Path = Path()  # the part's answer


class File:
    """A file of many pictures, in parts."""

    def __init__(self, item: Item, job: Job) -> None:
        """Raises RequestError and OSError."""
        self.item, self.job, self.source = item, job, str(item.source)
        self.is_table = files.is_table(item.source.name)
        if self.is_table:
            self.parts: Sequence[arrays.Part | tables.Part] = tables.parts(item.source, job.column)
        else:
            self.parts = arrays.parts(item.source, item.target.name, job.work.size)
        told = repr((job.sha256, job.engine.parameters, job.column, item.kind))  # parts of another answer are none
        name = f".{item.target.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.parts"
        self.folder = item.target.parent / name
        if job.anew:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pictures(self) -> int:
        """How many it has."""
        return sum(part.stop - part.start for part in self.parts)

    @cached_property
    def answers(self) -> dict[arrays.Part | tables.Part, Path]:
        """Where each part's answer is kept."""
        return {part: self.folder / f"{number:07}" for number, part in enumerate(self.parts)}

    def left(self) -> list[Piece]:
        """What there is still to do: answers older than the file are none."""
        date = self.item.source.stat().st_mtime_ns
        return [
            Piece((self.item,), part, path)
            for part, path in self.answers.items()
            if not path.exists() or path.stat().st_mtime_ns < date
        ]

    def join(self) -> list[Failure]:
        """Puts the answer together. Raises RequestError and OSError."""
        with files.written(self.item.target) as file:
            if self.is_table:
                rows = tables.joined(self.item.source, list(self.answers.values()), self.job.column, file)
                failures = [Failure(f"{self.source}, row {row}", why) for row, why in rows]
            else:
                failures, name = [], self.item.target.name
                for _ in arrays.clean(self.item.source, file, name, self.job.work, kept=self._kept):
                    pass
        shutil.rmtree(self.folder, ignore_errors=True)
        return failures

    @cached_property
    def _by_array(self) -> dict[str, list[arrays.Part]]:
        found: dict[str, list[arrays.Part]] = {}
        for part in self.parts:
            if isinstance(part, arrays.Part):
                found.setdefault(part.array, []).append(part)
        return found

    def _kept(self, array: str, start: int, stop: int) -> arrays.Array:
        first, *_ = of_array = self._by_array[array]
        part = of_array[start // first.stop]
        kept: arrays.Array = np.load(self.answers[part], "r")
        return kept[start - part.start : stop - part.start]


def clean(plan: Plan, job: Job, found: Callable[[int], None]) -> Generator[Outcome]:
    """Does what is planned; tells each piece's outcome in no order, and `found` how many pictures files have.

    Raises SetupError when the cluster cannot do it.
    """
    pieces = [Piece(tuple(plan.pictures[at : at + PICTURES])) for at in range(0, len(plan.pictures), PICTURES)]
    waiting: dict[str, set[Path]] = {}  # parts whose answers are not there, by the file
    opened: dict[str, File] = {}
    failed: set[str] = set()
    for item in plan.arrays:
        source = str(item.source)
        try:
            file = File(item, job)
            left = file.left()
        except (RequestError, OSError, MemoryError) as error:
            yield Outcome(0, [Failure(source, _sentence(error, item))])
            continue
        found(sum(piece.part.stop - piece.part.start for piece in left if piece.part))
        opened[source], waiting[source] = file, {piece.kept for piece in left}
        pieces += left
        if not left:
            yield _joined(file)
    if not pieces:
        return
    with _cluster(job):
        for again in (False, True):
            untold = dict(enumerate(pieces))
            for number, outcome in _outcomes(pieces, job, alone=again):
                piece = untold.pop(number)
                source = str(piece.items[0].source)
                if piece.part is None:
                    yield outcome
                elif outcome.failures:  # of a file, one is enough
                    yield outcome if source not in failed else Outcome(0, [])
                    failed.add(source)
                else:
                    yield outcome
                    waiting[source].remove(piece.kept)
                    if not waiting[source]:
                        yield _joined(opened[source])
            if not untold:
                return
            if again:
                yield Outcome(0, sorted({Failure(str(one.source), DIED) for p in untold.values() for one in p.items}))
            # whichever picture it was must not take others with it
            pieces = [Piece((one,), piece.part, piece.kept) for piece in untold.values() for one in piece.items]


def _joined(file: File) -> Outcome:
    try:
        return Outcome(0, file.join())
    except (RequestError, OSError, MemoryError) as error:
        return Outcome(0, [Failure(file.source, _sentence(error, file.item))])


def _sentence(error: Exception, item: Item) -> str:
    """Why a file cannot be cleaned."""
    if isinstance(error, OSError):
        return f"'{error.filename or item.target}' cannot be read or written: {error.strerror or error}."
    return "There is not enough memory for it." if isinstance(error, MemoryError) else str(error)


@contextmanager
def _cluster(job: Job) -> Generator[None]:
    """The cluster at the address, or one of this machine's own. Raises SetupError."""
    own: dict[str, Any] = (
        {} if job.address else {"num_cpus": job.jobs or job.work.threads, "object_store_memory": STORE_BYTES}
    )
    if not job.address:
        own["include_dashboard"] = False
    joined_before = ray.is_initialized()
    try:
        if not joined_before:
            ray.init(job.address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (RayError, OSError, ValueError, RuntimeError) as error:
        raise SetupError(f"The Ray cluster cannot be joined or started: {error}") from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # what died is tried again, and told
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield
    except RayError as error:
        raise SetupError(f"The Ray cluster cannot do the work: {str(error).strip().splitlines()[-1]}") from None
    finally:
        if not joined_before:
            ray.shutdown()


def _outcomes(pieces: Sequence[Piece], job: Job, *, alone: bool) -> Generator[tuple[int, Outcome]]:
    """Each piece's outcome, by its number; none of those whose processes have died too often.

    `alone`: a process has but one at a time, so that none is lost for another's fault.
    """
    most = min(job.jobs or len(pieces), len(pieces))
    cpus = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
    size = max(1, min(most, cpus))
    pool = ray.data.ActorPoolStrategy(
        min_size=1, initial_size=size, max_size=most, max_tasks_in_flight_per_actor=1 if alone else None
    )
    numbers = ray.data.from_items([{"piece": n} for n in range(len(pieces))], override_num_blocks=len(pieces))
    with warnings.catch_warnings():
        # Ray 2.60 gives notice that this way to bound retries ends with 2.64, and has no other one yet.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        rows = numbers.map(
            _Worker,  # type: ignore[arg-type]  # Ray makes one in each process, and calls that
            fn_constructor_args=(ray.put(list(pieces)), job.engine, job.work.size, job.column),
            compute=pool,
            num_cpus=1,
            num_gpus=1 / ON_A_GPU if job.engine.provider == CUDA else 0,
            max_task_retries=RETRIES,
        )
    for row in rows.iter_rows():
        failures = [Failure(*failure) for failure in json.loads(row["failures"])]
        yield row["piece"], Outcome(row["cleaned"], failures)


class _Worker:
    """A process that does pieces."""

    def __init__(self, pieces: Any, engine: Engine, size: tuple[int, int] | None, column: str | None) -> None:
        self.pieces: list[Piece] = ray.get(pieces)
        model, parameters = Denoiser(engine.path, engine.provider, 1), engine.parameters
        self.column = column
        self.clean: processes.Cleaner = lambda content, kind: cleaning.clean(
            content, model, parameters, engine.max_pixels
        ).encode(kind)
        self.work = arrays.Work(model, size, 1, parameters.invert == "true", parameters.noise, parameters.seed)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Ray Data calls it with the number of a piece."""
        outcome = self._done(self.pieces[row["piece"]])
        return {"piece": row["piece"], "cleaned": outcome.cleaned, "failures": json.dumps(outcome.failures)}

    def _done(self, piece: Piece) -> Outcome:
        if piece.part is None:
            told = [(item, processes.done(item, self.clean)) for item in piece.items]
            failures = [Failure(str(item.source), why) for item, why in told if why is not None]
            return Outcome(len(told) - len(failures), failures)
        (item,), part = piece.items, piece.part
        try:
            if isinstance(part, tables.Part):
                answer, count = tables.cleaned(item.source, part, self.column, self.clean, item.kind)
            else:
                file, count = io.BytesIO(), part.stop - part.start
                np.save(file, arrays.cleaned(item.source, part, self.work))
                answer = file.getvalue()
            with files.written(piece.kept) as kept:
                kept.write(answer)
        except (RequestError, OSError, MemoryError) as error:
            return Outcome(0, [Failure(str(item.source), _sentence(error, item))])
        return Outcome(count, [])
