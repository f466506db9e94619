"""The image routes: each finds its inputs, has every picture go its way, and wraps the answer."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from denoise.errors import BadParameter, UnknownModel
from denoise.inference import denoiser
from denoise.inference.contract import Task
from denoise.inference.denoiser import Denoiser
from denoise.pictures.parameters import Parameters
from denoise.web import answers, batch, bodies, openapi
from denoise.web.archives import File
from denoise.web.bodies import ZIP
from denoise.web.job import Job
from denoise.web.page_job import PageJob
from denoise.web.shortcut import ImageRoute, PictureResponse
from denoise.web.state import Service, while_connected

router = APIRouter(tags=["images"], route_class=ImageRoute)


@router.post("/denoise", summary="Take the noise off a picture of a digit", **openapi.IMAGE_ROUTE)
async def denoise(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """Finds out whether ink is light or dark, has a model clean the picture, and gives it back as it was otherwise.

    A model of any size gets all of the picture; one that knows 28×28 pixels gets its digit, framed as MNIST frames
    digits, and the clean digit is put back at its place. The answer has the width, the height and the polarity of what
    was sent.

    Send one picture as the body, in a form or in JSON, or several in a form, a zip or a TIFF of several pages.
    `Accept`, or `format`, chooses between PNG, JPEG, WebP, TIFF and JSON, which also has the hidden code and how sure
    the model is. Several pictures come back in a zip; those that are bad are told in its `problems.json`, and counted
    in `X-Failed-Items`. Or they are the pages of a TIFF.
    """
    return await _answer(request, parameters, _denoiser)


@router.post("/reconstruct", summary="Give a digit back from its hidden code", **openapi.IMAGE_ROUTE)
async def reconstruct(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """As `/denoise`, with a model trained on clean digits: the answer is what its hidden code kept."""
    return await _answer(request, parameters, _reconstructor)


@router.post("/digits", summary="Find the digits of a page", **openapi.DIGITS_ROUTE)
async def digits(request: Request, parameters: Annotated[Parameters, Query()]) -> Response:
    """Cleans a page and gives back what is written on it: a box and a picture of each digit, in reading order.

    The pictures have 28×28 pixels, light ink on black, framed as MNIST frames its digits, so that any classifier that
    was trained on MNIST can read them. Ruled lines, specks and margins are left out. Digits that touch may stay one
    box, which is `wide` then.

    `Accept` chooses between JSON (the default), a zip of PNGs with a table of their boxes, and `application/x-npy`, an
    array `uint8 [count, 28, 28]`. Several pages come back as JSON, or as a zip with a folder for each.
    """
    return await _answer(request, parameters, _page_model, PageJob)


async def _answer(
    request: Request,
    parameters: Parameters,
    choose: Callable[[Service, str | None], Denoiser],
    kind: type[Job] = Job,
) -> Response:
    """Reads what was sent, and has each picture go its way: a `kind` of job, by the model that `choose` gives."""
    service: Service = request.app.state.service
    service.pictures.check()  # The sooner a caller is refused, the less it costs those who are inside.
    settings = service.settings
    bodies.check_length(request, settings.max_body_bytes)
    with service.bodies.admit(0) as held:
        sent = await bodies.read(request, parameters, settings, held, service.thread_turns(request))
        model = choose(service, sent.parameters.model)
        with service.pictures.admit(len(sent.files)):
            choices = kind.OF_PAGES if sent.pages > 1 else kind.OF_SEVERAL if sent.several else kind.OF_ONE
            media_type = answers.media_type(request, sent.parameters.format, choices, sent.pages)
            several = sent.several or (media_type == ZIP and kind is Job)  # A zip of one is a zip like any other.
            job = kind(request, service, model, sent.parameters, media_type, several)
            return await (batch.answer(job, sent.files, sent.size) if several else _answer_one(job, sent.files[0]))


async def _answer_one(job: Job, file: File) -> Response:
    made = await job.run_small(file)
    if made is None:
        deadline = job.service.deadline()
        pixels = await job.service.thread_turns(job.request).run(job.measure, file)
        with job.service.work.admit(job.expect([pixels])) as held:
            made = await while_connected(job.request, job.run_large(file, pixels, deadline, held))
    headers = answers.headers(job.model, made.stages.header())
    headers["X-Input-Inverted"] = "true" if made.inverted else "false"
    headers |= answers.doubt_headers(made.doubts)
    if job.media_type == ZIP:
        headers["Content-Disposition"] = batch.AS_FILE
    content = made.content if made.answer is None else to_json(made.answer.fields())
    return PictureResponse(content, job.media_type, headers)


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


_denoiser, _reconstructor = partial(_model, task="denoise"), partial(_model, task="reconstruct")


def _page_model(service: Service, name: str | None) -> Denoiser:
    """The model that is asked for, or another that takes pages. Raises UnknownModel, BadParameter."""
    return denoiser.for_pages(service.denoisers, name, service.defaults["denoise"])
