"""What made an answer, written into it or beside it, so that it is known for one and is not made twice.

A PNG carries it as a text chunk (ISO/IEC 15948, `tEXt`, keyword `denoise`) behind its header. Beside any other answer,
NAME, lies the hidden file `.NAME.denoise`, which tells the answer's size and date as well. Both are JSON.
"""

import hashlib
import json
import os
import stat
import struct
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from denoise.bulk.files import Failure, Item, is_array, read_picture, refuse_existing, write_whole
from denoise.bulk.plan import Plan
from denoise.errors import RequestError
from denoise.pictures import png
from denoise.pictures.images import Kind
from denoise.pictures.parameters import Parameters

PNG_HEADER_BYTES = 33  # The signature and the chunk IHDR; a chunk of text may follow at once.
CHUNK_HEAD, CHUNK_SUM = struct.Struct(">I4s"), struct.Struct(">I")
KEYWORD = b"denoise\0"
LABEL_BYTES = 4096
OVERWRITE = "--overwrite replaces it"

Label = dict[str, Any]
"""What made an answer: version, model, sha256, parameters, format, and the picture it was made from."""


class Taken(RequestError):
    """Something else is where an answer is to go."""


class Maker(NamedTuple):
    """What makes answers.

    Attributes:
        version: of `denoise`, of the running service where one does the work.
        model: its name.
        sha256: of the model's file.
        parameters: what is asked of it.
        column: of tables, the one with pictures.
    """

    version: str
    model: str
    sha256: str
    parameters: Parameters
    column: str | None = None

    def label(self, source: str, kind: Kind | None) -> Label:
        """The label of an answer to that source."""
        parameters = self.parameters.model_dump(mode="json", exclude={"model"})
        if self.column is not None:
            parameters["column"] = self.column
        if kind is not None:
            parameters["format"] = kind
        label = {"version": self.version, "model": self.model, "sha256": self.sha256}
        return {**label, "parameters": parameters, "source": source}

    def label_picture(self, content: bytes, kind: Kind) -> Label:
        """The label of the answer to a picture, which is known by its bytes."""
        return self.label(hashlib.sha256(content).hexdigest(), kind)

    def label_many(self, item: Item) -> Label:
        """The label of the answer to an array or a table, which is known by its size and date: it may be large."""
        facts = item.source.stat()
        return self.label(_size_and_date(facts), None if is_array(item.source.name) else item.kind)


def write_picture(item: Item, answer: bytes, label: Label) -> None:
    """Writes the answer to a picture, and what made it, unless that is there by now.

    A process may have written it and died before it could say so. Raises OSError.
    """
    in_png = item.kind == "png"
    try:
        with write_whole(item.target, overwrite=item.overwrite) if in_png else write_many(item, label) as file:
            file.write(insert(answer, label) if in_png else answer)
    except FileExistsError:
        if read_label(item.target) != label:
            raise


def write_many(item: Item, label: Label) -> AbstractContextManager[BinaryIO]:
    """A file to write an answer to that tells nothing of itself; what made it is written beside it. Raises OSError."""

    def write_note(answer: Path) -> None:
        if not item.overwrite:
            refuse_existing(item.target)  # Its note is to stay as well.
        note = json.dumps({**label, "answer": _size_and_date(answer.lstat())})
        with write_whole(_note(item.target), overwrite=True) as file:
            file.write(note.encode())

    # The note comes first: an answer without one, where the work was stopped in between, would be nobody's for good.
    return write_whole(item.target, overwrite=item.overwrite, before_move=write_note)


def insert(file: bytes, label: Label) -> bytes:
    """A PNG with a label in it."""
    text = KEYWORD + json.dumps(label).encode("latin-1")
    name = b"tEXt"
    chunk = CHUNK_HEAD.pack(len(text), name) + text + CHUNK_SUM.pack(zlib.crc32(name + text))
    return file[:PNG_HEADER_BYTES] + chunk + file[PNG_HEADER_BYTES:]


def read_label(answer: Path) -> Label | None:
    """What made the file at `answer`; None where that is not known."""
    try:
        facts = answer.lstat()
        if not stat.S_ISREG(facts.st_mode):
            return None
        start = _read_start(answer)
        if start.startswith(png.SIGNATURE):
            return _parse(_text(start))
        note = _note(answer)
        label = _parse(_read_start(note)) if stat.S_ISREG(note.lstat().st_mode) else None
    except OSError:
        return None
    return label if label and label.pop("answer", None) == _size_and_date(facts) else None


def sort_out(plan: Plan, maker: Maker, *, overwrite: bool) -> Plan:
    """The plan without what is done already, and without answers whose place is taken: those are failures."""
    failures, done = list(plan.failures), plan.done
    left: dict[bool, list[Item]] = {False: [], True: []}
    for many, items in ((False, plan.pictures), (True, plan.arrays)):
        for item in items:
            try:
                if _is_done(item, maker, many=many, overwrite=overwrite):
                    done += 1
                else:
                    left[many].append(item._replace(overwrite=overwrite))
            except Taken as error:
                failures.append(Failure(str(item.source), str(error)))
    return plan._replace(pictures=left[False], arrays=left[True], failures=failures, done=done)


def _is_done(item: Item, maker: Maker, *, many: bool, overwrite: bool) -> bool:
    """Whether the answer is there already, and is not to be overwritten. Raises Taken when something else is."""
    check_place(item.target)
    if overwrite or not item.target.exists():
        return False
    try:
        wanted = maker.label_many(item) if many else maker.label_picture(read_picture(item.source), item.kind)
    except (RequestError, OSError):
        return False  # It fails in its turn, with a sentence.
    if difference := _difference(read_label(item.target), wanted):
        raise Taken(f"'{item.target}' is there already, {difference}; {OVERWRITE}.")
    return True


def check_place(target: Path) -> None:
    """Raises Taken when there is something at `target` that is never overwritten."""
    if target.is_symlink():
        raise Taken(f"'{target}' is a link, and answers are not written through links.")
    if target.exists() and not target.is_file():
        raise Taken(f"'{target}' is there already, and is no file.")


def _difference(label: Label | None, wanted: Label) -> str:
    """What tells an answer from the one that is wanted; "" for nothing."""
    if label == wanted:
        return ""
    if label is None or label.keys() != wanted.keys():
        return "and not known as an answer of this command"
    if label["source"] != wanted["source"]:
        return "made of another file, or before this one was changed"
    if label["parameters"] != wanted["parameters"]:
        return "made with other options"
    if (label["model"], label["sha256"]) != (wanted["model"], wanted["sha256"]):
        return "made by another model"
    return "made by another version"


def _note(answer: Path) -> Path:
    """The hidden file beside an answer that tells nothing of itself."""
    return answer.with_name(f".{answer.name}.denoise")


def _size_and_date(facts: os.stat_result) -> str:
    return f"{facts.st_size} bytes, {facts.st_mtime_ns} ns"


def _read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LABEL_BYTES)


def _text(file: bytes) -> bytes:
    """The text of the chunk behind a PNG's header, where that is a label."""
    try:
        length, name = CHUNK_HEAD.unpack_from(file, PNG_HEADER_BYTES)
    except struct.error:
        return b""
    start = PNG_HEADER_BYTES + CHUNK_HEAD.size
    text = file[start : start + length]
    return text.removeprefix(KEYWORD) if name == b"tEXt" and text.startswith(KEYWORD) else b""


def _parse(text: bytes) -> Label | None:
    try:
        label = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return label if isinstance(label, dict) else None
