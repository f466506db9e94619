"""The short way past FastAPI for the image routes; everything else goes the ordinary way.

It skips Starlette's middleware and routing, FastAPI's dependencies, and the making of header and query objects, each of
which takes longer than a small model's run. The row "this service, the long way" of `python -m benchmarks.serving`
shows what that buys. It uses no private part of either: `APIRoute.get_route_handler` is FastAPI's documented hook.
Errors, the request's id, the log and the metrics are the same both ways: `problems.respond` and `tags.tag`.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from denoise.errors import BadParameter
from denoise.pictures import parameters
from denoise.pictures.parameters import Parameters

# The outcome of a query of up to so many characters is kept for the next request with the same.
LONGEST_KEPT = 500
MOST_PARAMETERS = 100

Handler = Callable[[Request], Awaitable[Response]]


class ImageRoute(APIRoute):
    """A route whose endpoint takes the request and its Parameters, which are parsed once for each query."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What is called for each request. The documentation is read off the endpoint as ever."""

        async def handle(request: Request) -> Response:
            response: Response = await self.endpoint(request, parse_query(request.scope["query_string"]))
            return response

        return handle


def routes(router: APIRouter) -> dict[str, tuple[ImageRoute, Handler]]:
    """The image routes of a router by their path, each with what answers a request."""
    found = [route for route in router.routes if isinstance(route, ImageRoute)]
    return {route.path: (route, route.get_route_handler()) for route in found}


class PictureResponse(Response):
    """A 200 whose headers need no more than to be encoded: no charset, and none is there already."""

    def __init__(self, content: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        self.status_code, self.media_type, self.body, self.background = 200, media_type, content, None
        self.raw_headers = [(_encode(name), value.encode("latin-1")) for name, value in headers.items()]
        self.raw_headers.append((b"content-type", media_type.encode("latin-1")))
        self.raw_headers.append((b"content-length", b"%d" % len(content)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI has all three.
        """ASGI. There is nothing to do behind it, and no WebSocket to refuse."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


@lru_cache
def _encode(name: str) -> bytes:
    return name.lower().encode("latin-1")


def header(scope: Scope, name: bytes) -> str:
    """The value of a request's header, "" where there is none; `name` is in lower case."""
    for sent, value in scope["headers"]:
        if sent == name:
            return str(value, "latin-1")
    return ""


def parse_query(query: bytes) -> Parameters:
    """The parameters in a query string. Raises BadParameter when one is outside its choices."""
    return _parse_query(query) if len(query) <= LONGEST_KEPT else _parse_query.__wrapped__(query)


@lru_cache
def _parse_query(query: bytes) -> Parameters:
    try:
        fields = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS))
    except ValueError:
        raise BadParameter(f"The query has more than {MOST_PARAMETERS} parameters.") from None
    return parameters.merge(Parameters(), fields) if fields else Parameters()
