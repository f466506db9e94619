"""Many pictures on many machines: `denoise bulk`, by Ray Data.

A process that dies with its machine costs the piece that it had, which another does. All machines see the same files
at the same paths.
"""

import io
import json
import logging
import os
import signal
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Ray looks at this when it is imported: its makers get no statistics.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
import ray
import ray.data
from ray.exceptions import RayError

from denoise.bulk import arrays, tables
from denoise.bulk.arrays import ArrayPart
from denoise.bulk.files import Failure, Item, explain, write_whole
from denoise.bulk.picture_files import CleanPicture, ItemOutcome, clean_file, cleaner
from denoise.bulk.pieces import BulkJob, BulkPiece, Outcome, PartedFile, sum_up
from denoise.bulk.plan import Plan
from denoise.bulk.processes import PROCESSES_ON_A_GPU, Engine
from denoise.bulk.tables import RowRange
from denoise.errors import RequestError, SetupError
from denoise.inference.denoiser import load_elsewhere
from denoise.pictures import tiff
from denoise.pictures.images import Kind

PICTURES_PER_PIECE = 64
RETRIES = 3  # After so many, the pictures of a piece whose process or machine dies are tried one by one.
STORE_BYTES = 200 * 1024 * 1024  # Ray moves numbers and outcomes here, which is little.
DIED = "Every process that worked on it died."


def clean(plan: Plan, job: BulkJob, announce: Callable[[int], None]) -> Generator[Outcome]:
    """Does what is planned; tells each piece's outcome in no order, and announces how many pictures files have.

    Raises SetupError when the cluster cannot do it.
    """
    work = _Work(job)
    work.pieces = [
        BulkPiece(tuple(plan.pictures[at : at + PICTURES_PER_PIECE]))
        for at in range(0, len(plan.pictures), PICTURES_PER_PIECE)
    ]
    for item in plan.arrays:
        yield from work.open(item, announce)
    if not work.pieces:
        return
    with _cluster(job):
        yield from work.run(alone=False)
        if work.pieces:
            yield from work.run(alone=True)
        if work.pieces:
            yield sum_up([ItemOutcome(piece.items[0], DIED) for piece in work.pieces if piece.part is None])
            files = {str(piece.items[0].source) for piece in work.pieces if piece.part}
            yield Outcome(0, [Failure(source, DIED) for source in sorted(files)])


class _Work:
    """The pieces that are left to do, and the files that some of them are parts of.

    Attributes:
        pieces: what has no outcome yet.
        files: files in parts, by their sources.
        waiting: answers of parts that are not there yet, by the file's source.
        failed: files of which a part failed: one failure of a file is enough.
    """

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self.pieces: list[BulkPiece] = []
        self.files: dict[str, PartedFile] = {}
        self.waiting: dict[str, set[Path]] = {}
        self.failed: set[str] = set()

    def open(self, item: Item, announce: Callable[[int], None]) -> Generator[Outcome]:
        """Takes up a file in parts; it has an outcome at once where it cannot be read or all parts are there."""
        source = str(item.source)
        try:
            file = PartedFile(item, self.job)
            missing = file.missing()
        except (RequestError, OSError, MemoryError) as error:
            yield Outcome(0, [Failure(source, explain(error, item))])
            return
        announce(sum(piece.part.stop - piece.part.start for piece in missing if piece.part))
        self.files[source], self.waiting[source] = file, {piece.answer for piece in missing}
        self.pieces += missing
        if not missing:
            yield _join(file)

    def run(self, *, alone: bool) -> Generator[Outcome]:
        """Has all pieces done; those stay whose processes died.

        `alone`: pictures are done one by one, so that none is lost for another's fault.
        """
        if alone:
            self.pieces = [BulkPiece((one,), piece.part, piece.answer) for piece in self.pieces for one in piece.items]
        left = dict(enumerate(self.pieces))
        for number, outcome in _outcomes(self.pieces, self.job, alone=alone):
            yield from self._follow(left.pop(number), outcome)
        self.pieces = list(left.values())

    def _follow(self, piece: BulkPiece, outcome: Outcome) -> Generator[Outcome]:
        """A piece's outcome, and that of its file where it was the last part of one."""
        source = str(piece.items[0].source)
        if piece.part is None:
            yield outcome
        elif outcome.failures:
            yield outcome if source not in self.failed else Outcome(0, [])
            self.failed.add(source)
        else:
            yield outcome
            self.waiting[source].remove(piece.answer)
            if not self.waiting[source]:
                yield _join(self.files[source])


