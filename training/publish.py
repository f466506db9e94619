"""A trained network becomes a model that is served: scored, exported, described. Needs TensorFlow, for the export."""

import shutil
from pathlib import Path

import keras

from training import architectures, card, export, score
from training.mnist import Pixels
from training.recipes import Recipe

# The exported file must equal Keras on so many test digits.
PROOF_DIGITS = 256


def publish(
    recipe: Recipe,
    network: keras.Model,
    test: Pixels,
    trained_on: int,
    log: Path,
    out: Path,
    begin: Path | None = None,
) -> None:
    """Writes `out/<name>.onnx`, its log, card and pictures, and a picture that compares all denoisers in `out`.

    Args:
        recipe: what the network was trained by.
        network: from a picture to `logits` and `code`.
        test: digits `[count, 28, 28, 1]`, 0 … 1, that it was not trained on.
        trained_on: how many digits it was trained on.
        log: a line for each epoch of the run.
        out: folder.
        begin: the exported file that the run began with the weights of, where there was one.

    Raises:
        ExportError: the file is not the network.
    """
    noisy = score.add_noise(test, recipe.scored_noise)
    scores = score.score(test, noisy, architectures.answers(network, noisy)["restored"])
    print(", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    path = export.export(recipe, network, noisy[:PROOF_DIGITS], trained_on, scores, out, begin)
    shutil.copyfile(log, path.with_suffix(".log"))
    card.write(recipe, path, test)
    card.compare(out, test, recipe.scored_noise)
    print(f"{path} and its card are written")
