"""One row per model: its numbers, any of which the command line can replace."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from training import architectures, mixtures

TUTORIAL_NOISE = 0.5


@dataclass(frozen=True)
class Restart:
    """More epochs, the learning rate begun anew, and another mixture of noise.

    Attributes:
        epochs: how many.
        learning_rate: the one that it begins with.
        pages: pages drawn for every epoch.
        mixture: of noise, on digits, and on pages where these have none of their own.
        of_pages: the mixture on pages, where they have one of their own.
        near: share of the pages whose digits are about as large as MNIST's.
        evenly: whether pictures that are hard to clean count little more than easy ones.
        photos: pieces of synthetic photos drawn for every epoch.
        parts: of an epoch, each of digits, then of pages, then of photos.
        averaging: what the recipe's becomes.
        digits: drawn for every epoch; None: all.
        broken_off: after so many of its epochs the next restart begins, before the learning rate has fallen.
    """

    epochs: int
    learning_rate: float
    pages: int
    mixture: mixtures.Mixture
    of_pages: mixtures.Mixture | None = None
    near: float = 0.0
    evenly: bool = False
    photos: int = 0
    parts: int = 6
    averaging: float | None = None
    digits: int | None = None
    broken_off: int | None = None


@dataclass(frozen=True)
class Recipe:
    """How one model is made: what `python -m training NAME` reads.

    Attributes:
        name: the file's stem, and the model's public name everywhere.
        task: "reconstruct" (clean digits in) or "denoise" (noisy digits in).
        title: what people call it.
        architecture: makes the network from `hidden`.
        hidden: units or channels of each hidden layer on the way down.
        noise: factor of the Gaussian noise laid over the input, 0 for none; None for all of noise.KINDS.
        epochs: up to the first restart.
        batch: digits per step.
        learning_rate: Adam's.
        seed: of weights, order and noise.
        last_learning_rate: the rate falls to it along half a cosine; None: it stays.
        pages: pages of digits drawn anew for every epoch, beside the digits themselves.
        restarts: what follows the first `epochs`.
        averaging: share of the average of weights so far that is kept at each part of an epoch.
        precision: of the training's arithmetic; the exported file is float32 always.
        before_photos: share that the weights before the first stretch with photos have in the exported ones, so that
            what they knew of noise is not lost (Wortsman et al., 2022).
    """

    name: str
    task: str
    title: str
    architecture: Callable[[Sequence[int]], keras.Model]
    hidden: tuple[int, ...]
    noise: float | None
    epochs: int
    batch: int
    learning_rate: float
    seed: int
    last_learning_rate: float | None = None
    pages: int = 0
    restarts: tuple[Restart, ...] = ()
    averaging: float = 0.0
    precision: str = "float32"
    before_photos: float = 0.0

    @property
    def scored_noise(self) -> float:
        """Factor of the Gaussian noise that its scores are taken under: its own, or the tutorial's for a blind one."""
        return TUTORIAL_NOISE if self.noise is None else self.noise


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
            noise=TUTORIAL_NOISE,
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
            noise=TUTORIAL_NOISE,
            epochs=10,
            batch=128,
            learning_rate=0.001,
            seed=1,
        ),
        Recipe(
            name="unet_dae",
            task="denoise",
            title="Blind U-Net denoiser for any size",
            architecture=architectures.unet,
            hidden=(32, 64, 128),
            noise=None,
            epochs=36,
            batch=128,
            learning_rate=0.002,
            seed=1,
            last_learning_rate=1e-5,
            pages=3000,
            restarts=(
                Restart(epochs=28, learning_rate=8e-4, pages=3000, mixture=mixtures.HARD),
                Restart(epochs=12, learning_rate=6e-4, pages=9000, mixture=mixtures.HARD),
                Restart(epochs=24, learning_rate=6e-4, pages=9000, mixture=mixtures.HARDEST),
                # Before this one the committed weights had a quarter of an hour of it in a run that was broken off.
                Restart(
                    epochs=5,
                    learning_rate=5e-4,
                    pages=24_000,
                    mixture=mixtures.HARDEST,
                    of_pages=mixtures.LIGHT,
                    near=0.7,
                    evenly=True,
                ),
                Restart(
                    epochs=2,
                    learning_rate=2e-4,
                    pages=24_000,
                    mixture=mixtures.EVEN,
                    of_pages=mixtures.LIGHTEST,
                    near=0.9,
                    evenly=True,
                ),
                # The committed weights are these seven, run from a file that all before them had made: see the card.
                # The last two were runs of their own, each from the average that those before it had ended with.
                Restart(
                    epochs=7,
                    learning_rate=6e-4,
                    pages=1500,
                    mixture=mixtures.BESIDE_PHOTOS,
                    of_pages=mixtures.LIGHT_BESIDE_PHOTOS,
                    near=0.5,
                    evenly=True,
                    photos=5500,
                    parts=10,
                    averaging=0.96,
                    digits=30_000,
                    broken_off=4,
                ),
                Restart(
                    epochs=6,
                    learning_rate=4e-4,
                    pages=5000,
                    mixture=mixtures.ALL_BESIDE_PHOTOS,
                    of_pages=mixtures.ALL_ON_PAGES,
                    near=0.6,
                    evenly=True,
                    photos=3200,
                    parts=10,
                    averaging=0.96,
                    digits=24_000,
                    broken_off=1,
                ),
                Restart(
                    epochs=5,
                    learning_rate=3.5e-4,
                    pages=2500,
                    mixture=mixtures.ALL_BESIDE_PHOTOS,
                    of_pages=mixtures.ALL_ON_PAGES,
                    near=0.6,
                    evenly=True,
                    photos=1600,
                    parts=5,
                    averaging=0.95,
                    digits=12_000,
                ),
                Restart(
                    epochs=7,
                    learning_rate=3e-4,
                    pages=3200,
                    mixture=mixtures.KINDS_BESIDE_PHOTOS,
                    of_pages=mixtures.KINDS_ON_PAGES,
                    near=0.8,
                    evenly=True,
                    photos=900,
                    parts=5,
                    averaging=0.95,
                    digits=12_000,
                    broken_off=2,
                ),
                Restart(
                    epochs=7,
                    learning_rate=4e-4,
                    pages=5000,
                    mixture=mixtures.KINDS_BESIDE_PHOTOS,
                    of_pages=mixtures.KINDS_ON_PAGES,
                    near=0.7,
                    evenly=True,
                    photos=2800,
                    parts=10,
                    averaging=0.96,
                    digits=24_000,
                ),
                Restart(
                    epochs=32,
                    learning_rate=6e-4,
                    pages=2500,
                    mixture=mixtures.WHOLE,
                    of_pages=mixtures.WHOLE_ON_PAGES,
                    near=0.5,
                    evenly=True,
                    photos=4500,
                    parts=10,
                    averaging=0.96,
                    digits=24_000,
                ),
                Restart(
                    epochs=28,
                    learning_rate=5e-4,
                    pages=3500,
                    mixture=mixtures.WHOLE,
                    of_pages=mixtures.WEAKEST_ON_PAGES,
                    near=0.6,
                    evenly=True,
                    photos=4500,
                    parts=10,
                    averaging=0.97,
                    digits=24_000,
                ),
            ),
            averaging=0.9,
            before_photos=0.14,
            precision="mixed_bfloat16",  # Processors that multiply it in hardware train several times as fast.
        ),
    )
}
