"""Arrays of pictures through a model, from file to file.

They go to the model as they are, light ink on black, without framing and without a guess at their polarity, in runs of
at most 64 pictures; memory stays bounded however large the file is.
"""

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

import numpy as np

from denoise.bulk.array_files import (
    Array,
    ArrayFile,
    compression,
    header,
    member,
    open_arrays,
    pack,
    target_form,
)
from denoise.bulk.threads import map_in_threads
from denoise.errors import BadTensor
from denoise.inference import tiling
from denoise.inference.tiling import Model
from denoise.pictures import MULTIPLE, RANGE_SLACK, Pixels, noise
from denoise.pictures.parameters import Parameters

Answers = Callable[[str, int, int], Array]
"""An array's name and the numbers of its pictures, from the first to the one behind the last, to their answer."""

PICTURES_PER_RUN = 64
PIXELS_PER_RUN = PICTURES_PER_RUN * 64 * 64
RUNS_PER_BLOCK = 16  # A thread does a block at a time.
BLOCKS_PER_PART = 4  # Parts of a file are cleaned by themselves.
FORMS = "[count, height, width], with or without a last dimension of 1, or [height, width]"


@dataclass(frozen=True)
class Work:
    """What is done with the pictures of an array.

    Attributes:
        run: what a model makes of `[batch, height, width, 1]`, light ink on black, 0 … 1; threads call it.
        size: the model's height and width; None for any.
        threads: that call it side by side.
        inverted: the ink is dark on light paper.
        noise, seed, strength: as the routes have them.
    """

    run: Model
    size: tuple[int, int] | None
    threads: int = 1
    inverted: bool = False
    noise: float = 0.0
    seed: int | None = None
    strength: float = 1.0


def work(run: Model, size: tuple[int, int] | None, threads: int, parameters: Parameters) -> Work:
    """What parameters mean for arrays, of which nothing is found out: their ink is light unless it is said."""
    inverted = parameters.invert == "true"
    return Work(run, size, threads, inverted, parameters.noise, parameters.seed, parameters.strength)


class ArrayPart(NamedTuple):
    """Pictures of the array named `array`, from number `start` to before `stop`, to be cleaned without the others."""

    array: str
    start: int
    stop: int


def split(source: Path, name: str, size: tuple[int, int] | None) -> list[ArrayPart]:
    """The parts of a file, for a model that takes `size` and a target of that name. Raises as `clean` does."""
    parts = []
    with open_arrays(source) as file:
        form, _ = target_form(file, name)
        for array in file.arrays:
            values = member(file, array)
            if _is_passed_over(file, values):
                continue
            pictures = _as_pictures(values, size)
            header("npy" if form == "npz" else form, values)
            step = _batch_size(pictures) * RUNS_PER_BLOCK * BLOCKS_PER_PART
            starts = range(0, len(pictures), step)
            parts += [ArrayPart(array, start, min(start + step, len(pictures))) for start in starts]
    return parts


def clean_part(source: Path, part: ArrayPart, work: Work) -> Array:
    """The answer to a part, `[count, height, width]`, the same that `clean` writes of it. Raises as that does."""
    with open_arrays(source) as file:
        pictures = _as_pictures(member(file, part.array), work.size)
        return _clean_pictures(pictures[part.start : part.stop], part.start, _batch_size(pictures), work)


def clean(
    source: Path | bytes,
    target: BinaryIO,
    name: str,
    work: Work,
    announce: Callable[[int], None] = lambda _: None,
    answers: Answers | None = None,
) -> Iterator[int]:
    """Writes to `target` what a model makes of an array's file, each array of its shape and type; yields progress.

    Args:
        source: the file, or its bytes.
        target: gets a file of the form that `name` says; "": of the source's own.
        name: of the target.
        work: what is done.
        announce: is called with the number of pictures in an array before it is worked on.
        answers: gives answers that are there already; nothing is done then but to put them together.

    Yields:
        How many pictures have been cleaned since the last time.

    Raises:
        BrokenBody: the file is damaged, or none of these.
        BadTensor: its values or shapes are none that the model takes, or the target's form cannot hold them.
    """
    with open_arrays(source) as file:
        form, packed = target_form(file, name)
        if form == "npz":
            yield from _write_archive(file, compression(source), target, work, announce, answers)
            return
        with ExitStack() as stack:
            ((array, values),) = file.arrays.items()
            pictures = _as_pictures(values, work.size)
            plain: IO[bytes] = stack.enter_context(pack(target)) if packed else target
            plain.write(header(form, values))
            announce(len(pictures))
            yield from _write_answers(array, pictures, plain, work, answers)


def _write_archive(
    file: ArrayFile,
    compressed: int,
    target: BinaryIO,
    work: Work,
    announce: Callable[[int], None],
    answers: Answers | None,
) -> Iterator[int]:
    """Writes an .npz; what is no picture in it, like labels, is taken over as it is."""
    any_pictures = False
    with zipfile.ZipFile(target, "w", compressed) as archive:
        for name in file.arrays:
            values = member(file, name)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as plain:
                if _is_passed_over(file, values):
                    np.lib.format.write_array(plain, values, allow_pickle=False)
                    continue
                any_pictures = True
                pictures = _as_pictures(values, work.size)
                plain.write(header("npy", values))
                announce(len(pictures))
                yield from _write_answers(name, pictures, plain, work, answers)
    if not any_pictures:
        raise BadTensor(f"There are no pictures among its arrays; those have the shape {FORMS}.")


