"""Files in, files out: which pictures are meant, what each answer is called, and answers that are whole or not there.

Nothing is read here but folders, names and dates.
"""

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, get_args
from uuid import uuid4

from denoise.errors import BadParameter
from denoise.pictures.images import Kind

PICTURE = re.compile(r"\.(bmp|dib|gif|jfif|jpe|jpe?g|p[bgpn]m|png|tiff?|webp)$", re.IGNORECASE)  # what images.py reads
ARRAY = re.compile(r"\.np[yz]$|\.npy\.gz$|[.-]idx[34]?(-ubyte)?(\.gz)?$", re.IGNORECASE)  # labels are idx1
TABLE = re.compile(r"\.parquet$", re.IGNORECASE)
KINDS: tuple[Kind, ...] = get_args(Kind)
WILDCARDS = re.compile(r"[*?[]")


class Item(NamedTuple):
    """A file to be cleaned."""

    source: Path
    target: Path
    kind: Kind  # of the picture at `target`, or in it; an array's kind is in its name


class Failure(NamedTuple):
    """What cannot be done, and why, in a sentence."""

    source: str
    why: str


class Plan(NamedTuple):
    """What there is to do."""

    pictures: list[Item]
    arrays: list[Item]  # and tables, where they are meant as well
    failures: list[Failure]
    done: int  # answers that are there already, no older than their pictures
    others: int  # files in the folders that are no pictures by their names


def is_array(name: str) -> bool:
    """Whether a file of that name holds an array: NumPy's or MNIST's (IDX)."""
    return ARRAY.search(name) is not None


def is_table(name: str) -> bool:
    """Whether a file of that name holds a table with a column of pictures (Parquet)."""
    return TABLE.search(name) is not None


def kind_of(name: str, kind: Kind | None) -> Kind:
    """The kind of picture that a file of that name is to have; `kind` where the name does not say.

    Raises BadParameter when it says one that is not written here.
    """
    ending = Path(name).suffix.lower()
    for known in KINDS:
        if ending == f".{known}":
            return known
    if kind is None and PICTURE.search(name):
        raise BadParameter(f"'{name}' cannot be written: answers are {' or '.join(KINDS)}; --format says which.")
    return kind or KINDS[0]


def planned(inputs: Sequence[str], output: str, kind: Kind | None, anew: bool, *, tables: bool = False) -> Plan:
    """What is to be done with files, folders and patterns (`**` for all folders), and where the answers go.

    Answers go to `output` when it names a file and there is one file to clean, else into the folder of that name, each
    where its picture lies in the folder, or before the first wildcard, that it comes from. What is there already, and
    no older than its picture, is left as it is unless `anew`; a single file that is named is always cleaned. Tables are
    meant as well where `tables` says so.

    Raises BadParameter when two would have one name, an answer would take the place of a picture, or `output` cannot
    be what is needed.
    """
    folder = Path(output)
    if len(inputs) == 1 and not Path(inputs[0]).is_dir() and (Path(inputs[0]).exists() or not _pattern(inputs[0])):
        source = Path(inputs[0])
        if not source.exists():
            return Plan([], [], [Failure(inputs[0], "There is no such file or folder.")], 0, 0)
        if not folder.is_dir() and not output.endswith(("/", os.sep)):
            if folder.exists() and folder.samefile(source):
                raise BadParameter(f"The answer would take the place of the picture itself, '{source}'.")
            array = _holds_many(source.name, tables)
            item = Item(source, folder, kind or KINDS[0] if array else kind_of(output, kind))
            return Plan([] if array else [item], [item] if array else [], [], 0, 0)
    if folder.exists() and not folder.is_dir():
        raise BadParameter(f"'{output}' is a file; a folder is needed for the answers.")
    search = _Search(folder, tables)
    for given in inputs:
        search.add(given)
    return search.plan(kind or KINDS[0], anew)


def _pattern(name: str) -> bool:
    return WILDCARDS.search(name) is not None


def _holds_many(name: str, tables: bool) -> bool:
    return is_array(name) or (tables and is_table(name))


