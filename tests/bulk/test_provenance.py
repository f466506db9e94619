"""What made an answer is read as it was written, and what only looks like it is nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from denoise.bulk import files
from denoise.bulk.files import Item
from denoise.bulk.provenance import LABEL_BYTES, Maker, insert, read_label, write_picture
from denoise.pictures import images
from denoise.pictures.images import Kind
from denoise.pictures.parameters import Parameters

LABEL = Maker("1.0", "copy", "0" * 64, Parameters(noise=0.3, seed=7)).label_picture(b"the picture", "png")
PIXELS = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)


@pytest.mark.parametrize("side", [28, 200])
def test_a_label_is_read_as_it_was_written_and_the_picture_stays(tmp_path: Path, side: int) -> None:
    png = images.encode(np.resize(PIXELS, (side, side)), "png")
    (tmp_path / "a.png").write_bytes(insert(png, LABEL))
    assert read_label(tmp_path / "a.png") == LABEL
    with Image.open(tmp_path / "a.png") as image:
        image.verify()
        assert json.loads(image.info["denoise"]) == LABEL
    np.testing.assert_array_equal(images.decode((tmp_path / "a.png").read_bytes(), 10**6), images.decode(png, 10**6))


def test_a_label_tells_all_that_an_answer_depends_on() -> None:
    assert set(LABEL) == {"version", "model", "sha256", "parameters", "source"}
    assert LABEL["parameters"] == {
        "size": "input", "invert": "auto", "layout": "single", "color": "grey", "strength": 1.0, "page": None,
        "noise": 0.3, "seed": 7, "format": "png",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_an_answer_that_another_process_wrote_meanwhile_is_one(tmp_path: Path, kind: Kind) -> None:
    item = Item(tmp_path / "in", tmp_path / f"a.{kind}", kind)
    for _ in range(2):
        write_picture(item, images.encode(PIXELS, kind), LABEL)
    with pytest.raises(FileExistsError):
        write_picture(item, images.encode(PIXELS, kind), LABEL | {"model": "another"})
    assert read_label(item.target) == LABEL


@pytest.mark.parametrize("move", [False, True])
def test_an_answer_that_is_there_after_an_interruption_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, move: bool
) -> None:
    def be_stopped(part: Path, target: Path, *, overwrite: bool) -> None:
        if target.name.startswith(".") or move:
            move_file(part, target, overwrite=overwrite)
        if not target.name.startswith("."):
            raise KeyboardInterrupt

    move_file = files._move
    item = Item(tmp_path / "in", tmp_path / "a.webp", "webp")
    with monkeypatch.context() as patch:
        patch.setattr(files, "_move", be_stopped)
        with pytest.raises(KeyboardInterrupt):
            write_picture(item, images.encode(PIXELS, "webp"), LABEL)
    assert item.target.exists() == move
    write_picture(item, images.encode(PIXELS, "webp"), LABEL)
    assert read_label(item.target) == LABEL


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        images.encode(PIXELS, "png"),
        insert(images.encode(PIXELS, "png"), LABEL)[:100],
        insert(images.encode(PIXELS, "png"), {"a": "b" * LABEL_BYTES}),
        insert(images.encode(PIXELS, "png"), LABEL).replace(b'{"version', b'["version'),
        b"no picture",
    ],
)
def test_what_only_looks_like_a_label_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    (tmp_path / ".a.png.denoise").write_text("[" * 5000)
    assert read_label(tmp_path / "a.png") is None