def _is_passed_over(file: ArrayFile, values: Array) -> bool:
    """Whether an array has too few dimensions for pictures, as labels have, and lies in an .npz beside others."""
    return file.form == "npz" and values.ndim < len(("height", "width"))


def _as_pictures(values: Array, size: tuple[int, int] | None) -> Array:
    """The array as `[count, height, width]`. Raises BadTensor."""
    if values.dtype != np.uint8 and values.dtype.kind != "f":
        raise BadTensor(f"Its values are {values.dtype.name}; uint8, 0 … 255, and floats, 0 … 1, are taken.")
    shape = f"Its shape is {list(values.shape)}"
    if values.ndim == len(("count", "height", "width", "channel")) and values.shape[-1] == 1:
        values = values[..., 0]
    elif values.ndim == len(("height", "width")):
        values = values[np.newaxis]
    elif values.ndim != len(("count", "height", "width")):
        raise BadTensor(f"{shape}; {FORMS} is taken.")
    if size and values.shape[1:] != size:
        raise BadTensor(f"{shape}; the model's pictures are {size[0]}×{size[1]}.")
    if 0 in values.shape[1:]:
        raise BadTensor(f"{shape}; its pictures have no pixels.")
    return values


def _batch_size(pictures: Array) -> int:
    """How many of `[count, height, width]` go to the model at once."""
    return max(1, min(PICTURES_PER_RUN, PIXELS_PER_RUN // math.prod(pictures.shape[1:])))


def _write_answers(array: str, pictures: Array, file: IO[bytes], work: Work, answers: Answers | None) -> Iterator[int]:
    """Cleans pictures `[count, height, width]` and writes them, in their order, as values of their type."""
    batch = _batch_size(pictures)
    step = batch * RUNS_PER_BLOCK

    def clean_block(start: int) -> Array:
        if answers:
            return answers(array, start, min(start + step, len(pictures)))
        return _clean_pictures(pictures[start : start + step], start, batch, work)

    starts = range(0, len(pictures), step)
    answers_in_order = (
        map_in_threads(clean_block, starts, work.threads) if work.threads > 1 else map(clean_block, starts)
    )
    for answer in answers_in_order:
        file.write(answer.data)
        yield len(answer)


def _clean_pictures(pictures: Array, start: int, batch: int, work: Work) -> Array:
    """The answer to pictures `[count, height, width]`, the first of which is number `start` of its array."""
    answer = np.empty(pictures.shape, pictures.dtype)
    for at in range(0, len(pictures), batch):
        pixels = _add_noise(_as_pixels(pictures[at : at + batch], start + at), start + at, work)
        _store(_restore(pixels, work), answer[at : at + batch])
    return answer


def _as_pixels(pictures: Array, start: int) -> Pixels:
    """The pictures as float32, 0 … 1. Raises BadTensor when their values are outside that."""
    if pictures.dtype == np.uint8:
        return np.divide(pictures, 255, dtype=np.float32)
    pixels: Pixels = np.ascontiguousarray(pictures, np.float32)
    least, most = float(pixels.min()), float(pixels.max())
    if not (least >= -RANGE_SLACK and most <= 1 + RANGE_SLACK):  # This refuses NaN as well.
        raise BadTensor(
            f"Its pictures from number {start:,} on have values from {least:g} to {most:g}; floats are taken "
            "from 0 to 1."
        )
    return pixels


def _add_noise(pixels: Pixels, start: int, work: Work) -> Pixels:
    """A batch, light ink on black, with the noise that is asked for; no two batches get the same."""
    if work.inverted:
        pixels = 1 - pixels
    if not work.noise:
        return pixels
    return noise.gaussian(pixels, work.noise, None if work.seed is None else work.seed + start)


def _restore(pixels: Pixels, work: Work) -> Pixels:
    """What the model makes of a batch `[count, height, width]`, in the polarity of its file."""
    _, height, width = pixels.shape
    missing = ((0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE)) if work.size is None else ()
    if any(after for _, after in missing):
        pixels = np.pad(pixels, missing, mode="symmetric")
    if max(height, width) > tiling.TILE:
        restored = np.stack([tiling.run(work.run, one)[0] for one in pixels])
    else:
        restored = work.run(pixels[..., np.newaxis]).pixels[..., 0]
    restored = restored[:, :height, :width]
    if work.strength != 1:
        restored = pixels[:, :height, :width] + np.float32(work.strength) * (restored - pixels[:, :height, :width])
    return 1 - restored if work.inverted else restored


def _store(restored: Pixels, answer: Array) -> None:
    """Writes a batch into its place in the answer, as values of that type."""
    if answer.dtype == np.uint8:
        scaled = np.clip(restored, 0, 1) * np.float32(255)  # A byte wraps: 1.05 would be nearly black.
        np.copyto(answer, np.rint(scaled, out=scaled), casting="unsafe")
    else:
        answer[...] = restored
