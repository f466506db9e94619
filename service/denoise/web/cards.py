"""What /models and /info tell, as models that OpenAPI has as schemas."""

import platform
import time
from dataclasses import asdict

from pydantic import BaseModel, Field

from denoise import __version__
from denoise.inference import ways
from denoise.inference.contract import Task
from denoise.inference.denoiser import Denoiser
from denoise.settings import AllowedPrecision, Device, Precision
from denoise.web.state import Service


class TensorCard(BaseModel):
    """An input or output of a model."""

    name: str
    shape: list[int | str] = Field(description="lengths of its axes; a name stands for a length that may change")
    type: str = Field(description="as onnxruntime names it")


class ModelCard(BaseModel):
    """What a model is for, what it takes and gives, what it was trained on and how well it does."""

    name: str
    task: Task
    default: bool = Field(description="whether it answers when a request for its task names none")
    title: str
    training_data: str
    noise: str = Field(description="what it was trained to take off")
    date: str = Field(description="when it was trained")
    parameters: int = Field(description="how many numbers were trained")
    scores: dict[str, float] = Field(description="on MNIST's test digits, by name")
    inputs: list[TensorCard]
    outputs: list[TensorCard]
    sha256: str = Field(description="of the model's file")
    provider: str = Field(description="where it runs")
    precision: Precision = Field(description="in which it multiplies")


class Models(BaseModel):
    """All models that are served."""

    models: list[ModelCard]


class Limits(BaseModel):
    """The settings of the same names, which docs/settings.md explains."""

    max_body_bytes: int
    max_pixels: int
    max_files: int
    max_request_pixels: int
    max_unpacked_bytes: int
    queue: int
    queue_bytes: int
    deadline_seconds: float
    upload_seconds: float
    idle_seconds: float
    max_header_bytes: int
    max_connections: int


class SelfCheck(BaseModel):
    """How far the models' answers to their probes are from those of the framework that trained them."""

    tolerances: dict[str, float] = Field(description="the largest difference with which each model is served")
    differences: dict[str, float] = Field(description="the largest difference found at the start, by model")


class Info(BaseModel):
    """What runs here."""

    versions: dict[str, str] = Field(description="of the service and of what it is made with, by name")
    device: Device = Field(description="what was asked for")
    precision: AllowedPrecision = Field(description="what was asked for")
    providers: dict[str, str] = Field(description="what each model got")
    precisions: dict[str, Precision] = Field(description="what each model got")
    ruled_out: dict[str, dict[str, str]] = Field(description="why each model does not run in each of the other ways")
    threads: int = Field(description="how many work on one large picture")
    limits: Limits
    uptime_seconds: float
    self_check: SelfCheck


def describe_model(service: Service, model: Denoiser) -> ModelCard:
    """One model's card."""
    return ModelCard(
        name=model.name,
        task=model.task,
        default=service.defaults[model.task] == model.name,
        title=model.facts["title"],
        training_data=model.facts["training_data"],
        noise=model.facts["noise"],
        date=model.facts["date"],
        parameters=model.parameters,
        scores=model.scores,
        inputs=[TensorCard(**asdict(tensor)) for tensor in model.inputs],
        outputs=[TensorCard(**asdict(tensor)) for tensor in model.outputs],
        sha256=model.sha256,
        provider=model.provider,
        precision=model.precision,
    )


def describe_service(service: Service) -> Info:
    """Versions, the device asked for and what each model got, limits, uptime, and the start-up self-check."""
    settings, models = service.settings, service.denoisers.values()
    assert settings.threads
    return Info(
        versions={"denoise": __version__, "python": platform.python_version(), **ways.versions()},
        device=settings.device,
        precision=settings.precision,
        providers={model.name: model.provider for model in models},
        precisions={model.name: model.precision for model in models},
        ruled_out={model.name: {str(way): why for way, why in model.ruled_out.items()} for model in models},
        threads=settings.threads,
        limits=Limits(**settings.model_dump(include=set(Limits.model_fields))),
        uptime_seconds=round(time.monotonic() - service.started, 3),
        self_check=SelfCheck(
            tolerances={model.name: ways.TOLERANCES[model.precision].largest for model in models},
            differences={model.name: model.difference for model in models},
        ),
    )
