"""Trains a recipe's network, one epoch at a time, so that a run that is stopped can go on where it was.

Any backend of Keras does it, KERAS_BACKEND chooses, and one backend can go on with what another began.
"""

import dataclasses
import hashlib
import itertools
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
from keras import KerasTensor, ops

from training import architectures, camera, mixtures, noise, pages, paper, parts, pens, photos, start
from training.mnist import SIDE, Pixels
from training.parts import Pictures
from training.recipes import Recipe

# A picture's divergence counts by this power of it: 1 is cross-entropy's own, near 0 all pictures have the same say.
EVENNESS = 0.25
# A picture that diverges by so few nats per pixel is clean enough.
LEAST_DIVERGENCE = 3e-4
CROSS_ENTROPY = keras.losses.BinaryCrossentropy(from_logits=True)


def fit(recipe: Recipe, clean: Pixels, checkpoints: Path, begin: Path | None = None) -> keras.Model:
    """The recipe's network, trained on `clean` digits `[count, 28, 28, 1]`, 0 … 1.

    It begins with the weights of the exported file `begin`, where one is given. After every epoch the weights and the
    optimizer's state are kept under `checkpoints`. A later call with the same recipe goes on from there. What an epoch
    sees depends on the seed and its number alone, so on a CPU a resumed run ends where an unbroken one does.
    """
    keras.utils.set_random_seed(recipe.seed)
    _be_deterministic()
    keras.config.set_dtype_policy(recipe.precision)
    network = recipe.architecture(recipe.hidden)
    keras.config.set_dtype_policy("float32")
    trained = recipe.architecture(recipe.hidden)
    trained.set_weights(network.get_weights())
    if begin:
        start.restore(trained, begin)
        network.set_weights(trained.get_weights())
    trainee = keras.Model(network.input, network.output["logits"])
    averaging = {"use_ema": True, "ema_momentum": recipe.averaging} if recipe.averaging else {}
    optimizer = keras.optimizers.Adam(recipe.learning_rate, **averaging)
    optimizer.build(trainee.trainable_variables)
    trainee.compile(optimizer, _divergence if recipe.blend else CROSS_ENTROPY)

    path = checkpoint(recipe, clean, checkpoints, begin)
    state = [*trainee.trainable_variables, *optimizer.variables]
    done = _restore(state, path)
    if done:
        print(f"{recipe.name}: going on after epoch {done}, kept in {path}")
    drawn = _parts(recipe, clean, range(done, recipe.all_epochs))
    for epoch in range(done, recipe.all_epochs):
        if recipe.second and epoch == recipe.epochs:
            _begin_anew(optimizer, trainee)
        losses, count = [], blend.parts if (blend := recipe.blend_at(epoch)) else 1
        for number in range(count):
            optimizer.learning_rate = _rate(recipe, epoch + number / count)
            losses += [trainee.train_on_batch(*batch) for batch in _batches(next(drawn), recipe.batch)]
        line = f"{recipe.name}, epoch {epoch + 1} of {recipe.all_epochs}: loss {np.mean(losses):.4f}"
        print(line, flush=True)
        _keep(state, epoch + 1, path)
        with log_of(path).open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}, by {keras.backend.backend()}\n")
    optimizer.finalize_variable_values(trainee.trainable_variables)  # These become the average, where there is one.
    trained.set_weights(network.get_weights())
    return trained


def _begin_anew(optimizer: keras.optimizers.Optimizer, trainee: keras.Model) -> None:
    """Gives the network the average of its weights, where there is one, and makes the optimizer forget its steps."""
    optimizer.finalize_variable_values(trainee.trainable_variables)
    for variable in optimizer.variables:
        variable.assign(ops.zeros_like(variable.value))  # JAX takes no variable itself.


