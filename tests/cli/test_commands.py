"""`denoise` from the outside: files in, files out, and an exit status that says how it went."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from denoise import __version__
from denoise.pictures import images
from denoise.settings import MAX_PIXELS
from tests import test_docs
from tests.conftest import CLEAN_7, MNIST, NOISY_7, ROOT, Pixels, Server, tiny_model

PAGE = ROOT / "tests" / "digits" / "noisy_page.png"
COMMAND = [sys.executable, "-W", "error", "-m", "denoise"]
HERE = os.environ.copy()
PATIENCE_S = 60


def denoise(
    *arguments: str | Path, stdin: bytes = b"", folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=HERE | environment, input=stdin, capture_output=True, check=False, timeout=PATIENCE_S
    )


def told(ended: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(ended.stderr.decode().split())


def fill(folder: Path, digits: Pixels, count: int, side: int = 28) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray((digits[number] * 255).astype(np.uint8)).resize((side, side)).save(folder / f"{number:03}.png")


def test_a_picture_becomes_what_the_route_makes_of_it(real: TestClient, tmp_path: Path) -> None:
    ended = denoise(PAGE, "-o", tmp_path / "clean.png")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    there = real.post("/denoise", content=PAGE.read_bytes()).content
    assert denoise(PAGE).stdout == there
    here = images.decode((tmp_path / "clean.png").read_bytes(), MAX_PIXELS)
    np.testing.assert_array_equal(here, images.decode(there, MAX_PIXELS))


def test_every_parameter_means_what_it_means_there(real: TestClient) -> None:
    query = {"model": "conv_dae", "layout": "strip", "noise": "0.5", "seed": "7", "invert": "false"}
    options = [word for name, value in query.items() for word in (f"--{name}", value)]
    there = real.post("/denoise", params=query, content=CLEAN_7.read_bytes(), headers={"Accept": "image/webp"})
    assert denoise("-", *options, "--format", "webp", stdin=CLEAN_7.read_bytes()).stdout == there.content
    there = real.post("/reconstruct?size=native", content=PAGE.read_bytes())
    assert denoise(PAGE, "--model", "basic_ae", "--size", "native").stdout == there.content


def test_the_name_of_the_answer_says_its_kind(tiny_models: Path, tmp_path: Path) -> None:
    for name, kind in (("clean.webp", "WEBP"), ("clean.jpg", "JPEG"), ("clean.JPEG", "JPEG"), ("clean.tif", "TIFF")):
        assert denoise(NOISY_7, "-o", tmp_path / name, "--models", tiny_models).returncode == 0
        with Image.open(tmp_path / name) as image:
            assert image.format == kind
    ended = denoise(NOISY_7, "-o", tmp_path / "clean.bmp", "--models", tiny_models)
    assert ended.returncode == 2
    assert "answers are png, jpeg, webp, tiff; --format says which" in told(ended)


def test_a_folder_keeps_its_shape_and_names_what_is_broken(tiny_models: Path, tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans" / "a" / "b", digits, 3)
    shutil.copy(NOISY_7, tmp_path / "scans" / "seven.bmp.PNG")
    (tmp_path / "scans" / "a" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "scans" / "notes.txt").write_text("no picture, and none by its name")
    ended = denoise("scans", "-o", "clean", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 1
    assert "4 pictures in" in told(ended)
    assert "1 left out" in told(ended)
    assert "1 failed: scans/a/broken.jpg: The 10 bytes are no image" in told(ended)
    clean = sorted(str(path.relative_to(tmp_path / "clean")) for path in (tmp_path / "clean").rglob("*.*"))
    assert clean == ["a/b/000.png", "a/b/001.png", "a/b/002.png", "seven.bmp.png"]


def test_what_is_done_is_skipped_and_a_changed_picture_told(tiny_models: Path, tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans", digits, 3)
    run = ["scans", "-o", "scans/clean", "--models", tiny_models]  # The answers below the pictures are not cleaned.
    assert "3 pictures in" in told(denoise(*run, folder=tmp_path))
    assert "Nothing was left to do; 3 done before" in told(denoise(*run, folder=tmp_path))
    (tmp_path / "scans" / "clean" / "002.png").unlink()
    shutil.copy(NOISY_7, tmp_path / "scans" / "001.png")
    ended = denoise(*run, folder=tmp_path)
    assert ended.returncode == 1
    assert "1 picture in" in told(ended)
    assert "'scans/clean/001.png' is there already, made of another file, or before this one was changed" in told(ended)
    assert "3 pictures in" in told(denoise(*run, "--overwrite", folder=tmp_path))


def test_patterns_are_understood(tiny_models: Path, tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans" / "a", digits, 2)
    fill(tmp_path / "scans" / "b", digits, 1)
    assert denoise("scans/**/*0.png", "-o", "clean", "--models", tiny_models, folder=tmp_path).returncode == 0
    clean = sorted(str(path.relative_to(tmp_path / "clean")) for path in (tmp_path / "clean").rglob("*.png"))
    assert clean == ["a/000.png", "b/000.png"]
    ended = denoise("scans/*.bmp", "-o", "clean", "--models", tiny_models, folder=tmp_path)
    assert (ended.returncode, told(ended)) == (1, "scans/*.bmp: No file matches this pattern.")


def test_two_pictures_with_one_name_are_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "a.png").write_bytes(b"")
    ended = denoise("a.jpg", "a.png", "-o", "clean", folder=tmp_path)
    assert ended.returncode == 2
    assert "'a.jpg' and 'a.png' would both become 'clean/a.png'" in told(ended)
    assert not (tmp_path / "clean").exists()


def test_no_picture_is_overwritten(tmp_path: Path) -> None:
    shutil.copy(NOISY_7, tmp_path / "a.png")
    for arguments in (["a.png", "-o", "a.png"], [".", "-o", "."], ["a.png", str(NOISY_7), "-o", "."]):
        ended = denoise(*arguments, folder=tmp_path)
        assert ended.returncode == 2, arguments
        assert "take the place of" in told(ended) or "into the folder of the pictures" in told(ended)
    assert (tmp_path / "a.png").read_bytes() == NOISY_7.read_bytes()


def test_ctrl_c_leaves_what_is_done_and_nothing_half(tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans", digits, 400, side=100)
    command = [*COMMAND, "scans", "-o", "clean", "--jobs", "2"]
    with subprocess.Popen(command, cwd=tmp_path, env=HERE, stderr=subprocess.PIPE, start_new_session=True) as process:
        until = time.monotonic() + PATIENCE_S
        while len(list((tmp_path / "clean").glob("*.png"))) < 20 and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        stderr = process.communicate(timeout=PATIENCE_S)[1].decode()
    assert process.returncode == 130, stderr
    assert "the same command goes on from there" in stderr
    assert "Traceback" not in stderr
    done = list((tmp_path / "clean").iterdir())
    assert 20 <= len(done) < 400
    assert {path.suffix for path in done} == {".png"}
    before = {path: path.stat().st_mtime_ns for path in done}
    ended = denoise("scans", "-o", "clean", "--jobs", "2", folder=tmp_path)
    assert ended.returncode == 0
    assert f"{400 - len(done)} pictures in" in told(ended)
    assert {path: path.stat().st_mtime_ns for path in done} == before
    assert len(list((tmp_path / "clean").iterdir())) == 400


def test_wrong_usage_is_a_sentence_and_a_two(tmp_path: Path) -> None:
    for arguments, words in (
        (["nothing.png", "--noise", "2"], "--noise"),
        ([str(NOISY_7), str(CLEAN_7)], "-o FOLDER"),
        ([str(NOISY_7), "--model", "cnov"], "There is no model named 'cnov'; there are: basic_ae"),
        (["-", str(NOISY_7)], "Standard input is one picture"),
        ([str(NOISY_7), str(CLEAN_7), "-o", str(PAGE)], "is a file; a folder is needed"),
        ([str(NOISY_7), "--url", "ftp://nowhere"], "'ftp://nowhere' is no address"),
    ):
        ended = denoise(*arguments, folder=tmp_path)
        assert ended.returncode == 2, arguments
        assert words in told(ended)
        assert "Traceback" not in told(ended)


@pytest.mark.parametrize("arguments", [["gone.png", "-o", "clean.png"], ["gone.png"]])
def test_a_picture_that_is_not_there_is_named(tmp_path: Path, arguments: list[str]) -> None:
    ended = denoise(*arguments, folder=tmp_path)
    assert ended.returncode == 1
    assert told(ended).startswith("gone.png: ")
    assert "no such file" in told(ended).lower()


def test_a_broken_picture_from_standard_input_is_told() -> None:
    ended = denoise("-", stdin=NOISY_7.read_bytes()[:300])
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert "-: The image is cut or damaged" in told(ended)


def test_mnists_own_archive_becomes_an_array(tmp_path: Path, digits: Pixels, tiny_models: Path) -> None:
    archive = MNIST / "t10k-images-idx3-ubyte.gz"
    ended = denoise(archive, "-o", "clean.npy", "--model", "half", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 0, told(ended)
    assert "10,000 pictures in" in told(ended)
    clean = np.load(tmp_path / "clean.npy")
    assert (clean.shape, clean.dtype) == ((10_000, 28, 28), np.uint8)
    np.testing.assert_array_equal(clean, np.rint(digits * np.float32(0.5) * 255))


def test_an_array_through_standard_streams(digits: Pixels, tiny_models: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", digits[:100])
    content = (tmp_path / "digits.npy").read_bytes()
    ended = denoise("-", "--models", tiny_models, stdin=content)
    assert ended.returncode == 0, told(ended)
    assert ended.stdout == content
    ended = denoise("-", "--models", tiny_models, "--layout", "strip", stdin=content)
    assert ended.returncode == 2


def test_a_folder_of_arrays_and_pictures(digits: Pixels, tiny_models: Path, tmp_path: Path) -> None:
    fill(tmp_path / "in", digits, 2)
    np.save(tmp_path / "in" / "digits.npy", digits[:100])
    np.save(tmp_path / "in" / "labels.npy", np.arange(100))
    shutil.copy(MNIST / "t10k-labels-idx1-ubyte.gz", tmp_path / "in")
    ended = denoise("in", "-o", "out", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 1
    assert "102 pictures in" in told(ended)
    assert "1 failed: in/labels.npy: Its values are int64" in told(ended)
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["000.png", "001.png", "digits.npy"]


def test_a_service_does_the_same(server: httpx2.Client, digits: Pixels, tmp_path: Path) -> None:
    url = str(server.base_url)
    fill(tmp_path / "scans", digits, 5)
    (tmp_path / "scans" / "broken.png").write_bytes(b"no picture")
    np.save(tmp_path / "scans" / "digits.npy", digits[:100])
    here = denoise("scans", "-o", "here", folder=tmp_path)
    there = denoise("scans", "-o", "there", "--url", url, folder=tmp_path)
    assert (here.returncode, there.returncode) == (1, 1)
    assert "105 pictures in" in told(there)
    assert "1 failed: scans/broken.png: The 10 bytes are no image" in told(there)
    for path in (tmp_path / "here").glob("*.png"):
        assert (tmp_path / "there" / path.name).read_bytes() == path.read_bytes()
    one, other = (np.load(tmp_path / name / "digits.npy") for name in ("here", "there"))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert denoise(NOISY_7, "--model", "basic_ae", "--url", url).stdout == denoise(NOISY_7, "-m", "basic_ae").stdout
    assert b"unet_dae *" in denoise("models", "--url", url).stdout


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[str]:
    """A server that wants a key."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "copy.onnx").write_bytes(tiny_model())
    server = Server(DENOISE_API_KEYS="open-sesame", DENOISE_WORKERS="1", DENOISE_MODELS=str(tmp_path / "tiny"))
    yield server.url()
    server.ended(signal.SIGINT)


