"""The Open Inference Protocol (KServe's and Triton's v2, over HTTP): tensors in, tensors out, for standard clients.

Same models, same batches, same limits as the image routes. Requests are read by hand: standard clients send no
Content-Type.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from denoise import __version__, metrics
from denoise.errors import BadTensor, UnknownModel
from denoise.inference import tiling
from denoise.inference.clock import PICTURES_PER_RUN
from denoise.inference.contract import Tensor
from denoise.inference.denoiser import Denoiser
from denoise.inference.tiling import TiledRun
from denoise.metrics import Stages
from denoise.pictures import SMALL_PICTURE, Pixels
from denoise.web import answers, bodies, openapi, tensors
from denoise.web.shortcut import header
from denoise.web.state import SMALL_BODY, Service, ThreadTurns, while_connected
from denoise.web.tensors import Inference

VERSION = "1"
PLATFORM = "onnx_onnxv1"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
# Binary tensors of up to so many bytes are read and written sooner than handed to a thread.
SMALL_TENSOR = 512 * 1024
# This header says how many bytes of JSON stand before binary tensors.
JSON_LENGTH = "Inference-Header-Content-Length"
NANOSECONDS = 1_000_000_000
STATISTICS = {"queue": "queue", "decode": "compute_input", "infer": "compute_infer", "encode": "compute_output"}
UNAVAILABLE = 503

router = APIRouter(tags=["open inference protocol"])

Route = Callable[[Any], Any]


def _of_model(what: str, summary: str) -> Route:
    """A GET route below a model's name, with and without its version."""
    responses = openapi.failure_responses({404: openapi.UNKNOWN})

    def add(endpoint: Any) -> Any:
        router.get(f"/v2/models/{{name}}/versions/{{version}}{what}", include_in_schema=False)(endpoint)
        return router.get(f"/v2/models/{{name}}{what}", summary=summary, responses=responses)(endpoint)

    return add


@router.get("/v2", summary="The server")
async def server() -> dict[str, Any]:
    """Its name, its version, and the extensions of the protocol that it keeps."""
    return {"name": "denoise", "version": __version__, "extensions": EXTENSIONS}


@router.get("/v2/health/live", summary="Is the process alive?")
async def live() -> dict[str, bool]:
    """200 while the process can answer, as `/livez`."""
    return {"live": True}


@router.get("/v2/health/ready", summary="Should it get requests?", responses={UNAVAILABLE: {"description": "Not now."}})
async def ready(request: Request) -> Response:
    """200 when all models are ready, 503 while draining, as `/readyz`."""
    draining = request.app.state.service.draining
    return JSONResponse({"live": True, "ready": not draining}, UNAVAILABLE if draining else 200)


@router.get("/v2/models", summary="The models' names")
async def models(request: Request) -> dict[str, list[str]]:
    """Of all that are served."""
    return {"models": list(request.app.state.service.denoisers)}


@router.post("/v2/repository/index", summary="The models and their state")
async def index(request: Request) -> list[dict[str, str]]:
    """Whatever is served is ready."""
    names = request.app.state.service.denoisers
    return [{"name": name, "version": VERSION, "state": "READY", "reason": ""} for name in names]


@router.get("/v2/models/stats", summary="What all models have done")
async def all_statistics(request: Request) -> dict[str, Any]:
    """Triton's statistics, summed over all worker processes; those of a model, for all."""
    service: Service = request.app.state.service
    turns = ThreadTurns(service.scrapes, request)
    return {"model_stats": [await turns.run(_statistics, model) for model in service.denoisers.values()]}


@_of_model("", "A model's tensors")
async def metadata(request: Request, name: str) -> dict[str, Any]:
    """Name, data type and shape of what it takes and gives; -1 stands for any length."""
    model = _model(request, name)
    return {
        "name": name,
        "versions": [VERSION],
        "platform": PLATFORM,
        "inputs": [{"name": tensor.name, "datatype": "FP32", "shape": _shape(tensor)} for tensor in model.inputs],
        "outputs": [{"name": tensor.name, "datatype": "FP32", "shape": _shape(tensor)} for tensor in model.outputs],
    }


@_of_model("/ready", "Is a model ready?")
async def model_ready(request: Request, name: str) -> dict[str, Any]:
    """Every model that is served is; 404 for others."""
    _model(request, name)
    return {"name": name, "ready": True}


@_of_model("/config", "A model's configuration")
async def config(request: Request, name: str) -> dict[str, Any]:
    """Triton's ModelConfig, as far as it means something here."""
    model = _model(request, name)

    def described(tensor: Tensor) -> dict[str, Any]:
        return {"name": tensor.name, "data_type": "TYPE_FP32", "dims": _shape(tensor)[1:]}

    return {
        "name": name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": max(PICTURES_PER_RUN),
        "input": [described(tensor) for tensor in model.inputs],
        "output": [described(tensor) for tensor in model.outputs],
        "dynamic_batching": {"preferred_batch_size": sorted(PICTURES_PER_RUN), "max_queue_delay_microseconds": 0},
    }


@_of_model("/stats", "What a model has done")
async def statistics(request: Request, name: str) -> dict[str, Any]:
    """Triton's statistics: requests, runs, and the time spent at each stage, since the start."""
    turns = ThreadTurns(request.app.state.service.scrapes, request)
    return {"model_stats": [await turns.run(_statistics, _model(request, name))]}


