"""What the README says is so: its commands run, its settings are the settings, its figures are the models'."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import onnx
import pytest
from PIL import Image

from denoise.settings import Settings
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


@pytest.mark.needs("curl")
@pytest.mark.parametrize("command", EXAMPLES)
def test_the_curl_examples_work(server: httpx2.Client, tmp_path: Path, command: str) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    assert ADDRESS in command
    here = command.replace(ADDRESS, str(server.base_url)).replace("curl ", "curl --silent --fail ")
    output = subprocess.run(["bash", "-ec", here], cwd=tmp_path, capture_output=True, check=True).stdout
    for path in tmp_path.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["noisy_7.png", "noisy_page.png"]
            archive.extractall(tmp_path)
    pictures = sorted(tmp_path.glob("*.png"))
    if pictures:
        with Image.open(pictures[0]) as picture:
            assert picture.size == (28, 28) or "layout=strip" in command
    else:
        assert json.loads(output)["model"] == "conv_dae"


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_python_examples_work(server: httpx2.Client, tmp_path: Path, example: str) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    here = example.replace(ADDRESS.removeprefix("http://"), server.base_url.netloc.decode())
    assert here != example
    subprocess.run([sys.executable, "-c", here], cwd=tmp_path, check=True)


def test_there_are_examples_of_every_kind_of_body() -> None:
    assert any("--data-binary" in example for example in EXAMPLES)
    assert any("-F file=@" in example for example in EXAMPLES)
    assert any('"inputs"' in example for example in EXAMPLES)


def test_the_settings_table_has_the_settings() -> None:
    rows = re.findall(r"^\| `(DENOISE_\w+)` \| (.*?) \| (.*) \|$", README, re.MULTILINE)
    shown = {
        f"DENOISE_{name.upper()}": ("models" if name == "models" else field.default, field.description)
        for name, field in Settings.model_fields.items()
    }
    assert [row[0] for row in rows] == list(shown)
    for variable, default, meaning in rows:
        value, description = shown[variable]
        told = "" if value in (None, ()) else str(value).lower() if isinstance(value, bool) else str(value)
        assert default.strip("` ") == told
        assert meaning == description


def test_the_figures_are_the_models() -> None:
    rows = re.findall(r"^\| `(\w+)` \(.*\) \| ([\d.]+) \| ([\d.]+) dB \| ([\d.]+) \|$", README, re.MULTILINE)
    assert {row[0] for row in rows} == {path.stem for path in (ROOT / "models").glob("*.onnx")}
    for name, loss, psnr, ssim in rows:
        properties = {entry.key: entry.value for entry in onnx.load(ROOT / "models" / f"{name}.onnx").metadata_props}
        scores = json.loads(properties["scores"])
        assert (f"{scores['loss']:.4f}", f"{scores['psnr']:.2f}", f"{scores['ssim']:.3f}") == (loss, psnr, ssim)


def test_every_link_leads_somewhere() -> None:
    for path in ROOT.glob("**/*.md"):
        if ".venv" in str(path):
            continue
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path}: {target}"
