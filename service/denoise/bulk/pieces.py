"""The pieces that bulk work is cut into, which know nothing of each other: some pictures, or a part of a file of many.

The parts of a file lie in a hidden folder beside its answer until all of them are there, so that the same command goes
on where it was interrupted.
"""

import glob
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from denoise.bulk import arrays, tables
from denoise.bulk.array_files import Array
from denoise.bulk.arrays import ArrayPart
from denoise.bulk.files import Failure, Item, is_table
from denoise.bulk.picture_files import ItemOutcome
from denoise.bulk.processes import Engine
from denoise.bulk.provenance import write_many
from denoise.bulk.tables import RowRange

HASH_DIGITS = 12


class Outcome(NamedTuple):
    """What has become of a piece.

    Attributes:
        cleaned: how many pictures could be.
        failures: those that could not.
        pictures: what has become of each that has a file of its own.
    """

    cleaned: int
    failures: list[Failure]
    pictures: Sequence[ItemOutcome] = ()


def sum_up(pictures: Sequence[ItemOutcome]) -> Outcome:
    """The outcome of a piece of pictures that have files of their own."""
    failures = [Failure(str(each.item.source), each.why) for each in pictures if each.why is not None]
    return Outcome(len(pictures) - len(failures), failures, pictures)


class BulkJob(NamedTuple):
    """How all of it is to be done.

    Attributes:
        engine: for each process.
        work: what is done with arrays; its `run` is not called.
        address: of a running cluster; None for one of this machine's own.
        jobs: processes, at most; None for as many as there are CPUs.
        anew: whether parts that an earlier run left are made again.
    """

    engine: Engine
    work: arrays.Work
    address: str | None
    jobs: int | None
    anew: bool


@dataclass(frozen=True)
class BulkPiece:
    """What a process does at a time: pictures, or a part of the one file that is named.

    Attributes:
        items: the pictures, or that file.
        part: of the file; None for pictures.
        answer: where the part's answer is kept.
    """

    items: tuple[Item, ...]
    part: ArrayPart | RowRange | None = None
    answer: Path = Path()


class PartedFile:
    """A file of many pictures, in parts."""

    def __init__(self, item: Item, job: BulkJob) -> None:
        """Raises RequestError and OSError."""
        self.item, self.job, self.source = item, job, str(item.source)
        self.is_table = is_table(item.source.name)
        if self.is_table:
            self.parts: Sequence[ArrayPart | RowRange] = tables.split(item.source, job.engine.maker.column)
        else:
            self.parts = arrays.split(item.source, item.target.name, job.work.size)
        # Parts that something else made, or of a source of another size or date, lie in another folder.
        self.label = job.engine.maker.label_many(item)
        name = f".{item.target.name}-{hashlib.sha256(repr(self.label).encode()).hexdigest()[:HASH_DIGITS]}.parts"
        self.folder = item.target.parent / name
        if job.anew:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pictures(self) -> int:
        """How many it has."""
        return sum(part.stop - part.start for part in self.parts)

    @cached_property
    def answers(self) -> dict[ArrayPart | RowRange, Path]:
        """Where each part's answer is kept."""
        return {part: self.folder / f"{number:07}" for number, part in enumerate(self.parts)}

    def missing(self) -> list[BulkPiece]:
        """What there is still to do."""
        return [BulkPiece((self.item,), part, path) for part, path in self.answers.items() if not path.exists()]

    def join(self) -> list[Failure]:
        """Puts the answer together. Raises RequestError and OSError."""
        with write_many(self.item, self.label) as file:
            if self.is_table:
                rows = tables.join(self.item.source, list(self.answers.values()), self.job.engine.maker.column, file)
                failures = [Failure(f"{self.source}, row {row}", why) for row, why in rows]
            else:
                failures, name = [], self.item.target.name
                for _ in arrays.clean(self.item.source, file, name, self.job.work, answers=self._answer):
                    pass
        # Parts of a file that was here before, or made with other options, are of no use beside the answer.
        for folder in self.folder.parent.glob(f".{glob.escape(self.item.target.name)}-{'?' * HASH_DIGITS}.parts"):
            shutil.rmtree(folder, ignore_errors=True)
        return failures

    @cached_property
    def _by_array(self) -> dict[str, list[ArrayPart]]:
        parts: dict[str, list[ArrayPart]] = {}
        for part in self.parts:
            if isinstance(part, ArrayPart):
                parts.setdefault(part.array, []).append(part)
        return parts

    def _answer(self, array: str, start: int, stop: int) -> Array:
        """The answer to an array's pictures, all of which lie in one part."""
        first, *_ = parts = self._by_array[array]
        part = parts[start // first.stop]
        answer: Array = np.load(self.answers[part], "r")
        return answer[start - part.start : stop - part.start]
