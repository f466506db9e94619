"""The networks, each a Keras model from a picture to its `logits` and its hidden `code`.

They give logits, not pixels, because the loss is cross-entropy from logits; the sigmoid comes last, at export.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from training.errors import TrainingError
from training.mnist import SIDE, Pixels

# Four poolings take 28 pixels to 14, 7, 4 and 2.
MOST_POOLINGS = 4
# A black pixel is this probability of ink, a white one as far from 1.
SMALLEST_P = 1e-3
DIGITS_PER_CALL = 500


class ArchitectureError(TrainingError):
    """The layer sizes do not make such a network."""


def dense(hidden: Sequence[int]) -> keras.Model:
    """784 → dense ReLU of `hidden[0]` units, the code → 784 logits."""
    if len(hidden) != 1:
        raise ArchitectureError(f"A dense autoencoder has one hidden layer; {len(hidden)} sizes are given.")
    image = layers.Input((SIDE, SIDE, 1), name="image")
    code = layers.Dense(hidden[0], activation="relu")(layers.Flatten()(image))
    logits = layers.Reshape((SIDE, SIDE, 1))(layers.Dense(SIDE * SIDE)(code))
    return keras.Model(image, {"logits": logits, "code": code})


def convolutional(hidden: Sequence[int]) -> keras.Model:
    """A convolution with `hidden[i]` channels and a 2×2 max-pool per entry, then the way back up.

    With (64, 64, 32): 28 → 14 → 7 → 4×4×32, the code, → 7 → 14 → 28 by nearest-neighbour resizing, a convolution with
    32, 64 and 64 channels after each, and a last one to a single channel of logits.
    """
    if len(hidden) > MOST_POOLINGS:
        raise ArchitectureError(f"{SIDE} pixels can be halved {MOST_POOLINGS} times; {len(hidden)} sizes are given.")
    image = x = layers.Input((SIDE, SIDE, 1), name="image")
    sides = []
    for channels in hidden:
        sides.append(x.shape[1])
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    code = x
    for side, channels in zip(reversed(sides), reversed(hidden), strict=True):
        x = NearestResize(side)(x)
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    logits = layers.Conv2D(1, 3, padding="same")(x)
    return keras.Model(image, {"logits": logits, "code": code})


def unet(hidden: Sequence[int]) -> keras.Model:
    """A fully convolutional U-Net with `hidden[i]` channels per scale, halving the picture in between, for any size.

    Two convolutions per scale, four at the coarsest; on the way up each scale is added to what the way down had there.
    The last layer gives two numbers per pixel: a logit of its own, and how far to trust the input's. So what is clean
    already goes through unharmed. Height and width must be multiples of 2 to the number of halvings. It has no code.
    """
    image = x = layers.Input((None, None, 1), name="image")
    skips = []
    for channels in hidden[:-1]:
        x = _twice(x, channels)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _twice(_twice(x, hidden[-1]), hidden[-1])
    for channels, skip in zip(reversed(hidden[:-1]), reversed(skips), strict=True):
        x = layers.Conv2D(4 * channels, 1)(x)
        x = layers.Add()([PixelShuffle()([x, skip]), skip])
        x = _twice(x, channels)
    own_and_trust = layers.Conv2D(2, 3, padding="same", dtype="float32")(x)
    logits = Mixed(dtype="float32")([own_and_trust, Logit(dtype="float32")(image)])
    return keras.Model(image, {"logits": logits})


def answers(network: keras.Model, digits: Pixels) -> dict[str, Pixels]:
    """A network's `restored`, and `code` where there is one, to `digits` `[count, height, width, 1]`, 0 … 1."""
    outputs = network.predict(digits, batch_size=DIGITS_PER_CALL, verbose=0)
    restored = ops.convert_to_numpy(ops.sigmoid(outputs["logits"]))
    return {"restored": restored} | ({"code": outputs["code"]} if "code" in outputs else {})


def _twice(x: KerasTensor, channels: int) -> KerasTensor:
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    return x


class PixelShuffle(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """`[batch, height, width, 4·channels]` to the shape of another picture, twice as high and wide (Shi et al., 2016).

    Onnxruntime takes several times as long for ONNX's own operator.
    """

    def call(self, inputs: tuple[KerasTensor, KerasTensor]) -> KerasTensor:
        """Moves four channels to the four pixels of a square: the first half of them to its upper row."""
        x, like = inputs
        # In memory the two rows of a square already lie one after another, so reshaping is enough.
        rows = ops.concatenate(ops.split(x, 2, axis=-1), axis=2)
        tensorflow = _tensorflow()
        return tensorflow.reshape(rows, tensorflow.shape(like)) if tensorflow else ops.reshape(rows, ops.shape(like))


class Mixed(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A network's own logit and the input's, as far as the network trusts that."""

    def call(self, inputs: tuple[KerasTensor, KerasTensor]) -> KerasTensor:
        """`[batch, height, width, 2]`, a logit and the logit of the trust, and the input's logit, to one logit."""
        own_and_trust, given = inputs
        own, trust = ops.split(own_and_trust, 2, axis=-1)
        return own + ops.sigmoid(trust) * given


class Logit(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """The inverse of the sigmoid, for pixels 0 … 1, kept finite."""

    def call(self, x: KerasTensor) -> KerasTensor:
        """`log(x / (1 - x))`, pixel by pixel of `[batch, height, width, 1]`."""
        # onnxruntime is slow at these operators where the last axis has length 1.
        x = ops.clip(ops.squeeze(x, -1), SMALLEST_P, 1 - SMALLEST_P)
        return ops.expand_dims(ops.log(x) - ops.log(1 - x), -1)


class NearestResize(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Resizes `[batch, height, width, channels]` to `side`×`side`, row i taken from row floor(i · height / side).

    That is TensorFlow 1's `resize_nearest_neighbor`, with which the tutorial was written. Keras' own layers sample at
    half-pixel centres: other rows, and an ONNX mode that has left the standard.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def call(self, x: KerasTensor) -> KerasTensor:
        """`[batch, height, width, channels]` to `[batch, side, side, channels]`."""
        if tensorflow := _tensorflow():
            return tensorflow.raw_ops.ResizeNearestNeighbor(images=x, size=(self.side, self.side))
        for axis in (1, 2):
            x = ops.take(x, np.arange(self.side) * x.shape[axis] // self.side, axis=axis)
        return x


def _tensorflow() -> Any | None:
    """TensorFlow, where it is the backend: some of its operators become fewer and faster ones in the exported file."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf  # noqa: PLC0415  # Where another backend trains there need not be one.

    return tf
