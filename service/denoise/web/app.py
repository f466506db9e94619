"""Puts the service together: models at start-up, routes, pages, and what holds for every request."""

import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from denoise import __version__, errors, metrics
from denoise.inference import denoiser, ways
from denoise.inference.batching import Batcher
from denoise.inference.contract import Task
from denoise.inference.cost import Costs
from denoise.inference.denoiser import Denoiser
from denoise.inference.gate import Gate, WorkGate
from denoise.inference.turns import FairLimiter
from denoise.machine import cpus
from denoise.settings import Settings, read
from denoise.web import (
    headers,
    image_routes,
    openapi,
    pages,
    prefix,
    problems,
    service_routes,
    shortcut,
    tags,
    tracing,
    v2,
)
from denoise.web.state import MIDDLING_PIXELS, Service

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, *, short_way: bool = True) -> "App":
    """The service as an ASGI app, every model loaded and proved.

    Without `short_way` pictures go the ordinary way through FastAPI, with the same answers.

    Raises:
        SetupError: a setting, a model file or the device does not hold; the message says which.
    """
    settings = settings or read()
    settings = settings.model_copy(update={"threads": settings.threads or cpus()})
    app = App(
        _service(settings),
        short_way=short_way and not tracing.is_wanted(),  # OpenTelemetry sees only what goes through FastAPI.
        title="Denoise",
        version=__version__,
        summary="Cleans noisy pictures of handwritten digits with autoencoders.",
        docs_url=None,  # The page in pages.py loads its scripts from here.
        redoc_url=None,
        openapi_tags=openapi.TAGS,
        redirect_slashes=False,  # Few clients send a body a second time.
        generate_unique_id_function=openapi.operation_id,
        telemetry=tracing.options(),
        exception_handlers=dict.fromkeys(problems.HANDLED, problems.respond),
    )
    metrics.set_models(_labels(app.state.service.denoisers))
    metrics.set_build(__version__, ways.versions()["onnxruntime"])
    app.include_router(image_routes.router)
    app.include_router(service_routes.router)
    app.include_router(v2.router)
    app.include_router(pages.router)
    app.mount("/static", pages.Files(directory=pages.STATIC))
    openapi.describe(app.openapi(), app.state.service)
    return app


def _service(settings: Settings) -> Service:
    """The state of the process. Raises SetupError."""
    assert settings.threads
    threads = max(1, settings.threads // (settings.workers or 1))  # Workers have their large pictures at the same time.
    denoisers, defaults = _models(settings)
    costs = Costs()
    return Service(
        settings=settings,
        denoisers=denoisers,
        defaults=defaults,
        costs=costs,
        batcher=Batcher(settings.deadline_seconds, costs),
        pictures=Gate(settings.queue, "pictures"),
        bodies=Gate(settings.queue_bytes, "bytes of large bodies"),
        work=WorkGate(settings.deadline_seconds * threads),
        threads=FairLimiter(threads),
        scrapes=FairLimiter(1),
        middling=FairLimiter(MIDDLING_PIXELS),
        large=FairLimiter(settings.max_pixels),
    )


def _models(settings: Settings) -> tuple[dict[str, Denoiser], dict[Task, str | None]]:
    """Every model, and the default of each task. Raises SetupError."""
    assert settings.threads
    denoisers = denoiser.load(settings.models, settings.device, settings.threads, settings.precision)
    return denoisers, {
        "denoise": denoiser.default(denoisers, "denoise", settings.default_model),
        "reconstruct": denoiser.default(denoisers, "reconstruct"),
    }


def _labels(denoisers: Mapping[str, Denoiser]) -> set[tuple[str, str, str]]:
    """What the metrics tell of the models."""
    return {(model.name, model.sha256, model.provider) for model in denoisers.values()}


class App(FastAPI):
    """FastAPI, but every answer is tagged, every POST needs a key where there are keys, and pictures go a short way."""

    def __init__(self, service: Service, *, short_way: bool, **options: Any) -> None:
        super().__init__(**options)
        self.state.service = service
        self.short_way = shortcut.routes(image_routes.router) if short_way else {}
        origins = service.settings.cors_origins
        self._handle = _open_to(origins, self._respond) if origins else self._respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope = prefix.as_routed(scope, self.state.service.settings.root_path)
        sent_id = shortcut.header(scope, b"x-request-id")
        scope.setdefault("state", {})["request_id"] = tags.request_id(sent_id)
        await self._handle(scope, receive, tags.tag(self.state.service, scope, send))

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send)) if scope["method"] == "POST" else None
        if response:
            await response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """The refusal of a POST that lacks its key, or the answer to a picture; None for all else."""
        scope = request.scope
        route, handle = self.short_way.get(prefix.own_path(scope), (None, None))
        if route:  # Also a refusal for want of a key is logged and counted for its route.
            scope["app"], scope["route"] = self, route
        try:
            check_key(request, self.state.service.settings.api_keys)
            return await handle(request) if handle else None
        except Exception as error:
            if not isinstance(error, problems.EXPECTED):
                log.exception("The service failed on request %s", request.state.request_id)
            return await problems.respond(request, error)

    async def reload(self) -> None:
        """Loads and proves the models anew, and serves these from then on; if one fails, all stay as they were."""
        service: Service = self.state.service
        before = _labels(service.denoisers)
        try:
            service.denoisers, service.defaults = await run_in_threadpool(_models, service.settings)
        except errors.SetupError as error:
            log.error("The models stay as they were. %s", error)  # noqa: TRY400  # the sentence says it all
            return
        except Exception:  # This is a bug of ours, and nobody awaits the task: only the log can tell.
            log.exception("The models stay as they were.")
            return
        metrics.set_models(_labels(service.denoisers), gone=before - _labels(service.denoisers))
        # What waits in the batcher of before is finished there.
        service.batcher = Batcher(service.settings.deadline_seconds, service.costs)
        openapi.describe(self.openapi(), service)
        log.info("The models have been loaded anew: %s", ", ".join(service.denoisers))


def _open_to(origins: Sequence[str], app: ASGIApp) -> ASGIApp:
    """An app whose every answer, refusals included, lets web pages of these origins read it."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=("*",),
        allow_private_network=True,  # A page of the internet may call a service at home, once it is named.
        expose_headers=tuple(headers.HEADERS),
    )


def check_key(request: Request, keys: Sequence[SecretStr]) -> None:
    """Raises Unauthorized when there are keys and the request bears none of them."""
    if not keys:
        return
    authorization = request.headers.get("authorization", "")
    scheme, _, sent = authorization.partition(" ")
    # All keys are compared, each in the same time whatever was sent: time tells a caller nothing about a key.
    right = [hmac.compare_digest(sent.strip().encode(), key.get_secret_value().encode()) for key in keys]
    if scheme.lower() != "bearer" or not any(right):
        wrong = "A key is needed here, and the one that was sent is wrong" if authorization else "A key is needed here"
        raise errors.Unauthorized(f"{wrong}: send the header `Authorization: Bearer <key>`.")
