"""The image and service routes: each finds its inputs, calls, and wraps the answer."""

import asyncio
import base64
import platform
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from denoise import __version__, metrics
from denoise.errors import BadParameter, Draining, RequestError, TooLarge, UnknownModel
from denoise.inference import denoiser, tiling
from denoise.inference.denoiser import Denoiser, Task
from denoise.metrics import Stages
from denoise.pictures import SMALL_PICTURE, Pixels, framing, images, noise, strip
from denoise.pictures.framing import Frame
from denoise.pictures.uncertainty import uncertainty
from denoise.web import answers, archives, bodies, problems
from denoise.web.answers import Answer, Psnr
from denoise.web.archives import File
from denoise.web.bodies import JSON, MULTIPART, ZIP, JsonBody, Parameters
from denoise.web.state import SMALL_BODY, Service

LIMITS = {
    "max_body_bytes",
    "max_pixels",
    "max_files",
    "max_unpacked_bytes",
    "queue",
    "queue_bytes",
    "deadline_seconds",
    "upload_seconds",
    "idle_seconds",
    "max_header_bytes",
    "max_connections",
}
ARCHIVE = "pictures.zip"
AT_ONCE = 8  # pictures of a batch that are decoded in one turn of the event loop


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
        200: {
            "content": {"image/png": _BINARY, "image/webp": _BINARY, ZIP: _BINARY},
            "model": Answer | answers.Batch,
            "description": "The picture; of several, a zip of them.",
        },
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
                        "properties": {
                            "file": {
                                "type": "array",
                                "items": {"type": "string", "format": "binary"},
                                "description": "one image, or several",
                            }
                        },
                        "required": ["file"],
                    }
                },
                "image/*": _BINARY,
                "application/octet-stream": _BINARY,
                ZIP: _BINARY,
                JSON: {"schema": JsonBody.model_json_schema()},
            },
        }
    },
}


