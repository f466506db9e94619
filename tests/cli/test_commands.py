"""`denoise` from the outside: a picture in, a picture out, and an exit status that says how it went."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from denoise.pictures import images
from denoise.settings import MAX_PIXELS
from tests.cli.conftest import PAGE, denoise, fill, told
from tests.conftest import CLEAN_7, NOISY_7, Pixels, Server, tiny_model


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
    for name in ("clean.bmp", "clean.out"):
        ended = denoise(NOISY_7, "-o", tmp_path / name, "--models", tiny_models)
        assert ended.returncode == 2
        assert "answers are png, jpeg, webp, tiff; --format says which" in told(ended)
    assert denoise(NOISY_7, "-o", tmp_path / name, "--models", tiny_models, "--format", "png").returncode == 0


def test_wrong_usage_is_a_sentence_and_a_two(tmp_path: Path) -> None:
    for arguments, words in (
        (["nothing.png", "--noise", "2"], "--noise"),
        ([str(NOISY_7), str(CLEAN_7)], "-o FOLDER"),
        ([str(NOISY_7), "--model", "cnov"], "There is no model named 'cnov'; there are: basic_ae"),
        (["-", str(NOISY_7)], "Standard input is one picture"),
        ([str(NOISY_7), str(CLEAN_7), "-o", str(PAGE)], "is a file; a folder is needed"),
        ([str(NOISY_7), "--url", "ftp://nowhere"], "'ftp://nowhere' is no address"),
        ([str(NOISY_7), "-o", "clean.jpg", "--format", "webp"], "is the name of a JPEG, and --format says webp"),
        (["doctr"], "the nearest command is `denoise doctor`"),
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
