"""The pages of the files that were sent, each a picture by itself."""

from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import NoReturn

from denoise.errors import RequestError, TooLarge
from denoise.pictures import tiff
from denoise.web.archives import File

FIRST = 1
UNNAMED = "page"


def spread(files: Sequence[File], page: int | None, most: int) -> list[File]:
    """The files with each page in the place of its file, or with that page alone that is meant.

    A file of which that cannot be had fails when it is read. The content of one with several pages is kept in memory,
    so that it is unpacked once. Raises TooLarge when there are more than `most` pages together.
    """
    sheets: list[File] = []
    for file in files:
        try:
            sheets += _pages(file, page, most)
        except RequestError as error:
            sheets.append(file._replace(read=partial(_fail, type(error), str(error))))
    if len(sheets) > max(most, len(files)):
        raise TooLarge(f"The files have {len(sheets):,} pages together; at most {most:,} are taken.")
    return sheets


def _pages(file: File, page: int | None, most: int) -> list[File]:
    if page in (None, FIRST) and not tiff.is_tiff(file.start()):
        return [file]
    content = file.read()
    pages = tiff.choose(content, page, most)
    if len(pages) == 1 and page is None:
        return [file]
    path = PurePosixPath(file.name or UNNAMED)
    return [
        file._replace(
            name=file.name if page else str(path.with_name(f"{path.stem}-{number}{path.suffix}")),
            sent=max(1, file.sent // len(pages)),
            read=partial(tiff.take_page, content, directory),
        )
        for number, directory in enumerate(pages, 1)
    ]


def _fail(kind: type[RequestError], why: str) -> NoReturn:
    raise kind(why)
