"""Trains a recipe's network, one epoch at a time, so that a run that is stopped can go on where it was."""

import hashlib
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training import noise
from training.mnist import Pixels
from training.recipes import Recipe


def fit(recipe: Recipe, clean: Pixels, checkpoints: Path) -> keras.Model:
    """The recipe's network, trained on `clean` digits `[count, 28, 28, 1]`, 0 … 1.

    After every epoch the weights and the optimizer's state are kept under `checkpoints`. A later call with the same
    recipe goes on from there. Order and noise of an epoch depend on the seed and the epoch's number alone, so a
    resumed run ends where an unbroken one does.
    """
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    network = recipe.architecture(recipe.hidden)
    trainee = keras.Model(network.input, network.output["logits"])
    trainee.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    trainee.optimizer.build(trainee.trainable_variables)

    done = tf.Variable(0, dtype=tf.int64)  # epochs
    state = tf.train.Checkpoint(model=trainee, optimizer=trainee.optimizer, done=done)
    manager = tf.train.CheckpointManager(state, str(_folder(recipe, checkpoints)), max_to_keep=1)
    if manager.restore_or_initialize():
        print(f"{recipe.name}: going on after epoch {int(done)}, kept in {manager.directory}")
    for epoch in range(int(done), recipe.epochs):
        random = np.random.default_rng([recipe.seed, epoch])
        target = clean[random.permutation(len(clean))]
        print(f"{recipe.name}, epoch {epoch + 1} of {recipe.epochs}")
        trainee.fit(
            noise.gaussian(target, recipe.noise, random),
            target,
            batch_size=recipe.batch,
            shuffle=False,  # they are in random order already
        )
        done.assign(epoch + 1)
        manager.save()
    return network


def forget(recipe: Recipe, checkpoints: Path) -> None:
    """Removes what earlier runs of this recipe kept, so that the next one begins anew."""
    shutil.rmtree(_folder(recipe, checkpoints), ignore_errors=True)


def _folder(recipe: Recipe, checkpoints: Path) -> Path:
    """A folder for this recipe's numbers and no others."""
    numbers = (recipe.hidden, recipe.noise, recipe.epochs, recipe.batch, recipe.learning_rate, recipe.seed)
    return checkpoints / f"{recipe.name}-{hashlib.sha256(repr(numbers).encode()).hexdigest()[:12]}"
