"""What the image routes answer: JSON as models, and which kind a caller likes best."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import mimeparse
from fastapi import Request
from pydantic import BaseModel, Field

from denoise.errors import NotAcceptable
from denoise.inference.denoiser import Denoiser
from denoise.pictures import images
from denoise.pictures.uncertainty import Doubts
from denoise.settings import Precision
from denoise.web.bodies import JSON, ZIP
from denoise.web.problems import Problem

# Whoever asks for bytes of any kind gets the default.
BYTES = "application/octet-stream"
TIFF = "image/tiff"
KINDS: dict[str, images.Kind] = {"image/jpeg": "jpeg", TIFF: "tiff", "image/webp": "webp", "image/png": "png"}
# Of kinds that are equally welcome the last is taken. One picture may come in a zip as well.
OF_ONE = (ZIP, BYTES, JSON, *KINDS)
# Of several pictures a kind of picture, and bytes, mean a zip of such; a TIFF has them as its pages.
OF_SEVERAL = (BYTES, JSON, *KINDS, ZIP)
# Of the pages of one file no single picture can be had.
OF_PAGES = (BYTES, JSON, TIFF, ZIP)
FORMATS = {kind: media_type for media_type, kind in KINDS.items()} | {"zip": ZIP, "json": JSON}
# The digits of one page can be had as these, those of several pages as those below.
NPY = "application/x-npy"
DIGITS_OF_ONE = (NPY, ZIP, JSON)
DIGITS_OF_SEVERAL = (ZIP, JSON)
# Parsing it takes quadratic time in its length, and no client of good will sends half as much.
LONGEST_ACCEPT = 1000
# No cache keeps what somebody wrote, and no browser takes an answer for another kind than it is.
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
# Several pictures may have many warnings, and programs read heads of some kilobytes.
MOST_WARNINGS = 10
PROBLEMS_IN_ZIP = "problems.json"


class Psnr(BaseModel):
    """Peak signal-to-noise ratios, in dB."""

    before: float = Field(description="of the picture with its noise")
    after: float = Field(description="of the answer")


class Answer(BaseModel):
    """The JSON form of an answer."""

    model: str
    provider: str = Field(description="where the model ran")
    precision: Precision = Field(description="in which the model multiplied")
    width: int
    height: int
    inverted: bool = Field(description="whether the picture was found, or said, to be dark ink on light paper")
    image: str = Field(description="base64 of a PNG")
    code: list[Any] | None = Field(description="the hidden code, in its own shape, of models that have one")
    uncertainty: float = Field(description="0 (sure) … 1: ranks answers by their error")
    warnings: list[str] = Field(description="what may be wrong with it, in sentences")
    psnr: Psnr | None = Field(None, description="with `noise` only: how near to the picture as it was sent")
    timing_ms: dict[str, float] = Field(description="decode, queue, infer, encode")

    def fields(self) -> dict[str, Any]:
        """As they are told: `psnr` only where there is one."""
        return self.model_dump(exclude=None if self.psnr else {"psnr"})


class NamedAnswer(Answer):
    """One of several answers."""

    filename: str


class Failed(BaseModel):
    """One of several files that could not be answered."""

    filename: str
    problem: Problem


class Digit(BaseModel):
    """A digit on a page; the box is in pixels of the picture that was sent, as it is upright."""

    x: int = Field(description="the box's left edge")
    y: int = Field(description="the box's upper edge")
    width: int
    height: int
    wide: bool = Field(description="whether it is so wide that it must be several digits that touch")
    picture: str = Field(description="base64 of a PNG of 28×28 pixels, light ink on black, framed as MNIST's")


class Page(BaseModel):
    """The JSON form of a page's digits."""

    model: str
    provider: str = Field(description="where the model ran")
    precision: Precision = Field(description="in which the model multiplied")
    width: int = Field(description="of the picture that was sent")
    height: int
    inverted: bool = Field(description="whether the picture was found, or said, to be dark ink on light paper")
    warnings: list[str] = Field(description="what may be wrong with the clean page, in sentences")
    digits: list[Digit] = Field(description="line by line from the top, each from left to right")
    timing_ms: dict[str, float] = Field(description="decode, queue, infer, encode")

    def fields(self) -> dict[str, Any]:
        """As they are told."""
        return self.model_dump()


