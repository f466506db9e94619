"""What is in a request: pictures and parameters, whichever form the body has."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from denoise.errors import BadParameter, BrokenBody, TooLarge, UnsupportedKind
from denoise.inference.gate import Admission
from denoise.pictures import tiff
from denoise.pictures.parameters import Parameters, merge, sentences
from denoise.settings import Settings
from denoise.web import archives, encodings, forms
from denoise.web.archives import File
from denoise.web.sheets import spread
from denoise.web.shortcut import header
from denoise.web.state import SMALL_BODY, ThreadTurns

JSON = "application/json"
MULTIPART = "multipart/form-data"
ZIP = "application/zip"
ZIPS = (ZIP, "application/x-zip-compressed")
OCTETS = ("application/octet-stream", "binary/octet-stream", *ZIPS)
LONGEST_CONTENT_TYPE = 1000
MOST_MARKS = 1000
LONGEST_NAME, NAME_OF_PICTURE = 200, re.compile(rb"(?!\w+://)[\x20-\x7e\x80-\xff]+\.[A-Za-z]{3,4}")
# JSON and forms of up to so many bytes are parsed sooner than handed to a thread.
SMALL_TEXT = 64 * 1024
# `image_to_image` of huggingface_hub has these for the models that it is mostly used with.
OF_DIFFUSION = {"prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "target_size"}
# Base64's alphabet for URLs (RFC 4648, section 5), as the usual one.
FROM_URL_SAFE = str.maketrans("-_", "+/")
BASE64_GROUP = 4

Contents = tuple[list[tuple[str, bytes]], Parameters]
"""The files in a body, each with its name, and the query's parameters with the body's own."""


class JsonBody(BaseModel, extra="allow"):
    """The JSON form of a request, as huggingface_hub's InferenceClient sends it."""

    inputs: str = Field(description="The image's bytes in base64, or as a `data:` URI.")
    parameters: dict[str, Any] | None = Field(None, description="The query parameters; these here win.")


def check_length(request: Request, limit: int) -> None:
    """Raises TooLarge when a request says that its body has more bytes than that; nothing has been read then."""
    declared = header(request.scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"The body has {declared} bytes; at most {limit:,} bytes are taken.")


class Sent(NamedTuple):
    """What a request's body holds.

    Attributes:
        files: the pictures, each page by itself.
        pages: how many of them there are, where they are those of one file; else 1.
        several: whether they are answered together: a zip is, also with one file in it.
        size: bytes that came.
    """

    files: Sequence[File]
    pages: int
    several: bool
    size: int
    parameters: Parameters


