"""The image and service routes: each finds its inputs, calls, and wraps the answer."""

import base64
import platform
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import mimeparse
from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from service import __version__, bodies, denoiser, framing, images, metrics, noise, problems, strip, tiling
from service.bodies import JSON, MULTIPART, JsonBody, Parameters
from service.denoiser import Denoiser, Pixels, Task
from service.errors import BadParameter, Draining, NotAcceptable, TooLarge, UnknownModel
from service.framing import Frame
from service.metrics import Stages
from service.state import SMALL_BODY, SMALL_PICTURE, Service
from service.uncertainty import uncertainty

KINDS: dict[str, images.Kind] = {"image/png": "png", "image/webp": "webp"}
ANSWERS = (JSON, "image/webp", "image/png")  # of equally welcome ones the last is taken
LIMITS = {
    "max_body_bytes",
    "max_pixels",
    "queue",
    "queue_bytes",
    "deadline_seconds",
    "upload_seconds",
    "idle_seconds",
    "max_header_bytes",
    "max_connections",
}
INVERTED = {"auto": None, "true": True, "false": False}


class Psnr(BaseModel):
    """Peak signal-to-noise ratios, in dB."""

    before: float = Field(description="of the picture with its noise")
    after: float = Field(description="of the answer")


class Answer(BaseModel):
    """The JSON form of an answer."""

    model: str
    provider: str = Field(description="where the model ran")
    width: int
    height: int
    inverted: bool = Field(description="whether the picture was found, or said, to be dark ink on light paper")
    image: str = Field(description="base64 of a PNG")
    code: list[Any] | None = Field(description="the hidden code, in its own shape, of models that have one")
    uncertainty: float = Field(description="0 (sure) … 1: ranks answers by their error")
    psnr: Psnr | None = Field(None, description="with `noise` only: how near to the picture as it was sent")
    timing_ms: dict[str, float] = Field(description="decode, queue, infer, encode")


class ImageRoute(APIRoute):
    """A route that is called with its parameters, parsed once for all requests that have the same.

    FastAPI's own way, by its dependencies, takes longer than a small model's run.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What is called for each request; what the documentation says is read off the endpoint as ever."""

        async def handle(request: Request) -> Response:
            response: Response = await self.endpoint(request, bodies.parsed(request.scope["query_string"]))
            return response

        return handle


images_api = APIRouter(tags=["images"], route_class=ImageRoute)
service_api = APIRouter(tags=["service"])


def _problems(descriptions: Mapping[int | str, str]) -> dict[int | str, dict[str, Any]]:
    content = {problems.MEDIA_TYPE: {"schema": problems.Problem.model_json_schema()}}
    return {status: {"content": content, "description": description} for status, description in descriptions.items()}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_IMAGE_ROUTE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {"content": {"image/png": _BINARY, "image/webp": _BINARY}, "model": Answer, "description": "The picture."},
        **_problems(
            {
                400: "The body is cut, damaged or badly encoded.",
                404: "No model has that name.",
                406: "The answer cannot be had in any kind that `Accept` names.",
                413: "More bytes, pixels or files than the limits allow.",
                415: "The body is no image of a known kind.",
                408: "The body came too slowly.",
                422: "A parameter is outside its choices.",
                429: "Too many pictures are being worked on; `Retry-After` says when to try again.",
                504: "The picture waited longer than the deadline.",
            }
        ),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                MULTIPART: {
                    "schema": {
                        "type": "object",
                        "properties": {"file": {"type": "string", "format": "binary", "description": "one image"}},
                        "required": ["file"],
                    }
                },
                "image/*": _BINARY,
                "application/octet-stream": _BINARY,
                JSON: {"schema": JsonBody.model_json_schema()},
            },
        }
    },
}


