"""Several pictures in one request: each comes back under its own name, and one that is bad spoils no other."""

import base64
import io
import json
import signal
import struct
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from denoise.inference.tiling import TiledRun
from denoise.pictures import images
from denoise.settings import Settings
from denoise.web import archives
from denoise.web.app import create_app
from tests.conftest import CLEAN_7, NOISY_7, START_S, Pixels, Server

SEVEN = NOISY_7.read_bytes()
MANY = 10_000


def png(pixels: Pixels) -> bytes:
    return images.encode(pixels, "png")


def form(*files: tuple[str, bytes]) -> dict[str, Any]:
    return {"files": [("file", file) for file in files]}


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return content.getvalue()


def members(answer: Any) -> dict[str, bytes]:

    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_64_files_come_back_in_a_zip_each_as_it_would_alone(real: TestClient, digits: Pixels) -> None:
    files = [(f"{number}.png", png(digit)) for number, digit in enumerate(digits[:64])]
    answers = members(real.post("/denoise", **form(*files)))
    assert list(answers) == [name for name, _ in files]
    for name, content in files[::21]:
        alone = images.decode(real.post("/denoise", content=content).content, 784)
        assert np.abs(images.decode(answers[name], 784) - alone).max() <= 1 / 255


@pytest.mark.parametrize("kind", ["form", "zip"])
def test_one_bad_file_fails_alone(tiny: TestClient, kind: str) -> None:
    files = [("a.png", SEVEN), ("b.png", SEVEN[:200]), ("c.txt", b"no picture"), ("d.gif", SEVEN)]
    sent = (
        form(*files) if kind == "form" else {"content": zipped(*files), "headers": {"Content-Type": "application/zip"}}
    )
    answer = tiny.post("/denoise", **sent)
    assert answer.headers["X-Failed-Items"] == "2"
    assert answer.headers["X-Model"] == "copy"
    found = members(answer)
    assert list(found) == ["a.png", "d.png", "problems.json"]
    told = json.loads(found["problems.json"])
    assert [(item["filename"], item["problem"]["status"]) for item in told] == [("b.png", 400), ("c.txt", 415)]
    assert told[0]["problem"]["request_id"] == answer.headers["X-Request-ID"]


def test_json_has_a_result_for_each_file_in_order(real: TestClient) -> None:
    files = [("7.png", SEVEN), ("no", b"no picture"), ("clean.png", CLEAN_7.read_bytes())]
    answer = real.post(
        "/denoise?model=conv_dae&noise=0.3&seed=1", **form(*files), headers={"Accept": "application/json"}
    )
    assert answer.headers["X-Failed-Items"] == "1"
    first, bad, last = answer.json()["results"]
    assert [first["filename"], bad["filename"], last["filename"]] == [name for name, _ in files]
    assert bad["problem"]["status"] == 415
    assert first["model"] == "conv_dae"
    assert last["psnr"]["after"] > last["psnr"]["before"]
    assert Image.open(io.BytesIO(base64.b64decode(last["image"]))).size == (28, 28)


def test_a_zip_is_a_batch_however_it_comes(tiny: TestClient) -> None:
    archive = zipped(("scans/7.png", SEVEN), ("__MACOSX/scans/._7.png", b"?"), ("scans/.DS_Store", b"?"))
    for sent in (
        {"content": archive, "headers": {"Content-Type": "application/zip"}},
        {"content": archive},
        form(("scans.zip", archive)),
    ):
        answer = tiny.post("/denoise", **sent)
        assert list(members(answer)) == ["scans/7.png"]
        assert answer.headers["X-Failed-Items"] == "0"


def test_accept_says_of_which_kind_the_pictures_in_the_zip_are(tiny: TestClient) -> None:
    files = form(("a", SEVEN), ("b", SEVEN))
    for accept, names in (("image/png", ["a.png", "b.png"]), ("image/webp", ["a.webp", "b.webp"])):
        found = members(tiny.post("/denoise", **files, headers={"Accept": accept}))
        assert list(found) == names
        assert Image.open(io.BytesIO(found[names[0]])).get_format_mimetype() == accept
    refused = tiny.post("/denoise", **files, headers={"Accept": "text/html"})
    assert refused.status_code == 406
    assert "application/zip, image/png" in refused.json()["detail"]


def test_large_and_small_pictures_go_together(tiny: TestClient) -> None:
    page = io.BytesIO()
    Image.new("L", (400, 300), 255).save(page, "PNG")
    found = members(tiny.post("/denoise", **form(("page.png", page.getvalue()), ("7.png", SEVEN))))
    assert [Image.open(io.BytesIO(content)).size for content in found.values()] == [(400, 300), (28, 28)]


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        (["a.png", "a.jpg", "A.gif"], ["a.png", "a-2.png", "A-3.png"]),
        (["../../etc/passwd", "/root/x.png", "C:\\temp\\y.bmp"], ["etc/passwd.png", "root/x.png", "C_/temp/y.png"]),
        (["a.png/b.jpg", "a.jpg"], ["a.png/b.png", "a-2.png"]),
        (["", "...", "a\x00b?.png", "z" * 300], ["picture-1.png", "picture-2.png", "a_b_.png", "z" * 120 + ".png"]),
    ],
)
def test_names_are_safe_and_no_two_alike(sent: list[str], given: list[str]) -> None:
    assert archives.names(sent, ".png") == given