class _Search:
    """Looks for files, each with the path that its answer is to have below the output folder."""

    def __init__(self, output: Path, tables: bool) -> None:
        self.output = output
        self.tables = tables
        self.found: dict[Path, Path] = {}
        self.failures: list[Failure] = []
        self.others = 0

    def add(self, given: str) -> None:
        path = Path(given)
        if path.is_dir():
            before = len(self.found)
            self._walk(path)
            if len(self.found) == before and not self.failures:
                self.failures.append(Failure(given, "There are no pictures in this folder."))
        elif path.exists():
            self.found[path] = Path(path.name)
        elif _pattern(given):
            self._match(given)
        else:
            self.failures.append(Failure(given, "There is no such file or folder."))

    def _match(self, pattern: str) -> None:
        parts = Path(pattern).parts
        base = Path(*parts[: next(i for i, part in enumerate(parts) if _pattern(part))])
        paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # Path's takes no absolute ones
        files = [path for path in paths if path.is_file() and not self._in_output(path)]
        if not files:
            self.failures.append(Failure(pattern, "No file matches this pattern."))
        for path in files:
            if PICTURE.search(path.name) or _holds_many(path.name, self.tables):
                self.found[path] = path.relative_to(base)
            else:
                self.others += 1

    def _walk(self, top: Path) -> None:
        if self.output.exists() and self.output.samefile(top):
            raise BadParameter(f"The answers cannot go into the folder of the pictures, '{top}'; name another one.")

        def unreadable(error: OSError) -> None:
            self.failures.append(Failure(str(error.filename), f"The folder cannot be read: {error.strerror}."))

        for folder, folders, names in os.walk(top, onerror=unreadable):
            below = Path(folder)
            # what an earlier run has written is no picture to be cleaned
            folders[:] = sorted(
                name for name in folders if not name.startswith(".") and not self._is_output(below / name)
            )
            for name in sorted(names):
                if name.startswith("."):
                    continue
                if PICTURE.search(name) or _holds_many(name, self.tables):
                    self.found[below / name] = (below / name).relative_to(top)
                else:
                    self.others += 1

    def _is_output(self, folder: Path) -> bool:
        return self.output.exists() and self.output.samefile(folder)

    def _in_output(self, path: Path) -> bool:
        return any(self._is_output(folder) for folder in path.parents)

    def plan(self, kind: Kind, anew: bool) -> Plan:
        plan = Plan([], [], self.failures, 0, self.others)
        sources, dates = set(), {}
        for source in self.found:
            try:
                facts = source.stat()
            except OSError as error:
                self.failures.append(Failure(str(source), f"It cannot be read: {error.strerror}."))
                continue
            if stat.S_ISFIFO(facts.st_mode):  # nobody may ever write to it
                self.failures.append(Failure(str(source), "It is no file."))
                continue
            sources.add((facts.st_dev, facts.st_ino))
            dates[source] = facts.st_mtime_ns
        taken: dict[Path, Path] = {}
        done = 0
        for source, date in dates.items():
            array = _holds_many(source.name, self.tables)
            target = self.output / (self.found[source] if array else _renamed(self.found[source], kind))
            other = taken.setdefault(target, source)
            if other != source:
                if other.samefile(source):
                    continue
                raise BadParameter(
                    f"'{other}' and '{source}' would both become '{target}'; clean them into two folders."
                )
            try:
                facts = target.stat()
            except OSError:
                pass
            else:
                if (facts.st_dev, facts.st_ino) in sources:
                    raise BadParameter(f"The answer to '{source}' would take the place of a picture, '{target}'.")
                if not anew and facts.st_mtime_ns >= date:
                    done += 1
                    continue
            (plan.arrays if array else plan.pictures).append(Item(source, target, kind))
        return plan._replace(done=done)


def _renamed(path: Path, kind: Kind) -> Path:
    """With the kind's ending, in the place of a picture's own."""
    return path.with_name(PICTURE.sub("", path.name) + f".{kind}")


@contextmanager
def written(target: Path) -> Iterator[BinaryIO]:
    """A file to write to that has its name, and its folder, only once it is whole. Raises OSError."""
    if target.exists() and not target.is_file():  # a device, or a pipe, is written to
        with target.open("wb") as file:
            yield file
        return
    target = Path(os.path.realpath(target))  # a link stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".denoise-{uuid4().hex}.part")  # processes of other machines may write there as well
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
