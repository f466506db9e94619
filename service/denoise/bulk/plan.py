"""What a command line means: which files are to be cleaned, and where each answer goes.

Only folders are read, and of a TIFF how many pages it has.
"""

import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from denoise.bulk.array_files import form_of
from denoise.bulk.files import (
    ENDINGS,
    KINDS,
    NO_FILE,
    Failure,
    Item,
    has_pages,
    is_array,
    is_picture,
    is_table,
    kind_of,
    rename_picture,
)
from denoise.errors import BadParameter
from denoise.pictures.images import Kind

WILDCARDS = re.compile(r"[*?[]")


class Plan(NamedTuple):
    """What there is to do.

    Attributes:
        pictures: files of one picture each.
        arrays: files of many pictures; tables too, where they are meant as well.
        failures: what cannot be done, known before the work.
        done: answers that are there already.
        others: files in the folders that are no pictures by their names.
    """

    pictures: list[Item]
    arrays: list[Item]
    failures: list[Failure]
    done: int
    others: int


def make_plan(
    inputs: Sequence[str], output: str, kind: Kind | None, *, tables: bool = False, page: int | None = None
) -> Plan:
    """What is to be done with files, folders and patterns (`**` for all folders), and where the answers go.

    Answers go to `output` when it names a file and there is one file to clean, else into the folder of that name, each
    where its picture lies in the folder, or behind the first wildcard, that it comes from. Whether a place is taken is
    found out later (`provenance.sort_out`). Tables are meant as well where `tables` says so. In a folder, the answer to
    a TIFF of several pages is a TIFF, unless one `page` is meant.

    Raises BadParameter when two would have one name, an answer would take the place of a picture, or `output` cannot
    be what is needed.
    """
    folder = Path(output)
    if len(inputs) == 1 and not Path(inputs[0]).is_dir() and (Path(inputs[0]).exists() or not is_pattern(inputs[0])):
        if not Path(inputs[0]).exists():
            return Plan([], [], [Failure(inputs[0], "There is no such file or folder.")], 0, 0)
        if not folder.is_dir() and not output.endswith(("/", os.sep)):
            return _one_file(Path(inputs[0]), folder, kind, tables)
    if folder.exists() and not folder.is_dir():
        raise BadParameter(f"'{output}' is a file; a folder is needed for the answers.")
    if (
        not folder.exists()
        and not output.endswith(("/", os.sep))
        and (is_picture(output) or _holds_many(output, tables))
    ):
        raise BadParameter(f"'{output}' is the name of a file; several answers need a folder, as '{output}/' is one.")
    search = _Search(folder, tables, in_pages=page is None)
    for given in inputs:
        search.add(given)
    return search.plan(kind or KINDS[0])


def _one_file(source: Path, target: Path, kind: Kind | None, tables: bool) -> Plan:
    """The plan for a file whose answer has a name of its own. Raises BadParameter."""
    if target.exists() and target.samefile(source):
        raise BadParameter(f"The answer would take the place of the picture itself, '{source}'.")
    if not source.is_file():
        return Plan([], [], [Failure(str(source), NO_FILE)], 0, 0)
    if tables and is_table(source.name):
        if not is_table(target.name):
            raise BadParameter(f"'{target}' cannot be written: a table's answer is a .parquet.")
        return Plan([], [Item(source, target, kind or KINDS[0])], [], 0, 0)
    if is_array(source.name):
        form_of(target.name)
        return Plan([], [Item(source, target, kind or KINDS[0])], [], 0, 0)
    return Plan([Item(source, target, kind_of(str(target), kind))], [], [], 0, 0)


def is_pattern(name: str) -> bool:
    """Whether a name has wildcards."""
    return WILDCARDS.search(name) is not None


def _holds_many(name: str, tables: bool) -> bool:
    return is_array(name) or (tables and is_table(name))


