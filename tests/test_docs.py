"""What README and docs/ say holds: examples run, links lead somewhere, names exist, figures are the models'."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import numpy as np
import onnx
import pytest
from PIL import Image

from denoise.metrics import REGISTRY
from denoise.settings import Settings
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "models" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
FENCES = [(page, *fence) for page, text in TEXT.items() for fence in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)]
ADDRESS = "http://127.0.0.1:8000"
PACKAGE = ROOT / "service" / "denoise"
ROOMS = sorted(
    {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
)
DENOISE = f'denoise() {{ {shlex.join([sys.executable, "-W", "error", "-m", "denoise"])} "$@"; }}\n'
CURL = 'curl() { command curl --silent --fail "$@"; }\n'


def examples(language: str) -> list[str]:
    """The examples of a language on all pages, each once."""
    return list(dict.fromkeys(code for _, fence, code in FENCES if fence == language))


def run(folder: Path, server: httpx2.Client, *command: str, package: str = str(ROOT / "service")) -> bytes:
    """What an example prints. It runs in a folder with the tests' pictures and finds the server at the ADDRESS."""
    if not (folder / "tests").exists():
        (folder / "tests").symlink_to(ROOT / "tests")
    here = [
        part.replace(ADDRESS, str(server.base_url)).replace(ADDRESS[7:], server.base_url.netloc.decode())
        for part in command
    ]
    environment = os.environ | {"PYTHONPATH": package}
    return subprocess.run(here, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE).stdout


def read(path: Path) -> None:
    """Reads a file that an example made. Raises what Pillow, zipfile or numpy raise when it is none of theirs."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            first = "boxes.csv" if path.stem == "digits" else "noisy_7.png"
            assert archive.namelist()[0] == first
            assert len(archive.namelist()) > 1
    elif path.suffix == ".npy":
        count, *side = np.load(path).shape
        assert count > 0
        assert side == [28, 28]
    elif path.suffix == ".csv":
        assert len(path.read_text(encoding="utf-8").splitlines()) > 1
    elif path.suffix == ".json":
        assert json.loads(path.read_bytes())["digits"]
    elif path.suffix == ".csv":
        assert len(path.read_text(encoding="utf-8").splitlines()) > 1
    else:
        with Image.open(path) as picture:
            picture.load()


def test_every_example_is_run_or_says_that_it_is_not() -> None:
    assert {language for _, language, _ in FENCES} <= {"sh", "python", "console", "text"}


@pytest.mark.needs("curl")
@pytest.mark.parametrize("example", examples("sh"))
def test_the_shell_examples_work(server: httpx2.Client, tmp_path: Path, example: str) -> None:
    printed = run(tmp_path, server, "bash", "-euc", DENOISE + CURL + example)
    made = [path for path in tmp_path.rglob("[!.]*.*") if "tests" not in path.relative_to(tmp_path).parts]
    assert made or printed
    for path in made:
        read(path)


@pytest.mark.parametrize("example", examples("python"))
def test_the_python_examples_work(server: httpx2.Client, tmp_path: Path, example: str) -> None:
    run(tmp_path, server, sys.executable, "-c", example)


def test_there_are_examples_of_every_kind_of_body() -> None:
    for part in ("--data-binary", "-F file=@", '"inputs"'):
        assert any(part in example for example in examples("sh"))


def test_the_settings_table_has_the_settings() -> None:
    rows = re.findall(r"^\| `(DENOISE_\w+)` \| (.*?) \| (.*) \|$", TEXT["docs/settings.md"], re.MULTILINE)
    fields = {
        f"DENOISE_{name.upper()}": ("models" if name == "models" else field.default, field.description)
        for name, field in Settings.model_fields.items()
    }
    assert [row[0] for row in rows] == list(fields)
    for variable, default, meaning in rows:
        value, description = fields[variable]
        shown = "" if value in (None, ()) else str(value).lower() if isinstance(value, bool) else str(value)
        assert default.strip("` ") == shown
        assert meaning == description


def test_every_setting_that_a_page_names_exists() -> None:
    variables = {f"DENOISE_{name.upper()}" for name in Settings.model_fields}
    elsewhere = {"DENOISE_API_KEY", "DENOISE_BALANCER_PORT", "DENOISE_MEMORY"}  # The client and Compose read these.
    for page, text in TEXT.items():
        assert set(re.findall(r"\bDENOISE_[A-Z_]+\b", text)) <= variables | elsewhere, page


def test_the_metrics_table_has_the_metrics() -> None:
    rows = re.findall(r"^\| `(denoise_\w+)` \| (.*?) \|", TEXT["docs/deploying.md"], re.MULTILINE)
    there = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("denoise_")}
    assert {name.removesuffix("_total") for name, _ in rows} == there


def test_the_figures_are_the_models() -> None:
    pattern = r"^\| `(\w+)` \(.*\) \| ([\d.]+) \| ([\d.]+) dB \| ([\d.]+) \|$"
    rows = re.findall(pattern, TEXT["docs/training.md"], re.MULTILINE)
    psnr = dict(re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+) dB \|", TEXT["models/README.md"], re.MULTILINE))
    assert {row[0] for row in rows} == set(psnr) == {path.stem for path in (ROOT / "models").glob("*.onnx")}
    for name, *figures in rows:
        properties = {entry.key: entry.value for entry in onnx.load(ROOT / "models" / f"{name}.onnx").metadata_props}
        scores = json.loads(properties["scores"])
        assert figures == [f"{scores['loss']:.4f}", f"{scores['psnr']:.2f}", f"{scores['ssim']:.3f}"]
        assert psnr[name] == figures[1]


def test_every_command_of_a_benchmark_exists() -> None:
    for page, text in TEXT.items():
        for name in re.findall(r"python -m (benchmarks[\w.]*)", re.sub(r"\s+", " ", text)):
            path = ROOT / name.rstrip(".").replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page}: {name}"


def test_every_link_leads_somewhere() -> None:
    for page in (path for path in ROOT.glob("**/*.md") if not any(part.startswith(".") for part in path.parts[1:])):
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            path = page.parent / target if target else page
            assert path.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(path), f"{page}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The names by which links reach the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", TEXT["docs/README.md"]))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_the_way_of_a_request_is_told_in_names_that_exist() -> None:
    names = set(
        re.findall(rf"\b(?:{'|'.join(ROOMS)})\.(?!(?:py|md)\b)\w+(?:\.\w+)*", TEXT["docs/how-a-request-travels.md"])
    )
    assert len(names) > 30
    for name in names:
        assert exists(name), name


def exists(name: str) -> bool:
    """Whether a dotted name is a module of the package, or a function, a class or a method in one."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        path = PACKAGE.joinpath(*parts[:length]).with_suffix(".py")
        if path.exists():
            return defines(ast.parse(path.read_text(encoding="utf-8")), parts[length:])
    return False


def defines(node: ast.Module | ast.ClassDef, names: list[str]) -> bool:
    """Whether a module or class defines the first name, that one the second, and so on."""
    if not names:
        return True
    first, *others = names
    found = next((each for each in node.body if first in named_by(each)), None)
    return found is not None and (not others or (isinstance(found, ast.ClassDef) and defines(found, others)))


def named_by(statement: ast.stmt) -> set[str]:
    """The names that a statement gives to a class, a function or a value."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