def nested() -> bytes:
    return zipped(("inner.zip", zipped(("7.png", SEVEN))))


def lying() -> bytes:
    """Its directory tells of one byte where there are many."""
    content = bytearray(zipped(("7.png", bytes(1_000_000))))
    place = content.rfind(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 1)
    return bytes(content)


def shared(count: int) -> bytes:
    """Its directory has the same file many times."""
    content = zipped(("7.png", SEVEN), method=zipfile.ZIP_STORED)
    start, end = content.rfind(b"PK\x01\x02"), content.rfind(b"PK\x05\x06")
    entries = content[start:end] * count
    numbers = struct.pack("<HHHHI", 0, 0, count, count, len(entries))
    return content[:start] + entries + b"PK\x05\x06" + numbers + content[end + 16 :]


@pytest.mark.parametrize(
    ("archive", "status", "sentence"),
    [
        (zipped(*((f"{number}.png", b"") for number in range(MANY))), 413, "10,000 files; at most 64"),
        (zipped(*((f"{number}.png", SEVEN) for number in range(65))), 413, "65 files; at most 64"),
        (zipped(*((f"{number}.bmp", bytes(1_048_576)) for number in range(64)), ("x", b"x" * 9)), 413, "65 files"),
        (zipped(("../../etc/passwd", SEVEN)), 400, "leads out of it"),
        (zipped(("/etc/passwd", SEVEN)), 400, "leads out of it"),
        (zipped(("..\\..\\x.png", SEVEN)), 400, "leads out of it"),
        (zipped(("C:/x.png", SEVEN)), 400, "leads out of it"),
        (shared(20), 400, "they share them"),
        (zipped(), 400, "no files"),
        (zipped(("folder/", b"")), 400, "no files"),
        (zipped((".\\", SEVEN)), 400, "no files"),
        (zipped(("7.png", SEVEN))[:-30], 400, "cut"),
        (b"PK\x03\x04", 400, "cut"),
        (b"PK\x05\x06" + b"\xff" * 18, 413, "at most 64"),
    ],
)
def test_hostile_archives_are_refused_whole(server: httpx2.Client, archive: bytes, status: int, sentence: str) -> None:
    answer = server.post("/denoise", content=archive, headers={"Content-Type": "application/zip"})
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["detail"]


def test_what_is_hidden_in_an_archive_fails_alone(server: httpx2.Client) -> None:
    packed = bytearray(zipped(("7.png", SEVEN), ("inner", zipped(("7.png", SEVEN)))))
    assert members(server.post("/denoise", content=bytes(packed)))["problems.json"].count(b'"status": 415') == 1
    assert b'"status": 400' in members(server.post("/denoise", content=lying()))["problems.json"]
    for place in (packed.find(b"PK\x03\x04") + 6, packed.find(b"PK\x01\x02") + 8):
        packed[place] |= 1  # encrypted
    assert b"encrypted" in members(server.post("/denoise", content=bytes(packed)))["problems.json"]
    lzma = zipped(("7.png", SEVEN), method=zipfile.ZIP_LZMA)
    assert b"is not taken" in members(server.post("/denoise", content=lzma))["problems.json"]


@pytest.mark.parametrize(
    ("beside", "status", "sentence"),
    [
        (("inner.zip", b"PK"), 415, "is an archive inside the zip"),
        (("digits.gz", b"\x1f\x8b"), 415, "is an archive inside the zip"),
        (("bomb.bmp", bytes(50_000_000)), 413, "times its size"),
        (("notes.txt", b"no picture"), 415, "no image of a known kind"),
    ],
)
def test_a_bad_file_in_a_zip_costs_no_other_its_answer(
    tiny: TestClient, beside: tuple[str, bytes], status: int, sentence: str
) -> None:
    found = members(tiny.post("/denoise", content=zipped(("7.png", SEVEN), beside)))
    assert list(found) == ["7.png", "problems.json"]
    (told,) = json.loads(found["problems.json"])
    assert told["problem"]["status"] == status
    assert sentence in told["problem"]["detail"]


def test_what_file_managers_put_beside_the_pictures_is_passed_over(tiny: TestClient) -> None:
    litter = ["Thumbs.db", "desktop.ini", "__MACOSX/a/._7.png", "a/.DS_Store", "a/__MACOSX/._7.png", "a/._7.png"]
    answer = tiny.post("/denoise", content=zipped(("a/7.png", SEVEN), *((name, b"?") for name in litter)))
    assert list(members(answer)) == ["a/7.png"]
    assert answer.headers["X-Failed-Items"] == "0"


