"""The image routes: each finds its inputs, has every picture go its way, and wraps the answer."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from denoise.cleaning import Parameters
from denoise.errors import BadParameter, UnknownModel
from denoise.inference.contract import Task
from denoise.inference.denoiser import Denoiser
from denoise.web import answers, batch, bodies, openapi
from denoise.web.archives import File
from denoise.web.job import Job
from denoise.web.shortcut import ImageRoute
from denoise.web.state import Service, while_connected

router = APIRouter(tags=["images"], route_class=ImageRoute)


@router.post("/denoise", summary="Take the noise off a picture of a digit", **openapi.IMAGE_ROUTE)
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


@router.post("/reconstruct", summary="Give a digit back from its hidden code", **openapi.IMAGE_ROUTE)
async def reconstruct(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """As `/denoise`, with a model trained on clean digits: the answer is what its hidden code kept."""
    return await _answer(request, parameters, "reconstruct")


async def _answer(request: Request, parameters: Parameters, task: Task) -> Response:
    """Reads what was sent, and has each picture go its way."""
    service: Service = request.app.state.service
    service.pictures.check()  # The sooner a caller is refused, the less it costs those who are inside.
    settings = service.settings
    bodies.check_length(request, settings.max_body_bytes)
    with service.bodies.admit(0) as held:
        sent = await bodies.read(request, parameters, settings, held, service.thread_turns(request))
        model = _model(service, sent.parameters.model, task)
        with service.pictures.admit(len(sent.files)):
            media_type = answers.accepted(request, answers.OF_SEVERAL if sent.several else answers.OF_ONE)
            job = Job(request, service, model, sent.parameters, media_type, service.deadline(), sent.several)
            return await (batch.answer(job, sent.files, sent.size) if sent.several else _answer_one(job, sent.files[0]))


async def _answer_one(job: Job, file: File) -> Response:
    made = await job.run_small(file)
    if made is None:
        pixels = await job.service.thread_turns(job.request).run(job.measure, file)
        with job.service.work.admit(job.expect([pixels])):
            made = await while_connected(job.request, job.run_large(file, pixels))
    headers = answers.headers(job.model, made.stages.header())
    headers["X-Input-Inverted"] = "true" if made.inverted else "false"
    content = made.image if made.answer is None else to_json(made.answer.fields())
    return Response(content, media_type=job.media_type, headers=headers)


def _model(service: Service, name: str | None, task: Task) -> Denoiser:
    """The model that is asked for. Raises UnknownModel, and BadParameter when it has another task."""
    name = name if name is not None else service.defaults[task]
    if name is None:
        raise UnknownModel(f"No model that can {task} is served here.")
    model = service.model(name)
    if model.task != task:
        names = ", ".join(name for name, model in service.denoisers.items() if model.task == task)
        raise BadParameter(f"The model '{name}' can {model.task}, not {task}; for that there are: {names or 'none'}.")
    return model
