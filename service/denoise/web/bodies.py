"""What is in a request: pictures and parameters, whichever form the body has."""

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any, NamedTuple

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from denoise.cleaning import Parameters
from denoise.errors import BadParameter, BrokenBody, TooLarge, UnsupportedKind
from denoise.inference.gate import Admission
from denoise.settings import Settings
from denoise.web import archives
from denoise.web.archives import File
from denoise.web.parameters import merge, sentences
from denoise.web.shortcut import header
from denoise.web.state import SMALL_BODY

JSON = "application/json"
MULTIPART = "multipart/form-data"
ZIP = "application/zip"
ZIPS = (ZIP, "application/x-zip-compressed")
LONGEST_CONTENT_TYPE = 1000
CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "latin-1", "latin1", "iso-8859-1"}
MOST_MARKS = 1000
# JSON of up to so many bytes is parsed sooner than handed to a thread.
SMALL_JSON = 64 * 1024


class JsonBody(BaseModel):
    """The JSON form of a request, as huggingface_hub's InferenceClient sends it."""

    inputs: str = Field(description="The image's bytes in base64, or as a `data:` URI.")
    parameters: dict[str, Any] = Field({}, description="The query parameters; these here win.")


def check_length(request: Request, limit: int) -> None:
    """Raises TooLarge when a request says that its body has more bytes than that; nothing has been read then."""
    declared = header(request, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"The body has {declared} bytes; at most {limit:,} bytes are taken.")


class Sent(NamedTuple):
    """What a request's body holds.

    Attributes:
        files: the pictures.
        several: whether they are answered together: a zip is, also with one file in it.
        size: bytes that are held until all is answered.
    """

    files: Sequence[File]
    several: bool
    size: int
    parameters: Parameters


async def read(request: Request, parameters: Parameters, settings: Settings, held: Admission) -> Sent:
    """The files in a request's body, and the query's parameters with the body's own.

    Raises:
        Busy: there is no room for so many bytes beside those that `held`'s gate has let in.
        TooLarge: there are more bytes, or files, than the settings allow.
        UnsupportedKind: its Content-Type is none that is taken.
        BrokenBody: it is empty, or is not what its Content-Type says.
        BadParameter: a parameter in it is outside its choices.
    """
    body = await whole(request, settings.max_body_bytes, held)
    kind = _kind(request)
    contents = [("", body)]
    if kind == MULTIPART:
        contents, parameters = await _uploaded(request, body, parameters, settings.max_files)
    elif kind == JSON:
        content, parameters = (
            _from_json(body, parameters)
            if len(body) < SMALL_JSON
            else await run_in_threadpool(_from_json, body, parameters)
        )
        contents = [("", content)]
    elif kind and not kind.startswith("image/") and kind not in ("application/octet-stream", *ZIPS):
        raise UnsupportedKind(
            f"Content-Type {kind} is not taken; image/*, application/octet-stream, {ZIP}, {MULTIPART} and {JSON} are. "
            "(With curl and --data-binary, add -H 'Content-Type: image/png'.)"
        )
    files = [File(name, len(content), len(content), partial(bytes, content)) for name, content in contents]
    several = len(files) > 1
    if not several and archives.is_archive(contents[0][1]):
        most = settings.max_files, settings.max_unpacked_bytes
        files, several = await run_in_threadpool(archives.files, contents[0][1], *most), True
    return Sent(files, several, sum(len(content) for _, content in contents), parameters)


async def whole(request: Request, limit: int, held: Admission) -> bytes:
    """The request's body, never more than `limit` bytes of it.

    Of a body that is not small, the bytes that have come count in `held`: those that are announced only take no memory.
    Raises Busy when there is no room for them.
    """
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
        if size > SMALL_BODY:
            held.grow(size)
        chunks.append(chunk)
        more = message.get("more_body", False)
    if not size:
        raise BrokenBody("The request has no body.")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _kind(request: Request) -> str:
    """The body's media type, "" where none is told. Raises UnsupportedKind when it is too long to be parsed."""
    content_type = header(request, b"content-type")
    if len(content_type) > LONGEST_CONTENT_TYPE:
        raise UnsupportedKind(
            f"Content-Type has {len(content_type):,} characters; at most {LONGEST_CONTENT_TYPE:,} are read."
        )
    return content_type.partition(";")[0].strip().lower()


def _check_charset(request: Request) -> None:
    """Raises UnsupportedKind when a form is in a charset that few write and some take quadratic time to read."""
    _, options = parse_options_header(header(request, b"content-type"))
    charset = options.get(b"charset", b"utf-8").decode("latin-1").lower()
    if charset not in CHARSETS:
        raise UnsupportedKind(f"A form in the charset {charset[:100]} is not taken; utf-8 and latin-1 are.")


async def _uploaded(
    request: Request, body: bytes, parameters: Parameters, most_files: int
) -> tuple[list[tuple[str, bytes]], Parameters]:
    """The files of a form, with their names, and the parameters with the form's own."""
    _check_charset(request)

    async def stream() -> AsyncGenerator[bytes]:
        yield body

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=most_files).parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise TooLarge(f"The form has too many files; at most {most_files:,} are taken.") from None
        raise BrokenBody(f"The form cannot be read: {error}") from None
    files = form.getlist("file")
    try:
        contents = [(file.filename or "", await file.read()) for file in files if isinstance(file, UploadFile)]
        if not contents or len(contents) < len(files):
            raise BrokenBody("The form has no file in a part named 'file' (with curl: -F file=@picture.png).")
        if len(contents) == 1 and not contents[0][1]:
            raise BrokenBody("The file is empty.")
        fields = {name: value for name, value in form.items() if name in Parameters.model_fields}
        return contents, merge(parameters, fields)
    finally:
        await form.close()


def _from_json(body: bytes, parameters: Parameters) -> tuple[bytes, Parameters]:
    marks = sum(map(body.count, (b",", b"[", b"{")))
    if marks > MOST_MARKS:  # Parsed, each could be a list or an object, which takes a hundred times its text.
        raise BrokenBody(f"The JSON has {marks:,} commas and brackets; a picture with parameters has a dozen.")
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
    return content, merge(parameters, parsed.parameters)
