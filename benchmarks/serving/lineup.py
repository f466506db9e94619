"""The servers that are measured, and which of them are up at the same time."""

import sys
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from benchmarks import ROOT
from benchmarks.checkouts import THIS, Checkout
from denoise.inference import openvino_runner
from denoise.settings import AllowedPrecision

PROCESSES = 2  # Every stack has as many, where it has processes.
DIGITS_PER_TENSOR = 64
OURS = "this service"
REFERENCE = "bare Starlette, work inline"
IN_BFLOAT16 = "bare Starlette, OpenVINO in bfloat16"
STACKS = "benchmarks.serving.stacks"


@dataclass(frozen=True)
class Stack:
    """A server to measure. In its command, path and environment `PORT` stands for the port.

    Attributes:
        form: whether it takes a form with a file; other stacks take the picture as the body.
        fixed: whether it gives an answer that was there before, without any work.
        digits_per_tensor: if any, requests are binary tensors of so many digits.
        precision: `auto` where the model may multiply in bfloat16.
        timed_in_process: whether its model is timed without a server, between its turns.
        folder: where its command runs.
    """

    name: str
    model: str
    command: tuple[str, ...]
    form: bool = False
    path: str = "/denoise"
    environment: dict[str, str] = field(default_factory=dict)
    fixed: bool = False
    digits_per_tensor: int = 0
    precision: AllowedPrecision = "float32"
    timed_in_process: bool = False
    folder: Path = ROOT

    @property
    def row(self) -> str:
        """What the tables call it."""
        return self.name if self.fixed else f"{self.name}, {self.model}"


def ours(model: str, checkout: Checkout = THIS) -> Stack:
    """The service itself, which is sent a picture as the body."""
    environment = {
        "DENOISE_PORT": "PORT",
        "DENOISE_LOG_REQUESTS": "false",
        "DENOISE_WORKERS": str(PROCESSES),
        "DENOISE_PRECISION": "auto",
    }
    return Stack(
        OURS,
        model,
        checkout.command,
        path=f"/denoise?model={model}",
        environment=environment | checkout.environment,
        precision="auto",
        timed_in_process=True,
        folder=checkout.folder,
    )


def ours_in_float32(model: str) -> Stack:
    """The service itself, which is not allowed to multiply in bfloat16."""
    stack = ours(model)
    environment = stack.environment | {"DENOISE_PRECISION": "float32"}
    return replace(stack, name=f"{OURS}, float32", environment=environment, precision="float32")


def ours_the_long_way(model: str) -> Stack:
    """The service itself without its short way past FastAPI."""
    command = (sys.executable, "-m", f"{STACKS}.long_way")
    return replace(ours(model), name=f"{OURS}, the long way", command=command, timed_in_process=False)


def ours_counting_at_once(model: str) -> Stack:
    """The service itself, but every observation is counted when it is made."""
    command = (sys.executable, "-m", f"{STACKS}.counting_at_once")
    return replace(ours(model), name=f"{OURS}, counting at once", command=command, timed_in_process=False)


def ours_by_form(model: str, checkout: Checkout = THIS) -> Stack:
    """The service itself, which is sent a form with a file."""
    return replace(ours(model, checkout), name=f"{OURS}, form", form=True, timed_in_process=False)


def ours_by_tensor(model: str, checkout: Checkout = THIS) -> Stack:
    """The service itself, which is sent many digits at once by the Open Inference Protocol."""
    stack = ours(model, checkout)
    room_for_all_callers = {"DENOISE_QUEUE": "10000"}
    return replace(
        stack,
        name=f"{OURS}, {DIGITS_PER_TENSOR} digits as a tensor",
        path=f"/v2/models/{model}/infer",
        digits_per_tensor=DIGITS_PER_TENSOR,
        environment=stack.environment | room_for_all_callers,
    )


def plain(app: str) -> tuple[str, ...]:
    """The command for one of the apps in stacks/plain.py."""
    options = ("--port", "PORT", "--workers", str(PROCESSES), "--no-access-log", "--log-level", "warning")
    return (sys.executable, "-m", "uvicorn", f"{STACKS}.plain:{app}", *options)


def by_hand(model: str) -> Stack:
    """The least that a server of this model can be in float32, which is what the others are compared with."""
    return Stack(REFERENCE, model, plain("by_hand"))


def by_hand_in_bfloat16(model: str) -> tuple[Stack, ...]:
    """The same with OpenVINO, where the processor has bfloat16: the most that a server can make of it."""
    if not openvino_runner.is_installed() or not openvino_runner.has_bfloat16():
        return ()
    environment = {"PRECISION": openvino_runner.NAMES["bfloat16"]}
    return (Stack(IN_BFLOAT16, model, plain("by_hand"), environment=environment, precision="auto"),)


def elsewhere(environment: str, *arguments: str) -> tuple[str, ...]:
    """A command in the environment of another stack, which `make bench` sets up."""
    return (str(ROOT / f".venv-{environment}" / "bin" / arguments[0]), *arguments[1:])


FIXED = Stack("a fixed answer from bare Starlette", "", plain("bare"), fixed=True)
TUTORIAL = Stack("FastAPI as tutorials have it", "conv_dae", plain("tutorial"), form=True)
LITSERVE = Stack("LitServe", "conv_dae", elsewhere("litserve", "python", "-m", f"{STACKS}.lit"), form=True)
BENTOML = Stack(
    "BentoML",
    "conv_dae",
    elsewhere("bentoml", "bentoml", "serve", f"{STACKS}.bento:Denoise", "-p", "PORT", "-q"),
    form=True,
)
RAY = Stack("Ray Serve", "conv_dae", elsewhere("ray", "python", "-m", f"{STACKS}.ray_serve"))

# The stacks of a group are up together. One that costs something while nobody asks it is a group of its own.
GROUPS: tuple[tuple[Stack, ...], ...] = (
    (FIXED,),
    (
        ours("conv_dae"),
        ours_in_float32("conv_dae"),
        by_hand("conv_dae"),
        *by_hand_in_bfloat16("conv_dae"),
        ours_the_long_way("conv_dae"),
        ours_by_form("conv_dae"),
        TUTORIAL,
    ),
    (LITSERVE,),
    (BENTOML,),
    (RAY,),
    (
        ours("easy_dae"),
        by_hand("easy_dae"),
        ours_the_long_way("easy_dae"),
        ours_counting_at_once("easy_dae"),
    ),
    (ours("unet_dae"), ours_in_float32("unet_dae"), by_hand("unet_dae"), *by_hand_in_bfloat16("unet_dae")),
    (ours_by_tensor("conv_dae"), ours_by_tensor("unet_dae")),
)


def beside(other: Checkout) -> tuple[tuple[Stack, ...], ...]:
    """Pairs of the service as it is here and as it is in another checkout, in each way that it is asked."""
    ways = (
        *((ours, model) for model in ("conv_dae", "easy_dae", "unet_dae")),
        (ours_by_form, "conv_dae"),
        *((ours_by_tensor, model) for model in ("conv_dae", "unet_dae")),
    )
    pairs = [(way(model), way(model, other)) for way, model in ways]
    return tuple(
        (replace(here, timed_in_process=False), replace(there, name=f"{there.name} there", timed_in_process=False))
        for here, there in pairs
    )


def all_stacks() -> list[Stack]:
    """Every stack of GROUPS, in the order of the table."""
    return list(chain.from_iterable(GROUPS))
