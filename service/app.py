"""Puts the service together: models at start-up, routes, and the table from what can go wrong to a status."""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service import __version__, bodies, denoiser, errors, routes
from service.batching import Batcher, Gate
from service.denoiser import Denoiser, Task
from service.settings import Settings, cpus, read

STATUS: dict[type[Exception], HTTPStatus] = {
    errors.BrokenBody: HTTPStatus.BAD_REQUEST,
    errors.UnknownModel: HTTPStatus.NOT_FOUND,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedKind: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.BadParameter: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Slow: HTTPStatus.REQUEST_TIMEOUT,
    errors.Busy: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Draining: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Late: HTTPStatus.GATEWAY_TIMEOUT,
}
RETRY_AFTER_S = {HTTPStatus.SERVICE_UNAVAILABLE: "5", HTTPStatus.TOO_MANY_REQUESTS: "1"}
UNREAD = (
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_TIMEOUT,
)  # what follows on the connection is no request
REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
Handler = Callable[[Request], Awaitable[Response]]
STATIC = Path(__file__).parent / "static"

log = logging.getLogger(__name__)


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
        redirect_slashes=False,  # a body is rarely sent a second time
        exception_handlers={
            **dict.fromkeys(STATUS, _request_error),
            HTTPException: _http_error,
            RequestValidationError: _invalid,
            ClientDisconnect: _gone,
            Exception: _fault,
        },
    )
    app.state.service = routes.Service(
        settings,
        *_models(settings),
        Batcher(settings.deadline_seconds),
        Gate(settings.queue, "pictures"),
        Gate(settings.queue_bytes, "bytes of large bodies"),
        anyio.CapacityLimiter(max(1, settings.threads // (settings.workers or 1))),
    )
    app.include_router(routes.images_api)
    app.include_router(routes.service_api)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_api_route("/", _home, include_in_schema=False)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/redoc", _redoc, include_in_schema=False)
    _describe_models(app)
    return app


def _models(settings: Settings) -> tuple[dict[str, Denoiser], dict[Task, str | None]]:
    """Every model, and the default of each task. Raises SetupError."""
    assert settings.threads
    denoisers = denoiser.load(settings.models, settings.device, settings.threads)
    return denoisers, {
        "denoise": denoiser.default(denoisers, "denoise", settings.default_model),
        "reconstruct": denoiser.default(denoisers, "reconstruct"),
    }


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request_id = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        straight = self.straight.get(scope["path"]) if scope["method"] == "POST" else None
        if straight:
            scope["app"] = self
            response = await self._answer(straight, Request(scope, receive, send))
            response.raw_headers.append((b"x-request-id", request_id.encode()))
            if self.state.service.draining:  # so that the caller looks for another one
                response.raw_headers.append((b"connection", b"close"))
            await response(scope, receive, send)
            return

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        await super().__call__(scope, receive, tagged)

    async def reload(self) -> None:
        """Loads and proves the models anew, and serves these from then on; if one fails, all stay as they were."""
        service: routes.Service = self.state.service
        try:
            service.denoisers, service.defaults = await run_in_threadpool(_models, service.settings)
        except errors.SetupError as error:
            log.error("The models stay as they were. %s", error)  # noqa: TRY400  # the sentence says it all
            return
        service.batcher = Batcher(service.settings.deadline_seconds)  # the old one finishes what waits in it
        _describe_models(self)
        log.info("The models have been loaded anew: %s", ", ".join(service.denoisers))

    async def _answer(self, straight: Handler, request: Request) -> Response:
        try:
            return await straight(request)
        except errors.RequestError as error:
            return await _request_error(request, error)
        except ClientDisconnect as error:
            return await _gone(request, error)
        except Exception as error:
            log.exception("The service failed on request %s", request.state.request_id)
            return await _fault(request, error)


def _problem(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An RFC 9457 problem."""
    content = {
        "type": "about:blank",  # the status says it all; the detail is for people
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail.encode(errors="replace").decode(),  # a caller's lone surrogates are no UTF-8
        "instance": request.url.path,
        "request_id": request.state.request_id,
    }
    if status in UNREAD:
        headers = {"Connection": "close", **(headers or {})}
    if status in RETRY_AFTER_S:
        headers = {"Retry-After": RETRY_AFTER_S[HTTPStatus(status)], **(headers or {})}
    return JSONResponse(content, status, headers, media_type=routes.PROBLEM)


async def _request_error(request: Request, error: Exception) -> Response:
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
    return Response(status_code=HTTPStatus.BAD_REQUEST)  # the caller hung up while sending: nobody reads this


async def _fault(request: Request, _error: Exception) -> Response:
    """A bug of ours: the log has the trace, the caller the id to ask by."""
    return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed on this request; its log says why.")


async def _home(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


async def _docs(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        title=f"{request.app.title}: OpenAPI",
        openapi_url=f"{root}/openapi.json",
        swagger_js_url=f"{root}/static/swagger-ui/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/static/swagger-ui/swagger-ui.css",
        swagger_favicon_url=f"{root}/static/favicon.svg",
    )


async def _redoc(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "")
    return get_redoc_html(
        title=f"{request.app.title}: OpenAPI",
        openapi_url=f"{root}/openapi.json",
        redoc_js_url=f"{root}/static/redoc/redoc.standalone.js",
        redoc_favicon_url=f"{root}/static/favicon.svg",
        with_google_fonts=False,
    )


def _describe_models(app: FastAPI) -> None:
    """Puts the names that each route's `model` may have into OpenAPI, where they become a list to choose from."""
    service: routes.Service = app.state.service
    for task, default in service.defaults.items():
        operation = app.openapi()["paths"][f"/{task}"]["post"]
        for parameter in operation["parameters"]:
            if parameter["name"] == "model":
                names = [name for name, model in service.denoisers.items() if model.task == task]
                parameter["schema"] = {"type": "string", "enum": names, "default": default}
