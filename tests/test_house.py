"""The house is as drawn: rooms whose imports run downwards, and one home for each outside library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "service" / "denoise"
# From the top floor down; `cleaning` is a file at the top of the package.
FLOORS = ("cli", "server", "web", "bulk", "cleaning", "inference", "pictures", "ground")
MOST_LINES = 300
GROUND = {"errors", "logs", "machine", "metrics", "settings"}
# The faces of the package may import any room.
FACES = {"__init__", "__main__", "python"}


def files(folder: Path) -> list[Path]:
    """Every Python file below a folder, of which there must be some."""
    found = sorted(path for path in folder.rglob("*.py") if "static" not in path.parts)
    assert found, folder
    return found


def imported(path: Path) -> Iterator[str]:
    """The full names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def libraries(path: Path) -> set[str]:
    """The top-level names of the packages that a file imports."""
    return {name.split(".")[0] for name in imported(path)}


def room(name: str) -> str:
    """The room of a module of the package, by its name below it."""
    first = name.split(".", maxsplit=1)[0]
    return "ground" if first in GROUND else first


@pytest.mark.parametrize(("package", "other"), [("service", "training"), ("training", "denoise")])
def test_service_and_training_never_import_each_other(package: str, other: str) -> None:
    for path in files(ROOT / package):
        assert other not in libraries(path), path


def test_the_rooms_are_those_that_are_drawn() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - FACES - GROUND
    assert folders | modules == set(FLOORS) - {"ground"}


def test_no_file_is_longer_than_a_few_screens() -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in files(PACKAGE)}
    assert max(lines.values()) <= MOST_LINES, lines


def test_every_room_says_in_one_sentence_what_lives_there() -> None:
    for path in PACKAGE.glob("*/__init__.py"):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert said.partition("\n")[0].endswith("."), path


@pytest.mark.parametrize("path", files(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards_only(path: Path) -> None:
    place = path.relative_to(PACKAGE).with_suffix("").parts
    if place[0] in FACES:
        return
    own = FLOORS.index(room(place[0]))
    for name in imported(path):
        if name.startswith("denoise."):
            target = room(name.removeprefix("denoise."))
            assert target not in FLOORS or FLOORS.index(target) >= own, f"{path} imports {name}"


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("PIL", {f"pictures/{name}.py" for name in ("images", "objects", "png", "samples", "tiff")}),
        ("pillow_heif", {"pictures/heif.py"}),
        ("onnxruntime", {"inference/onnx_runner.py"}),
        ("openvino", {"inference/openvino_runner.py"}),
        ("onnx", {"inference/onnx_graph.py"}),
        ("typer", {"cli/commands.py", "cli/options.py"}),
        ("rich", {"cli/progress.py"}),
        ("urllib3", {"cli/client.py"}),
        ("pyarrow", {"bulk/tables.py"}),
        ("prometheus_client", {"metrics.py"}),
        ("structlog", {"logs.py"}),
        ("mimeparse", {"web/answers.py"}),
        ("opentelemetry", {"web/tracing.py"}),
        ("uvicorn", {"server/connection.py", "server/process.py", "server/whole_answers.py"}),
        ("httptools", {"server/connection.py", "server/upgrades.py"}),
        ("ray", {"bulk/cluster.py", "server/ray_serve.py"}),
    ],
)
def test_each_library_has_its_home(library: str, homes: set[str]) -> None:
    assert {str(path.relative_to(PACKAGE)) for path in files(PACKAGE) if library in libraries(path)} == homes


@pytest.mark.parametrize("pins", ["cpu.txt", "cuda.txt"])
def test_neither_tensorflow_nor_ray_is_in_an_environment_of_the_service(pins: str) -> None:
    text = (ROOT / "requirements" / pins).read_text(encoding="utf-8")
    assert not any(name in text for name in ("tensorflow", "keras", "tf2onnx", "ray==", "pyarrow"))


def test_nothing_needs_ray_or_onnx_at_its_start() -> None:
    told = (
        "import sys, denoise.cli.commands, denoise.server.process; print({'ray', 'pyarrow', 'onnx'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, check=True).stdout == b"set()\n"
