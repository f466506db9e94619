"""One row per model: its numbers, any of which the command line can replace."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras

from training import architectures, mixtures
from training.parts import Blend

TUTORIAL_NOISE = 0.5


@dataclass(frozen=True)
class SecondRun:
    """A shorter run after the first, from its weights, or their average, and with the optimizer begun anew.

    Attributes:
        epochs: how many more.
        learning_rate: Adam's; it falls along half a cosine to the recipe's `last_learning_rate`.
        blend: the pictures that the network sees.
    """

    epochs: int
    learning_rate: float
    blend: Blend


@dataclass(frozen=True)
class Recipe:
    """How one model is made: what `python -m training NAME` reads.

    Attributes:
        name: the file's stem, and the model's public name everywhere.
        task: "reconstruct" (clean digits in) or "denoise" (noisy digits in).
        title: what people call it.
        architecture: makes the network from `hidden`.
        hidden: units or channels of each hidden layer on the way down.
        noise: factor of the Gaussian noise laid over the digits, 0 for none; None for a blind one, which sees `blend`.
        epochs: how many, before those of a second run. One is all digits once, or `blend.parts` of the blend.
        batch: digits per step; of larger pictures as many as have no more pixels.
        learning_rate: Adam's.
        seed: of weights, order and noise.
        last_learning_rate: the rate falls to it along half a cosine; None: it stays.
        cooldown: the epoch from which the rate falls along a line instead, so that a run ends before its cosine does.
        cosine: epochs after which the cosine would have ended, where there is a cooldown.
        blend: the pictures that a blind denoiser sees, drawn anew for every epoch.
        last_blend: what it sees from the epoch `cooldown` to the end of the first run, where that is another.
        averaging: share of the average of weights so far that is kept at each step; 0: the last weights count.
        second: a second run, if any.
        precision: of the training's arithmetic; the exported file is float32 always.
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
    cooldown: int | None = None
    cosine: int | None = None
    blend: Blend | None = None
    last_blend: Blend | None = None
    averaging: float = 0.0
    second: SecondRun | None = None
    precision: str = "float32"

    @property
    def all_epochs(self) -> int:
        """Epochs of both runs, where there are two."""
        return self.epochs + (self.second.epochs if self.second else 0)

    def blend_at(self, epoch: int) -> Blend | None:
        """The pictures that a blind denoiser sees in an epoch, counted from 0."""
        if self.second and epoch >= self.epochs:
            return self.second.blend
        is_last = self.cooldown is not None and epoch >= self.cooldown
        return self.last_blend if is_last and self.last_blend else self.blend

    @property
    def scored_noise(self) -> float:
        """Factor of the Gaussian noise that its scores are taken under: its own, or the tutorial's for a blind one."""
        return TUTORIAL_NOISE if self.noise is None else self.noise


# Compiled networks take one number of pictures a step: these are five, four and five whole batches of 512 digits.
PICTURES = Blend(
    parts=40,
    digits=2560,
    pages=172,
    photos=215,
    on_digits=mixtures.ON_DIGITS,
    on_pages=mixtures.ON_PAGES,
    near=0.6,
)

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
            epochs=113,
            batch=512,
            learning_rate=0.002,
            seed=1,
            last_learning_rate=1e-5,
            cooldown=107,
            cosine=200,
            blend=PICTURES,
            last_blend=replace(PICTURES, on_digits=mixtures.LAST_ON_DIGITS, on_pages=mixtures.LAST_ON_PAGES),
            averaging=0.999,
            second=SecondRun(
                epochs=12,
                learning_rate=4e-4,
                blend=replace(
                    PICTURES,
                    pages=215,
                    photos=172,
                    on_digits=mixtures.SECOND_ON_DIGITS,
                    on_pages=mixtures.SECOND_ON_PAGES,
                    near=0.7,
                ),
            ),
            # GPUs, and processors that multiply it in hardware, train several times as fast.
            precision="mixed_bfloat16",
        ),
    )
}