@images_api.post("/denoise", summary="Take the noise off a picture of a digit", **_IMAGE_ROUTE)
async def denoise(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """Finds out whether ink is light or dark, has a model clean the picture, and gives it back as it was otherwise.

    A model of any size gets all of the picture; one that knows 28×28 pixels gets its digit, framed as MNIST frames
    digits, and the clean digit is put back at its place. The answer has the width, the height and the polarity of what
    was sent.

    Send one picture as the body, in a form or in JSON, or several in a form or a zip. `Accept` chooses between PNG,
    WebP and JSON, which also has the hidden code and how sure the model is. Several pictures come back in a zip; those
    that are bad are told in its `problems.json`, and counted in `X-Failed-Items`.
    """
    return await _answer(request, parameters, "denoise")


@images_api.post("/reconstruct", summary="Give a digit back from its hidden code", **_IMAGE_ROUTE)
async def reconstruct(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """As `/denoise`, with a model trained on clean digits: the answer is what its hidden code kept."""
    return await _answer(request, parameters, "reconstruct")


async def _answer(request: Request, parameters: Parameters, task: Task) -> Response:
    """Reads what was sent, and has each picture go its way."""
    service: Service = request.app.state.service
    service.pictures.check()  # the sooner it is told, the less it costs those who are inside
    settings = service.settings
    size = bodies.announced(request, settings.max_body_bytes)
    with service.bodies.admit(size if size > SMALL_BODY else 0) as held:
        sent = await bodies.read(request, parameters, settings)
        held.shrink(min(held.much, sent.size))
        model = _model(service, sent.parameters.model, task)
        with service.pictures.admit(len(sent.files)):
            if sent.several:
                return await _batch(Job(request, service, model, sent.parameters), sent.files)
            media_type = answers.accepted(request, answers.OF_ONE)
            job = Job(request, service, model, sent.parameters, media_type)
            made = await job.small(sent.files[0]) or await job.large(sent.files[0])
            headers = _headers(model, made.stages)
            headers["X-Input-Inverted"] = "true" if made.inverted else "false"
            if made.told is None:
                return Response(made.image, media_type=media_type, headers=headers)
            return Response(to_json(made.told.fields()), media_type=JSON, headers=headers)


async def _batch(job: "Job", files: Sequence[File]) -> Response:
    """Several pictures at once; one that fails is told among the answers, and spoils no other."""
    started = time.perf_counter()
    media_type = answers.accepted(job.request, answers.OF_SEVERAL)
    job = replace(job, media_type=media_type, among_others=True)
    large = asyncio.Semaphore(int(job.service.large.total_tokens))  # none waits, and is late, because of its like
    running = []
    try:
        for file in files:
            running.append(asyncio.ensure_future(_tried(job, file, large)))
            if len(running) % AT_ONCE == 0:
                await asyncio.sleep(0)  # others have their turn as well
        made = await asyncio.gather(*running)
    except BaseException:  # the caller has gone, or a bug: the others' work would be for nobody
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise
    failed = [
        {"filename": file.name, "problem": result}
        for file, result in zip(files, made, strict=True)
        if isinstance(result, dict)
    ]
    if media_type == JSON:
        results = [
            {"filename": file.name, **(result.told.fields() if result.told else {})}
            if isinstance(result, Made)
            else {"filename": file.name, "problem": result}
            for file, result in zip(files, made, strict=True)
        ]
        content = await run_in_threadpool(to_json, {"results": results})
    else:
        names = archives.names([file.name for file in files], f".{answers.KINDS.get(media_type, 'png')}")
        media_type = ZIP
        members = [(name, result.image) for name, result in zip(names, made, strict=True) if isinstance(result, Made)]
        if failed:
            members.append((answers.PROBLEMS, to_json(failed, indent=2)))
        content = await run_in_threadpool(archives.pack, members)
    headers = _headers(job.model, Stages())
    headers["Server-Timing"] = f"total;dur={1000 * (time.perf_counter() - started):.3f}"
    headers["X-Failed-Items"] = str(len(failed))
    if media_type == ZIP:  # so that browsers, and /docs, offer it as a file
        headers["Content-Disposition"] = f'attachment; filename="{ARCHIVE}"'
    return Response(content, media_type=media_type, headers=headers)


async def _tried(job: "Job", file: File, large: asyncio.Semaphore) -> "Made | dict[str, str | int]":
    """What became of a file: a picture, or a problem."""
    try:
        if (made := await job.small(file)) is not None:
            return made
        async with large:
            return await job.large(file)
    except RequestError as error:
        metrics.refused(type(error).__name__)
        path, request_id = job.request.scope["path"], job.request.state.request_id
        return problems.problem(problems.STATUS[type(error)], str(error), path, request_id)


def _headers(model: Denoiser, stages: Stages) -> dict[str, str]:
    return {
        "Server-Timing": stages.header(),
        "X-Model": model.name,
        "X-Execution-Provider": model.provider,
        "Vary": "Accept",
    }


class Picture(NamedTuple):
    """A picture on its way to a model."""

    sent: Pixels
    noisy: Pixels  # the same without noise
    seen: Pixels  # by the model
    frame: Frame


class Made(NamedTuple):
    """A picture that is done."""

    image: bytes
    inverted: bool
    told: Answer | None  # where JSON is wanted
    stages: Stages


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with each picture of a request."""

    request: Request
    service: Service
    model: Denoiser
    parameters: Parameters
    media_type: str = ""
    among_others: bool = False

    async def small(self, file: File) -> Made | None:
        """The straight line: decode, fit, run, restore, encode. None when the file is not small.

        Raises RequestError.
        """
        if file.size > SMALL_BODY:
            return None
        stages = Stages()
        try:
            sent = images.decode(file.read(), SMALL_PICTURE)
        except TooLarge:
            return None
        stages.end("decode")
        picture = self._picture(sent)
        ran = await self.service.in_turn(self.request, self.model, picture.seen[np.newaxis], more=self.among_others)
        stages.milliseconds |= {"queue": 1000 * ran.waited_s, "infer": 1000 * ran.run_s}
        stages.start()
        return self._made(picture, ran.pixels[0], None if ran.code is None else ran.code[0], stages)

    async def large(self, file: File) -> Made:
        """The same for a picture that takes long: in a thread."""
        stages = Stages()
        async with self.service.large_turn(self.request, self.model):
            stages.end("queue")
            content = await run_in_threadpool(file.read)
            sent = await run_in_threadpool(images.decode, content, self.service.settings.max_pixels)
            picture = await run_in_threadpool(self._picture, sent)
            stages.end("decode")
            restored, code = await run_in_threadpool(tiling.run, self.model, picture.seen)
            metrics.ran(self.model.name, 1)
            stages.end("infer")
            return await run_in_threadpool(self._made, picture, restored, code, stages)

    def _picture(self, sent: Pixels) -> Picture:
        parameters = self.parameters
        noisy = noise.gaussian(sent, parameters.noise, parameters.seed) if parameters.noise else sent
        return Picture(sent, noisy, *framing.fit(noisy, self.model.size, framing.INVERTED[parameters.invert]))

    def _made(self, picture: Picture, answer: Pixels, code: Pixels | None, stages: Stages) -> Made:
        parameters, frame = self.parameters, picture.frame
        restored = framing.restore(answer, frame)
        shown = framing.restore(answer, frame, native=True) if parameters.size == "native" else restored
        if parameters.layout == "strip":
            shown = strip.explain(picture.noisy, picture.seen, code, restored)
        image = images.encode(shown, answers.KINDS.get(self.media_type, "png"))
        stages.end("encode")
        metrics.staged(self.model.name, stages.milliseconds.items())
        if self.media_type != JSON:
            return Made(image, frame.inverted, None, stages)
        psnr = None
        if parameters.noise:
            psnr = Psnr(before=noise.psnr(picture.sent, picture.noisy), after=noise.psnr(picture.sent, restored))
        told = Answer(
            model=self.model.name,
            provider=self.model.provider,
            width=shown.shape[1],
            height=shown.shape[0],
            inverted=frame.inverted,
            image=base64.b64encode(image).decode(),
            code=None if code is None else code.tolist(),
            uncertainty=uncertainty(picture.seen, answer),
            psnr=psnr,
            timing_ms={name: round(duration, 3) for name, duration in stages.milliseconds.items()},
        )
        return Made(image, frame.inverted, told, stages)


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
