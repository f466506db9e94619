"""A running service as something to call: pictures by its image routes, arrays by the Open Inference Protocol.

Nothing that it answers is believed before it is checked: the status, the kind, the size. Knows urllib3.
"""

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, assert_never
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import urllib3
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from denoise import __version__
from denoise.bulk.files import PICTURE_BYTES
from denoise.bulk.picture_files import CleanPicture
from denoise.cli.cards import Card, Cards, Info, PageCard, as_found
from denoise.errors import BadParameter, RequestError
from denoise.inference.denoiser import Restored
from denoise.pictures import Pixels, jpeg, png, tiff
from denoise.pictures.digits import Found
from denoise.pictures.images import Kind
from denoise.pictures.parameters import Parameters

TIMEOUT_SECONDS = 300.0  # A large picture takes a while.
MOST_TRIES = 10  # A request that is refused for being one too many is made again.
USUAL_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
CARDS_BYTES = INFO_BYTES = 1024 * 1024
JSON_BYTES = 64 * 1024  # The JSON before a tensor, or an error.
CONNECTIONS = 64
UNKNOWN_VERSION = "unknown"
OK, NOT_FOUND, BUSY, ERRORS, FAULTS = 200, 404, (429, 503), 400, 500  # From FAULTS on, an error is the service's own.
OCTETS = "application/octet-stream"
JSON_LENGTH = "Inference-Header-Content-Length"
PNG_START, PNG_END = png.SIGNATURE + b"\0\0\0\rIHDR", b"IEND\xae\x42\x60\x82"
RIFF_HEAD_BYTES = 8  # The length that a WebP tells is of what follows them.
OVERSHOOT = 0.1  # What a model makes of a picture may leave 0 … 1 by this much.


class Unanswered(RequestError):
    """The service does not answer, or not as one should."""


class Reply(NamedTuple):
    """A whole answer of the service."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def kind(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class HttpClient:
    """A service at an address. Threads may share it; connections are kept."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """`url` as the service prints it, or with a path that all routes are below. Raises BadParameter."""
        self.url = _check_address(url)
        headers = {"User-Agent": f"denoise/{__version__}"}
        if key:
            if not (key.isascii() and key.isprintable()):
                raise BadParameter("The key cannot be sent: a key is made of printable ASCII characters.")
            headers["Authorization"] = f"Bearer {key}"
        # A kept connection may have been closed a moment ago: what is cut is sent once more, and nothing else.
        retries = urllib3.Retry(None, connect=0, read=1, redirect=0, status=0, other=0, allowed_methods=None)
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, headers=headers, timeout=TIMEOUT_SECONDS, retries=retries)

    def models(self) -> list[Card]:
        """The models' cards. Raises Unanswered."""
        answer = self._ask_patiently("GET", "/models", limit=CARDS_BYTES)
        if answer.status == NOT_FOUND:
            raise Unanswered(
                f"{self.url} is no service's address: there is no {self.url}/models. http://host:port is one."
            )
        if answer.status != OK:
            raise Unanswered(_explain(answer))
        try:
            return Cards.model_validate_json(answer.content).models
        except ValidationError:
            raise Unanswered(f"{self.url} answers, and is no service of this kind: it lists no models.") from None

    def version(self) -> str:
        """The version of `denoise` there; UNKNOWN_VERSION where that is not told. Raises Unanswered."""
        answer = self._ask_patiently("GET", "/info", limit=INFO_BYTES)
        if answer.status >= FAULTS:
            raise Unanswered(_explain(answer))
        try:
            return Info.model_validate_json(answer.content).versions.denoise
        except ValidationError:  # What stands before a service may let no more through than its other routes.
            return UNKNOWN_VERSION

    def clean(self, content: bytes, kind: Kind, task: str, parameters: Parameters) -> CleanPicture:
        """The answer to a picture's bytes, by the route of a task. Raises RequestError."""
        query = urlencode(parameters.model_dump(exclude_defaults=True))
        headers = {"Content-Type": OCTETS, "Accept": f"image/{kind}"}
        answer = self._ask("POST", f"/{task}?{query}", content, headers, PICTURE_BYTES)
        if answer.kind != f"image/{kind}":
            raise Unanswered(f"{self.url} answers with {answer.kind or 'no Content-Type'}, not with image/{kind}.")
        if not _is_whole(answer.content, kind):
            raise Unanswered(f"{self.url} answers with {len(answer.content):,} bytes that are no {kind.upper()}.")
        warning = answer.headers.get("X-Warning", "")
        uncertainty = _uncertainty(answer.headers.get("X-Uncertainty", ""))
        return CleanPicture(answer.content, uncertainty, (warning,) if warning else ())

    def digits(self, content: bytes, parameters: Parameters) -> Found:
        """The digits of a page, given as a picture's bytes. Raises RequestError."""
        query = urlencode(parameters.model_dump(exclude_none=True))
        headers = {"Content-Type": OCTETS, "Accept": "application/json"}
        answer = self._ask("POST", f"/digits?{query}", content, headers, PICTURE_BYTES)
        try:
            return as_found(PageCard.model_validate_json(answer.content).digits)
        except (ValidationError, RequestError):
            raise Unanswered(f"{self.url} answers, and not with the digits of a page.") from None

    def run(self, model: str, pixels: Pixels) -> Restored:
        """What a model makes of `[batch, height, width, 1]`, light ink on black, 0 … 1. Raises RequestError."""
        values = np.ascontiguousarray(pixels, "<f4").tobytes()
        image = {"name": "image", "datatype": "FP32", "shape": pixels.shape}
        request = {
            "inputs": [{**image, "parameters": {"binary_data_size": len(values)}}],
            "outputs": [{"name": "restored", "parameters": {"binary_data": True}}],
        }
        head = json.dumps(request).encode()
        headers = {"Content-Type": OCTETS, JSON_LENGTH: str(len(head))}
        path = f"/v2/models/{quote(model, safe='')}/infer"
        answer = self._ask("POST", path, head + values, headers, JSON_BYTES + len(values))
        length = answer.headers.get(JSON_LENGTH, "")
        if answer.kind != OCTETS or length != str(len(answer.content) - len(values)):
            raise Unanswered(f"{self.url} answers, and not with the tensor that it was asked for.")
        restored: Pixels = np.frombuffer(answer.content, "<f4", offset=int(length)).reshape(pixels.shape)
        if not (restored.size == 0 or (restored.min() >= -OVERSHOOT and restored.max() <= 1 + OVERSHOOT)):
            raise Unanswered(f"{self.url} answers with values from {restored.min():g} to {restored.max():g}.")
        return Restored(restored, None)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, limit: int = 0
    ) -> Reply:
        """An answer of status 200. Raises Unanswered."""
        answer = self._ask_patiently(method, path, body, headers, limit)
        if answer.status != OK:
            raise Unanswered(_explain(answer))
        return answer

    def _ask_patiently(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, limit: int = 0
    ) -> Reply:
        """An answer of any status; asks again while the service is busy. Raises Unanswered."""
        for tries_left in reversed(range(MOST_TRIES)):
            answer = self._request(method, path, body, headers or {}, limit)
            if answer.status not in BUSY or not tries_left:
                break
            time.sleep(_wait_seconds(answer.headers.get("Retry-After", "")))
        return answer

    def _request(self, method: str, path: str, body: bytes | None, headers: dict[str, str], limit: int) -> Reply:
        """One answer, whatever its status, of at most `limit` bytes where that is 200. Raises Unanswered."""
        headers = {**self._pool.headers, **headers}
        try:
            with self._pool.request(
                method, self.url + path, body=body, headers=headers, redirect=False, preload_content=False
            ) as response:
                limit = limit if response.status == OK else JSON_BYTES
                content = response.read(limit + 1, decode_content=False)
                if len(content) <= limit:  # What is not read to its end is closed, not kept.
                    response.release_conn()
                elif response.status == OK:
                    raise Unanswered(f"{self.url} answers with more than {limit:,} bytes.")
                return Reply(response.status, response.reason or "", response.headers, content)
        except HTTPError as error:
            raise Unanswered(f"No service answers at {self.url}: {_cause(error)}.") from None


