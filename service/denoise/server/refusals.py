"""Requests that are refused without the app, and the whole answers that they get.

uvicorn gives every request to the app, also a picture that there is no room for. The app takes several times as long to
refuse it as it takes to write an answer that is prepared, and that time is taken from the pictures that are inside.
"""

import asyncio
import json
from collections.abc import Collection
from functools import lru_cache
from http import HTTPStatus

from denoise import metrics
from denoise.errors import Busy
from denoise.web import tags
from denoise.web.problems import RETRY_AFTER_S, STATUS, answer
from denoise.web.state import Service


class Refusals:
    """What the connections of a process know of its room for pictures, and how they say that there is none."""

    def __init__(self, service: Service, image_routes: Collection[str]) -> None:
        """`image_routes` are the paths to which pictures are posted."""
        self.service, self.image_routes = service, frozenset(image_routes)
        self._arrived = 0

    def count_arrival(self, loop: asyncio.AbstractEventLoop) -> None:
        """Counts a picture that has come whole; the app has counted it itself when the loop's next turn ends."""
        if not self._arrived:
            loop.call_soon(self._forget_arrivals)
        self._arrived += 1

    def _forget_arrivals(self) -> None:
        self._arrived = 0

    @property
    def full(self) -> bool:
        """Whether a picture that comes now finds no room. The app says it where keys or other headers matter."""
        service = self.service
        if service.pictures.inside + self._arrived < service.pictures.most:
            return False
        return not (service.draining or service.settings.api_keys or service.settings.cors_origins)

    def refuse_picture(self, path: str, sent_id: str, keep_alive: bool) -> bytes:
        """The answer to a picture that there is no room for; it is counted and logged."""
        request_id = tags.request_id(sent_id)
        sentence = self.service.pictures.explain(self.service.pictures.inside + self._arrived)
        metrics.count_refusal(Busy.__name__)
        tags.log_answer(self.service, path, request_id, STATUS[Busy], (), 0.0)
        return _problem(STATUS[Busy], sentence, path, request_id, keep_alive)


def refuse(status: HTTPStatus, sentence: str, path: str, sent_id: str) -> bytes:
    """The answer to what is no request, or too large or slow a one, after which the connection ends; it is counted."""
    metrics.count_refusal(status.phrase.title().replace(" ", ""))
    return _problem(status, sentence, path, tags.request_id(sent_id), keep_alive=False)


def _problem(status: HTTPStatus, sentence: str, path: str, request_id: str, keep_alive: bool) -> bytes:
    """A whole answer, as the app would give it."""
    return request_id.encode().join(_around_id(status, sentence, path, len(request_id), keep_alive))


@lru_cache(maxsize=64)
def _around_id(status: HTTPStatus, sentence: str, path: str, id_length: int, keep_alive: bool) -> list[bytes]:
    """What stands before, between and after the places of a request's id, of that many characters, in an answer."""
    blank = "\x7f" * id_length  # JSON leaves this character as it is, and no id has it.
    content, media_type = answer(status, sentence, path, blank)
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"content-type: {media_type}", f"content-length: {len(body)}"]
    lines.append(f"x-request-id: {blank}")
    if not keep_alive:
        lines.append("connection: close")
    if status in RETRY_AFTER_S:
        lines.append(f"retry-after: {RETRY_AFTER_S[status]}")
    return ("\r\n".join([*lines, "", ""]).encode() + body).split(blank.encode())