class _Search:
    """Looks for files, each with the path that its answer is to have below the output folder."""

    def __init__(self, output: Path, tables: bool, *, in_pages: bool) -> None:
        self.output = output
        self.tables = tables
        self.in_pages = in_pages
        self.found: dict[Path, Path] = {}
        self.failures: list[Failure] = []
        self.others: set[Path] = set()

    def add(self, given: str) -> None:
        path = Path(given)
        if path.is_dir():
            failures = len(self.failures)
            if not self._walk(path) and len(self.failures) == failures:
                self.failures.append(Failure(given, "There are no pictures in this folder."))
        elif path.exists():
            self.found[path] = Path(path.name)
        elif is_pattern(given):
            self._match(given)
        else:
            self.failures.append(Failure(given, "There is no such file or folder."))

    def _match(self, pattern: str) -> None:
        parts = Path(pattern).parts
        base = Path(*parts[: next(i for i, part in enumerate(parts) if is_pattern(part))])
        paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # Path's takes no absolute ones
        files = [path for path in paths if path.is_file() and not self._is_in_output(path)]
        if not files:
            self.failures.append(Failure(pattern, "No file matches this pattern."))
        for path in files:
            self._take(path, base)

    def _walk(self, top: Path) -> int:
        """Takes the pictures in a folder and below; how many there are, also of those that were found before."""
        if self.output.exists() and self.output.samefile(top):
            raise BadParameter(f"The answers cannot go into the folder of the pictures, '{top}'; name another one.")

        def note_unreadable(error: OSError) -> None:
            self.failures.append(Failure(str(error.filename), f"The folder cannot be read: {error.strerror}."))

        taken = 0
        for folder, folders, names in os.walk(top, onerror=note_unreadable):
            below = Path(folder)
            # What an earlier run has written is no picture to be cleaned.
            folders[:] = sorted(
                name for name in folders if not name.startswith(".") and not self._is_output(below / name)
            )
            taken += sum(self._take(below / name, top) for name in sorted(names) if not name.startswith("."))
        return taken

    def _take(self, path: Path, base: Path) -> bool:
        """Takes a file, if it is one of pictures by its name; whether it is."""
        if is_picture(path.name) or _holds_many(path.name, self.tables):
            self.found[path] = path.relative_to(base)
            return True
        self.others.add(path)
        return False

    def _is_output(self, folder: Path) -> bool:
        return self.output.exists() and self.output.samefile(folder)

    def _is_in_output(self, path: Path) -> bool:
        return any(self._is_output(folder) for folder in path.parents)

    def plan(self, wanted: Kind) -> Plan:
        plan = Plan([], [], self.failures, 0, len(self.others))
        facts = self._facts()
        sources = {(fact.st_dev, fact.st_ino) for fact in facts.values()}
        taken: dict[Path, Path] = {}
        kinds: dict[Path, Kind] = {
            source: "tiff" if self.in_pages and has_pages(source) else wanted
            for source in facts
            if not _holds_many(source.name, self.tables)
        }
        names = self._names(facts, kinds)
        for source in facts:
            many, kind = source not in kinds, kinds.get(source, wanted)
            target = self.output / names[source]
            if not _is_first(source, target, taken):
                continue
            there = _stat(target)
            if there and (there.st_dev, there.st_ino) in sources:
                raise BadParameter(f"The answer to '{source}' would take the place of a picture, '{target}'.")
            if link := self._link_above(target):
                self.failures.append(
                    Failure(str(source), f"'{link}' is a link; answers are not written through links.")
                )
            else:
                (plan.arrays if many else plan.pictures).append(Item(source, target, kind))
        return plan

    def _names(self, facts: Mapping[Path, os.stat_result], kinds: Mapping[Path, Kind]) -> dict[Path, Path]:
        """The answers' names. A picture keeps its own ending in it where another of its folder would have that name.

        Where `page.png` and `page.jpg` lie side by side, their answers are `page.png` and `page.jpg.png`.
        """
        names = {source: rename_picture(self.found[source], kinds[source]) for source in kinds}
        files = {(names[source], facts[source].st_dev, facts[source].st_ino) for source in kinds}
        wanted = Counter(name for name, *_ in files)
        for source, name in names.items():
            found = self.found[source]
            if wanted[name] > 1 and found.suffix != ENDINGS[kinds[source]][0]:
                names[source] = found.with_name(found.name + name.suffix)
        return {source: names.get(source, self.found[source]) for source in facts}

    def _facts(self) -> dict[Path, os.stat_result]:
        """What the system knows of each file that can be read; the others are failures."""
        facts = {}
        for source in self.found:
            try:
                fact = source.stat()
            except OSError as error:
                self.failures.append(Failure(str(source), f"It cannot be read: {error.strerror}."))
                continue
            if stat.S_ISREG(fact.st_mode):
                facts[source] = fact
            else:
                self.failures.append(Failure(str(source), NO_FILE))
        return facts

    def _link_above(self, target: Path) -> Path | None:
        """A folder below the output folder that is a link, on the way to `target`."""
        for folder in target.relative_to(self.output).parents:
            if folder.parts and (self.output / folder).is_symlink():
                return self.output / folder
        return None


def _is_first(source: Path, target: Path, taken: dict[Path, Path]) -> bool:
    """Whether a file is the first of its name, not the same found twice. Raises BadParameter where it is another."""
    other = taken.setdefault(target, source)
    if other == source:
        return True
    if other.samefile(source):
        return False
    raise BadParameter(f"'{other}' and '{source}' would both become '{target}'; clean them into two folders.")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
