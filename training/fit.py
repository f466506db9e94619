"""Trains a recipe's network, one epoch at a time, so that a run that is stopped can go on where it was."""

import bisect
import dataclasses
import hashlib
import itertools
import math
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training import architectures, camera, export, mixtures, noise, pages, paper, pens, photos
from training.export import Start
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


def fit(recipe: Recipe, clean: Pixels, checkpoints: Path, start: Start | None = None) -> keras.Model:
    """The recipe's network, trained on `clean` digits `[count, 28, 28, 1]`, 0 … 1.

    Where there is a `start`, its weights take the place of all stretches but the last ones, which alone are run.
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
    if start:
        export.restore(average, start.path)
        network.set_weights(average.get_weights())
    average.set_weights(network.get_weights())
    before_photos = recipe.architecture(recipe.hidden)
    before_photos.set_weights(network.get_weights())
    trainee = keras.Model(network.input, network.output["logits"])
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(trainee.trainable_variables)

    epochs_done = tf.Variable(_begins(recipe)[-1 - start.stretches] if start else 0, dtype=tf.int64)
    state = tf.train.Checkpoint(
        model=trainee, optimizer=optimizer, average=average, before_photos=before_photos, epochs_done=epochs_done
    )
    manager = tf.train.CheckpointManager(state, str(_folder(recipe, clean, checkpoints, start)), max_to_keep=1)
    if manager.restore_or_initialize():
        print(f"{recipe.name}: going on after epoch {int(epochs_done)}, kept in {manager.directory}")
    epochs = _begins(recipe)[-1]
    for epoch in range(int(epochs_done), epochs):
        restart = _restart(recipe, epoch)
        if epoch in (int(epochs_done), *_begins(recipe)):
            trainee.compile(optimizer, _divergence if restart and restart.evenly else CROSS_ENTROPY)
        if epoch == _first_with_photos(recipe):
            before_photos.set_weights(average.get_weights())
        random = np.random.default_rng([recipe.seed, epoch])
        print(f"{recipe.name}, epoch {epoch + 1} of {epochs}")
        for share_done, spoilt, target in _parts(recipe, clean, epoch, random):
            trainee.optimizer.learning_rate = _rate(recipe, epoch + share_done)
            # A batch of pages has as many pixels as one of digits; both are in random order already.
            batch = max(1, recipe.batch * SIDE**2 // target[0].size)
            print(f"  loss {_train(trainee, spoilt, target, batch):.4f} of {len(target):,} pictures")
            kept = (restart and restart.averaging) or recipe.averaging
            _move(average, network, 1 - kept)
        epochs_done.assign(epoch + 1)
        manager.save()
    _move(average, before_photos, recipe.before_photos)
    return average


def _train(trainee: keras.Model, spoilt: Pixels, target: Pixels, batch: int) -> float:
    """The mean loss of one step for each batch of the pictures, in their order.

    Keras' `fit` does the same, but sleeps for some seconds at its end, which is a quarter of the whole time here.
    """
    starts = range(0, len(target), batch)
    losses = [trainee.train_on_batch(spoilt[at : at + batch], target[at : at + batch]) for at in starts]
    return float(np.mean(losses))


def _move(network: keras.Model, other: keras.Model, share: float) -> None:
    """Moves a network's weights that share of the way to another's."""
    weights = zip(network.get_weights(), other.get_weights(), strict=True)
    network.set_weights([(1 - share) * own + share * others for own, others in weights])


def _first_with_photos(recipe: Recipe) -> int | None:
    """The first epoch that has photos, where there is one."""
    begins = zip(_begins(recipe)[1:], recipe.restarts, strict=False)
    return next((begin for begin, restart in begins if restart.photos), None)


def _parts(
    recipe: Recipe, clean: Pixels, epoch: int, random: np.random.Generator
) -> Iterator[tuple[float, Pixels, Pixels]]:
    """An epoch's pictures: the share of it that lies before them, what the network sees, and what it is to answer.

    Digits in a new order, and between them pages and pieces of photos, where there are any.
    """
    restart = _restart(recipe, epoch)
    digits = clean[random.permutation(len(clean))[: restart.digits if restart else None]]
    mixture = restart.mixture if restart else mixtures.EVEN
    of_photos = restart.photos if restart else 0
    count = (restart.parts if restart else PARTS_PER_EPOCH) if recipe.pages else 1
    # Photos take long to draw: a thread draws them while the network trains on digits.
    with ThreadPoolExecutor(1) as thread:
        for part in range(count):
            drawing = thread.submit(_photos, clean, math.ceil(of_photos / count), [recipe.seed, epoch, part])
            target = digits[part::count]
            if recipe.noise is None:
                yield part / count, mixtures.spoil(target, mixture, random), target
            else:
                yield part / count, noise.gaussian(target, recipe.noise, random), target
            if recipe.pages:
                of_pages = max(1, (restart or recipe).pages // count)
                target = _pages(clean, of_pages, restart.near if restart else 0, random)
                spoilt = mixtures.spoil(target, (restart and restart.of_pages) or mixture, random)
                yield (part + 1 / 2) / count, spoilt, target
            if of_photos:
                yield (part + 1 / 2) / count, *drawing.result()


def _photos(clean: Pixels, count: int, seed: list[int]) -> tuple[Pixels, Pixels]:
    """Pieces of photos, and the ink on them."""
    if not count:
        return clean[:0], clean[:0]
    return photos.photos(clean, count, PAGE_SIDE_PX, np.random.default_rng(seed))


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
    epochs = [restart.broken_off or restart.epochs for restart in recipe.restarts]
    return list(itertools.accumulate([0, recipe.epochs, *epochs]))


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
    begin = _begins(recipe)[number]
    stretch = recipe.restarts[number - 1] if number else recipe
    first = stretch.learning_rate
    last = recipe.last_learning_rate or first
    return last + (first - last) * (1 + math.cos(math.pi * min(1, (epoch - begin) / stretch.epochs))) / 2


def forget(recipe: Recipe, clean: Pixels, checkpoints: Path, start: Start | None = None) -> None:
    """Removes what earlier runs of this recipe on these digits kept, so that the next one begins anew."""
    shutil.rmtree(_folder(recipe, clean, checkpoints, start), ignore_errors=True)


def _folder(recipe: Recipe, clean: Pixels, checkpoints: Path, start: Start | None) -> Path:
    """A folder for this recipe, these digits, this start and this code: when one is changed, a run starts anew."""
    digest = hashlib.sha256(repr(dataclasses.replace(recipe, architecture=None)).encode())  # type: ignore[arg-type]
    digest.update(clean.tobytes())
    digest.update(start.path.read_bytes() + bytes([start.stretches]) if start else b"")
    for module in (architectures, camera, mixtures, noise, pages, paper, pens, photos, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    return checkpoints / f"{recipe.name}-{digest.hexdigest()[:12]}"
