"""Trains a recipe's network, one epoch at a time, so that a run that is stopped can go on where it was."""

import bisect
import dataclasses
import hashlib
import itertools
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training import architectures, noise, pages
from training.mnist import SIDE, Pixels
from training.recipes import Recipe, Restart

# An epoch with pages has so many parts, each of digits and then of pages.
PARTS_PER_EPOCH = 6
PAGE_SIDE_PX = 64
# Digits on pages are drawn at these scales; larger strokes are scaled down before a model sees them.
PAGE_SCALES = (0.7, 3.0)
NEAR_SCALES = (0.8, 1.35)
# A picture's divergence counts by this power of it: 1 is cross-entropy's own, near 0 all pictures have the same say.
EVENNESS = 0.25
# A picture that diverges by so few nats per pixel is clean enough.
LEAST_DIVERGENCE = 3e-4
CROSS_ENTROPY = keras.losses.BinaryCrossentropy(from_logits=True)


def fit(recipe: Recipe, clean: Pixels, checkpoints: Path) -> keras.Model:
    """The recipe's network, trained on `clean` digits `[count, 28, 28, 1]`, 0 … 1.

    After every epoch the weights and the optimizer's state are kept under `checkpoints`. A later call with the same
    recipe goes on from there. Order and noise of an epoch depend on the seed and the epoch's number alone, so a
    resumed run ends where an unbroken one does.
    """
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(recipe.precision)
    network = recipe.architecture(recipe.hidden)
    keras.config.set_dtype_policy("float32")
    average = recipe.architecture(recipe.hidden)
    average.set_weights(network.get_weights())
    trainee = keras.Model(network.input, network.output["logits"])
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(trainee.trainable_variables)

    epochs_done = tf.Variable(0, dtype=tf.int64)
    state = tf.train.Checkpoint(model=trainee, optimizer=optimizer, average=average, epochs_done=epochs_done)
    manager = tf.train.CheckpointManager(state, str(_folder(recipe, clean, checkpoints)), max_to_keep=1)
    if manager.restore_or_initialize():
        print(f"{recipe.name}: going on after epoch {int(epochs_done)}, kept in {manager.directory}")
    epochs = _begins(recipe)[-1]
    for epoch in range(int(epochs_done), epochs):
        if epoch in (int(epochs_done), *_begins(recipe)):
            restart = _restart(recipe, epoch)
            trainee.compile(optimizer, _divergence if restart and restart.evenly else CROSS_ENTROPY)
        random = np.random.default_rng([recipe.seed, epoch])
        print(f"{recipe.name}, epoch {epoch + 1} of {epochs}")
        for part, (spoilt, target) in enumerate(_parts(recipe, clean, epoch, random)):
            trainee.optimizer.learning_rate = _rate(recipe, epoch + part / (2 * PARTS_PER_EPOCH))
            # A batch of pages has as many pixels as one of digits; both are in random order already.
            batch = max(1, recipe.batch * SIDE**2 // target[0].size)
            trainee.fit(spoilt, target, batch_size=batch, shuffle=False)
            kept = recipe.averaging
            weights = zip(average.get_weights(), network.get_weights(), strict=True)
            average.set_weights([kept * old + (1 - kept) * new for old, new in weights])
        epochs_done.assign(epoch + 1)
        manager.save()
    return average


def _parts(recipe: Recipe, clean: Pixels, epoch: int, random: np.random.Generator) -> Iterator[tuple[Pixels, Pixels]]:
    """An epoch's pictures, spoilt and clean: all digits in a new order, and between them pages, where there are any."""
    digits = clean[random.permutation(len(clean))]
    restart = _restart(recipe, epoch)
    mixture = restart.mixture if restart else noise.EVEN
    for part in range(PARTS_PER_EPOCH if recipe.pages else 1):
        target = digits[part :: PARTS_PER_EPOCH if recipe.pages else 1]
        if recipe.noise is None:
            yield noise.mixture(target, mixture, random), target
        else:
            yield noise.gaussian(target, recipe.noise, random), target
        if recipe.pages:
            target = _pages(
                clean, max(1, (restart or recipe).pages // PARTS_PER_EPOCH), restart.near if restart else 0, random
            )
            yield noise.mixture(target, (restart and restart.of_pages) or mixture, random), target


def _pages(clean: Pixels, count: int, near: float, random: np.random.Generator) -> Pixels:
    """New pages, a share `near` of them at about the size of the digits that they are made of."""
    of_near = round(near * count)
    drawn = pages.pages(clean, count - of_near, PAGE_SIDE_PX, PAGE_SCALES, random)
    if not of_near:
        return drawn
    drawn = np.concatenate([drawn, pages.pages(clean, of_near, PAGE_SIDE_PX, NEAR_SCALES, random)])
    return drawn[random.permutation(count)]


def _divergence(truth: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Each picture's Kullback-Leibler divergence, nats per pixel, to the power of EVENNESS.

    Of cross-entropy alone a digit that can hardly be read has a hundred times the say of one that is nearly clean.
    """
    p = tf.clip_by_value(truth, 1e-6, 1 - 1e-6)
    least = -p * tf.math.log(p) - (1 - p) * tf.math.log(1 - p)
    beyond = tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=logits) - least
    return tf.pow(tf.reduce_mean(beyond, axis=(1, 2, 3)) + LEAST_DIVERGENCE, EVENNESS)


def _begins(recipe: Recipe) -> list[int]:
    """The epochs at which the recipe's stretches begin, and the one at which the last ends."""
    return list(itertools.accumulate([0, recipe.epochs, *(restart.epochs for restart in recipe.restarts)]))


def _stretch(recipe: Recipe, epoch: float) -> int:
    """0 up to the first restart, then the restart's number."""
    return bisect.bisect(_begins(recipe)[1:-1], epoch)


def _restart(recipe: Recipe, epoch: int) -> Restart | None:
    """The restart that an epoch belongs to."""
    number = _stretch(recipe, epoch)
    return recipe.restarts[number - 1] if number else None


def _rate(recipe: Recipe, epoch: float) -> float:
    """The learning rate at a point of the run: half a cosine for each stretch (Loshchilov and Hutter, 2017)."""
    number = _stretch(recipe, epoch)
    begin, end = _begins(recipe)[number : number + 2]
    first = recipe.restarts[number - 1].learning_rate if number else recipe.learning_rate
    last = recipe.last_learning_rate or first
    return last + (first - last) * (1 + math.cos(math.pi * min(1, (epoch - begin) / (end - begin)))) / 2


def forget(recipe: Recipe, clean: Pixels, checkpoints: Path) -> None:
    """Removes what earlier runs of this recipe on these digits kept, so that the next one begins anew."""
    shutil.rmtree(_folder(recipe, clean, checkpoints), ignore_errors=True)


def _folder(recipe: Recipe, clean: Pixels, checkpoints: Path) -> Path:
    """A folder for this recipe, these digits and this code: when anything is changed, a run starts anew."""
    digest = hashlib.sha256(repr(dataclasses.replace(recipe, architecture=None)).encode())  # type: ignore[arg-type]
    digest.update(clean.tobytes())
    for module in (architectures, noise, pages, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    return checkpoints / f"{recipe.name}-{digest.hexdigest()[:12]}"
