"""`python -m training [name ...]`: the whole run, from the MNIST archives to models, cards and pictures."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from training import fit, mnist
from training.errors import TrainingError
from training.recipes import RECIPES, Recipe


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, scores, exports and describes each model that the arguments name; all of them when they name none."""
    options = _options(arguments)
    train, test = mnist.load(options.data)
    recipes = _recipes(options)
    for recipe in recipes:
        print(f"{recipe.name}: {recipe.title}")
        if options.fresh:
            fit.forget(recipe, train.pixels, options.checkpoints, options.start_from)
        network = fit.fit(recipe, train.pixels, options.checkpoints, options.start_from)
        if not options.fit_only:
            _publish(recipe, network, train.pixels, test.pixels, options)


def _publish(
    recipe: Recipe, network: keras.Model, train: mnist.Pixels, test: mnist.Pixels, options: argparse.Namespace
) -> None:
    from training import publish  # noqa: PLC0415  # It needs TensorFlow, which a network is fitted without.

    options.out.mkdir(parents=True, exist_ok=True)
    log = fit.log_of(fit.checkpoint(recipe, train, options.checkpoints, options.start_from))
    publish.publish(recipe, network, test, len(train), log, options.out, options.start_from)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; all when none is named")
    parser.add_argument("--data", type=Path, default=Path("MNIST_data"), help="folder of the four archives")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder to write to, over what is there")
    parser.add_argument(
        "--checkpoints", type=Path, default=Path(".checkpoints"), help="what a stopped run goes on from"
    )
    parser.add_argument(
        "--fit-only",
        action="store_true",
        help="train, and leave the export to a later run, which needs TensorFlow",
    )
    parser.add_argument("--fresh", action="store_true", help="begin anew, not where a stopped run was")
    parser.add_argument(
        "--start-from", type=Path, metavar="FILE", help="an exported file whose weights the run begins with"
    )
    for name, kind in (NUMBERS | NUMBERS_OF_BLEND).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=HELP.get(name, USUAL_HELP))
    parser.add_argument("--hidden", type=_count, nargs="+", metavar="N", help="layer sizes instead of the recipe's")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in RECIPES]:
        parser.error(f"there is no recipe named {unknown[0]!r}; there are {', '.join(RECIPES)}")
    if options.start_from and len(options.names) != 1:
        parser.error("--start-from has the weights of one model: name that one")
    return options


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def _share(text: str) -> float:
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not within 0 … 1")
    return float(text)


NUMBERS: dict[str, Callable[[str], float]] = {
    "epochs": _count,
    "batch": _count,
    "learning_rate": _share,
    "noise": _share,
    "seed": int,
}
USUAL_HELP = "instead of the recipe's"
HELP = {
    "epochs": "instead of the recipe's, in one run along half a cosine, if the rate falls",
    "learning_rate": "of the first run, instead of the recipe's",
}
NUMBERS_OF_BLEND = {"parts": _count, "digits": _count, "pages": _count, "photos": _count}


def _recipes(options: argparse.Namespace) -> list[Recipe]:
    """The recipes that were named, with the numbers that were given in place of their own."""
    numbers, of_blend = (
        {name: value for name in names if (value := getattr(options, name)) is not None}
        for names in (NUMBERS, NUMBERS_OF_BLEND)
    )
    if "epochs" in numbers:
        numbers |= {"cooldown": None, "cosine": None, "last_blend": None, "second": None}
    if options.hidden:
        numbers["hidden"] = tuple(options.hidden)
    recipes = [dataclasses.replace(RECIPES[name], **numbers) for name in options.names or RECIPES]
    return [
        dataclasses.replace(
            recipe,
            blend=recipe.blend and dataclasses.replace(recipe.blend, **of_blend),
            last_blend=recipe.last_blend and dataclasses.replace(recipe.last_blend, **of_blend),
            second=recipe.second
            and dataclasses.replace(recipe.second, blend=dataclasses.replace(recipe.second.blend, **of_blend)),
        )
        for recipe in recipes
    ]


if __name__ == "__main__":
    try:
        main()
    except (TrainingError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nstopped; the same command goes on from the last whole epoch")
