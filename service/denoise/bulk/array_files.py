"""Files of arrays, NumPy's (.npy, .npz) and MNIST's (IDX, packed with gzip or not): what is in them, and new ones.

Formats: `numpy.lib.format`, and IDX as http://yann.lecun.com/exdb/mnist had it: two zero bytes, the type, the number of
dimensions, each dimension as a big-endian 32-bit number, and the values.
"""

import gzip
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from denoise.bulk import files
from denoise.errors import BadParameter, BadTensor, BrokenBody, TooLarge

Array = NDArray[Any]
Form = Literal["npy", "npz", "idx"]

NPY, ZIP, GZIP, IDX = b"\x93NUMPY", b"PK", b"\x1f\x8b", b"\x00\x00"  # Files of each form begin so.
IDX_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype("u1"), 0x0D: np.dtype(">f4"), 0x0E: np.dtype(">f8")}
MAPPED_BYTES = 256 * 1024  # An .npy that is larger is mapped into memory: no page of it is read before its turn.
GZIP_LEVEL = 6
START_BYTES = 8  # A file's first bytes tell what it is.
UNPACKED_BYTES = 1024 * 1024 * 1024  # What is packed, or comes in a stream, is held in memory.
UNKNOWN = "It is no array of a known form; .npy, .npz and IDX of bytes or floats are."
ONLY = "arr_0"  # numpy gives this name to an array without one.


class ArrayFile(NamedTuple):
    """A file that is open: its form, whether gzip has packed it, and its arrays by their names."""

    form: Form
    packed: bool
    arrays: Mapping[str, Array]


def is_array(content: bytes) -> bool:
    """Whether bytes begin as an array's file does; an IDX packed with gzip included."""
    return content.startswith((NPY, ZIP, GZIP)) or _is_idx(content)


def form_of(name: str) -> Form:
    """The form that a file of that name is to have. Raises BadParameter when it is the name of no array."""
    if not files.is_array(name):
        raise BadParameter(f"'{name}' cannot be written: an array's answer is an .npy, an .npz or an .idx.")
    ending = name.lower().removesuffix(".gz")
    return "npz" if ending.endswith(".npz") else "npy" if ending.endswith(".npy") else "idx"


@contextmanager
def open_arrays(source: Path | bytes) -> Iterator[ArrayFile]:
    """The arrays in a file, or in its bytes. Raises BrokenBody."""
    with ExitStack() as stack:
        try:
            opened = _read(source, stack)
        except (ValueError, EOFError, struct.error, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile) as error:
            raise BrokenBody(f"The array cannot be read: {error}.") from None
        yield opened


def member(file: ArrayFile, name: str) -> Array:
    """One of a file's arrays. Raises BrokenBody: a damaged archive shows itself only when it is read."""
    try:
        values: Array = np.asanyarray(file.arrays[name])
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise BrokenBody(f"Its array '{name}' cannot be read: {error}.") from None
    return values


def target_form(file: ArrayFile, name: str) -> tuple[Form, bool]:
    """The form of a target of that name, and whether gzip is to pack it; a name of "" takes the source's own.

    Raises BadTensor when that form cannot hold what the source does.
    """
    form, packed = (form_of(name), name.lower().endswith(".gz")) if name else (file.form, file.packed)
    if form != "npz" and file.form == "npz":
        raise BadTensor(f"'{name}' cannot hold what an .npz holds; name an .npz.")
    return form, packed


def compression(source: Path | bytes) -> int:
    """How the members of an .npz are compressed, as `zipfile` numbers it; anything else is stored plainly."""
    if _start(source) != ZIP:
        return zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        return max((info.compress_type for info in archive.infolist()), default=zipfile.ZIP_STORED)


def header(form: Form, values: Array) -> bytes:
    """What stands before values of that shape and type in an .npy or an IDX. Raises BadTensor."""
    if form == "npy":
        file = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(values.dtype)
        np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": values.shape})
        return file.getvalue()
    for code, kind in IDX_TYPES.items():
        if values.dtype == kind:
            return struct.pack(f">2xBB{values.ndim}I", code, values.ndim, *values.shape)
    raise BadTensor(f"IDX has no {values.dtype.name} in this byte order; name an .npy.")


def pack(target: BinaryIO) -> IO[bytes]:
    """A gzip file that is written into `target`, with no date and no name, so that it is the same every time."""
    return cast(IO[bytes], gzip.GzipFile("", "wb", GZIP_LEVEL, target, 0))


def _read(source: Path | bytes, stack: ExitStack) -> ArrayFile:
    start = _start(source)
    if start == GZIP:
        whole = _unpack(source)
        return _read_plain(whole, whole[: len(NPY)])._replace(packed=True)
    if start == ZIP:  # It is opened here, since np.load would leave a broken one open.
        file: IO[bytes] = stack.enter_context(io.BytesIO(source) if isinstance(source, bytes) else source.open("rb"))
        _refuse_large(file)
        return ArrayFile("npz", False, stack.enter_context(np.load(file)))
    return _read_plain(source, start)


def _unpack(source: Path | bytes) -> bytes:
    """What gzip has packed. Raises BrokenBody when that is no array, before it is unpacked, and TooLarge."""
    with gzip.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        start = file.read(START_BYTES)
        if start.startswith(NPY) or _is_idx(start):
            return files.read_bounded(cast(BinaryIO, file), start, UNPACKED_BYTES)
    raise BrokenBody(UNKNOWN)


def _start(source: Path | bytes) -> bytes:
    """What a file begins with, as far as it tells forms apart."""
    if isinstance(source, bytes):
        start = source[: len(NPY)]
    else:
        with source.open("rb") as file:
            start = file.read(len(NPY))
    return start[: len(ZIP)] if start.startswith((ZIP, GZIP)) else start


def _refuse_large(file: IO[bytes]) -> None:
    """Raises TooLarge when an array of an .npz, unpacked, is larger than UNPACKED_BYTES."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.file_size > UNPACKED_BYTES:
                raise TooLarge(
                    f"Its array '{info.filename}' has {info.file_size:,} bytes; {UNPACKED_BYTES:,} are taken."
                )
    file.seek(0)


def _is_idx(start: bytes) -> bool:
    return start.startswith(IDX) and start[2:3] in (bytes([code]) for code in IDX_TYPES)


def _read_plain(source: Path | bytes, start: bytes) -> ArrayFile:
    if start == NPY:
        if isinstance(source, bytes):
            return ArrayFile("npy", False, {ONLY: np.load(io.BytesIO(source), allow_pickle=False)})
        mapped = source.stat().st_size > MAPPED_BYTES
        return ArrayFile("npy", False, {ONLY: np.load(source, "r" if mapped else None, allow_pickle=False)})
    if _is_idx(start):
        return ArrayFile("idx", False, {ONLY: _read_idx(source)})
    raise BrokenBody(UNKNOWN)


def _read_idx(source: Path | bytes) -> Array:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        code, dimensions = struct.unpack(">2xBB", file.read(4))
        head = file.read(4 * dimensions)
    if len(head) < 4 * dimensions:
        raise BrokenBody("The IDX is cut in its head.")
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    shape, kind = struct.unpack(f">{dimensions}I", head), IDX_TYPES[code]
    offset, needed = 4 + len(head), math.prod(shape) * kind.itemsize
    if size != offset + needed:
        raise BrokenBody(f"The IDX tells of {needed:,} bytes of values and has {size - offset:,}.")
    if isinstance(source, bytes):
        return np.frombuffer(source, kind, offset=offset).reshape(shape)
    return np.memmap(source, kind, "r", offset, shape) if needed else np.empty(shape, kind)
