"""Parquet files with a column of encoded pictures, as Hugging Face's `datasets` write them. Knows pyarrow.

A picture is binary, or a struct whose `bytes` are; all else is taken over as it is. A table is cleaned in parts, each
by itself, so that it is never whole in memory.
"""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from denoise.bulk.processes import Cleaner
from denoise.errors import BadParameter, BrokenBody, RequestError
from denoise.pictures.images import Kind

COLUMN = "image"  # where several could be meant
ROWS = 4096  # of a part, at most
PART_BYTES = 16 * 1024 * 1024  # about, where they are large
READ = 64  # rows at a time
FAILURES = b"denoise.failures"  # what a part tells of its own rows


class Part(NamedTuple):
    """Rows of a table, by their numbers."""

    start: int
    stop: int


def parts(source: Path, column: str | None) -> list[Part]:
    """What a table is made of.

    Raises BrokenBody when it is none, BadParameter when it has no such column, or `column` is None and it is not clear
    which one is meant.
    """
    with _opened(source) as file:
        _column(file.schema_arrow, column)
        rows = file.metadata.num_rows
        size = sum(file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups))
    step = max(1, min(ROWS, rows * PART_BYTES // max(1, size)))
    return [Part(start, min(start + step, rows)) for start in range(0, rows, step)]


def cleaned(source: Path, part: Part, column: str | None, cleaner: Cleaner, kind: Kind) -> tuple[bytes, int]:
    """The rows of a part, their pictures cleaned, as a table by itself, and how many could be.

    Where one cannot be cleaned there is none in the answer; `joined` tells why. Raises as `parts` does.
    """
    failures: list[tuple[int, str]] = []
    count, batches = 0, []
    with _opened(source) as file:
        schema, name = _answers_schema(file.schema_arrow, column)
        place, row = schema.get_field_index(name), part.start
        for batch in _rows(file, part):
            values = batch.column(place).to_pylist()
            for number, value in enumerate(values):
                content = value["bytes"] if isinstance(value, dict) else value
                if content is None and not (isinstance(value, dict) and value.get("path")):
                    continue  # there is no picture
                answer, why = _cleaned(content, cleaner, kind)
                values[number] = {**value, "bytes": answer} if isinstance(value, dict) else answer
                count += why is None
                if why is not None:
                    failures.append((row + number, why))
            row += len(values)
            columns = batch.columns
            columns[place] = pa.array(values, schema.field(name).type)
            batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    table = pa.Table.from_batches(batches, schema)
    told = {**(schema.metadata or {}), FAILURES: json.dumps(failures).encode()}
    target = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(told), target)
    return target.getvalue(), count


def joined(source: Path, answers: Sequence[Path], column: str | None, target: BinaryIO) -> list[tuple[int, str]]:
    """Writes the parts' answers as one table. The rows whose pictures could not be cleaned, and why."""
    failures: list[tuple[int, str]] = []
    with _opened(source) as file:
        schema, _ = _answers_schema(file.schema_arrow, column)
    with parquet.ParquetWriter(target, schema) as writer:
        for path in answers:
            with _opened(path) as file:
                table = file.read()
            failures += [(row, why) for row, why in json.loads(table.schema.metadata[FAILURES])]
            writer.write_table(table.replace_schema_metadata(schema.metadata))
    return failures


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    try:
        # What is read goes through a small buffer: a group of rows may be larger than the memory.
        with parquet.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as file:
            yield file
    except pa.ArrowException as error:
        raise BrokenBody(f"The table cannot be read: {str(error).rstrip('.')}.") from None


def _column(schema: Any, named: str | None) -> str:
    """The column of the pictures. Raises BadParameter."""
    fit = [field.name for field in schema if _holds_pictures(field.type)]
    if named is None and len(fit) > 1:
        named = COLUMN
    name = named or next(iter(fit), None)
    if name not in fit:
        there = f"those with binary values are {', '.join(fit)}" if fit else "none of its columns has binary values"
        raise BadParameter(f"It has no column of pictures{f' named {name!r}' if name else ''}; {there}.")
    assert name
    return name


def _holds_pictures(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_pictures(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _answers_schema(schema: Any, named: str | None) -> tuple[Any, str]:
    """The schema of the answers, and the name of the column: the same, but that any picture may be missing."""
    name = _column(schema, named)
    field = schema.field(name)
    if pa.types.is_struct(field.type):
        inner = [each.with_nullable(each.nullable or each.name == "bytes") for each in field.type]
        field = field.with_type(pa.struct(inner))
    return schema.set(schema.get_field_index(name), field.with_nullable(True)), name


def _rows(file: Any, part: Part) -> Iterator[Any]:
    """The rows of a part, some at a time."""
    groups: list[int] = []
    first = before = 0
    for number in range(file.num_row_groups):
        after = before + file.metadata.row_group(number).num_rows
        if before < part.stop and after > part.start:
            first = before if not groups else first
            groups.append(number)
        before = after
    at = first
    for batch in file.iter_batches(READ, row_groups=groups):
        start, stop = max(part.start - at, 0), min(part.stop - at, len(batch))
        at += len(batch)
        if start < stop:
            yield batch.slice(start, stop - start)
        if at >= part.stop:
            return


def _cleaned(content: bytes | None, cleaner: Cleaner, kind: Kind) -> tuple[bytes | None, str | None]:
    """The answer, or why there is none."""
    if content is None:
        return None, "The table has its path alone."
    try:
        return cleaner(content, kind), None
    except RequestError as error:
        return None, str(error)
    except MemoryError:
        return None, "There is not enough memory for it."
