"""A zip is a batch: other people's names come back, what is hostile is refused, and what is bad in it fails alone."""

import io
import json
import signal
import struct
import zipfile
import zlib
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from denoise.settings import Settings
from denoise.web import archives
from denoise.web.app import create_app
from tests.conftest import START_S, Server
from tests.web.conftest import SEVEN, form, members, zipped

MANY = 10_000


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


def test_a_small_zip_of_many_blank_pages_is_refused(tiny_models: Path) -> None:
    page = io.BytesIO()
    Image.new("1", (1500, 1500), 1).save(page, "TIFF", compression="group4")
    # A file that packs better could not hold its picture, and would be refused by itself.
    content = page.getvalue() + np.random.default_rng(0).bytes(300)
    with TestClient(create_app(Settings(models=tiny_models, max_pixels=4_000_000))) as client:
        refused = client.post("/denoise", content=zipped(*((f"{n}.tif", content) for n in range(60))))
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