def stored(name: bytes, *, flags: int = 0, extra: bytes = b"") -> bytes:
    """A zip of the seven, whose name is as it is and flagged as it is said."""
    common = struct.pack("<HHHHIIIHH", flags, 0, 0, 0x5C21, zlib.crc32(SEVEN), *[len(SEVEN)] * 2, len(name), len(extra))
    directory = struct.pack("<4sHH", b"PK\1\2", 20, 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name + extra
    content = struct.pack("<4sH", b"PK\3\4", 20) + common + name + extra + SEVEN
    return content + directory + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(content), 0)


def unicode_path(name: bytes, real: str) -> bytes:
    """Info-ZIP's extra field that tells a file's name in UTF-8."""
    return struct.pack("<HHBI", 0x7075, 5 + len(real.encode()), 1, zlib.crc32(name)) + real.encode()


SHIFT_JIS = "表1.png".encode("cp932")  # its second byte is a backslash


@pytest.mark.parametrize(
    ("archive", "name"),
    [
        (stored(b"2024-01-01T12:30:15.png"), "2024-01-01T12_30_15.png"),
        (stored(b"12:30/7.png"), "12_30/7.png"),
        (stored("größe_表.png".encode(), flags=0x800), "größe_表.png"),
        (stored("größe_表.png".encode()), "größe_表.png"),
        (stored("größe.png".encode("cp437")), "größe.png"),
        (stored(SHIFT_JIS, extra=struct.pack("<HH", 1, 0) + unicode_path(SHIFT_JIS, "表1.png")), "表1.png"),
        (stored(SHIFT_JIS, extra=unicode_path(b"another", "no.png")), "__1.png"),
        (stored(b"scans\\page 1\\7.png"), "scans/page 1/7.png"),
    ],
)
def test_the_names_of_other_peoples_zips_come_back(tiny: TestClient, archive: bytes, name: str) -> None:
    assert list(members(tiny.post("/denoise", content=archive))) == [name]


def test_a_form_in_a_charset_that_is_dear_to_read_is_refused(tiny: TestClient) -> None:
    part = b'Content-Disposition: form-data; name="seed"\r\n\r\n' + b"a" * 90_000
    headers = {"Content-Type": "multipart/form-data; boundary=X; charset=punycode"}
    refused = tiny.post("/denoise", content=b"--X\r\n" + part + b"\r\n--X--\r\n", headers=headers)
    assert refused.status_code == 415
    assert "the charset punycode is not taken; utf-8 and latin-1 are" in refused.json()["detail"]


def test_a_batch_has_one_deadline_and_gives_what_was_done_before(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TiledRun.step
    monkeypatch.setattr(TiledRun, "step", lambda run: time.sleep(0.1) or step(run))
    page = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100), np.uint8)).save(page, "PNG")
    files = form(*((f"{number}.png", page.getvalue()) for number in range(40)))
    settings = Settings(models=tiny_models, deadline_seconds=1, threads=1)
    with TestClient(create_app(settings)) as client:
        answer = client.post("/reconstruct?model=any", **files, headers={"Accept": "application/json"})

    results = answer.json()["results"]
    late = [result["problem"] for result in results if "problem" in result]
    assert "image" in results[0]
    assert {problem["detail"] for problem in late} == {"The picture was not done within 1 s."}
    assert answer.headers["X-Failed-Items"] == str(len(late))


def test_pictures_of_too_many_pixels_together_are_refused_before_any_is_worked_on(tiny_models: Path) -> None:
    settings = Settings(models=tiny_models, max_request_pixels=2 * 784)
    with TestClient(create_app(settings)) as client:
        two, three = ((form(*((f"{n}.png", SEVEN) for n in range(count)))) for count in (2, 3))
        assert client.post("/denoise", **two).status_code == 200
        refused = client.post("/denoise", **three)
        assert refused.status_code == 413
        assert "more than 1,568 pixels together" in refused.json()["detail"]


def test_a_small_zip_of_many_blank_pages_is_refused(tiny_models: Path) -> None:
    page = io.BytesIO()
    Image.new("1", (1500, 1500), 1).save(page, "TIFF", compression="group4")
    with TestClient(create_app(Settings(models=tiny_models, max_pixels=4_000_000))) as client:
        refused = client.post("/denoise", content=zipped(*((f"{n}.tif", page.getvalue()) for n in range(60))))
    assert refused.status_code == 413
    assert "pixels together" in refused.json()["detail"]


def test_bombs_leave_the_memory_as_it_was() -> None:
    server = Server(DENOISE_WORKERS="1", DENOISE_DRAIN_SECONDS="0")
    url, process = f"{server.url()}/denoise", psutil.Process(server.process.pid)
    bombs = [zipped(("bomb.bmp", bytes(60_000_000))), zipped(*((f"{n}.png", b"") for n in range(MANY))), nested()]
    plain = zipped(*((f"{n}.bmp", bytes(900_000)) for n in range(64)))  # 57.6 MB of what is no picture
    try:
        sizes = []
        for _ in range(6):
            for archive in [*bombs, plain]:
                assert httpx2.post(url, content=archive, timeout=START_S).status_code in (200, 413, 415)
            sizes.append(process.memory_info().rss)
        assert sizes[-1] < sizes[1] + 20_000_000
        assert sizes[-1] < sizes[0] + 60_000_000
    finally:
        server.ended(signal.SIGTERM)
