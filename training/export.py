"""A trained Keras network becomes models/<name>.onnx: converted, proved equal, written in one step.

The file explains itself: models/README.md is the contract that the metadata written here keep.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnx.reference
import onnxruntime
import tensorflow as tf
import tf2onnx

from training import architectures, naming, noise, start
from training.errors import TrainingError
from training.mnist import Pixels
from training.recipes import Recipe

# tf2onnx writes no higher one.
OPSET = 18
# A pixel of the exported file's answer may differ so much from Keras' own, a code by this share of its largest number.
TOLERANCE = 1e-5
AXES = ("batch", "height", "width")
# The file carries so many digits with Keras' own answer to them.
PROBE_DIGITS = 2


class ExportError(TrainingError):
    """The converted file is not the network that was trained; the message says where they part. Nothing is written."""


def export(
    recipe: Recipe,
    network: keras.Model,
    digits: Pixels,
    trained_on: int,
    scores: dict[str, float],
    out: Path,
    begin: Path | None = None,
) -> Path:
    """Writes `out/<name>.onnx`, replacing an older one only when the new one is proved, and gives its path.

    Args:
        recipe: what the network was trained by.
        network: from a picture to `logits` and `code`.
        digits: `[count, 28, 28, 1]`, 0 … 1; the proof runs on all of them, the first ones become the probe.
        trained_on: how many digits the network was trained on.
        scores: of the network on the test digits, kept in the file.
        out: folder.
        begin: the exported file that the run began with the weights of, where there was one.

    Raises:
        ExportError: ONNX's checker, its reference evaluator or onnxruntime disagrees with Keras.
    """
    model = convert(network)
    today = datetime.now(UTC).date()
    naming.rename(model)
    naming.describe(model, recipe.name, recipe.title, recipe.task, today)
    expected = architectures.answers(network, digits)
    probe = slice(0, PROBE_DIGITS)
    onnx.helper.set_model_props(
        model,
        {
            "task": recipe.task,
            "title": recipe.title,
            "training_data": _data(recipe, trained_on),
            "noise": _noise(recipe),
            "scores": json.dumps({name: round(value, 4) for name, value in scores.items()}),
            "date": today.isoformat(),
            "parameters": str(network.count_params()),
            "probe_shape": json.dumps(digits[probe].shape),
            "probe_input": base64.b64encode(digits[probe].astype("<f4").tobytes()).decode(),
            "probe_restored": base64.b64encode(expected["restored"][probe].astype("<f4").tobytes()).decode(),
        }
        | ({"started_from": start.describe(begin)} if begin else {}),
    )
    prove(model, digits, expected)
    if network.input.shape[1] is None:  # Another size must do as well.
        wide = np.concatenate([digits, digits[:, ::-1]], axis=2)
        prove(model, wide, architectures.answers(network, wide))
    path = out / f"{recipe.name}.onnx"
    partial = path.with_suffix(".onnx.partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)
    return path


def _data(recipe: Recipe, digits: int) -> str:
    """What the network saw clean."""
    text = f"MNIST, {digits:,} training digits"
    if recipe.blend and recipe.blend.photos:
        text += "; synthetic pages of these, of Hershey's vector digits and letters, and of DejaVu, STIX and CM type"
    return text


def _noise(recipe: Recipe) -> str:
    if recipe.blend:
        kinds = [*noise.KINDS, "low-passed Gaussian"]
        kinds += ["what a photo does to a written sheet"] if recipe.blend.photos else []
        return f"any of {', '.join(kinds)}; scored under Gaussian, factor {recipe.scored_noise}"
    return f"Gaussian, factor {recipe.noise}, clipped to 0 … 1" if recipe.noise else "none"


def convert(network: keras.Model) -> onnx.ModelProto:
    """The network as ONNX, outputs and axes named as the contract has them. The one place that knows tf2onnx."""
    signature = [tf.TensorSpec(network.input.shape, tf.float32, name="image")]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
    def function(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = network(image, training=False)
        restored = {"restored": tf.sigmoid(outputs["logits"])}
        return restored | ({"code": _code(outputs["code"])} if "code" in outputs else {})

    model: onnx.ModelProto
    model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    # tf2onnx puts the outputs in alphabetical order.
    outputs = {output.name: output for output in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend([outputs[name] for name in ("restored", "code") if name in outputs])
    for value in (*model.graph.input, *model.graph.output):
        for axis, dim in zip(AXES, value.type.tensor_type.shape.dim, strict=False):
            if not dim.HasField("dim_value"):
                dim.dim_param = axis  # tf2onnx invents a name on every run.
    # Once in many runs tf2onnx gives the first output an axis too many.
    model.graph.output[0].type.CopyFrom(model.graph.input[0].type)
    return model


def _code(code: tf.Tensor) -> tf.Tensor:
    """The code as it is. A code with height and width takes a way on which no Transpose is left in the ONNX file.

    ONNX convolves channels first. One block as large as the picture, moved to the channels and shaped back, gives the
    same numbers channels last.
    """
    if len(code.shape) == len(("batch", "units")):
        return code
    _, height, width, channels = code.shape
    if height != width:
        raise ExportError(f"the code must be square to be laid out channels last; it is {height}×{width}")
    return tf.reshape(tf.nn.space_to_depth(code, height), (-1, height, width, channels))


def prove(model: onnx.ModelProto, digits: Pixels, expected: dict[str, Pixels]) -> None:
    """Raises ExportError unless the file is valid ONNX and gives `expected`, by output, wherever it is run."""
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    runtime = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    reference: Any = onnx.reference.ReferenceEvaluator(model)  # It is slow and gets the probe only.
    for name, session, count in (("onnxruntime", runtime, len(digits)), ("onnx's evaluator", reference, PROBE_DIGITS)):
        answers = session.run(list(expected), {"image": digits[:count]})
        for (output, values), answer in zip(expected.items(), answers, strict=True):
            difference = float(np.max(np.abs(answer - values[:count])))
            if not difference <= TOLERANCE * max(1.0, float(np.max(np.abs(values)))):
                raise ExportError(f"{output} of {name} differs from Keras by {difference:.2g}, more than {TOLERANCE:g}")
