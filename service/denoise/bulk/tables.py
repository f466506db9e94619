"""Parquet files with a column of encoded pictures, as Hugging Face's `datasets` write them. Knows pyarrow.

A picture is binary, or a struct whose `bytes` are; all else is taken over as it is. A table is cleaned in ranges of
rows, each by itself, so that it is never whole in memory.
"""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from denoise.bulk.picture_files import Cleaner
from denoise.errors import BadParameter, BrokenBody, RequestError
from denoise.pictures.images import Kind

COLUMN = "image"  # It is meant where several could be.
ROWS_PER_RANGE = 4096
BYTES_PER_RANGE = 16 * 1024 * 1024
ROWS_PER_READ = 64
BUFFER_BYTES = 1024 * 1024  # What is read goes through a buffer: a group of rows may be larger than the memory.
FAILURES = b"denoise.failures"  # The metadata of a range's answer tell which of its rows failed.


class RowRange(NamedTuple):
    """Rows of a table, from number `start` to before `stop`."""

    start: int
    stop: int


def split(source: Path, column: str | None) -> list[RowRange]:
    """The ranges of rows that a table is cleaned in.

    Raises BrokenBody when it is none, BadParameter when it has no such column, or `column` is None and it is not clear
    which one is meant.
    """
    with _open(source) as file:
        _column(file.schema_arrow, column)
        rows = file.metadata.num_rows
        size = sum(file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups))
    step = max(1, min(ROWS_PER_RANGE, rows * BYTES_PER_RANGE // max(1, size)))
    return [RowRange(start, min(start + step, rows)) for start in range(0, rows, step)]


def clean_rows(source: Path, rows: RowRange, column: str | None, clean: Cleaner, kind: Kind) -> tuple[bytes, int]:
    """Rows with their pictures cleaned, as a table by itself, and how many could be.

    Where one cannot be cleaned there is none in the answer; `join` tells why. Raises as `split` does.
    """
    failures: list[tuple[int, str]] = []
    count, batches = 0, []
    with _open(source) as file:
        schema, name = _answers_schema(file.schema_arrow, column)
        place, first = schema.get_field_index(name), rows.start
        for batch in _read(file, rows):
            values, failed, cleaned = _clean_column(batch.column(place).to_pylist(), clean, kind)
            failures += [(first + number, why) for number, why in failed]
            count += cleaned
            first += len(values)
            columns = batch.columns
            columns[place] = pa.array(values, schema.field(name).type)
            batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    table = pa.Table.from_batches(batches, schema)
    metadata = {**(schema.metadata or {}), FAILURES: json.dumps(failures).encode()}
    target = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(metadata), target)
    return target.getvalue(), count


def _clean_column(values: list[Any], clean: Cleaner, kind: Kind) -> tuple[list[Any], list[tuple[int, str]], int]:
    """The answers to a column's values, the failures by their place in it, and how many could be cleaned."""
    answers, failures, count = list(values), [], 0
    for number, value in enumerate(values):
        content = value["bytes"] if isinstance(value, dict) else value
        if content is None and not (isinstance(value, dict) and value.get("path")):
            continue  # There is no picture.
        answer, why = _clean_value(content, clean, kind)
        answers[number] = {**value, "bytes": answer} if isinstance(value, dict) else answer
        if why is None:
            count += 1
        else:
            failures.append((number, why))
    return answers, failures, count


def join(source: Path, answers: Sequence[Path], column: str | None, target: BinaryIO) -> list[tuple[int, str]]:
    """Writes the ranges' answers as one table. The rows whose pictures could not be cleaned, and why."""
    failures: list[tuple[int, str]] = []
    with _open(source) as file:
        schema, _ = _answers_schema(file.schema_arrow, column)
    with parquet.ParquetWriter(target, schema) as writer:
        for path in answers:
            with _open(path) as file:
                table = file.read()
            failures += [(row, why) for row, why in json.loads(table.schema.metadata[FAILURES])]
            writer.write_table(table.replace_schema_metadata(schema.metadata))
    return failures


@contextmanager
def _open(source: Path) -> Iterator[Any]:
    try:
        with parquet.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER_BYTES) as file:
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


def _read(file: Any, rows: RowRange) -> Iterator[Any]:
    """Those rows, some at a time."""
    groups: list[int] = []
    first = before = 0
    for number in range(file.num_row_groups):
        after = before + file.metadata.row_group(number).num_rows
        if before < rows.stop and after > rows.start:
            first = before if not groups else first
            groups.append(number)
        before = after
    at = first
    for batch in file.iter_batches(ROWS_PER_READ, row_groups=groups):
        start, stop = max(rows.start - at, 0), min(rows.stop - at, len(batch))
        at += len(batch)
        if start < stop:
            yield batch.slice(start, stop - start)
        if at >= rows.stop:
            return


def _clean_value(content: bytes | None, clean: Cleaner, kind: Kind) -> tuple[bytes | None, str | None]:
    """The answer, or why there is none."""
    if content is None:
        return None, "The table has its path alone."
    try:
        return clean(content, kind).content, None
    except RequestError as error:
        return None, str(error)
    except MemoryError:
        return None, "There is not enough memory for it."
