"""`import denoise`: pictures of every kind come back clean as the same kind, and pages as their digits."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

import denoise
from denoise.errors import BadParameter, BadTensor, RequestError, TooLarge, UnknownModel, UnsupportedKind
from tests.conftest import CLEAN_7, NOISY_7, ROOT

PAGE = ROOT / "tests" / "digits" / "noisy_page.png"
NOISY = np.asarray(Image.open(NOISY_7).convert("L"))
CLEAN = np.asarray(Image.open(CLEAN_7).convert("L")) / 255


def error(answer: Any) -> float:
    """How far an answer in grey, 0 … 1, is from the clean seven."""
    return float(np.abs(answer - CLEAN).mean())


def pixels(file: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(file))) / 255


def test_importing_it_brings_nothing_that_is_heavy() -> None:
    told = "import sys, denoise; print({'numpy', 'onnxruntime', 'pydantic', 'PIL', 'fastapi'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, check=True).stdout == b"set()\n"


def test_what_it_offers_exists_and_nothing_else() -> None:
    assert all(getattr(denoise, name).__doc__ for name in denoise.__all__)
    with pytest.raises(AttributeError, match="no attribute 'claen'"):
        denoise.claen  # type: ignore[attr-defined]  # noqa: B018


def test_a_files_bytes_come_back_as_a_png() -> None:
    assert error(pixels(denoise.clean(NOISY_7.read_bytes()))) < error(NOISY / 255) / 4


@pytest.mark.parametrize("path", [NOISY_7, str(NOISY_7)])
def test_a_path_gives_an_image(path: Path | str) -> None:
    answer = denoise.clean(path)
    assert (answer.mode, answer.size) == ("L", (28, 28))
    assert error(np.asarray(answer) / 255) < error(NOISY / 255) / 4


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "F", "La", "RGBa"])
def test_an_image_gives_an_image(mode: str) -> None:
    given = Image.fromarray(NOISY)
    if mode == "I;16":
        given = Image.fromarray(NOISY.astype(np.uint16) * 257)
    elif mode != "L":
        given = given.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode)).convert(mode)
    assert error(np.asarray(denoise.clean(given)) / 255) < error(NOISY / 255) / 4


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (28, 28, 2), (28, 28, 3), (28, 28, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64, np.dtype(">u2")])
def test_an_array_gives_one_of_its_shape_and_type(shape: tuple[int, ...], kind: Any) -> None:
    white = 1.0 if np.issubdtype(kind, np.floating) else np.iinfo(kind).max
    grey = (NOISY / 255 * white).astype(kind).reshape(28, 28, *[1] * (len(shape) - 2))
    given = np.broadcast_to(grey, shape).copy()
    has_alpha = shape[-1] in {2, 4}
    if has_alpha:
        given[..., -1] = white  # type: ignore[assignment]
    answer = denoise.clean(given)
    assert (answer.shape, answer.dtype) == (shape, kind)
    first = answer.reshape(28, 28, -1)[..., 0] / white
    assert error(first) < error(NOISY / 255) / 4
    assert not has_alpha or (answer[..., -1] == white).all()


def test_an_image_is_turned_as_its_file_would_be(tmp_path: Path) -> None:
    lying = Image.open(NOISY_7).convert("L").transpose(Image.Transpose.ROTATE_90)
    exif = lying.getexif()
    exif[0x0112] = 6  # The camera was turned to the left.
    lying.save(tmp_path / "lying.png", exif=exif)
    answers = [denoise.clean(given) for given in (tmp_path / "lying.png", Image.open(tmp_path / "lying.png"))]
    for answer in answers:
        assert error(np.asarray(answer) / 255) < error(NOISY / 255) / 4


def test_a_file_of_several_pages_is_not_taken_for_its_first(tmp_path: Path) -> None:
    page = Image.open(NOISY_7)
    page.save(tmp_path / "fax.tif", save_all=True, append_images=[page, page])
    for given in (tmp_path / "fax.tif", (tmp_path / "fax.tif").read_bytes()):
        with pytest.raises(UnsupportedKind, match="The file has 3 pages, and one picture comes back"):
            denoise.clean(given, model="easy_dae")
    with Image.open(tmp_path / "fax.tif") as image:
        image.seek(1)
        assert denoise.clean(image, model="easy_dae").size == (28, 28)


def test_colour_can_be_kept() -> None:
    red = np.full((60, 60, 3), 245, np.uint8)
    red[20:40, 28:32] = (200, 30, 30)
    ink = denoise.clean(red, color="keep", invert=True)[30, 30].astype(int)
    assert ink[0] > 120 + ink[1]
    assert denoise.clean(Image.fromarray(red), color="keep").mode == "RGB"
    assert denoise.clean(Image.fromarray(red)).mode == "L"


def test_the_answer_can_be_mixed_with_what_was_given() -> None:
    given = NOISY / np.float32(255)
    assert np.allclose(denoise.clean(given, strength=0.0), given, atol=1e-6)


def test_a_loaded_model_cleans_many_in_their_order() -> None:
    model = denoise.load("easy_dae")
    assert model.name == "easy_dae"
    stack = np.stack([NOISY, NOISY.T, NOISY])
    answers = model(stack)
    assert (answers.shape, answers.dtype) == (stack.shape, np.uint8)
    assert np.array_equal(answers[1], model(NOISY.T))
    mixed = model([NOISY_7, NOISY, NOISY_7.read_bytes()])
    assert [type(answer) for answer in mixed] == [Image.Image, np.ndarray, bytes]
    assert model([]) == []


def test_a_page_gives_boxes_and_pictures() -> None:
    boxes, pictures = denoise.digits(PAGE)
    assert (pictures.shape, pictures.dtype) == ((len(boxes), 28, 28), np.uint8)
    with Image.open(PAGE) as image:
        width, height = image.size
        grey = np.asarray(image.convert("L"))
    assert len(boxes) > 1
    assert all(0 <= box.x < box.x + box.width <= width and 0 <= box.y < box.y + box.height <= height for box in boxes)
    assert denoise.load().digits(grey).boxes == boxes


def test_a_service_does_the_same(server: httpx2.Client) -> None:
    client = denoise.Client(str(server.base_url))
    for given in (NOISY_7, NOISY_7.read_bytes(), Image.fromarray(NOISY), NOISY):
        answer, own = client.clean(given), denoise.clean(given)  # type: ignore[type-var]
        assert type(answer) is type(own)
        assert np.abs(as_array(answer) - as_array(own)).max() <= 2
    assert client.clean(NOISY.repeat(3).reshape(28, 28, 3), color="keep").shape == (28, 28, 3)
    there, here = client.digits(PAGE), denoise.digits(PAGE)
    assert there.boxes == here.boxes
    assert np.abs(there.pictures.astype(int) - here.pictures).max() <= 2


def as_array(answer: Any) -> Any:
    return np.asarray(Image.open(io.BytesIO(answer)) if isinstance(answer, bytes) else answer).astype(int)


@pytest.mark.parametrize(
    ("error_kind", "sentence", "call"),
    [
        (UnknownModel, "no model named 'cnov'", lambda: denoise.clean(NOISY, model="cnov")),
        (UnknownModel, "no model named 'cnov'", lambda: denoise.digits(NOISY, model="cnov")),
        (BadParameter, "'conv_dae' does not denoise pages", lambda: denoise.digits(NOISY, model="conv_dae")),
        (BadParameter, "invert=maybe", lambda: denoise.clean(NOISY, invert="maybe")),  # type: ignore[arg-type]
        (BadParameter, "strength=2", lambda: denoise.clean(NOISY, strength=2)),
        (UnsupportedKind, "A int is no picture", lambda: denoise.clean(7)),  # type: ignore[type-var]
        (UnsupportedKind, "no image of a known kind", lambda: denoise.clean(b"none")),
        (BadTensor, r"shape is \[2, 2, 2, 2\]", lambda: denoise.digits(np.zeros((2, 2, 2, 2)))),
        (BadTensor, r"shape is \[0, 5\]", lambda: denoise.clean(np.zeros((0, 5)))),
        (BadTensor, "values are int32", lambda: denoise.clean(np.zeros((5, 5), np.int32))),
        (BadTensor, "values from 0 to 9", lambda: denoise.clean(np.full((5, 5), 9.0) * np.eye(5))),
        (BadTensor, "image has 0×5 pixels", lambda: denoise.clean(Image.new("L", (0, 5)))),
        (TooLarge, "16×100000000 pixels", lambda: denoise.clean(pgm(16, 100_000_000))),
        (FileNotFoundError, "nowhere.png", lambda: denoise.clean("nowhere.png")),
        (RequestError, "No service answers", lambda: denoise.Client("127.0.0.1:9").clean(NOISY)),
    ],
)
def test_what_cannot_be_done_is_an_error_with_a_sentence(error_kind: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(error_kind, match=sentence):
        call()


def pgm(width: int, height: int) -> bytes:
    return f"P5 {width} {height} 255 ".encode() + bytes(100)