class NamedPage(Page):
    """One of several pages."""

    filename: str


class Pages(BaseModel):
    """The JSON form of several pages, in the order of the files."""

    results: list[NamedPage | Failed]


class Batch(BaseModel):
    """The JSON form of several answers, in the order of the files."""

    results: list[NamedAnswer | Failed]


def media_type(request: Request, wanted: str | None, choices: Sequence[str], pages: int) -> str:
    """The media type of an answer: the format that is wanted, else what the caller's Accept likes best.

    Args:
        request: has the Accept.
        wanted: one of FORMATS.
        choices: what can be had.
        pages: how many a file has, when all of them are answered.

    Raises:
        NotAcceptable: there is no such answer.
    """
    if wanted and FORMATS[wanted] in choices:
        return FORMATS[wanted]
    of_pages = f" The file has {pages:,} pages, of which `page` chooses one." if pages > 1 else ""
    if wanted:
        raise NotAcceptable(f"format={wanted} leaves nothing; there are {', '.join(reversed(choices))}.{of_pages}")
    try:
        return accepted(request, choices)
    except NotAcceptable as error:
        raise NotAcceptable(f"{error}{of_pages}") from None


def accepted(request: Request, choices: Sequence[str]) -> str:
    """Which of the choices the caller likes best. Raises NotAcceptable."""
    sent = [str(value, "latin-1") for name, value in request.scope["headers"] if name == b"accept"]
    if not sent:
        return choices[-1]
    accept = ",".join(sent).lower()
    if len(accept) > LONGEST_ACCEPT:
        raise NotAcceptable(f"Accept has {len(accept):,} characters; at most {LONGEST_ACCEPT:,} are read.")
    return _best(accept, tuple(choices))


@lru_cache
def _best(accept: str, choices: tuple[str, ...]) -> str:
    try:
        best = choices[-1] if _takes_anything(accept) else mimeparse.best_match(choices, accept or "*/*")
    except mimeparse.MimeTypeParseException:
        best = None
    if not best:
        raise NotAcceptable(f"Accept: {accept[:100]} leaves nothing; there are {', '.join(reversed(choices))}.")
    return str(best)


def _takes_anything(accept: str) -> bool:
    """Whether an Accept likes nothing better than anything, and names no kind of picture.

    Programs that ask for no kind in particular send such ones: axios `application/json, text/plain, */*`.
    """
    weights = {}
    for kind in accept.split(","):
        name, subtype, parameters = mimeparse.parse_media_range(kind)
        weights[name, subtype] = float(parameters["q"])
    anything = weights.pop(("*", "*"), 0.0)
    pictures = any(name == "image" for name, _ in weights)
    return not pictures and anything > 0 and anything >= max(weights.values(), default=0)


def headers(model: Denoiser, timing: str) -> dict[str, str]:
    """What every answer with pictures tells in its head; `timing` is the Server-Timing of its stages."""
    return {
        "Server-Timing": timing,
        **model_headers(model),
        "Vary": "Accept",
        **PRIVATE,
    }


def doubt_headers(doubts: Doubts) -> dict[str, str]:
    """How far an answer is to be trusted, as its head tells it; of many warnings the first ones."""
    headers = {"X-Uncertainty": f"{doubts.uncertainty:.4f}"}
    if doubts.warnings:
        headers["X-Warning"] = " ".join(doubts.warnings[:MOST_WARNINGS])
    return headers


def model_headers(model: Denoiser) -> dict[str, str]:
    """What every answer of a model tells of it in its head."""
    return {"X-Model": model.name, "X-Execution-Provider": model.provider, "X-Precision": model.precision}
