"""The rooms stay apart: service and training meet in the ONNX files alone, and each outside library has one home."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def imported(path: Path) -> set[str]:
    """The top-level names of the packages that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(("package", "other"), [("service", "training"), ("training", "service")])
def test_service_and_training_never_import_each_other(package: str, other: str) -> None:
    for path in (ROOT / package).glob("*.py"):
        assert other not in imported(path), path.name


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("PIL", "images.py"),
        ("onnxruntime", "denoiser.py"),
        ("typer", "cli.py"),
        ("rich", "cli.py"),
        ("pyarrow", "tables.py"),
    ],
)
def test_each_library_has_one_home_in_the_service(library: str, home: str) -> None:
    assert [path.name for path in (ROOT / "service").glob("*.py") if library in imported(path)] == [home]


@pytest.mark.parametrize("pins", ["cpu.txt", "cuda.txt"])
def test_neither_tensorflow_nor_ray_is_in_an_environment_of_the_service(pins: str) -> None:
    text = (ROOT / "requirements" / pins).read_text(encoding="utf-8")
    assert not any(name in text for name in ("tensorflow", "keras", "tf2onnx", "ray==", "pyarrow"))


def test_ray_has_two_homes_which_nothing_needs_at_its_start() -> None:
    paths = list((ROOT / "service").glob("*.py"))
    assert {path.name for path in paths if "ray" in imported(path)} == {"distributed.py", "replicas.py"}
    told = "import sys, service.cli, service.server; print({'ray', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, check=True).stdout == b"set()\n"
