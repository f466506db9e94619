"""One row per model. Every number of a training run lives here; the command line can replace any of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from training import architectures


@dataclass(frozen=True)
class Recipe:
    """How one model is made: what `python -m training NAME` reads."""

    name: str  # the file's stem, and the model's public name everywhere
    task: str  # "reconstruct" (clean in) or "denoise" (noisy in)
    title: str
    architecture: Callable[[Sequence[int]], keras.Model]
    hidden: tuple[int, ...]  # units or channels of each hidden layer on the way down
    noise: float  # factor of the Gaussian noise laid over the input; 0 for none
    epochs: int
    batch: int  # digits per step
    learning_rate: float  # Adam's
    seed: int


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="basic_ae",
            task="reconstruct",
            title="Basic autoencoder",
            architecture=architectures.dense,
            hidden=(64,),
            noise=0.0,
            epochs=20,
            batch=128,
            learning_rate=0.01,
            seed=1,
        ),
        Recipe(
            name="easy_dae",
            task="denoise",
            title="Easy denoising autoencoder",
            architecture=architectures.dense,
            hidden=(32,),
            noise=0.5,
            epochs=30,
            batch=128,
            learning_rate=0.001,
            seed=2,
        ),
        Recipe(
            name="conv_dae",
            task="denoise",
            title="Convolutional denoising autoencoder",
            architecture=architectures.convolutional,
            hidden=(64, 64, 32),
            noise=0.5,
            epochs=10,
            batch=128,
            learning_rate=0.001,
            seed=1,
        ),
    )
}
