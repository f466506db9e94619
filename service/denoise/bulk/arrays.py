"""Arrays of pictures in files, NumPy's (.npy, .npz) and MNIST's (IDX, packed with gzip or not), through a model.

They go to the model as they are, light ink on black, without framing and without a guess at their polarity, in runs of
at most 64 pictures; memory stays bounded however large the file is.

Formats: `numpy.lib.format`, and IDX as http://yann.lecun.com/exdb/mnist had it: two zero bytes, the type, the number of
dimensions, each dimension as a big-endian 32-bit number, and the values.
"""

import gzip
import io
import math
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from denoise.errors import BadTensor, BrokenBody
from denoise.inference import tiling
from denoise.inference.denoiser import Restored
from denoise.pictures import MULTIPLE, Pixels, noise

Array = NDArray[Any]
Run = Callable[[Pixels], Restored]  # [batch, height, width, 1], light ink on black, 0 … 1
Kept = Callable[[str, int, int], Array]  # an array's name, and the pictures from one number to another: their answer
Form = Literal["npy", "npz", "idx"]

NPY, ZIP, GZIP, IDX = b"\x93NUMPY", b"PK", b"\x1f\x8b", b"\x00\x00"  # what files begin with
IDX_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype("u1"), 0x0D: np.dtype(">f4"), 0x0E: np.dtype(">f8")}
RUN = 64  # pictures
RUN_PIXELS = RUN * 64 * 64  # at most, where they are large
BLOCK = 16  # runs that a thread does at a time
PART = 4  # blocks that are a file's part, where its parts are cleaned by themselves
PACKED = 6  # of gzip's 1 … 9
ONLY = "arr_0"  # the name that numpy gives an array without one
FORMS = "[count, height, width], with or without a last dimension of 1, or [height, width]"
RANGE_SLACK = 1e-3  # that a float may be outside 0 … 1 by rounding


@dataclass(frozen=True)
class Work:
    """What is done with the pictures of an array.

    Attributes:
        run: what a model makes of `[batch, height, width, 1]`, light ink on black, 0 … 1; threads call it.
        size: the model's height and width; None for any.
        threads: that call it side by side.
        inverted: the ink is dark on light paper.
        noise, seed: as the routes have them.
    """

    run: Run
    size: tuple[int, int] | None
    threads: int = 1
    inverted: bool = False
    noise: float = 0.0
    seed: int | None = None


class Source(NamedTuple):
    """A file that is open."""

    form: Form
    packed: bool  # with gzip
    arrays: Mapping[str, Array]


def is_array(content: bytes) -> bool:
    """Whether bytes begin as an array's file does; an IDX packed with gzip included."""
    return content.startswith((NPY, ZIP, GZIP)) or (content.startswith(IDX) and content[2:3] in map(_byte, IDX_TYPES))


def form_of(name: str) -> Form:
    """The form that a file of that name is to have."""
    ending = name.lower().removesuffix(".gz")
    return "npz" if ending.endswith(".npz") else "npy" if ending.endswith(".npy") else "idx"


class Part(NamedTuple):
    """Pictures of an array, by their numbers, that can be cleaned without the others."""

    array: str  # its name in the file
    start: int
    stop: int


def parts(source: Path, name: str, size: tuple[int, int] | None) -> list[Part]:
    """What a file is made of, for a model that takes `size` and a target of that name. Raises as `clean` does."""
    found = []
    with _opened(source) as opened:
        form, _ = _form(opened, name)
        for array in opened.arrays:
            values = _member(opened.arrays, array)
            if opened.form == "npz" and values.ndim < len(("height", "width")):
                continue
            pictures = _pictures(values, size)
            _header("npy" if form == "npz" else form, values)
            step = _batch(pictures) * BLOCK * PART
            found += [Part(array, start, min(start + step, len(pictures))) for start in range(0, len(pictures), step)]
    return found


def cleaned(source: Path, part: Part, work: Work) -> Array:
    """The answer to a part, `[count, height, width]`, the same that `clean` writes of it. Raises as that does."""
    with _opened(source) as opened:
        pictures = _pictures(_member(opened.arrays, part.array), work.size)
        return _cleaned(pictures[part.start : part.stop], part.start, _batch(pictures), work)


def clean(
    source: Path | bytes,
    target: BinaryIO,
    name: str,
    work: Work,
    found: Callable[[int], None] = lambda _: None,
    kept: Kept | None = None,
) -> Iterator[int]:
    """Writes to `target` what a model makes of an array's file, each array of its shape and type; yields what is done.

    Args:
        source: the file, or its bytes.
        target: gets a file of the form that `name` says; "": of the source's own.
        name: of the target.
        work: what is done.
        found: is told how many pictures there are in an array before it is worked on.
        kept: gives answers that are there already; nothing is done then but to put them together.

    Yields:
        How many pictures have been done since the last time.

    Raises:
        BrokenBody: the file is damaged, or none of these.
        BadTensor: its values or shapes are none that the model takes, or the target's form cannot hold them.
    """
    with _opened(source) as opened:
        form, packed = _form(opened, name)
        if form == "npz":
            yield from _archived(source, opened.arrays, target, work, found, kept)
            return
        with ExitStack() as stack:
            ((array, values),) = opened.arrays.items()
            pictures = _pictures(values, work.size)
            file: IO[bytes] = target
            if packed:  # with a fixed date and no name: the same file every time
                file = cast(IO[bytes], stack.enter_context(gzip.GzipFile("", "wb", PACKED, target, 0)))
            file.write(_header(form, values))
            found(len(pictures))
            yield from _written(array, pictures, file, work, kept)


