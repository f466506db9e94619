"""Folders and patterns keep their shape, no picture is overwritten, and what was interrupted goes on."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from PIL import Image

from tests.cli.conftest import COMMAND, HERE, PATIENCE_S, denoise, fill, told
from tests.conftest import NOISY_7, Pixels


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


def test_what_may_be_wrong_with_an_answer_is_told(tmp_path: Path) -> None:
    Image.new("L", (500, 500), 255).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    one = denoise("a.png", "-o", "one.png", "--invert", "false", folder=tmp_path)
    assert one.returncode == 0
    assert "a.png: The picture was shrunk by " in told(one)
    several = denoise("a.png", "b.png", "-o", "clean", "--invert", "false", folder=tmp_path)
    assert "2 of the answers have warnings, which --report FILE lists." in told(several)


def test_patterns_are_understood(tiny_models: Path, tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans" / "a", digits, 2)
    fill(tmp_path / "scans" / "b", digits, 1)
    assert denoise("scans/**/*0.png", "-o", "clean", "--models", tiny_models, folder=tmp_path).returncode == 0
    clean = sorted(str(path.relative_to(tmp_path / "clean")) for path in (tmp_path / "clean").rglob("*.png"))
    assert clean == ["a/000.png", "b/000.png"]
    (tmp_path / "models").mkdir()  # It is a command's name as well.
    shutil.copy(NOISY_7, tmp_path / "models")
    assert denoise("models/*", "-o", "clean", "--models", tiny_models, folder=tmp_path).returncode == 0
    ended = denoise("scans/*.bmp", "-o", "clean", "--models", tiny_models, folder=tmp_path)
    assert (ended.returncode, told(ended)) == (1, "scans/*.bmp: No file matches this pattern.")


def test_every_input_that_holds_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = denoise("missing.png", "empty", "-o", "clean", folder=tmp_path)
    assert ended.returncode == 1
    assert "missing.png: There is no such file or folder." in told(ended)
    assert "empty: There are no pictures in this folder." in told(ended)


def test_a_folder_that_is_named_twice_is_cleaned_once(tiny_models: Path, tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans" / "a", digits, 2)
    (tmp_path / "scans" / "notes.txt").write_text("no picture")
    ended = denoise("scans", "scans/a", "scans", "-o", "clean", "--models", tiny_models, folder=tmp_path)
    assert ended.returncode == 0
    assert "2 pictures in" in told(ended)
    assert "1 left out" in told(ended)


def test_two_pictures_with_one_name_are_told_before_the_work(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(b"")
    ended = denoise("a", "b", "-o", "clean", folder=tmp_path)
    assert ended.returncode == 2
    assert "'a/1.png' and 'b/1.png' would both become 'clean/1.png'" in told(ended)
    assert not (tmp_path / "clean").exists()


def test_pictures_that_differ_in_their_ending_both_have_answers(
    tiny_models: Path, tmp_path: Path, digits: Pixels
) -> None:
    fill(tmp_path / "scans", digits, 1)
    for ending in ("jpg", "bmp"):
        Image.open(tmp_path / "scans" / "000.png").save(tmp_path / "scans" / f"000.{ending}")
    run = ["scans", "-o", "clean", "--models", tiny_models]
    assert denoise(*run, folder=tmp_path).returncode == 0
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == ["000.bmp.png", "000.jpg.png", "000.png"]
    assert "Nothing was left to do; 3 done before" in told(denoise(*run, folder=tmp_path))


def test_several_answers_do_not_go_into_a_folder_that_is_named_as_a_picture(tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans", digits, 2)
    ended = denoise("scans", "-o", "clean.png", folder=tmp_path)
    assert (ended.returncode, (tmp_path / "clean.png").exists()) == (2, False)
    assert "'clean.png' is the name of a file; several answers need a folder" in told(ended)


def test_no_picture_is_overwritten(tmp_path: Path) -> None:
    shutil.copy(NOISY_7, tmp_path / "a.png")
    for arguments in (["a.png", "-o", "a.png"], [".", "-o", "."], ["a.png", str(NOISY_7), "-o", "."]):
        ended = denoise(*arguments, folder=tmp_path)
        assert ended.returncode == 2, arguments
        assert "take the place of" in told(ended) or "into the folder of the pictures" in told(ended)
    assert (tmp_path / "a.png").read_bytes() == NOISY_7.read_bytes()


def test_ctrl_c_leaves_what_is_done_and_nothing_half(tmp_path: Path, digits: Pixels) -> None:
    fill(tmp_path / "scans", digits, 160, side=100)
    command = [*COMMAND, "scans", "-o", "clean", "--jobs", "2"]
    # An interrupt between a file's opening and its use leaves it to the collector, which closes it.
    quiet = HERE | {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    with subprocess.Popen(command, cwd=tmp_path, env=quiet, stderr=subprocess.PIPE, start_new_session=True) as process:
        until = time.monotonic() + PATIENCE_S
        while len(list((tmp_path / "clean").glob("*.png"))) < 20 and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # At Ctrl-C a terminal sends the signal to the whole group.
        stderr = process.communicate(timeout=PATIENCE_S)[1].decode()
    assert process.returncode == 130, stderr
    assert "the same command goes on from there" in stderr
    assert "Traceback" not in stderr
    done = list((tmp_path / "clean").iterdir())
    assert 20 <= len(done) < 160
    assert {path.suffix for path in done} == {".png"}
    before = {path: path.stat().st_mtime_ns for path in done}
    ended = denoise("scans", "-o", "clean", "--jobs", "2", folder=tmp_path)
    assert ended.returncode == 0
    assert f"{160 - len(done)} pictures in" in told(ended)
    assert {path: path.stat().st_mtime_ns for path in done} == before
    assert len(list((tmp_path / "clean").iterdir())) == 160
