"""Where pictures are cleaned: by a model in this process and others like it, or by a running service."""

from typing import NamedTuple

from denoise import __version__, machine
from denoise.bulk import arrays
from denoise.bulk.picture_files import Cleaner, cleaner
from denoise.bulk.processes import PROCESSES_ON_A_GPU, Engine
from denoise.bulk.provenance import Maker
from denoise.cli.client import HttpClient
from denoise.errors import UnknownModel
from denoise.inference import denoiser
from denoise.pictures.parameters import Parameters
from denoise.settings import Settings

REQUESTS_AT_A_TIME = 8  # A service may be asked for more than there are CPUs here: waiting costs nothing.


class Backend(NamedTuple):
    """What cleans pictures.

    Attributes:
        clean: cleans one picture; threads may share it.
        work: what is done with arrays.
        maker: what the answers are labelled with.
        engine: what other processes need to do the same; None when a service does the work.
        jobs: how many pictures are worked on at a time.
    """

    clean: Cleaner
    work: arrays.Work
    maker: Maker
    engine: Engine | None
    jobs: int


def local(settings: Settings, parameters: Parameters, jobs: int | None) -> Backend:
    """A model in this process. Raises SetupError, UnknownModel."""
    models = denoiser.load(settings.models, settings.device, machine.cpus())
    name = parameters.model or denoiser.default(models, "denoise", settings.default_model) or next(iter(models))
    if name not in models:
        raise UnknownModel(f"There is no model named '{name}'; there are: {', '.join(models)}.")
    path = settings.models / f"{name}.onnx"
    (model,) = denoiser.load_files([path], settings.device, machine.cpus(), settings.precision)
    maker = Maker(__version__, name, model.sha256, parameters)
    jobs = jobs or min(machine.cpus(), PROCESSES_ON_A_GPU if model.way.on_gpu else machine.cpus())
    return Backend(
        cleaner(model, parameters, settings.max_pixels),
        arrays.work(model, model.size, jobs, parameters),
        maker,
        Engine(path, model.way, maker, settings.max_pixels),
        jobs,
    )


def remote(url: str, key: str | None, parameters: Parameters, jobs: int | None) -> Backend:
    """A running service. Raises BadParameter, UnknownModel, Unanswered."""
    service = HttpClient(url, key)
    cards = {card.name: card for card in service.models()}
    best = (card.name for card in cards.values() if card.default and card.task == "denoise")
    name = parameters.model or next(best, next(iter(cards), ""))
    if name not in cards:
        raise UnknownModel(f"{url} has no model named '{name}'; there are: {', '.join(cards) or 'none'}.")
    card = cards[name]
    parameters = parameters.model_copy(update={"model": name})
    jobs = jobs or REQUESTS_AT_A_TIME
    return Backend(
        lambda content, kind: service.clean(content, kind, card.task, parameters),
        arrays.work(lambda pixels: service.run(name, pixels), card.size, jobs, parameters),
        Maker(service.version(), name, card.sha256, parameters),
        None,
        jobs,
    )
