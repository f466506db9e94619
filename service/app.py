"""Puts the service together: models at start-up, routes, and the table from what can go wrong to a status."""

import logging
import re
import uuid
from http import HTTPStatus
from pathlib import Path

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import __version__, bodies, denoiser, errors, routes
from service.settings import Settings, cpus, read

STATUS: dict[type[Exception], HTTPStatus] = {
    errors.BrokenBody: HTTPStatus.BAD_REQUEST,
    errors.UnknownModel: HTTPStatus.NOT_FOUND,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedKind: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.BadParameter: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Draining: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = "5"
REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
STATIC = Path(__file__).parent / "static"

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service as an ASGI app, every model loaded and proved.

    Raises:
        SetupError: a setting, a model file or the device does not hold; the message says which.
    """
    settings = settings or read()
    settings = settings.model_copy(update={"threads": settings.threads or cpus()})
    assert settings.threads
    denoisers = denoiser.load(settings.models, settings.device, settings.threads)
    app = FastAPI(
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
        denoisers,
        {
            "denoise": denoiser.default(denoisers, "denoise", settings.default_model),
            "reconstruct": denoiser.default(denoisers, "reconstruct"),
        },
        anyio.CapacityLimiter(settings.threads),
    )
    app.include_router(routes.images_api)
    app.include_router(routes.service_api)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_api_route("/", _home, include_in_schema=False)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/redoc", _redoc, include_in_schema=False)
    app.add_middleware(RequestId)
    _describe_models(app)
    return app


class RequestId:
    """Gives every answer an `X-Request-ID`: the caller's own where it is a plain token, else a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = Request(scope).headers.get("x-request-id", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        await self.app(scope, receive, tagged)


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
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": RETRY_AFTER_S, **(headers or {})}
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
    response = _problem(
        request, HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed on this request; its log says why."
    )
    response.headers["X-Request-ID"] = request.state.request_id  # this answer does not pass RequestId
    return response


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
