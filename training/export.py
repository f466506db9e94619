"""A trained Keras network becomes models/<name>.onnx: converted, proved equal, written in one step.

The file explains itself: models/README.md is the contract that the metadata written here keep.
"""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import onnx
import onnx.numpy_helper
import onnx.reference
import onnxruntime
import tensorflow as tf
import tf2onnx

from training import mixtures, naming, noise
from training.mnist import Pixels
from training.recipes import Recipe

# tf2onnx writes no higher one.
OPSET = 18
# A pixel of the exported file's answer may differ so much from Keras' own, a code by this share of its largest number.
TOLERANCE = 1e-5
DIGITS_PER_CALL = 500
AXES = ("batch", "height", "width")
# The file carries so many digits with Keras' own answer to them.
PROBE_DIGITS = 2


class ExportError(Exception):
    """The converted file is not the network that was trained; the message says where they part. Nothing is written."""


class Start(NamedTuple):
    """Weights that take the place of a recipe's first stretches.

    Attributes:
        path: the exported file that has them.
        stretches: how many of the last stretches are run from there.
    """

    path: Path
    stretches: int


def export(
    recipe: Recipe,
    network: keras.Model,
    digits: Pixels,
    trained_on: int,
    scores: dict[str, float],
    out: Path,
    start: Start | None = None,
) -> Path:
    """Writes `out/<name>.onnx`, replacing an older one only when the new one is proved, and gives its path.

    Args:
        recipe: what the network was trained by.
        network: from a picture to `logits` and `code`.
        digits: `[count, 28, 28, 1]`, 0 … 1; the proof runs on all of them, the first ones become the probe.
        trained_on: how many digits the network was trained on.
        scores: of the network on the test digits, kept in the file.
        out: folder.
        start: what took the place of the first stretches, where something did.

    Raises:
        ExportError: ONNX's checker, its reference evaluator or onnxruntime disagrees with Keras.
    """
    model = convert(network)
    today = datetime.now(UTC).date()
    naming.rename(model)
    naming.describe(model, recipe.name, recipe.title, recipe.task, today)
    expected = answers(network, digits)
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
        | _describe_start(start),
    )
    prove(model, digits, expected)
    if network.input.shape[1] is None:  # Another size must do as well.
        wide = np.concatenate([digits, digits[:, ::-1]], axis=2)
        prove(model, wide, answers(network, wide))
    path = out / f"{recipe.name}.onnx"
    partial = path.with_suffix(".onnx.partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)
    return path


def _data(recipe: Recipe, digits: int) -> str:
    """What the network saw clean."""
    text = f"MNIST, {digits:,} training digits"
    if any(restart.photos for restart in recipe.restarts):
        text += "; synthetic pages of these, of Hershey's vector digits and letters, and of DejaVu, STIX and CM type"
    return text


def _describe_start(start: Start | None) -> dict[str, str]:
    """Sha256 and date of the file that took the place of the first stretches, and how many stretches were run."""
    if not start:
        return {}
    date = next(entry.value for entry in onnx.load(start.path).metadata_props if entry.key == "date")
    digest = hashlib.sha256(start.path.read_bytes()).hexdigest()
    return {"started_from": f"sha256 {digest}, of {date}", "stretches": str(start.stretches)}


def _noise(recipe: Recipe) -> str:
    if recipe.noise is None:
        kinds = [*noise.KINDS]
        if any(mixtures.LOW_PASSED in restart.mixture.ways for restart in recipe.restarts):
            kinds += ["low-passed Gaussian"]
        if any(restart.photos for restart in recipe.restarts):
            kinds += ["what a photo does to a written sheet"]
        return f"any of {', '.join(kinds)}; scored under Gaussian, factor {recipe.scored_noise}"
    return f"Gaussian, factor {recipe.noise}, clipped to 0 … 1" if recipe.noise else "none"


def answers(network: keras.Model, digits: Pixels) -> dict[str, Pixels]:
    """Keras' own `restored`, and `code` where there is one, to `digits` `[count, height, width, 1]`, 0 … 1."""
    outputs = network.predict(digits, batch_size=DIGITS_PER_CALL, verbose=0)
    restored = keras.ops.convert_to_numpy(keras.ops.sigmoid(outputs["logits"]))
    return {"restored": restored} | ({"code": outputs["code"]} if "code" in outputs else {})


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


def restore(network: keras.Model, path: Path) -> None:
    """Gives a network of convolutions the weights of an exported file, and proves on the file's probe that they fit.

    Raises:
        ExportError: the file is of another network, or the network's answer to the probe is not the file's.
    """
    model = onnx.load(path)
    weights = _convolutions(model)
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    theirs, ours = ([of[0].shape for of in kernels] for kernels in (weights, [layer.weights for layer in layers]))
    if theirs != ours:
        raise ExportError(f"{path} is of another network: it has kernels of {theirs}, the recipe's has {ours}")
    for layer, kernel_and_bias in zip(layers, weights, strict=True):
        layer.set_weights(kernel_and_bias)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    shape = json.loads(metadata["probe_shape"])
    seen, expected = (
        np.frombuffer(base64.b64decode(metadata[name]), "<f4").reshape(shape)
        for name in ("probe_input", "probe_restored")
    )
    difference = float(np.max(np.abs(answers(network, seen)["restored"] - expected)))
    if not difference <= TOLERANCE:
        raise ExportError(f"the network with the weights of {path} differs from it by {difference:.2g} on the probe")


def _convolutions(model: onnx.ModelProto) -> list[list[Pixels]]:
    """Kernel and bias of each convolution, in their order in the file, laid out as Keras has them."""
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    weights = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            kernel, *bias = (stored[name] for name in node.input[1:])
            # tf2onnx leaves out a bias that is 0 everywhere.
            weights.append([kernel.transpose(2, 3, 1, 0), *(bias or [np.zeros(len(kernel), np.float32)])])
    return weights


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
