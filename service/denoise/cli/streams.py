"""One picture or array from standard input, or to standard output, a pipe or a device."""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from denoise.bulk import array_files, arrays, files
from denoise.bulk.provenance import OVERWRITE, Taken, check_place
from denoise.cli.backend import Backend
from denoise.errors import BadParameter, RequestError
from denoise.pictures.images import Kind
from denoise.pictures.parameters import Parameters

STANDARD = "-"  # The name of standard input, and of standard output.


def are_meant(inputs: Sequence[str], output: str) -> bool:
    """Whether the input or the output is a standard stream, or the output a pipe or a device.

    Raises BadParameter when that cannot be.
    """
    if STANDARD in inputs and len(inputs) > 1:
        raise BadParameter("Standard input is one picture; no other goes with it.")
    if STANDARD not in inputs and output != STANDARD and not _is_stream(Path(output)):
        return False
    if len(inputs) > 1 or Path(inputs[0]).is_dir():
        raise BadParameter("Several answers need a folder: -o FOLDER.")
    if output == STANDARD and sys.stdout.isatty():
        raise BadParameter("The answer would go to the terminal; -o FILE says where else.")
    if output != STANDARD and (Path(output).is_dir() or output.endswith("/")):
        raise BadParameter("What comes from standard input has no name; -o FILE gives it one.")
    return True


def clean(given: str, output: str, kind: Kind | None, backend: Backend, *, overwrite: bool) -> None:
    """Cleans what comes from or goes to a standard stream. Raises RequestError."""
    check_free(output, overwrite=overwrite)
    named = "" if output == STANDARD or _is_stream(Path(output)) else output
    if named and not files.is_array(named):
        kind = files.kind_of(named, kind)
    try:
        content = read(given)
        if array_files.is_array(content):
            check_array(backend.maker.parameters)
            answer = _clean_array(content, named, backend.work)
        else:
            kind = files.kind_of(named, kind)
            answer = backend.clean(content, kind).content
    except BadParameter:  # It says what is wrong with the command, not with what came.
        raise
    except RequestError as error:
        raise RequestError(f"{given}: {error}") from None
    write(answer, output, overwrite=overwrite)


def check_free(output: str, *, overwrite: bool) -> None:
    """Raises Taken where something is in the place of an answer that is not to be overwritten."""
    if output != STANDARD and not _is_stream(Path(output)):
        check_place(Path(output))
        if Path(output).exists() and not overwrite:
            raise Taken(f"'{output}' is there already; {OVERWRITE}.")


def check_array(parameters: Parameters) -> None:
    """Raises BadParameter where something is asked for that an array cannot be."""
    if parameters.layout == "strip":
        raise BadParameter("An array's pictures have no strip; --layout strip is for picture files.")
    if parameters.color == "keep":
        raise BadParameter("An array's pictures have no colours; --color keep is for picture files.")


def _is_stream(path: Path) -> bool:
    """Whether what is written there goes on to somebody else: a pipe, a terminal, /dev/null."""
    return path.is_fifo() or path.is_char_device() or path.is_socket()


def read(given: str) -> bytes:
    """What is to be cleaned, within the limit of a picture or of an array. Raises RequestError."""
    try:
        if given == STANDARD:
            return _read_bounded(sys.stdin.buffer)
        if not Path(given).exists() or Path(given).is_file():
            with Path(given).open("rb") as file:
                return _read_bounded(file)
    except OSError as error:
        raise RequestError(f"It cannot be read: {error.strerror}.") from None
    raise RequestError(files.NO_FILE)


def _read_bounded(file: BinaryIO) -> bytes:
    start = file.read(array_files.START_BYTES)
    limit = array_files.UNPACKED_BYTES if array_files.is_array(start) else files.PICTURE_BYTES
    return files.read_bounded(file, start, limit)


def _clean_array(content: bytes, name: str, work: arrays.Work) -> bytes:
    target = io.BytesIO()
    for _ in arrays.clean(content, target, name, work):
        pass
    return target.getvalue()


def write(answer: bytes, output: str, *, overwrite: bool) -> None:
    """Writes what was made, to standard output or a file. Raises RequestError."""
    try:
        if output == STANDARD:
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()
        elif _is_stream(Path(output)):
            Path(output).write_bytes(answer)
        else:
            with files.write_whole(Path(output), overwrite=overwrite) as file:
                file.write(answer)
    except BrokenPipeError:  # The reader has had enough; leaving would fail at it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        where = "Standard output" if output == STANDARD else f"'{output}'"
        raise RequestError(f"{where} cannot be written: {error.strerror}.") from None