def _be_deterministic() -> None:
    """Has TensorFlow, if it is the backend, take the same steps in every run. JAX does so on a CPU by itself."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  # Where another backend trains there need not be one.

        tf.config.experimental.enable_op_determinism()


def _parts(recipe: Recipe, clean: Pixels, epochs: range) -> Iterator[list[Pictures]]:
    """The parts of these epochs, in their order: of a blend many, else one of all digits."""
    if recipe.blend:
        return itertools.chain.from_iterable(
            parts.draw(clean, blend, recipe.seed, list(run))
            for blend, run in itertools.groupby(epochs, recipe.blend_at)
            if blend
        )
    return ([parts.noisy_digits(clean, recipe.noise or 0, (recipe.seed, epoch))] for epoch in epochs)


def _batches(part: list[Pictures], batch: int) -> Iterator[Pictures]:
    """The batches of a part, one of each of its kinds in turn; `batch` is in digits, and of larger pictures fewer."""
    each_kind = []
    for spoilt, target in part:
        size = max(1, batch * SIDE**2 // target[0].size)
        each_kind.append([(spoilt[at : at + size], target[at : at + size]) for at in range(0, len(target), size)])
    return (each for turn in itertools.zip_longest(*each_kind) for each in turn if each)


def _divergence(truth: KerasTensor, logits: KerasTensor) -> KerasTensor:
    """Each picture's Kullback-Leibler divergence, nats per pixel, to the power of EVENNESS.

    Of cross-entropy alone a digit that can hardly be read has a hundred times the say of one that is nearly clean.
    """
    p = ops.clip(truth, 1e-6, 1 - 1e-6)
    least = -p * ops.log(p) - (1 - p) * ops.log(1 - p)
    beyond = ops.binary_crossentropy(truth, logits, from_logits=True) - least
    return ops.power(ops.mean(beyond, axis=(1, 2, 3)) + LEAST_DIVERGENCE, EVENNESS)


def _rate(recipe: Recipe, epoch: float) -> float:
    """The learning rate at a point of the run: half a cosine down to the last (Loshchilov and Hutter, 2017).

    A cooldown ends it along a line instead (Hägele et al., 2024).
    """
    first = recipe.learning_rate
    last = recipe.last_learning_rate or first
    if recipe.second and epoch >= recipe.epochs:
        return _on_cosine((epoch - recipe.epochs) / recipe.second.epochs, recipe.second.learning_rate, last)
    on_cosine = epoch if recipe.cooldown is None else min(epoch, recipe.cooldown)
    rate = _on_cosine(on_cosine / (recipe.cosine or recipe.epochs), first, last)
    if recipe.cooldown is None or epoch <= recipe.cooldown:
        return rate
    return last + (rate - last) * (recipe.epochs - epoch) / (recipe.epochs - recipe.cooldown)


def _on_cosine(share: float, first: float, last: float) -> float:
    """The rate after a share, 0 … 1, of half a cosine from `first` down to `last`."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def forget(recipe: Recipe, clean: Pixels, checkpoints: Path, begin: Path | None = None) -> None:
    """Removes what earlier runs of this recipe on these digits kept, so that the next one begins anew."""
    path = checkpoint(recipe, clean, checkpoints, begin)
    for kept in (path, log_of(path)):
        kept.unlink(missing_ok=True)


def _keep(state: list[keras.Variable], epochs_done: int, path: Path) -> None:
    """Writes the state after so many epochs, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, epochs_done, *(variable.numpy() for variable in state))
    partial.replace(path)


def _restore(state: list[keras.Variable], path: Path) -> int:
    """Takes the state from where it was kept, and gives the number of epochs done; 0 where nothing was kept."""
    if not path.exists():
        return 0
    with np.load(path) as kept:
        epochs_done, *values = kept.values()
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    return int(epochs_done)


def log_of(path: Path) -> Path:
    """The file with a line for each epoch of the run that keeps its state at `path`."""
    return path.with_suffix(".log")


def checkpoint(recipe: Recipe, clean: Pixels, checkpoints: Path, begin: Path | None) -> Path:
    """A file for this recipe, these digits, this start and this code: when one is changed, a run starts anew."""
    network = recipe.architecture.__name__  # A function's own representation tells where in memory it is.
    digest = hashlib.sha256(repr(dataclasses.replace(recipe, architecture=network)).encode())  # type: ignore[arg-type]
    digest.update(clean.tobytes())
    digest.update(begin.read_bytes() if begin else b"")
    for module in (architectures, camera, mixtures, noise, pages, paper, parts, pens, photos, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    return checkpoints / f"{recipe.name}-{digest.hexdigest()[:12]}.npz"