def _check_address(url: str) -> str:
    """The address with its scheme and no slash at its end. Raises BadParameter."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        named = parts.port is None or parts.port > 0
    except ValueError as error:
        raise BadParameter(f"'{url}' is no address: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not named:
        raise BadParameter(f"'{url}' is no address of a service; http://127.0.0.1:8000 is one.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _uncertainty(told: str) -> float | None:
    """The number in a header; None where there is none from 0 to 1."""
    try:
        number = float(told)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _is_whole(content: bytes, kind: Kind) -> bool:
    """Whether bytes begin and end as a picture of that kind does; a TIFF may end in any way."""
    if kind == "png":
        return content.startswith(PNG_START) and content.endswith(PNG_END)
    if kind == "jpeg":
        return content.startswith(jpeg.START) and content.endswith(b"\xff" + jpeg.END)
    if kind == "tiff":
        return tiff.is_tiff(content)
    if kind != "webp":
        assert_never(kind)
    length = int.from_bytes(content[4:8], "little")
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP" and len(content) == RIFF_HEAD_BYTES + length


def _wait_seconds(retry_after: str) -> float:
    """How long to wait before a request is made again; a header that is no number or date is not there."""
    try:
        seconds = urllib3.Retry().parse_retry_after(retry_after)
    except (HTTPError, ValueError, OverflowError):
        return USUAL_WAIT_SECONDS
    return min(seconds, LONGEST_WAIT_SECONDS)


def _explain(answer: Reply) -> str:
    """The sentence in an error's body, or what is wrong with its status."""
    try:
        problem: Any = json.loads(answer.content) if answer.status >= ERRORS else None
    except (ValueError, RecursionError):
        problem = None
    sentence = (problem.get("detail") or problem.get("error")) if isinstance(problem, dict) else None
    if isinstance(sentence, str):
        return sentence
    return f"The service answers {answer.status} {answer.reason}".rstrip() + "."


def _cause(error: BaseException) -> str:
    """What an exception of urllib3 goes back to, in the system's words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]  # One of them is there.
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