def test_a_service_that_wants_a_key_gets_it(locked: str) -> None:
    ended = denoise(NOISY_7, "--url", locked)
    assert ended.returncode == 1
    assert "A key is needed here" in told(ended)
    assert denoise(NOISY_7, "--url", locked, DENOISE_API_KEY="open-sesame").returncode == 0


def test_no_service_is_told() -> None:
    ended = denoise(NOISY_7, "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "No service answers at http://127.0.0.1:9" in told(ended)


def test_a_device_that_is_not_there_is_told() -> None:
    ended = denoise(NOISY_7, "--models", "/nowhere")
    assert ended.returncode == 1
    assert "There is no folder /nowhere" in told(ended)


def test_the_models_are_listed() -> None:
    lines = denoise("models").stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["basic_ae", "conv_dae", "easy_dae", "unet_dae"]
    assert "unet_dae *  denoise      any size" in lines[3]


def test_help_names_everything() -> None:
    shown = denoise("--help", COLUMNS="120").stdout.decode()
    for word in ("--model", "--jobs", "--url", "--overwrite", "denoise serve", "denoise doctor", "Exit status"):
        assert word in shown
    assert b"--port" in denoise("serve", "--help", COLUMNS="120").stdout


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


def test_a_packed_answer_is_packed(tmp_path: Path, tiny_models: Path) -> None:
    archive = MNIST / "t10k-images-idx3-ubyte.gz"
    ended = denoise(archive, "-o", "out/", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 0, told(ended)
    assert gzip.decompress((tmp_path / "out" / archive.name).read_bytes()) == gzip.decompress(archive.read_bytes())