@router.post("/v2/models/{name}/versions/{version}/infer", include_in_schema=False)
@router.post("/v2/models/{name}/infer", summary="Run a model on tensors", **openapi.INFER_ROUTE)
async def infer(request: Request, name: str) -> Response:
    """Takes digits as a model sees them: light ink on black, of its own size; FP32 is 0 … 1, UINT8 is 0 … 255.

    The tensor is JSON, or bytes behind the JSON as `Inference-Header-Content-Length` says. The body may be packed
    with gzip or deflate. Answers come as they are asked for, binary or not.
    """
    service: Service = request.app.state.service
    service.pictures.check()
    limit = service.settings.max_body_bytes
    bodies.check_length(request, limit)
    with service.bodies.admit(0) as held:
        model = _model(request, name)
        stages, turns = Stages(), service.thread_turns(request)
        body, _ = await bodies.unpacked(request, limit, held, turns)
        json_length = header(request.scope, JSON_LENGTH.lower().encode())
        most = service.settings.queue, service.settings.max_pixels
        if tensors.json_bytes(json_length, len(body)) <= SMALL_BODY and len(body) <= SMALL_TENSOR:
            inference = tensors.parse(body, json_length, model, *most)
        else:
            inference = await turns.run(tensors.parse, body, json_length, model, *most)
        cost = service.costs.of_picture(model, inference.pixels.size, inference.pixels.size)
        with service.pictures.admit(), service.work.admit(cost):
            stages.end("decode")
            outputs = await _outputs(request, service, model, inference, stages)
            if len(body) <= SMALL_BODY or (len(body) <= SMALL_TENSOR and all(inference.outputs.values())):
                content, length = tensors.compose(name, VERSION, inference, outputs)
            else:
                content, length = await turns.run(tensors.compose, name, VERSION, inference, outputs)
    stages.end("encode")
    metrics.count_stages(model.name, stages.milliseconds.items())
    headers = {"Server-Timing": stages.header()} | answers.model_headers(model)
    if length == len(content):
        return Response(content, media_type="application/json", headers=headers)
    return Response(content, media_type="application/octet-stream", headers=headers | {JSON_LENGTH: str(length)})


async def _outputs(
    request: Request, service: Service, model: Denoiser, inference: Inference, stages: Stages
) -> dict[str, NDArray[Any]]:
    """The model's outputs by name."""
    pictures = inference.pixels[..., 0]
    if pictures[0].size <= SMALL_PICTURE:
        ran = await service.in_batch(request, model, pictures)
        restored, codes = ran.pixels, ran.code
        stages.milliseconds |= {"queue": 1000 * ran.waited_s, "infer": 1000 * ran.run_s}
        stages.start()
    else:
        if max(pictures[0].shape) > tiling.TILE and list(inference.outputs) != [model.outputs[0].name]:
            first = model.outputs[0].name
            raise BadTensor(f"Of pictures with a side of more than {tiling.TILE} px there is `{first}` alone.")
        restored, codes = await while_connected(request, _large_outputs(request, service, model, pictures, stages))
    outputs = {model.outputs[0].name: restored[..., np.newaxis]}
    if codes is not None:
        outputs[model.outputs[1].name] = codes
    return outputs


async def _large_outputs(
    request: Request, service: Service, model: Denoiser, pictures: Pixels, stages: Stages
) -> tuple[Pixels, Pixels | None]:
    """What a model makes of large pictures `[count, height, width]`, and their codes, by turns at the threads."""
    runs = [TiledRun(model, picture, skip_blank=model.size is None) for picture in pictures]
    async with service.turns(request, model, pictures.size, service.deadline()) as turns:
        stages.end("queue")
        for run in runs:
            while await turns.run(run.step):
                pass
        stages.end("infer")
    for run in runs:
        metrics.count_run(model.name, 1)
        service.costs.observe(model, run.pixels_run, run.seconds)
    codes = [run.code for run in runs if run.code is not None]
    return np.stack([run.answer for run in runs]), np.stack(codes) if codes else None


def _shape(tensor: Tensor) -> list[int]:
    return [side if isinstance(side, int) else -1 for side in tensor.shape]


def _model(request: Request, name: str) -> Denoiser:
    service: Service = request.app.state.service
    model = service.model(name)
    version = request.path_params.get("version", VERSION)
    if version != VERSION:
        raise UnknownModel(f"The model '{name}' has no version '{version[:100]}', only {VERSION}.")
    return model


def _statistics(model: Denoiser) -> dict[str, Any]:
    done = metrics.read_totals(model.name)
    times = {theirs: done.stages.get(ours, (0, 0.0)) for ours, theirs in STATISTICS.items()}
    times["success"] = done.stages.get("encode", (0, 0.0))[0], sum(seconds for _, seconds in times.values())
    return {
        "name": model.name,
        "version": VERSION,
        "last_inference": 0,  # Nobody knows which of many processes ran the last.
        "inference_count": done.pictures,
        "execution_count": done.runs,
        "inference_stats": {
            name: {"count": count, "ns": round(seconds * NANOSECONDS)} for name, (count, seconds) in times.items()
        },
        "batch_stats": [],
    }