async def read(
    request: Request, parameters: Parameters, settings: Settings, held: Admission, turns: ThreadTurns
) -> Sent:
    """The files in a request's body, and the query's parameters with the body's own.

    Raises:
        Busy: there is no room for so many bytes beside those that `held`'s gate has let in.
        TooLarge: there are more bytes, or files, than the settings allow.
        UnsupportedKind: its Content-Type, or Content-Encoding, is none that is taken.
        BrokenBody: it is empty, or is not what its Content-Type says.
        BadParameter: a parameter in it is outside its choices.
    """
    body, came = await unpacked(request, settings.max_body_bytes, held, turns)
    kind = _kind(request)
    contents = [("", body)]
    if kind in (MULTIPART, JSON):
        parse = partial(_from_form if kind == MULTIPART else _from_json, request, body, parameters, settings.max_files)
        contents, parameters = parse() if len(body) < SMALL_TEXT else await run_in_threadpool(parse)
    elif kind and not kind.startswith("image/") and kind not in OCTETS:
        raise UnsupportedKind(
            f"Content-Type {kind} is not taken; image/*, application/octet-stream, {ZIP}, {MULTIPART} and {JSON} are. "
            "(With curl and --data-binary, add -H 'Content-Type: image/png'.)"
        )
    if held.amount:  # Nothing of a small body is held.
        held.shrink(min(held.amount, sum(len(content) for _, content in contents)))
    for _, content in contents:
        _check_is_no_name(content)
    files = [archives.in_memory(name, content) for name, content in contents]
    zipped = len(files) == 1 and archives.is_archive(contents[0][1])
    if zipped:
        most = settings.max_files, settings.max_unpacked_bytes
        files = await run_in_threadpool(archives.files, contents[0][1], *most)
    if came < len(body):  # A file counts as what it took of the request.
        files = [file._replace(sent=max(1, file.sent * came // len(body))) for file in files]
    sheets = files
    if parameters.page or any(tiff.is_tiff(file.start()) for file in files):
        sheets = await turns.run(spread, files, parameters.page, settings.max_files)
        if zipped:  # Those of several pages are in memory now.
            held.grow(held.amount + sum(file.size for file in files if file not in sheets))
    return Sent(
        sheets, len(sheets) if len(files) == 1 and not zipped else 1, zipped or len(sheets) > 1, came, parameters
    )


async def unpacked(request: Request, limit: int, held: Admission, turns: ThreadTurns) -> tuple[bytes, int]:
    """The request's body without its Content-Encoding, at most `limit` bytes of it, and how many bytes came.

    Raises as `read_whole` and `encodings.unpack` do.
    """
    body = await read_whole(request, limit, held)
    encoding = header(request.scope, b"content-encoding").strip().lower()
    if encoding in encodings.NONE:
        return body, len(body)
    held.grow(limit)
    content = await turns.run(encodings.unpack, body, encoding, limit)
    held.shrink(len(content))
    return content, len(body)


async def read_whole(request: Request, limit: int, held: Admission) -> bytes:
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
    content_type = header(request.scope, b"content-type")
    if len(content_type) > LONGEST_CONTENT_TYPE:
        raise UnsupportedKind(
            f"Content-Type has {len(content_type):,} characters; at most {LONGEST_CONTENT_TYPE:,} are read."
        )
    return content_type.partition(";")[0].strip().lower()


def _check_is_no_name(content: bytes) -> None:
    """Raises BrokenBody for the name of a picture in the place of its bytes, which is a slip with curl."""
    name = content.strip()
    if len(content) <= LONGEST_NAME and NAME_OF_PICTURE.fullmatch(name):
        raise BrokenBody(
            f"'{name.decode(errors='replace')}' came, the name of a file and not what is in it; with curl an @ before "
            "a name sends the file: -F file=@picture.png, --data-binary @picture.png."
        )


def _from_form(request: Request, body: bytes, parameters: Parameters, most_files: int) -> Contents:
    parts = forms.parse(header(request.scope, b"content-type"), body, most_files)
    files = [part for part in parts if part.is_file and part.name == forms.FILE]
    others = [part for part in parts if part.is_file and part.name != forms.FILE]
    if not files or others:
        named = f", but one named '{others[0].name[:100]}'" if others else ""
        raise BrokenBody(f"The form has no file in a part named 'file'{named} (with curl: -F file=@picture.png).")
    contents = [(part.filename or "", part.content) for part in files]
    if len(contents) == 1 and not contents[0][1]:
        raise BrokenBody("The file is empty.")
    fields = {part.name: forms.decode(part.content) for part in parts if not part.is_file}
    return contents, merge(parameters, fields)


def _from_json(_request: Request, body: bytes, parameters: Parameters, _most_files: int) -> Contents:
    marks = sum(map(body.count, (b",", b"[", b"{")))
    if marks > MOST_MARKS:  # Parsed, each could be a list or an object, which takes a hundred times its text.
        raise BrokenBody(f"The JSON has {marks:,} commas and brackets; a picture with parameters has a dozen.")
    try:
        parsed = JsonBody.model_validate(json.loads(body))
    except ValidationError as error:
        raise BadParameter(sentences(error.errors())) from None
    except (ValueError, RecursionError) as error:
        raise BrokenBody(f"The JSON cannot be read: {error}.") from None
    if misplaced := Parameters.model_fields.keys() & (parsed.model_extra or {}).keys():
        raise BadParameter(f"'{min(misplaced)}' stands beside `inputs`; parameters are read inside of `parameters`.")
    encoded = parsed.inputs
    if encoded.startswith("data:"):
        encoded = encoded.partition(";base64,")[2]
    if not encoded:
        raise BrokenBody("`inputs` is empty, or a data: URI without base64.")
    text = "".join(encoded.split()).translate(FROM_URL_SAFE).rstrip("=")
    try:
        content = base64.b64decode(text + "=" * (-len(text) % BASE64_GROUP), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BrokenBody(
            f"`inputs` is no base64 and no base64 data: URI (no picture is fetched from a URL): {error}."
        ) from None
    ours = {name: value for name, value in (parsed.parameters or {}).items() if name not in OF_DIFFUSION}
    return [("", content)], merge(parameters, ours)