def _form(opened: Source, name: str) -> tuple[Form, bool]:
    """The form that a target of that name has, "": the source's own, and whether it is packed with gzip.

    Raises BadTensor when it cannot hold what is there.
    """
    form, packed = (form_of(name), name.lower().endswith(".gz")) if name else (opened.form, opened.packed)
    if form != "npz" and opened.form == "npz":
        raise BadTensor(f"'{name}' cannot hold what an .npz holds; name an .npz.")
    return form, packed


def _archived(
    source: Path | bytes,
    arrays: Mapping[str, Array],
    target: BinaryIO,
    work: Work,
    found: Callable[[int], None],
    kept: Kept | None,
) -> Iterator[int]:
    """An .npz; what is no picture in it, like labels, is taken over as it is."""
    packing = _packing(source)
    any_pictures = False
    with zipfile.ZipFile(target, "w", packing) as archive:
        for name in arrays:
            values = _member(arrays, name)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                if values.ndim < len(("height", "width")):
                    np.lib.format.write_array(file, values, allow_pickle=False)
                    continue
                any_pictures = True
                pictures = _pictures(values, work.size)
                file.write(_header("npy", values))
                found(len(pictures))
                yield from _written(name, pictures, file, work, kept)
    if not any_pictures:
        raise BadTensor(f"There are no pictures among its arrays; those have the shape {FORMS}.")


def _packing(source: Path | bytes) -> int:
    """How the members of the archive are packed."""
    if _start(source) != ZIP:
        return zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        return max((info.compress_type for info in archive.infolist()), default=zipfile.ZIP_STORED)


def _member(arrays: Mapping[str, Array], name: str) -> Array:
    try:  # a damaged archive shows itself only now, and in as many kinds as numpy and zipfile have
        values: Array = np.asanyarray(arrays[name])
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise BrokenBody(f"Its array '{name}' cannot be read: {error}.") from None
    return values


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Source]:
    """The arrays in a file. Raises BrokenBody."""
    with ExitStack() as stack:
        try:
            opened = _read(source, stack)
        except (ValueError, EOFError, struct.error, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile) as error:
            raise BrokenBody(f"The array cannot be read: {error}.") from None
        yield opened


def _read(source: Path | bytes, stack: ExitStack) -> Source:
    start = _start(source)
    if start == GZIP:
        whole = gzip.decompress(source if isinstance(source, bytes) else source.read_bytes())
        return _plain(whole, whole[: len(NPY)])._replace(packed=True)
    if start == ZIP:  # np.load would leave a broken one open
        file = stack.enter_context(io.BytesIO(source) if isinstance(source, bytes) else source.open("rb"))
        return Source("npz", False, stack.enter_context(np.load(file)))
    return _plain(source, start)


def _start(source: Path | bytes) -> bytes:
    """What a file begins with, as far as it tells forms apart."""
    if isinstance(source, bytes):
        start = source[: len(NPY)]
    else:
        with source.open("rb") as file:
            start = file.read(len(NPY))
    return start[: len(ZIP)] if start.startswith((ZIP, GZIP)) else start


def _plain(source: Path | bytes, start: bytes) -> Source:
    if start == NPY:
        if isinstance(source, bytes):
            return Source("npy", False, {ONLY: np.load(io.BytesIO(source), allow_pickle=False)})
        mapped = source.stat().st_size > RUN_PIXELS  # no page of it is read before its turn
        return Source("npy", False, {ONLY: np.load(source, "r" if mapped else None, allow_pickle=False)})
    if start.startswith(IDX) and start[2:3] in map(_byte, IDX_TYPES):
        return Source("idx", False, {ONLY: _idx(source)})
    raise BrokenBody("It is no array of a known form; .npy, .npz and IDX of bytes or floats are.")


def _idx(source: Path | bytes) -> Array:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        code, dimensions = struct.unpack(">2xBB", file.read(4))
        head = file.read(4 * dimensions)
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if len(head) == 4 * dimensions:
        shape, kind = struct.unpack(f">{dimensions}I", head), IDX_TYPES[code]
        offset, needed = 4 + len(head), math.prod(shape) * kind.itemsize
        if size == offset + needed:
            if isinstance(source, bytes):
                return np.frombuffer(source, kind, offset=offset).reshape(shape)
            return np.memmap(source, kind, "r", offset, shape) if needed else np.empty(shape, kind)
        raise BrokenBody(f"The IDX tells of {needed:,} bytes of values and has {size - offset:,}.")
    raise BrokenBody("The IDX is cut in its head.")


