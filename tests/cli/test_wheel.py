"""The wheel holds all that is needed, installs anywhere and runs there."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from denoise import __version__
from denoise.pictures import images
from tests import test_docs
from tests.conftest import NOISY_7, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy, since a build leaves its traces where it works."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("service", "models"):
        shutil.copytree(ROOT / name, folder / "clone" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "clone")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", ".", "./clone"], cwd=folder, check=True
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_its_models_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert {name.split("/")[0] for name in names} == {"denoise", f"denoise_service-{__version__}.dist-info"}
    source = (path for path in (ROOT / "service" / "denoise").rglob("*") if path.suffix in (".py", ".typed"))
    assert {str(path.relative_to(ROOT / "service")) for path in source} <= names
    assert {f"denoise/models/{path.name}" for path in (ROOT / "models").glob("*.onnx")} <= names
    assert f"Name: denoise-service\nVersion: {__version__}\n" in metadata


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder, wheel], check=True)
    return folder


def test_it_installs_and_runs_anywhere(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed)}

    def out(*command: str | Path) -> str:
        ended = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        assert ended.stderr == ""
        return ended.stdout.strip()

    assert out(installed / "bin" / "denoise", "--version") == f"denoise {__version__}"
    where = out(sys.executable, "-c", "import denoise.settings; print(denoise.settings.Settings().models)")
    assert where == str(installed / "denoise" / "models")
    out(installed / "bin" / "denoise", NOISY_7, "-o", "clean.png")
    assert images.decode((tmp_path / "clean.png").read_bytes(), 784).shape == (28, 28)
    assert (installed / "denoise" / "web" / "static" / "swagger-ui").is_dir()


@pytest.mark.parametrize("example", [code for page, _, code in test_docs.FENCES if page == "docs/python.md"])
def test_the_examples_for_python_run_from_the_wheel(
    installed: Path, tmp_path: Path, server: httpx2.Client, example: str
) -> None:
    where = f"import denoise; assert denoise.__file__.startswith({str(installed)!r}), denoise.__file__\n"
    test_docs.run(tmp_path, server, sys.executable, "-c", where + example, package=str(installed))
