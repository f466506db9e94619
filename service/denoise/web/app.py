"""Puts the service together: models at start-up, routes, and the table from what can go wrong to a status."""

import hmac
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from denoise import __version__, errors, metrics
from denoise.inference import denoiser
from denoise.inference.batching import Batcher, Gate
from denoise.inference.denoiser import Denoiser, Task
from denoise.machine import cpus
from denoise.settings import Settings, read
from denoise.web import bodies, openapi, pages, routes, tracing, v2
from denoise.web.problems import RETRY_AFTER_S, STATUS, answer
from denoise.web.state import Service

REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
HUNG_UP = 499  # by the caller, as nginx has it
OTHER = "other"  # where a path is none of ours: a label for each would have no end
LOGGED = {"x-model": "model", "x-execution-provider": "provider", "server-timing": "stages"}
Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)
requests_log = logging.getLogger("denoise.requests")


def create_app(settings: Settings | None = None) -> "App":
    """The service as an ASGI app, every model loaded and proved.

    Raises:
        SetupError: a setting, a model file or the device does not hold; the message says which.
    """
    settings = settings or read()
    settings = settings.model_copy(update={"threads": settings.threads or cpus()})
    assert settings.threads
    app = App(
        title="Denoise",
        version=__version__,
        summary="Cleans noisy pictures of handwritten digits with autoencoders.",
        docs_url=None,  # the pages below are the same with scripts served from here
        redoc_url=None,
        openapi_tags=openapi.TAGS,
        redirect_slashes=False,  # a body is rarely sent a second time
        telemetry=tracing.options(),
        exception_handlers={
            **dict.fromkeys(STATUS, _request_error),
            HTTPException: _http_error,
            RequestValidationError: _invalid,
            ClientDisconnect: _gone,
            Exception: _fault,
        },
    )
    app.state.service = Service(
        settings,
        *_models(settings),
        Batcher(settings.deadline_seconds),
        Gate(settings.queue, "pictures"),
        Gate(settings.queue_bytes, "bytes of large bodies"),
        anyio.CapacityLimiter(max(1, settings.threads // (settings.workers or 1))),
    )
    metrics.serves(_told_of(app.state.service.denoisers))
    app.include_router(routes.images_api)
    app.include_router(routes.service_api)
    app.include_router(v2.api)
    app.mount("/static", pages.Files(directory=pages.STATIC))
    app.add_api_route("/", pages.playground, include_in_schema=False)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    openapi.describe(app.openapi(), app.state.service)
    return app


def _models(settings: Settings) -> tuple[dict[str, Denoiser], dict[Task, str | None]]:
    """Every model, and the default of each task. Raises SetupError."""
    assert settings.threads
    denoisers = denoiser.load(settings.models, settings.device, settings.threads)
    return denoisers, {
        "denoise": denoiser.default(denoisers, "denoise", settings.default_model),
        "reconstruct": denoiser.default(denoisers, "reconstruct"),
    }


def _told_of(denoisers: Mapping[str, Denoiser]) -> set[tuple[str, str, str]]:
    return {(model.name, model.sha256, model.provider) for model in denoisers.values()}


class App(FastAPI):
    """FastAPI, but pictures go straight to their route.

    Its own way there, middleware and routing, takes longer than a small model's run. Every answer gets an
    `X-Request-ID`: the caller's own where it is a plain token, else a new one.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.straight = {
            route.path: route.get_route_handler()
            for route in routes.images_api.routes
            if isinstance(route, routes.ImageRoute)
        }
        self.traced = tracing.wanted()  # then they go FastAPI's way, which tells of them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        start = time.perf_counter()
        request = Request(scope, receive, send)
        request_id = request_id_of(bodies.header(request, b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        service: Service = self.state.service
        tag = [(b"x-request-id", request_id.encode())]
        if service.draining:  # so that the caller looks for another one
            tag.append((b"connection", b"close"))

        straight = self.straight.get(scope["path"]) if scope["method"] == "POST" and not self.traced else None
        if straight or (scope["method"] == "POST" and service.settings.api_keys):
            scope["app"] = self
            response = await self._answer(straight, request)
            if response:
                response.raw_headers += tag
                route = scope["path"] if straight else OTHER
                told(service, route, request_id, response.status_code, response.headers, time.perf_counter() - start)
                await response(scope, receive, send)
                return

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *tag]
                route = getattr(scope.get("route"), "path", OTHER)
                headers = Headers(raw=message["headers"])
                told(service, route, request_id, message["status"], headers, time.perf_counter() - start)
            await send(message)

        await super().__call__(scope, receive, tagged)

    async def _answer(self, straight: Handler | None, request: Request) -> Response | None:
        """The answer to a POST; None when it is to be found the usual way."""
        try:
            _check_key(request, self.state.service.settings.api_keys)
            return await straight(request) if straight else None
        except errors.RequestError as error:
            return await _request_error(request, error)
        except ClientDisconnect as error:
            return await _gone(request, error)
        except Exception as error:
            log.exception("The service failed on request %s", request.state.request_id)
            return await _fault(request, error)

    async def reload(self) -> None:
        """Loads and proves the models anew, and serves these from then on; if one fails, all stay as they were."""
        service: Service = self.state.service
        before = _told_of(service.denoisers)
        try:
            service.denoisers, service.defaults = await run_in_threadpool(_models, service.settings)
        except errors.SetupError as error:
            log.error("The models stay as they were. %s", error)  # noqa: TRY400  # the sentence says it all
            return
        except Exception:  # a bug of ours: nobody awaits this task, so only the log can tell
            log.exception("The models stay as they were.")
            return
        metrics.serves(_told_of(service.denoisers), no_more=before - _told_of(service.denoisers))
        service.batcher = Batcher(service.settings.deadline_seconds)  # the old one finishes what waits in it
        openapi.describe(self.openapi(), service)
        log.info("The models have been loaded anew: %s", ", ".join(service.denoisers))


def told(
    service: Service, route: str, request_id: str, status: int, headers: Mapping[str, str], seconds: float
) -> None:
    """Counts an answer that is about to go out, and logs it."""
    metrics.answered(route, status, seconds)
    if service.settings.log_requests or tracing.wanted():
        line = {"request_id": request_id, "route": route, "status": int(status), "ms": round(1000 * seconds, 3)}
        line |= {word: headers[name] for name, word in LOGGED.items() if name in headers}
        if service.settings.log_requests:
            requests_log.info("answered", extra=line)
        if tracing.wanted():
            tracing.note(line)


def request_id_of(sent: str) -> str:
    """The caller's own id for a request where it is a plain token, else a new one."""
    return sent if REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()


def _check_key(request: Request, keys: Sequence[SecretStr]) -> None:
    """Raises Unauthorized when there are keys and the request bears none of them."""
    if not keys:
        return
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    # all are compared, and each takes as long whatever was sent: time tells nothing about a key
    right = [hmac.compare_digest(sent.strip().encode(), key.get_secret_value().encode()) for key in keys]
    if scheme.lower() != "bearer" or not any(right):
        raise errors.Unauthorized("A key is needed here: send the header `Authorization: Bearer <key>`.")


def _problem(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": "Bearer", "Connection": "close", **(headers or {})}
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # what follows on the connection is no request
        headers = {"Connection": "close", **(headers or {})}
    if status in RETRY_AFTER_S:
        headers = {"Retry-After": RETRY_AFTER_S[HTTPStatus(status)], **(headers or {})}
    content, media_type = answer(status, detail, request.scope["path"], request.state.request_id)
    return JSONResponse(content, status, headers, media_type=media_type)


async def _request_error(request: Request, error: Exception) -> Response:
    metrics.refused(type(error).__name__)
    return _problem(request, STATUS[type(error)], str(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, bodies.sentences(error.errors()))


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: no such route, no such method."""
    assert isinstance(error, HTTPException)
    details = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}; /docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed at {request.url.path}.",
    }
    detail = details.get(HTTPStatus(error.status_code), error.detail)
    return _problem(request, error.status_code, detail, dict(error.headers or {}))


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=HUNG_UP)  # nobody reads this but the log


async def _fault(request: Request, _error: Exception) -> Response:
    """A bug of ours: the log has the trace, the caller the id to ask by."""
    return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed on this request; its log says why.")


async def _docs(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        title=f"{request.app.title}: OpenAPI",
        openapi_url=f"{root}/openapi.json",
        swagger_js_url=f"{root}/static/swagger-ui/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/static/swagger-ui/swagger-ui.css",
        swagger_favicon_url=f"{root}/static/favicon.svg",
    )