def _header(form: Form, values: Array) -> bytes:
    """What stands before values of that shape and type."""
    if form == "npy":
        file = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(values.dtype)
        facts = {"descr": descr, "fortran_order": False, "shape": values.shape}
        np.lib.format.write_array_header_1_0(file, facts)
        return file.getvalue()
    for code, kind in IDX_TYPES.items():
        if values.dtype == kind:
            return struct.pack(f">2xBB{values.ndim}I", code, values.ndim, *values.shape)
    raise BadTensor(f"IDX has no {values.dtype.name} in this byte order; name an .npy.")


def _pictures(values: Array, size: tuple[int, int] | None) -> Array:
    """The array as `[count, height, width]`. Raises BadTensor."""
    if values.dtype != np.uint8 and values.dtype.kind != "f":
        raise BadTensor(f"Its values are {values.dtype.name}; uint8, 0 … 255, and floats, 0 … 1, are taken.")
    told = f"Its shape is {list(values.shape)}"
    if values.ndim == len(("count", "height", "width", "channel")) and values.shape[-1] == 1:
        values = values[..., 0]
    elif values.ndim == len(("height", "width")):
        values = values[np.newaxis]
    elif values.ndim != len(("count", "height", "width")):
        raise BadTensor(f"{told}; {FORMS} is taken.")
    if size and values.shape[1:] != size:
        raise BadTensor(f"{told}; the model's pictures are {size[0]}×{size[1]}.")
    if 0 in values.shape[1:]:
        raise BadTensor(f"{told}; its pictures have no pixels.")
    return values


def _batch(pictures: Array) -> int:
    """How many of `[count, height, width]` go to the model at once."""
    return max(1, min(RUN, RUN_PIXELS // math.prod(pictures.shape[1:])))


def _written(array: str, pictures: Array, file: IO[bytes], work: Work, kept: Kept | None) -> Iterator[int]:
    """Cleans pictures `[count, height, width]` and writes them, in their order, as values of their type."""
    batch = _batch(pictures)
    step = batch * BLOCK

    def block(start: int) -> Array:
        if kept:
            return kept(array, start, min(start + step, len(pictures)))
        return _cleaned(pictures[start : start + step], start, batch, work)

    for answer in _in_order(block, range(0, len(pictures), step), work.threads):
        file.write(answer.data)
        yield len(answer)


def _cleaned(pictures: Array, start: int, batch: int, work: Work) -> Array:
    """What becomes of pictures `[count, height, width]`, which begin at `start`, in batches."""
    answer = np.empty(pictures.shape, pictures.dtype)
    height, width = pictures.shape[1:]
    short = ((0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE)) if work.size is None else ()
    for at in range(0, len(pictures), batch):
        pixels = _as_seen(pictures[at : at + batch], start + at)
        if work.inverted:
            pixels = 1 - pixels
        if work.noise:
            seed = None if work.seed is None else work.seed + start + at  # no two batches alike
            pixels = noise.gaussian(pixels, work.noise, seed)
        if any(after for _, after in short):
            pixels = np.pad(pixels, short, mode="symmetric")
        if max(height, width) > tiling.TILE:
            restored = np.stack([tiling.run(work.run, one)[0] for one in pixels])
        else:
            restored = work.run(pixels[..., np.newaxis]).pixels[..., 0]
        restored = restored[:, :height, :width]
        if work.inverted:
            restored = 1 - restored
        if answer.dtype == np.uint8:
            scaled = restored * np.float32(255)
            np.copyto(answer[at : at + batch], np.rint(scaled, out=scaled), casting="unsafe")
        else:
            answer[at : at + batch] = restored
    return answer


def _as_seen(pictures: Array, start: int) -> Pixels:
    """As float32, 0 … 1. Raises BadTensor when they are outside it."""
    if pictures.dtype == np.uint8:
        return np.divide(pictures, 255, dtype=np.float32)
    pixels: Pixels = np.ascontiguousarray(pictures, np.float32)
    least, most = float(pixels.min()), float(pixels.max())
    if not (least >= -RANGE_SLACK and most <= 1 + RANGE_SLACK):  # nor are they when one of them is no number
        raise BadTensor(
            f"Its pictures from number {start:,} on have values from {least:g} to {most:g}; floats are taken "
            "from 0 to 1."
        )
    return pixels


def _in_order(function: Callable[[int], Array], arguments: Iterable[int], threads: int) -> Iterator[Array]:
    """What a function gives for each argument, in their order, at most twice as many ahead as there are threads."""
    if threads == 1:
        yield from map(function, arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        running = deque[Any]()
        try:
            for argument in arguments:
                running.append(pool.submit(function, argument))
                if len(running) > 2 * threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _byte(value: int) -> bytes:
    return bytes([value])
