"""A running service as something to call: pictures by its image routes, arrays by the Open Inference Protocol."""

import contextlib
import http.client
import json
import threading
import time
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

from denoise import __version__
from denoise.cleaning import Parameters
from denoise.errors import BadParameter, RequestError
from denoise.inference.denoiser import Restored
from denoise.pictures import Pixels
from denoise.pictures.images import Kind

TIMEOUT_S = 300.0  # for an answer: a large picture takes a while
MOST_TRIES = 10  # at a request that is refused for being one too many
LONGEST_WAIT_S = 30.0  # before the next one, whatever the service says
BUSY = (429, 503)
WRONG = 400  # statuses from here on are no answers
JSON_LENGTH = "Inference-Header-Content-Length"


class Unanswered(RequestError):
    """The service does not answer, or not as one should."""


class Client:
    """A service at an address. Threads may share it: each has a connection of its own, which is kept open."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """`url` as the service prints it, or with a path that all routes are below. Raises BadParameter."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        connections = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        try:
            port = parts.port
        except ValueError as error:
            raise BadParameter(f"'{url}' is no address: {error}.") from None
        if parts.scheme not in connections or not parts.hostname:
            raise BadParameter(f"'{url}' is no address of a service; http://127.0.0.1:8000 is one.")
        self.url, self._root = url, parts.path.rstrip("/")
        self._make = partial(connections[parts.scheme], parts.hostname, port, timeout=TIMEOUT_S)
        self._local = threading.local()
        self._headers = {"User-Agent": f"denoise/{__version__}"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def models(self) -> list[dict[str, Any]]:
        """The models' cards. Raises Unanswered."""
        content, _ = self._ask("GET", "/models")
        try:
            cards: list[dict[str, Any]] = json.loads(content)["models"]
        except (ValueError, LookupError, TypeError):
            raise Unanswered(f"{self.url} answers, and is no service of this kind.") from None
        return cards

    def clean(self, content: bytes, kind: Kind, task: str, parameters: Parameters) -> bytes:
        """The answer to a picture's bytes, by the route of a task. Raises RequestError."""
        query = urlencode(parameters.model_dump(exclude_none=True))
        headers = {"Content-Type": "application/octet-stream", "Accept": f"image/{kind}"}
        return self._ask("POST", f"/{task}?{query}", content, headers)[0]

    def run(self, model: str, pixels: Pixels) -> Restored:
        """What a model makes of `[batch, height, width, 1]`, light ink on black, 0 … 1. Raises RequestError."""
        values = np.ascontiguousarray(pixels, "<f4").tobytes()
        image = {"name": "image", "datatype": "FP32", "shape": pixels.shape}
        told = {
            "inputs": [{**image, "parameters": {"binary_data_size": len(values)}}],
            "outputs": [{"name": "restored", "parameters": {"binary_data": True}}],
        }
        head = json.dumps(told).encode()
        headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}
        content, length = self._ask("POST", f"/v2/models/{model}/infer", head + values, headers)
        try:
            return Restored(np.frombuffer(content, "<f4", offset=length).reshape(pixels.shape), None)
        except ValueError:
            raise Unanswered(f"{self.url} answers, and not with the tensor that it was asked for.") from None

    @property
    def _connection(self) -> http.client.HTTPConnection:
        """The one of the thread that asks."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._make()
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[bytes, int]:
        """A body, and the length of the JSON that it begins with where there is more; asks again where it is to."""
        for tries_left in reversed(range(MOST_TRIES)):
            response = self._response(method, self._root + path, body, self._headers | (headers or {}))
            try:
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._silent(error) from None
            if response.status not in BUSY or not tries_left:
                break
            told = response.headers.get("Retry-After", "")
            time.sleep(min(float(told) if told.isdigit() else 1.0, LONGEST_WAIT_S))
        if response.status >= WRONG:
            raise Unanswered(_problem(response, content))
        return content, int(response.headers.get(JSON_LENGTH, "0"))

    def _response(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        kept = self._connection.sock is not None
        try:
            # a service that refuses a body may do so before it has read it all
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._connection.request(method, path, body, headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if kept:  # it may have been closed since the last time: a picture can be sent twice
                return self._response(method, path, body, headers)
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> Unanswered:
        self._connection.close()
        return Unanswered(f"No service answers at {self.url}: {error or type(error).__name__}.")


def _problem(response: http.client.HTTPResponse, content: bytes) -> str:
    """The sentence in an error's body."""
    with contextlib.suppress(ValueError, AttributeError):
        told = json.loads(content)
        if sentence := told.get("detail") or told.get("error"):
            return str(sentence)
    return f"The service answers {response.status} {response.reason}."
