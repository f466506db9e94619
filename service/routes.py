"""The image and service routes: each finds its inputs, calls, and wraps the answer."""

import base64
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import anyio
import mimeparse
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from service import __version__, bodies, denoiser, framing, images, noise, strip, tiling
from service.bodies import JSON, MULTIPART, JsonBody, Parameters
from service.denoiser import Denoiser, Task
from service.errors import BadParameter, Draining, NotAcceptable, UnknownModel
from service.settings import Settings
from service.uncertainty import uncertainty

KINDS: dict[str, images.Kind] = {"image/png": "png", "image/webp": "webp"}
PROBLEM = "application/problem+json"
ANSWERS = (JSON, "image/webp", "image/png")  # of equally welcome ones the last is taken
INVERTED = {"auto": None, "true": True, "false": False}


@dataclass
class Service:
    """What the routes share."""

    settings: Settings
    denoisers: Mapping[str, Denoiser]
    defaults: Mapping[Task, str | None]  # the model that answers when a request names none
    workers: anyio.CapacityLimiter  # pictures worked on at a time: each may need hundreds of megabytes
    started: float = field(default_factory=time.monotonic)
    draining: bool = False


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


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str = Field(description="a sentence with the offending value and the limit in it")
    instance: str
    request_id: str


images_api = APIRouter(tags=["images"])
service_api = APIRouter(tags=["service"])


def _problems(descriptions: Mapping[int | str, str]) -> dict[int | str, dict[str, Any]]:
    content = {PROBLEM: {"schema": Problem.model_json_schema()}}
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
                422: "A parameter is outside its choices.",
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
    service: Service = request.app.state.service
    media_type = _accepted(request)
    content, parameters = await bodies.read(request, parameters, service.settings.max_body_bytes)
    model = _model(service, parameters.model, task)
    stages = Stages()
    with stages("queue"):
        await service.workers.acquire()
    try:
        return await run_in_threadpool(_restored, content, model, parameters, media_type, service, stages)
    finally:
        service.workers.release()


def _restored(
    content: bytes, model: Denoiser, parameters: Parameters, media_type: str, service: Service, stages: "Stages"
) -> Response:
    """The straight line: decode, fit, run, restore, encode."""
    with stages("decode"):
        sent = images.decode(content, service.settings.max_pixels)
        pixels = noise.gaussian(sent, parameters.noise, parameters.seed) if parameters.noise else sent
        seen, frame = framing.fit(pixels, model.size, INVERTED[parameters.invert])
    with stages("infer"):
        answer, code = tiling.run(model, seen)
    with stages("encode"):
        restored = framing.restore(answer, frame)
        shown = framing.restore(answer, frame, native=True) if parameters.size == "native" else restored
        if parameters.layout == "strip":
            shown = strip.explained(pixels, seen, code, restored)
        image = images.encode(shown, KINDS.get(media_type, "png"))
    headers = {
        "Server-Timing": stages.header(),
        "X-Model": model.name,
        "X-Execution-Provider": model.provider,
        "X-Input-Inverted": str(frame.inverted).lower(),
        "Vary": "Accept",
    }
    if media_type != JSON:
        return Response(image, media_type=media_type, headers=headers)
    psnr = None
    if parameters.noise:
        psnr = Psnr(before=noise.psnr(sent, pixels), after=noise.psnr(sent, restored))
    told = Answer(
        model=model.name,
        provider=model.provider,
        width=shown.shape[1],
        height=shown.shape[0],
        inverted=frame.inverted,
        image=base64.b64encode(image).decode(),
        code=None if code is None else code.tolist(),
        uncertainty=uncertainty(seen, answer),
        psnr=psnr,
        timing_ms=stages.milliseconds,
    )
    return Response(told.model_dump_json(exclude=None if psnr else {"psnr"}), media_type=JSON, headers=headers)


class Stages:
    """How long each stage of a request took."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Times what runs inside."""
        start = time.perf_counter()
        yield
        self.milliseconds[name] = round((time.perf_counter() - start) * 1000, 3)

    def header(self) -> str:
        """The `Server-Timing` header (W3C)."""
        return ", ".join(f"{name};dur={duration}" for name, duration in self.milliseconds.items())


def _accepted(request: Request) -> str:
    """Which of ANSWERS the caller likes best."""
    accept = ",".join(request.headers.getlist("accept")).lower() or "*/*"
    try:
        best = mimeparse.best_match(ANSWERS, accept)
    except mimeparse.MimeTypeParseException:
        best = None
    if not best:
        raise NotAcceptable(f"Accept: {accept} leaves nothing; there are {', '.join(reversed(ANSWERS))}.")
    return str(best)


def _model(service: Service, name: str | None, task: Task) -> Denoiser:
    name = name if name is not None else service.defaults[task]
    if name is None:
        raise UnknownModel(f"No model that can {task} is served here.")
    model = _known(service, name)
    if model.task != task:
        names = ", ".join(name for name, model in service.denoisers.items() if model.task == task)
        raise BadParameter(f"The model '{name}' can {model.task}, not {task}; for that there are: {names or 'none'}.")
    return model


def _known(service: Service, name: str) -> Denoiser:
    if name not in service.denoisers:
        raise UnknownModel(f"There is no model named '{name[:100]}'; there are: {', '.join(service.denoisers)}.")
    return service.denoisers[name]


@service_api.get("/models", summary="The models' cards")
async def models(request: Request) -> dict[str, Any]:
    """What each model is for, what it takes and gives, what it was trained on and how well it does."""
    service: Service = request.app.state.service
    return {"models": [_card(service, model) for model in service.denoisers.values()]}


@service_api.get("/models/{name}", summary="One model's card", responses=_problems({"4XX": "No model has that name."}))
async def model(request: Request, name: str) -> dict[str, Any]:
    """The same for one model."""
    service: Service = request.app.state.service
    return _card(service, _known(service, name))


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
        "limits": {"max_body_bytes": settings.max_body_bytes, "max_pixels": settings.max_pixels},
        "uptime_seconds": round(time.monotonic() - service.started, 3),
        "self_check": {
            "tolerance": denoiser.PROBE_TOLERANCE,
            "differences": {model.name: model.difference for model in service.denoisers.values()},
        },
    }


@service_api.get("/livez", summary="Is the process alive?")
async def livez() -> dict[str, bool]:
    """200 while the process can answer."""
    return {"live": True}


@service_api.get("/readyz", summary="Should it get requests?", responses=_problems({503: "It is about to stop."}))
async def readyz(request: Request) -> dict[str, bool]:
    """200 when every model has loaded and passed its self-check; 503 while draining. Before that nothing listens."""
    if request.app.state.service.draining:
        raise Draining("The service is stopping and takes no new work soon; another one should be asked.")
    return {"ready": True}
