"""What is in a request: the bytes of one image and the parameters, whichever form the body has."""

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, field_validator
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from service.errors import BadParameter, BrokenBody, TooLarge, UnsupportedKind

JSON = "application/json"
MULTIPART = "multipart/form-data"
SMALL_JSON = 64 * 1024  # bytes: larger ones take a while
LONGEST_KEPT = 500  # bytes of a query string


class Parameters(BaseModel):
    """How a picture is to be worked on: query parameters, or `parameters` in a JSON body."""

    model_config = ConfigDict(frozen=True)

    model: str | None = Field(
        None, examples=["conv_dae"], description="A name that `/models` lists; else the route's default."
    )
    size: Literal["input", "native"] = Field(
        "input",
        examples=["input"],
        description="`input`: the answer has the picture's width and height; `native`: the model's own.",
    )
    invert: Literal["auto", "true", "false"] = Field(
        "auto",
        examples=["auto"],
        description="The models see light ink on black. `true`: the picture is dark ink on light paper, is turned over "
        "for the model and turned back in the answer; `false`: it is not; `auto`: found out.",
    )

    layout: Literal["single", "strip"] = Field(
        "single",
        examples=["single"],
        description="`strip`: one captioned picture of what was sent, what the model saw, its hidden code where it has "
        "one, the answer and the difference.",
    )
    noise: float = Field(
        0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        examples=[0.5],
        description="Factor of the Gaussian noise that is laid over the picture first, to see the model work.",
    )
    seed: NonNegativeInt | None = Field(None, examples=[7], description="Makes `noise` the same every time.")

    @field_validator("invert", mode="before")
    @classmethod
    def _as_in_a_query(cls, value: object) -> object:
        return str(value).lower() if isinstance(value, bool) else value


class JsonBody(BaseModel):
    """The JSON form of a request, as huggingface_hub's InferenceClient sends it."""

    inputs: str = Field(description="The image's bytes in base64, or as a `data:` URI.")
    parameters: dict[str, Any] = Field({}, description="The query parameters; these here win.")


def parsed(query: bytes) -> Parameters:
    """The parameters in a query string. Raises BadParameter when one is outside its choices."""
    return _parsed(query) if len(query) <= LONGEST_KEPT else _parsed.__wrapped__(query)


@lru_cache
def _parsed(query: bytes) -> Parameters:
    fields = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    return _parameters(Parameters(), fields) if fields else Parameters()


def header(request: Request, name: bytes) -> str:
    """A header's value, "" where there is none: Starlette's own way there takes several times as long."""
    for sent, value in request.scope["headers"]:
        if sent == name:
            return str(value, "latin-1")
    return ""


def announced(request: Request, limit: int) -> int:
    """The bytes that a request's body will have: as it says, or `limit` when it says nothing of use.

    Raises TooLarge when it says more than that; nothing has been read then.
    """
    declared = header(request, b"content-length")
    if not declared.isdigit():
        return limit
    if int(declared) > limit:
        raise TooLarge(f"The body has {declared} bytes; at most {limit:,} bytes are taken.")
    return int(declared)


async def read(request: Request, parameters: Parameters, limit: int) -> tuple[bytes, Parameters]:
    """The image's bytes in a request's body of at most `limit` bytes, and the query's parameters with the body's own.

    Raises:
        TooLarge: the body has more bytes, or more than one file.
        UnsupportedKind: its Content-Type is none that is taken.
        BrokenBody: it is empty, or is not what its Content-Type says.
        BadParameter: a parameter in it is outside its choices.
    """
    body = await whole(request, limit)
    content_type = header(request, b"content-type")
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        return body, parameters
    if kind == MULTIPART:
        return await _uploaded(request, body, parameters)
    if kind == JSON:
        return (
            _from_json(body, parameters)
            if len(body) < SMALL_JSON
            else await run_in_threadpool(_from_json, body, parameters)
        )
    raise UnsupportedKind(
        f"Content-Type {kind} is not taken; image/*, application/octet-stream, {MULTIPART} and {JSON} are. "
        "(With curl and --data-binary, add -H 'Content-Type: image/png'.)"
    )


async def whole(request: Request, limit: int) -> bytes:
    """The request's body, never more than `limit` bytes of it."""
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body has too many bytes; at most {limit:,} bytes are taken.")
        chunks.append(chunk)
        more = message.get("more_body", False)
    if not size:
        raise BrokenBody("The request has no body; it must be an image, a form with a file, or JSON.")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _uploaded(request: Request, body: bytes, parameters: Parameters) -> tuple[bytes, Parameters]:
    async def stream() -> AsyncGenerator[bytes]:
        yield body

    try:
        form = await MultiPartParser(request.headers, stream()).parse()
    except (MultiPartException, UnicodeError) as error:  # the latter from a charset that decodes nothing
        raise BrokenBody(f"The form cannot be read: {error}") from None
    files = form.getlist("file")
    try:
        if len(files) > 1:
            raise TooLarge(f"The form has {len(files)} files; one is taken at a time.")
        if not files or not isinstance(files[0], UploadFile):
            raise BrokenBody("The form has no file in a part named 'file' (with curl: -F file=@picture.png).")
        content = await files[0].read()
        if not content:
            raise BrokenBody("The file is empty.")
        fields = {name: value for name, value in form.items() if name in Parameters.model_fields}
        return content, _parameters(parameters, fields)
    finally:
        await form.close()


def _from_json(body: bytes, parameters: Parameters) -> tuple[bytes, Parameters]:
    try:
        parsed = JsonBody.model_validate(json.loads(body))
    except ValidationError as error:
        raise BadParameter(sentences(error.errors())) from None
    except (ValueError, RecursionError) as error:
        raise BrokenBody(f"The JSON cannot be read: {error}.") from None
    encoded = parsed.inputs
    if encoded.startswith("data:"):
        encoded = encoded.partition(";base64,")[2]
    if not encoded:
        raise BrokenBody("`inputs` is empty, or a data: URI without base64.")
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BrokenBody(
            f"`inputs` is no base64 and no base64 data: URI (no picture is fetched from a URL): {error}."
        ) from None
    return content, _parameters(parameters, parsed.parameters)


def _parameters(parameters: Parameters, others: Mapping[str, Any]) -> Parameters:
    """The query's parameters and those that came in the body, which win."""
    try:
        return Parameters.model_validate(parameters.model_dump() | dict(others))
    except ValidationError as error:
        raise BadParameter(sentences(error.errors())) from None


def sentences(errors: Any) -> str:
    """Pydantic's errors as sentences that name the parameter and the value sent."""
    return " ".join(_sentence(error) for error in errors)


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"] if part != "query") or "The JSON"
    value = error["input"]
    sent = f"={str(value)[:100]}" if isinstance(value, str | int | float) else ""  # not megabytes of structure
    return f"{name}{sent}: {error['msg']}."
