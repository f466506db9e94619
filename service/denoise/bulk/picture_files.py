"""One file of a picture, or of several pages: cleaned, written, and what has become of it."""

import time
from collections.abc import Callable
from typing import NamedTuple

from denoise import cleaning
from denoise.bulk.files import Item, read_picture
from denoise.bulk.provenance import Maker, write_picture
from denoise.errors import NotAcceptable, RequestError
from denoise.inference.denoiser import Denoiser
from denoise.pictures import tiff, uncertainty
from denoise.pictures.images import Kind
from denoise.pictures.parameters import Parameters


class CleanPicture(NamedTuple):
    """The answer to a file.

    Attributes:
        content: of its own file.
        uncertainty: 0 (sure) … 1, of several pages the largest; None where that is not known.
        warnings: what may be wrong with it, in sentences.
    """

    content: bytes
    uncertainty: float | None = None
    warnings: tuple[str, ...] = ()


Cleaner = Callable[[bytes, Kind], CleanPicture]
"""A file's bytes, and the kind of the answer, to the answer. Raises RequestError."""


class ItemOutcome(NamedTuple):
    """What has become of a file.

    Attributes:
        item: the file.
        why: what kept it from being cleaned, in a sentence; None when all is well.
        seconds: how long it was worked on.
        uncertainty, warnings: as a CleanPicture has them.
    """

    item: Item
    why: str | None
    seconds: float = 0.0
    uncertainty: float | None = None
    warnings: tuple[str, ...] = ()


def cleaner(model: Denoiser, parameters: Parameters, max_pixels: int) -> Cleaner:
    """What takes the straight line of `cleaning` with a model, page by page."""

    def clean(content: bytes, kind: Kind) -> CleanPicture:
        pages = tiff.choose(content, parameters.page, tiff.MOST_PAGES)
        if len(pages) > 1 and kind != "tiff":
            raise NotAcceptable(
                f"It has {len(pages):,} pages, and a picture in {kind.upper()} is one; --format tiff, or a name that "
                "ends in .tif, holds them, and --page chooses one."
            )
        files, doubts = [], []
        for directory in pages:
            cleaned = cleaning.clean(tiff.take_page(content, directory), model, parameters, max_pixels)
            files.append(cleaned.encode(kind))
            doubts.append(cleaned.judge())
        content = tiff.join(files) if len(files) > 1 else files[0]
        return CleanPicture(content, *uncertainty.join(doubts))

    return clean


def clean_file(item: Item, clean: Cleaner, maker: Maker) -> ItemOutcome:
    """Cleans a file."""
    started = time.perf_counter()
    try:
        content = read_picture(item.source)
    except RequestError as error:
        return ItemOutcome(item, str(error))
    except OSError as error:
        return ItemOutcome(item, f"It cannot be read: {error.strerror}.")
    try:
        answer = clean(content, item.kind)
    except RequestError as error:
        return ItemOutcome(item, str(error), time.perf_counter() - started)
    except MemoryError:
        return ItemOutcome(item, "There is not enough memory for it.", time.perf_counter() - started)
    try:
        write_picture(item, answer.content, maker.label_picture(content, item.kind))
    except OSError as error:
        return ItemOutcome(item, f"'{item.target}' cannot be written: {error.strerror}.")
    return ItemOutcome(item, None, time.perf_counter() - started, answer.uncertainty, answer.warnings)