@images_api.post("/denoise", summary="Take the noise off a picture of a digit", **_IMAGE_ROUTE)
async def denoise(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """Finds out whether ink is light or dark, has a model clean the picture, and gives it back as it was otherwise.

    A model of any size gets all of the picture; one that knows 28×28 pixels gets its digit, framed as MNIST frames
    digits, and the clean digit is put back at its place.
    """
    return await _answer(request, parameters, "denoise")


@images_api.post("/reconstruct", summary="Give a digit back from its hidden code", **_IMAGE_ROUTE)
async def reconstruct(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """As `/denoise`, with a model trained on clean digits: the answer is what its hidden code kept."""
    return await _answer(request, parameters, "reconstruct")


async def _answer(request: Request, parameters: Parameters, task: Task) -> Response:
    """The straight line: read, decode, fit, run, restore, encode."""
    service: Service = request.app.state.service
    service.pictures.check()  # the sooner it is told, the less it costs those who are inside
    settings = service.settings
    media_type = _accepted(request)
    size = bodies.announced(request, settings.max_body_bytes)
    with service.bodies.admit(size if size > SMALL_BODY else 0) as held:
        content, parameters = await bodies.read(request, parameters, settings.max_body_bytes)
        held.shrink(min(held.much, len(content)))
        model = _model(service, parameters.model, task)
        with service.pictures.admit():
            stages = Stages()
            try:
                sent = images.decode(content, SMALL_PICTURE) if len(content) <= SMALL_BODY else None
            except TooLarge:
                sent = None
            if sent is not None:
                stages.end("decode")
                picture = _seen(sent, model, parameters)
                (ran,) = await service.in_turn(request, model, [picture.seen])
                stages.milliseconds |= {"queue": 1000 * ran.waited_s, "infer": 1000 * ran.run_s}
                stages.start()
                return _response(picture, ran.pixels, ran.code, model, parameters, media_type, stages)
            return await _large(request, service, content, model, parameters, media_type, stages)


async def _large(
    request: Request,
    service: Service,
    content: bytes,
    model: Denoiser,
    parameters: Parameters,
    media_type: str,
    stages: Stages,
) -> Response:
    """The same for a picture that takes long: in a thread."""
    async with service.large_turn(request):
        stages.end("queue")
        sent = await run_in_threadpool(images.decode, content, service.settings.max_pixels)
        picture = await run_in_threadpool(_seen, sent, model, parameters)
        stages.end("decode")
        restored, code = await run_in_threadpool(tiling.run, model, picture.seen)
        metrics.ran(model.name, 1)
        stages.end("infer")
        return await run_in_threadpool(_response, picture, restored, code, model, parameters, media_type, stages)


class Picture(NamedTuple):
    """A picture on its way to a model."""

    sent: Pixels
    noisy: Pixels  # the same without noise
    seen: Pixels  # by the model
    frame: Frame


def _seen(sent: Pixels, model: Denoiser, parameters: Parameters) -> Picture:
    noisy = noise.gaussian(sent, parameters.noise, parameters.seed) if parameters.noise else sent
    return Picture(sent, noisy, *framing.fit(noisy, model.size, INVERTED[parameters.invert]))


def _response(
    picture: Picture,
    answer: Pixels,
    code: Pixels | None,
    model: Denoiser,
    parameters: Parameters,
    media_type: str,
    stages: Stages,
) -> Response:
    frame = picture.frame
    restored = framing.restore(answer, frame)
    shown = framing.restore(answer, frame, native=True) if parameters.size == "native" else restored
    if parameters.layout == "strip":
        shown = strip.explained(picture.noisy, picture.seen, code, restored)
    image = images.encode(shown, KINDS.get(media_type, "png"))
    stages.end("encode")
    metrics.staged(model.name, stages.milliseconds.items())
    headers = {
        "Server-Timing": stages.header(),
        "X-Model": model.name,
        "X-Execution-Provider": model.provider,
        "X-Input-Inverted": "true" if frame.inverted else "false",
        "Vary": "Accept",
    }
    if media_type != JSON:
        return Response(image, media_type=media_type, headers=headers)
    psnr = None
    if parameters.noise:
        psnr = Psnr(before=noise.psnr(picture.sent, picture.noisy), after=noise.psnr(picture.sent, restored))
    told = Answer(
        model=model.name,
        provider=model.provider,
        width=shown.shape[1],
        height=shown.shape[0],
        inverted=frame.inverted,
        image=base64.b64encode(image).decode(),
        code=None if code is None else code.tolist(),
        uncertainty=uncertainty(picture.seen, answer),
        psnr=psnr,
        timing_ms={name: round(duration, 3) for name, duration in stages.milliseconds.items()},
    )
    return Response(told.model_dump_json(exclude=None if psnr else {"psnr"}), media_type=JSON, headers=headers)


def _accepted(request: Request) -> str:
    """Which of ANSWERS the caller likes best."""
    accept = [str(value, "latin-1") for name, value in request.scope["headers"] if name == b"accept"]
    return _best(",".join(accept).lower()) if accept else ANSWERS[-1]


@lru_cache
def _best(accept: str) -> str:
    try:
        best = mimeparse.best_match(ANSWERS, accept or "*/*")
    except mimeparse.MimeTypeParseException:
        best = None
    if not best:
        raise NotAcceptable(f"Accept: {accept} leaves nothing; there are {', '.join(reversed(ANSWERS))}.")
    return str(best)


def _model(service: Service, name: str | None, task: Task) -> Denoiser:
    name = name if name is not None else service.defaults[task]
    if name is None:
        raise UnknownModel(f"No model that can {task} is served here.")
    model = service.model(name)
    if model.task != task:
        names = ", ".join(name for name, model in service.denoisers.items() if model.task == task)
        raise BadParameter(f"The model '{name}' can {model.task}, not {task}; for that there are: {names or 'none'}.")
    return model


@service_api.get("/models", summary="The models' cards")
async def models(request: Request) -> dict[str, Any]:
    """What each model is for, what it takes and gives, what it was trained on and how well it does."""
    service: Service = request.app.state.service
    return {"models": [_card(service, model) for model in service.denoisers.values()]}


@service_api.get("/models/{name}", summary="One model's card", responses=_problems({"4XX": "No model has that name."}))
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


@service_api.get("/info", summary="What runs here")
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


@service_api.head("/livez", include_in_schema=False)
@service_api.get("/livez", summary="Is the process alive?")
async def livez() -> dict[str, bool]:
    """200 while the process can answer."""
    return {"live": True}


@service_api.head("/readyz", include_in_schema=False)
@service_api.get("/readyz", summary="Should it get requests?", responses=_problems({503: "It is about to stop."}))
async def readyz(request: Request) -> dict[str, bool]:
    """200 when every model has loaded and passed its self-check; 503 while draining. Before that nothing listens."""
    if request.app.state.service.draining:
        raise Draining("The service is stopping and takes no new work soon; another one should be asked.")
    return {"ready": True}


@service_api.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def counted(request: Request) -> Response:
    """Requests and their time by route and status, batches, stages, what waits, what was refused, the models.

    The numbers are the sums over all worker processes.
    """
    content, media_type = metrics.exposition(request.headers.get("accept", ""))
    return Response(content, media_type=media_type)
