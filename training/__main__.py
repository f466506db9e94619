"""`python -m training [name ...]`: the whole run, from the MNIST archives to models, cards and pictures."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from training import architectures, card, export, fit, mnist, score
from training.recipes import RECIPES, Recipe

# The exported file must equal Keras on so many test digits.
PROOF_DIGITS = 256


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, scores, exports and describes each model that the arguments name; all of them when they name none."""
    options = _options(arguments)
    train, test = mnist.load(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    recipes = _recipes(options)
    for recipe in recipes:
        print(f"{recipe.name}: {recipe.title}")
        if options.fresh:
            fit.forget(recipe, train.pixels, options.checkpoints, options.start)
        network = fit.fit(recipe, train.pixels, options.checkpoints, options.start)
        noisy = score.add_noise(test.pixels, recipe.scored_noise)
        scores = score.score(test.pixels, noisy, export.answers(network, noisy)["restored"])
        print(", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
        proof, count, start = noisy[:PROOF_DIGITS], len(train.pixels), options.start
        path = export.export(recipe, network, proof, count, scores, options.out, start)
        card.write(recipe, path, test.pixels)
        print(f"{path} and its card are written")
    card.compare(options.out, test.pixels, max(recipe.scored_noise for recipe in recipes))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; all when none is named")
    parser.add_argument("--data", type=Path, default=Path("MNIST_data"), help="folder of the four archives")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder to write to, over what is there")
    parser.add_argument(
        "--checkpoints", type=Path, default=Path(".checkpoints"), help="what a stopped run goes on from"
    )
    parser.add_argument("--fresh", action="store_true", help="begin anew, not where a stopped run was")
    parser.add_argument(
        "--start-from", type=Path, metavar="FILE", help="an exported file with weights in place of the first stretches"
    )
    parser.add_argument(
        "--stretches", type=_count, default=1, metavar="N", help="how many of the last stretches to run from there"
    )
    for name, kind in NUMBERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help="instead of the recipe's")
    parser.add_argument("--hidden", type=_count, nargs="+", metavar="N", help="layer sizes instead of the recipe's")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in RECIPES]:
        parser.error(f"there is no recipe named {unknown[0]!r}; there are {', '.join(RECIPES)}")
    if options.start_from and len(options.names) != 1:
        parser.error("--start-from has the weights of one model: name that one")
    options.start = options.start_from and export.Start(options.start_from, options.stretches)
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
    "pages": _count,
    "seed": int,
}


def _recipes(options: argparse.Namespace) -> list[Recipe]:
    """The recipes that were named, with the numbers that were given in place of their own."""
    numbers = {name: getattr(options, name) for name in NUMBERS}
    numbers["hidden"] = options.hidden and tuple(options.hidden)
    given = {name: value for name, value in numbers.items() if value is not None}
    if "epochs" in given:
        given["restarts"] = ()
    pages = given.pop("pages", None)  # A network of one size sees no pages.
    recipes = [dataclasses.replace(RECIPES[name], **given) for name in options.names or RECIPES]
    return [dataclasses.replace(recipe, pages=pages) if pages and recipe.pages else recipe for recipe in recipes]


if __name__ == "__main__":
    try:
        main()
    except (mnist.DataError, architectures.ArchitectureError, export.ExportError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nstopped; the same command goes on from the last whole epoch")
