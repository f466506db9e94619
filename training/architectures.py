"""The networks, each a Keras model from a picture to its `logits` and its hidden `code`.

They give logits, not pixels, because the loss is cross-entropy from logits; the sigmoid comes last, at export.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import layers

from training.mnist import SIDE


def dense(hidden: Sequence[int]) -> keras.Model:
    """784 → dense ReLU of `hidden[0]` units, the code → 784 logits."""
    image = layers.Input((SIDE, SIDE, 1), name="image")
    code = layers.Dense(hidden[0], activation="relu")(layers.Flatten()(image))
    logits = layers.Reshape((SIDE, SIDE, 1))(layers.Dense(SIDE * SIDE)(code))
    return keras.Model(image, {"logits": logits, "code": code})


def convolutional(hidden: Sequence[int]) -> keras.Model:
    """A convolution with `hidden[i]` channels and a 2×2 max-pool per entry, then the way back up.

    With (64, 64, 32): 28 → 14 → 7 → 4×4×32, the code, → 7 → 14 → 28 by nearest-neighbour resizing, a convolution with
    32, 64 and 64 channels after each, and a last one to a single channel of logits.
    """
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


class NearestResize(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Resizes `[batch, height, width, channels]` to `side`×`side`, row i taken from row floor(i · height / side).

    That is TensorFlow 1's `resize_nearest_neighbor`, with which the tutorial was written. Keras' own layers sample at
    half-pixel centres: other rows, and an ONNX mode that has left the standard.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """`[batch, height, width, channels]` to `[batch, side, side, channels]`."""
        return tf.raw_ops.ResizeNearestNeighbor(images=x, size=(self.side, self.side))
