"""Nothing of a file is dropped: all its pages, its resolution, its colours, and as much of it as is wanted."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from denoise.settings import Settings
from denoise.web.app import create_app
from tests.conftest import NOISY_7, Pixels

SEVEN = np.asarray(Image.open(NOISY_7).convert("L"))
PAGES = [SEVEN, SEVEN[::-1], SEVEN.T]


def file(kind: str, *pages: np.ndarray, **options: Any) -> bytes:
    first, *others = (Image.fromarray(np.ascontiguousarray(page)) for page in pages)
    content = io.BytesIO()
    first.save(content, kind, **options, **({"save_all": True, "append_images": others} if others else {}))
    return content.getvalue()


SCAN = file("TIFF", *PAGES)


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return content.getvalue()


def members(answer: Any) -> dict[str, bytes]:
    assert answer.headers["Content-Type"] == "application/zip", answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def frames(content: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(content)) as image:
        shown = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            shown.append(np.asarray(image))
        return shown


def same(given: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(given) == len(expected) and all(map(np.array_equal, given, expected))


def test_every_page_comes_back_in_a_zip(tiny: TestClient) -> None:
    for sent, names in (
        ({"content": SCAN}, ["page-1.png", "page-2.png", "page-3.png"]),
        ({"files": {"file": ("scan.tif", SCAN)}}, ["scan-1.png", "scan-2.png", "scan-3.png"]),
        (
            {"content": zipped(a_png=file("PNG", SEVEN), scan_tif=SCAN)},
            ["a.png", "scan-1.png", "scan-2.png", "scan-3.png"],
        ),
    ):
        found = members(tiny.post("/denoise?invert=false", **sent))
        assert list(found) == names
        assert same([frames(content)[0] for content in found.values()][-3:], PAGES)


def test_every_page_comes_back_in_a_tiff_or_json(tiny: TestClient) -> None:
    for ask in ({"headers": {"Accept": "image/tiff"}}, {"params": {"format": "tiff"}}):
        answer = tiny.post("/denoise?invert=false", content=SCAN, **ask)
        assert answer.headers["Content-Type"] == "image/tiff"
        assert same(frames(answer.content), PAGES)
    results = tiny.post("/denoise?format=JSON", content=SCAN).json()["results"]
    assert [result["filename"] for result in results] == ["page-1", "page-2", "page-3"]


def test_several_files_may_become_the_pages_of_a_tiff(tiny: TestClient) -> None:
    files = [("file", (f"{number}.png", file("PNG", page))) for number, page in enumerate(PAGES)]
    answer = tiny.post("/denoise?format=tiff&invert=false", files=files)
    assert same(frames(answer.content), PAGES)
    broken = tiny.post("/denoise?format=tiff", files=[*files, ("file", ("b.png", file("PNG", SEVEN)[:100]))])
    assert broken.status_code == 400
    assert broken.json()["detail"].startswith("b.png: The image is cut or damaged")


def test_page_chooses_one(tiny: TestClient) -> None:
    for sent in ({"content": SCAN}, {"files": {"file": SCAN}}):
        for ask in ({}, {"headers": {"Accept": "image/png"}}):
            answer = tiny.post("/denoise?page=2&invert=false", **sent, **ask)
            assert answer.headers["Content-Type"] == "image/png"
            assert same(frames(answer.content), PAGES[1:2])
    assert tiny.post("/denoise?page=1", content=file("PNG", SEVEN)).status_code == 200
    for content, page, has in ((SCAN, 4, "3 pages"), (file("PNG", SEVEN), 2, "1 page")):
        refused = tiny.post(f"/denoise?page={page}", content=content)
        assert refused.status_code == 422
        assert f"page={page}: the file has {has}." in refused.json()["detail"]


@pytest.mark.parametrize("ask", [{"headers": {"Accept": "image/png"}}, {"params": {"format": "jpeg"}}])
def test_pages_do_not_become_one_picture(tiny: TestClient, ask: dict[str, Any]) -> None:
    refused = tiny.post("/denoise", content=SCAN, **ask)
    assert refused.status_code == 406
    assert "The file has 3 pages, of which `page` chooses one." in refused.json()["detail"]


def test_pages_count_as_files_and_share_their_bytes(tiny_models: Any) -> None:
    blank = file("TIFF", *[np.full((1500, 1500), 255, np.uint8)] * 5, compression="tiff_adobe_deflate")
    with TestClient(create_app(Settings(models=tiny_models, max_files=4))) as client:
        assert client.post("/denoise", content=SCAN).status_code == 200
        for sent in ({"content": file("TIFF", *PAGES, *PAGES)}, {"content": zipped(a_tif=SCAN, b_tif=SCAN)}):
            refused = client.post("/denoise", **sent)
            assert refused.status_code == 413
            assert "6 pages" in refused.json()["detail"]
    with TestClient(create_app(Settings(models=tiny_models, max_request_pixels=10_000_000))) as client:
        refused = client.post("/denoise", content=blank)
        assert refused.status_code == 413
        assert "pixels together" in refused.json()["detail"]


def test_a_scan_in_a_zip_that_has_too_many_pages_fails_alone(tiny_models: Any) -> None:
    with TestClient(create_app(Settings(models=tiny_models, max_files=4))) as client:
        found = members(
            client.post("/denoise", content=zipped(a_png=file("PNG", SEVEN), b_tif=file("TIFF", *PAGES * 2)))
        )
    assert list(found) == ["a.png", "problems.json"]
    assert "6 pages; at most 4 are taken" in json.loads(found["problems.json"])[0]["problem"]["detail"]


@pytest.mark.parametrize(
    ("kind", "name"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("tiff", "TIFF"), ("TIFF", "TIFF")]
)
def test_format_wins_over_accept(tiny: TestClient, kind: str, name: str) -> None:
    content = file("PNG", np.pad(SEVEN, 10))
    answer = tiny.post(f"/denoise?format={kind}", content=content, headers={"Accept": "application/json"})
    assert answer.headers["Content-Type"] == f"image/{kind.lower()}"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.size) == (name, (48, 48))


def test_one_picture_may_come_in_a_zip(tiny: TestClient) -> None:
    for ask in ({"params": {"format": "zip"}}, {"headers": {"Accept": "application/zip"}}):
        assert list(members(tiny.post("/denoise", files={"file": ("7.png", file("PNG", SEVEN))}, **ask))) == ["7.png"]
    assert list(members(tiny.post("/denoise?format=jpeg", content=zipped(a_png=file("PNG", SEVEN))))) == ["a.jpeg"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("shape", [(28, 28), (60, 40)])
def test_the_resolution_is_kept(tiny: TestClient, kind: str, shape: tuple[int, int]) -> None:
    content = file(kind, np.full(shape, 200, np.uint8), dpi=(300, 150))
    for wanted in ("png", "tiff", "jpeg"):
        answer = tiny.post(f"/denoise?format={wanted}", content=content)
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.info["dpi"] == pytest.approx((300, 150), abs=0.5)
    with Image.open(io.BytesIO(tiny.post("/denoise?layout=strip", content=content).content)) as image:
        assert "dpi" not in image.info


def test_a_resolution_that_no_answer_can_tell_is_left_out(tiny: TestClient) -> None:
    content = file("TIFF", SEVEN, dpi=(1_000_000, 300))
    with Image.open(io.BytesIO(tiny.post("/denoise?format=jpeg", content=content).content)) as image:
        assert image.info.get("dpi", (72, 72))[0] < 100


def test_red_ink_comes_back_red_on_white(real: TestClient, digits: Pixels) -> None:
    ink = np.kron(np.concatenate(list(digits[:4]), axis=1), np.ones((3, 3)))[:, :, None]
    page = (1 - ink) * (0.95, 0.92, 0.85) + ink * (0.8, 0.1, 0.1)
    noisy = np.clip(page + np.random.default_rng(0).normal(0, 0.15, page.shape), 0, 1)
    answer = real.post("/denoise?color=keep", content=file("PNG", np.rint(255 * noisy).astype(np.uint8)))
    (shown,) = frames(answer.content)
    core = shown[ink[:, :, 0] > 0.95].mean(axis=0)
    assert core[0] > 180
    assert core[1:].max() < 90
    assert shown[ink[:, :, 0] == 0].mean() > 250


@pytest.mark.parametrize("size", ["input", "native"])
@pytest.mark.parametrize("content", [file("PNG", SEVEN), file("PNG", np.stack([np.pad(SEVEN, 9)] * 3, axis=2))])
def test_colours_come_in_the_size_that_is_wanted(tiny: TestClient, content: bytes, size: str) -> None:
    grey, coloured = (
        frames(tiny.post(f"/denoise?size={size}&color={color}", content=content).content)[0]
        for color in ("grey", "keep")
    )
    assert coloured.shape == (*grey.shape, 3)


@pytest.mark.parametrize("shape", [(50, 61), (101, 77), (301, 402)])
def test_colours_of_a_padded_page_come_in_the_models_size(real: TestClient, shape: tuple[int, int]) -> None:
    height, width = shape
    page = np.full((height, width, 3), 255, np.uint8)
    page[height // 4 : height // 2, width // 4 : width // 3] = (0, 0, 180)
    grey, coloured = (
        real.post(f"/denoise?size=native&color={color}", content=file("PNG", page)) for color in ("grey", "keep")
    )
    assert coloured.status_code == 200
    assert frames(coloured.content)[0].shape == (*frames(grey.content)[0].shape, 3)


def test_strength_says_how_much_is_cleaned(tiny: TestClient) -> None:
    content = file("PNG", SEVEN)
    for strength, factor in ((1, 0.5), (0.5, 0.75), (0, 1.0)):
        for size in ("input", "native"):
            answer = tiny.post(f"/denoise?model=half&invert=false&size={size}&strength={strength}", content=content)
            assert np.abs(frames(answer.content)[0] - factor * SEVEN).max() <= 0.5
    assert tiny.post("/denoise?strength=1.5", content=content).status_code == 422


def test_how_sure_the_answer_is_stands_in_a_header(real: TestClient) -> None:
    answer = real.post("/denoise?model=conv_dae", content=file("PNG", SEVEN))
    told = real.post("/denoise?model=conv_dae&format=json", content=file("PNG", SEVEN)).json()
    assert float(answer.headers["X-Uncertainty"]) == pytest.approx(told["uncertainty"], abs=1e-4)


def test_how_sure_several_answers_are_is_the_worst_of_them(real: TestClient) -> None:
    pages = np.pad(SEVEN, 200, constant_values=0), np.full((400, 400), 255, np.uint8)
    content = file("TIFF", *pages)
    results = real.post("/denoise?invert=false&format=json", content=content).json()["results"]
    headers = real.post("/denoise?invert=false&format=tiff", content=content).headers
    assert float(headers["X-Uncertainty"]) == pytest.approx(max(each["uncertainty"] for each in results), abs=1e-4)
    assert headers["X-Warning"] == " ".join(results[1]["warnings"])


def test_the_digits_of_every_page_are_found(real: TestClient) -> None:
    content = file("TIFF", np.pad(SEVEN, 20), np.pad(SEVEN, 30))
    results = real.post("/digits", content=content).json()["results"]
    assert [(result["filename"], result["width"]) for result in results] == [("page-1", 68), ("page-2", 88)]
    assert len(real.post("/digits?page=2&format=zip", content=content).content) > 100
    assert real.post("/digits?format=png", content=content).status_code == 406
