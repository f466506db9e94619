"""What tells of the service: models, versions and limits, probes, and numbers for Prometheus."""

import platform
import time
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from denoise import __version__, metrics
from denoise.errors import Draining
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser
from denoise.web.answers import LONGEST_ACCEPT
from denoise.web.openapi import problem_responses
from denoise.web.state import Service, ThreadTurns

LIMITS = {
    "max_body_bytes",
    "max_pixels",
    "max_files",
    "max_request_pixels",
    "max_unpacked_bytes",
    "queue",
    "queue_bytes",
    "deadline_seconds",
    "upload_seconds",
    "idle_seconds",
    "max_header_bytes",
    "max_connections",
}

router = APIRouter(tags=["service"])


@router.get("/models", summary="The models' cards")
async def models(request: Request) -> dict[str, Any]:
    """What each model is for, what it takes and gives, what it was trained on and how well it does."""
    service: Service = request.app.state.service
    return {"models": [_card(service, model) for model in service.denoisers.values()]}


@router.get(
    "/models/{name}", summary="One model's card", responses=problem_responses({"4XX": "No model has that name."})
)
async def model(request: Request, name: str) -> dict[str, Any]:
    """The same for one model."""
    service: Service = request.app.state.service
    return _card(service, service.model(name))


def _card(service: Service, model: Denoiser) -> dict[str, Any]:
    return {
        "name": model.name,
        "task": model.task,
        "default": service.defaults[model.task] == model.name,
        **model.facts,
        "parameters": model.parameters,
        "scores": model.scores,
        "inputs": [asdict(tensor) for tensor in model.inputs],
        "outputs": [asdict(tensor) for tensor in model.outputs],
        "sha256": model.sha256,
        "provider": model.provider,
    }


@router.get("/info", summary="What runs here")
async def info(request: Request) -> dict[str, Any]:
    """Versions, the device asked for and what each model got, limits, uptime, and the start-up self-check."""
    service: Service = request.app.state.service
    settings = service.settings
    return {
        "versions": {"denoise": __version__, "python": platform.python_version(), **denoiser.versions()},
        "device": settings.device,
        "providers": {model.name: model.provider for model in service.denoisers.values()},
        "threads": settings.threads,
        "limits": settings.model_dump(include=LIMITS),
        "uptime_seconds": round(time.monotonic() - service.started, 3),
        "self_check": {
            "tolerance": denoiser.PROBE_TOLERANCE,
            "differences": {model.name: model.difference for model in service.denoisers.values()},
        },
    }


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Is the process alive?")
async def livez() -> dict[str, bool]:
    """200 while the process can answer."""
    return {"live": True}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Should it get requests?", responses=problem_responses({503: "It is about to stop."}))
async def readyz(request: Request) -> dict[str, bool]:
    """200 when every model has loaded and passed its self-check; 503 while draining. Before that nothing listens."""
    if request.app.state.service.draining:
        raise Draining("The service is stopping and takes no new work soon; another one should be asked.")
    return {"ready": True}


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def counted(request: Request) -> Response:
    """Requests and their time by route and status, batches, stages, what waits, what was refused, the models.

    The numbers are the sums over all worker processes.
    """
    turns = ThreadTurns(request.app.state.service.scrapes, request)
    accept = request.headers.get("accept", "")[:LONGEST_ACCEPT]
    content, media_type = await turns.run(metrics.exposition, accept)
    return Response(content, media_type=media_type)