def _join(file: PartedFile) -> Outcome:
    try:
        return Outcome(0, file.join())
    except (RequestError, OSError, MemoryError) as error:
        return Outcome(0, [Failure(file.source, explain(error, file.item))])


@contextmanager
def _cluster(job: BulkJob) -> Generator[None]:
    """The cluster at the address, or one of this machine's own. Raises SetupError."""
    cpus = job.jobs or job.work.threads
    own: dict[str, Any] = (
        {"num_cpus": cpus, "object_store_memory": STORE_BYTES, "include_dashboard": False} if not job.address else {}
    )
    joined_before = ray.is_initialized()
    try:
        if not joined_before:
            handler = signal.getsignal(signal.SIGTERM)
            ray.init(job.address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
            signal.signal(signal.SIGTERM, handler)  # Ray has put one there that aborts the process.
    except (RayError, OSError, ValueError, RuntimeError) as error:
        raise SetupError(f"The Ray cluster cannot be joined or started: {error}") from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # What died is tried again here, and told.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield
    except RayError as error:
        raise SetupError(f"The Ray cluster cannot do the work: {str(error).strip().splitlines()[-1]}") from None
    finally:
        if not joined_before:
            ray.shutdown()


def _outcomes(pieces: Sequence[BulkPiece], job: BulkJob, *, alone: bool) -> Generator[tuple[int, Outcome]]:
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
            PieceActor,  # type: ignore[arg-type]  # Ray makes one in each process, and calls that.
            fn_constructor_args=(ray.put(list(pieces)), job.engine, job.work.size),
            compute=pool,
            num_cpus=1,
            num_gpus=1 / PROCESSES_ON_A_GPU if job.engine.way.on_gpu else 0,
            max_task_retries=RETRIES,
        )
    for row in rows.iter_rows():
        yield row["piece"], _from_row(row, pieces[row["piece"]])


def _as_row(number: int, outcome: Outcome) -> dict[str, Any]:
    """A piece's outcome as Ray Data carries it; the items of its pictures stay behind."""
    pictures = [(each.why, each.seconds, each.uncertainty, each.warnings) for each in outcome.pictures]
    failures = json.dumps(outcome.failures)
    return {"piece": number, "cleaned": outcome.cleaned, "failures": failures, "pictures": json.dumps(pictures)}


def _from_row(row: dict[str, Any], piece: BulkPiece) -> Outcome:
    fields = json.loads(row["pictures"])
    pictures = [
        ItemOutcome(item, why, seconds, uncertainty, tuple(warnings))
        for item, (why, seconds, uncertainty, warnings) in zip(piece.items if fields else (), fields, strict=True)
    ]
    return Outcome(row["cleaned"], [Failure(*failure) for failure in json.loads(row["failures"])], pictures)


class PieceActor:
    """What does pieces in a process of Ray's."""

    def __init__(self, pieces: Any, engine: Engine, size: tuple[int, int] | None) -> None:
        self.pieces: list[BulkPiece] = ray.get(pieces)
        self.maker = engine.maker
        model, parameters = load_elsewhere(engine.path, engine.way), engine.maker.parameters
        self.clean = cleaner(model, parameters, engine.max_pixels)
        self.work = arrays.work(model, size, 1, parameters)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Ray Data calls it with the number of a piece."""
        return _as_row(row["piece"], self.do(self.pieces[row["piece"]]))

    def do(self, piece: BulkPiece) -> Outcome:
        """Does a piece."""
        if piece.part is None:
            return sum_up([clean_file(item, self.clean, self.maker) for item in piece.items])
        (item,) = piece.items
        try:
            content, count = self._clean_part(item, piece.part)
            with write_whole(piece.answer, overwrite=True) as file:
                file.write(content)
        except (RequestError, OSError, MemoryError) as error:
            return Outcome(0, [Failure(str(item.source), explain(error, item))])
        return Outcome(count, [])

    def _clean_cell(self, content: bytes, kind: Kind) -> CleanPicture:
        """The answer to a picture in a table: that to a TIFF of several pages is a TIFF, as in a folder."""
        in_pages = self.maker.parameters.page is None and tiff.has_pages(content)
        return self.clean(content, "tiff" if in_pages else kind)

    def _clean_part(self, item: Item, part: ArrayPart | RowRange) -> tuple[bytes, int]:
        """The file that a part's answer is kept in, and how many pictures of it could be cleaned."""
        if isinstance(part, RowRange):
            return tables.clean_rows(item.source, part, self.maker.column, self._clean_cell, item.kind)
        file = io.BytesIO()
        np.save(file, arrays.clean_part(item.source, part, self.work))
        return file.getvalue(), part.stop - part.start
