"""A foreign ONNX denoiser becomes a file that keeps the models' contract.

How a model understands its numbers stands nowhere in its file: all readings are tried on drawn digits, and the one that
cleans them best is taken.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from denoise.errors import SetupError
from denoise.inference import onnx_graph, proof
from denoise.inference.contract import Task
from denoise.inference.foreign import COLOR, GREY, MULTIPLES, READINGS, Form, Reading
from denoise.inference.onnx_graph import Model
from denoise.inference.onnx_runner import CPU, OnnxRunner
from denoise.pictures import Pixels
from denoise.pictures.noise import psnr

NOISE = np.float32(0.15)
# A model of any size is tried on heights and widths of so many multiples, and then on what the service may give it.
TRIED_MULTIPLES = ((3, 3), (3, 5))
SIZES = ((28, 28), (36, 44), (64, 92))
# Of readings that clean the drawn digits nearly as well as the best one, within so many dB, the simplest is taken.
NEARLY_BEST_DB = 0.5
PROBE_PICTURES, LARGEST_PROBE = 2, 56


class Trial(NamedTuple):
    """Drawn digits `[batch, height, width, 1]`, light on black, 0 … 1: clean, and with noise."""

    clean: Pixels
    noisy: Pixels


class Adoption(NamedTuple):
    """A model that keeps the contract, as the content of a file, and what was found out about it.

    Attributes:
        weights: how many numbers were trained.
        before, after: PSNR of drawn digits with noise, and of what it makes of them, in dB.
    """

    content: bytes
    form: Form
    reading: Reading
    weights: int
    before: float
    after: float


def adopt(path: Path, task: Task, facts: Mapping[str, str]) -> Adoption:
    """What the foreign model at `path` becomes; `facts` are the title, training_data and noise that it will tell.

    Raises SetupError that says what is not as it must be.
    """
    model = onnx_graph.load(path)
    form = _with_outputs(path, model, onnx_graph.read_form(path, model))
    trial = _trial(form.size)
    scores = {each: _score(path, model, form, each, trial) for each in READINGS}
    reading = next(each for each in READINGS if scores[each] >= max(scores.values()) - NEARLY_BEST_DB)
    adopted = onnx_graph.wrap(model, form, reading)
    _check_sizes(path, adopted, form)
    weights = onnx_graph.count_weights(model)
    metadata = {"task": task, **facts, "parameters": str(weights), **_probe(path, adopted, trial)}
    content = onnx_graph.describe(adopted, metadata)
    return Adoption(content, form, reading, weights, psnr(trial.clean, trial.noisy), scores[reading])


def _with_outputs(path: Path, model: Model, form: Form) -> Form:
    """The form with the channels that it gives, and the multiples that it needs. Raises SetupError when none do."""
    raw = onnx_graph.wrap(model, form, READINGS[0], as_it_comes=True)
    if form.size:
        return form._replace(channels_given=_channels_given(path, raw, form, form.size))
    troubles = []
    for multiple in MULTIPLES:
        try:
            for rows, columns in TRIED_MULTIPLES:
                channels = _channels_given(path, raw, form, (rows * multiple, columns * multiple))
        except SetupError as error:
            troubles.append(error)
        else:
            return form._replace(channels_given=channels, multiple=multiple)
    raise troubles[0]


def _channels_given(path: Path, raw: Model, form: Form, size: tuple[int, int]) -> int:
    """The channels of a model's output for pictures of a size. Raises SetupError when these are not of that size."""
    pixels = np.zeros((2, *size, 1), np.float32)
    given = list(_run(path, raw, pixels).shape)
    for channels in (GREY, COLOR):
        if given == ([2, channels, *size] if form.channels_first else [2, *size, channels]):
            return channels
    raise SetupError(f"{path} gives {given} for 2 pictures of {size[1]}×{size[0]}: a picture for each is expected.")


def _trial(size: tuple[int, int] | None) -> Trial:
    """What readings are tried on: digits of that size, or a page where any size will do."""
    clean = proof.draw(size)
    return Trial(clean, proof.spoil(clean, NOISE, np.random.default_rng(proof.SEED)))


def _run(path: Path, model: Model, pixels: Pixels) -> Pixels:
    try:
        runner = OnnxRunner(path, model.SerializeToString(), CPU, "float32", any_size=False, threads=1)
        return np.asarray(runner.run(pixels)[0])
    except SetupError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no base class of their own.
        batch, height, width, _ = pixels.shape
        raise SetupError(f"{path} does not run on {batch} pictures of {width}×{height}: {error}") from None


def _score(path: Path, model: Model, form: Form, reading: Reading, trial: Trial) -> float:
    return psnr(trial.clean, _run(path, onnx_graph.wrap(model, form, reading), trial.noisy))


def _check_sizes(path: Path, model: Model, form: Form) -> None:
    """Raises SetupError unless one picture and several, and heights and widths that are multiples of 4, all do."""
    for height, width in [form.size] if form.size else SIZES:
        for batch in (1, 3):
            pixels = np.zeros((batch, height, width, 1), np.float32)
            if (given := _run(path, model, pixels).shape) != pixels.shape:
                raise SetupError(f"{path} gives {list(given)} for {list(pixels.shape)}; the same shape is expected.")


def _probe(path: Path, model: Model, trial: Trial) -> dict[str, str]:
    """The metadata that the contract asks for beside facts: the model's own answer to a probe, and no scores."""
    probe = (
        trial.noisy[:PROBE_PICTURES, :LARGEST_PROBE, :LARGEST_PROBE]
        if len(trial.noisy) == 1
        else trial.noisy[:PROBE_PICTURES]
    )
    packed = {"probe_input": probe, "probe_restored": _run(path, model, probe)}
    return {
        "scores": json.dumps({}),
        "date": datetime.now(UTC).date().isoformat(),
        "probe_shape": json.dumps(probe.shape),
        **{name: base64.b64encode(pixels.astype("<f4").tobytes()).decode() for name, pixels in packed.items()},
    }


def tell(adoption: Adoption) -> Iterator[str]:
    """What was found out, in sentences."""
    yield f"It takes pictures of {adoption.form}. It has {adoption.weights:,} numbers."
    yield f"Its pictures are {adoption.reading}."
    yield f"Drawn digits with noise have {adoption.before:.1f} dB before it and {adoption.after:.1f} dB behind it."
    if adoption.after <= adoption.before:
        yield "It does not clean these: it may be made for other pictures, or take them in a way that was not tried."
