"""What tells of the service: models, versions and limits, probes, and numbers for Prometheus."""

from fastapi import APIRouter, Request, Response

from denoise import metrics
from denoise.errors import Draining
from denoise.web import cards
from denoise.web.answers import LONGEST_ACCEPT
from denoise.web.openapi import METRICS_ROUTE, UNKNOWN, problem_responses
from denoise.web.state import Service, ThreadTurns

router = APIRouter(tags=["service"])


@router.get("/models", summary="The models' cards")
async def models(request: Request) -> cards.Models:
    """What each model is for, what it takes and gives, what it was trained on and how well it does."""
    service: Service = request.app.state.service
    return cards.Models(models=[cards.describe_model(service, model) for model in service.denoisers.values()])


@router.get("/models/{name}", summary="One model's card", responses=problem_responses({404: UNKNOWN}))
async def model(request: Request, name: str) -> cards.ModelCard:
    """The same for one model."""
    service: Service = request.app.state.service
    return cards.describe_model(service, service.model(name))


@router.get("/info", summary="What runs here")
async def info(request: Request) -> cards.Info:
    """Versions, the device asked for and what each model got, limits, uptime, and the start-up self-check."""
    return cards.describe_service(request.app.state.service)


@router.get("/livez", summary="Is the process alive?")
async def livez() -> dict[str, bool]:
    """200 while the process can answer."""
    return {"live": True}


@router.get("/readyz", summary="Should it get requests?", responses=problem_responses({503: "It is about to stop."}))
async def readyz(request: Request) -> dict[str, bool]:
    """200 when every model has loaded and passed its self-check; 503 while draining. Before that nothing listens."""
    if request.app.state.service.draining:
        raise Draining("The service is stopping and takes no new work soon; another one should be asked.")
    return {"ready": True}


@router.get("/metrics", name="metrics", summary="Numbers for Prometheus", **METRICS_ROUTE)
async def prometheus(request: Request) -> Response:
    """Requests and their time by route and status, batches, stages, what waits, what was refused, the models.

    The numbers are the sums over all worker processes.
    """
    turns = ThreadTurns(request.app.state.service.scrapes, request)
    accept = request.headers.get("accept", "")[:LONGEST_ACCEPT]
    content, media_type = await turns.run(metrics.exposition, accept)
    return Response(content, media_type=media_type)
