"""A version of the project that can be started: this one, or another one in a folder beside it."""

import argparse
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT

START = "python -m denoise"


@dataclass(frozen=True)
class Checkout:
    """A folder with the project in it, and the command that serves when it runs there."""

    folder: Path
    command: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make Python import the folder's own code."""
        source = self.folder / "service"
        paths = [source, self.folder] if (source / "denoise").is_dir() else [self.folder]
        return {"PYTHONPATH": os.pathsep.join(map(str, paths))}


def checkout(folder: Path, command: str = START) -> Checkout:
    """The project in a folder; a command that begins with `python` runs in this interpreter.

    Raises:
        SystemExit: there is no such folder.
    """
    if not folder.is_dir():
        raise SystemExit(f"There is no folder {folder} to measure.")
    first, *rest = shlex.split(command)
    return Checkout(folder.resolve(), (sys.executable if first == "python" else first, *rest))


THIS = checkout(ROOT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name another checkout."""
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="measure another checkout beside this one")
    parser.add_argument(
        "--against-command", default=START, metavar="COMMAND", help=f"what serves there (default: {START})"
    )


def other(options: argparse.Namespace) -> Checkout | None:
    """The other checkout that the options name, if any."""
    return checkout(options.against, options.against_command) if options.against else None
