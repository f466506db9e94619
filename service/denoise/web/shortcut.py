"""The short way past FastAPI for the image routes; everything else goes the ordinary way.

It skips Starlette's middleware and routing, FastAPI's dependencies, and the making of header and query objects, each of
which takes longer than a small model's run. The row "this service, the long way" of `python -m benchmarks.serving`
shows what that buys. It uses no private part of either: `APIRoute.get_route_handler` is FastAPI's documented hook.
Errors, the request's id, the log and the metrics are the same both ways: `problems.respond` and `tags.tag`.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from denoise.cleaning import Parameters
from denoise.errors import BadParameter
from denoise.web import parameters

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


def header(request: Request, name: bytes) -> str:
    """A header's value, "" where there is none; `name` is in lower case."""
    for sent, value in request.scope["headers"]:
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
