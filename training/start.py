"""The weights of an exported file, for a network to go on from."""

import base64
import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import onnx
import onnx.numpy_helper

from training import architectures
from training.errors import TrainingError
from training.mnist import Pixels

# A network with a file's weights may differ so much from the file's own answer to its probe.
TOLERANCE = 1e-5


class StartError(TrainingError):
    """A file's weights are not those of the network that is to go on from them; the message says why."""


def restore(network: keras.Model, path: Path) -> None:
    """Gives a network of convolutions the weights of an exported file, and proves on the file's probe that they fit.

    Raises:
        StartError: the file is of another network, or the network's answer to the probe is not the file's.
    """
    model = onnx.load(path)
    weights = _convolutions(model)
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    theirs, ours = ([of[0].shape for of in kernels] for kernels in (weights, [layer.weights for layer in layers]))
    if theirs != ours:
        raise StartError(f"{path} is of another network: it has kernels of {theirs}, the recipe's has {ours}")
    for layer, kernel_and_bias in zip(layers, weights, strict=True):
        layer.set_weights(kernel_and_bias)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    shape = json.loads(metadata["probe_shape"])
    seen, expected = (
        np.frombuffer(base64.b64decode(metadata[name]), "<f4").reshape(shape)
        for name in ("probe_input", "probe_restored")
    )
    difference = float(np.max(np.abs(architectures.answers(network, seen)["restored"] - expected)))
    if not difference <= TOLERANCE:
        raise StartError(f"the network with the weights of {path} differs from it by {difference:.2g} on the probe")


def describe(path: Path) -> str:
    """Sha256 and date of the exported file."""
    date = next(entry.value for entry in onnx.load(path).metadata_props if entry.key == "date")
    return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}, of {date}"


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
