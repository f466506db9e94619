"""What a model's file says of itself, in the form that models/README.md asks for."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from denoise.errors import SetupError
from denoise.pictures import Pixels

Task = Literal["reconstruct", "denoise"]

FACTS = ("title", "training_data", "noise", "date")
_TASKS: dict[str, Task] = {"reconstruct": "reconstruct", "denoise": "denoise"}  # mypy narrows a name by it.


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    Attributes:
        name: as the model's file has it.
        shape: lengths of its axes; a name stands for a length that may change.
        type: as onnxruntime names it.
    """

    name: str
    shape: tuple[int | str, ...]
    type: str

    def __str__(self) -> str:
        return f"`{self.name}` {self.type} {list(self.shape)}"


class Description(NamedTuple):
    """The tensors of a file, in its order, and its metadata."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str]


class Probe(NamedTuple):
    """A batch `[batch, height, width, 1]`, and what Keras itself answered to it."""

    pixels: Pixels
    restored: Pixels


class Contract(NamedTuple):
    """What a file says of itself.

    Attributes:
        task: `reconstruct` or `denoise`.
        size: height and width of the pictures it takes; None when it takes any.
        facts: title, training_data, noise, date.
        scores: on the test digits, by name.
        parameters: how many numbers were trained.
        probe: what it has to be proved with.
    """

    task: Task
    size: tuple[int, int] | None
    facts: Mapping[str, str]
    scores: Mapping[str, float]
    parameters: int
    probe: Probe


def read(path: Path, description: Description) -> Contract:
    """What the file at `path` says of itself. Raises SetupError when it does not keep the contract."""
    size = _size(path, description.inputs, description.outputs)
    metadata = description.metadata
    try:
        shape = json.loads(metadata["probe_shape"])
        pixels, restored = (
            np.frombuffer(base64.b64decode(metadata[key]), "<f4").reshape(shape)
            for key in ("probe_input", "probe_restored")
        )
        return Contract(
            _TASKS[metadata["task"]],
            size,
            {key: metadata[key] for key in FACTS},
            {name: float(value) for name, value in json.loads(metadata["scores"]).items()},
            int(metadata["parameters"]),
            Probe(pixels, restored),
        )
    except KeyError as error:
        raise _broken(path, f"its metadata lack {error} or give it a value that is not known") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise _broken(path, f"its metadata cannot be read: {error}") from error


def _size(path: Path, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> tuple[int, int] | None:
    """The height and width that the contract's one input has. Raises SetupError when it is not the contract's."""
    expected = "one float32 input `image` [batch, height, width, 1] and a first output `restored` of the same shape"
    if not inputs or not outputs:
        raise _broken(path, f"{expected} are expected; it has none")
    image, restored = inputs[0], outputs[0]
    if (
        (len(inputs), image.name, restored.name, image.type, restored.type)
        != (1, "image", "restored", "tensor(float)", "tensor(float)")
        or image.shape != restored.shape
        or len(image.shape) != len(("batch", "height", "width", "channel"))
        or not isinstance(image.shape[0], str)
        or image.shape[3] != 1
    ):
        raise _broken(path, f"{expected} are expected; it has {image} and {restored}")
    _, height, width, _ = image.shape
    if isinstance(height, int) and isinstance(width, int):
        return height, width
    return None


def _broken(path: Path, why: str) -> SetupError:
    return SetupError(f"{path} does not keep the models' contract: {why}.")
