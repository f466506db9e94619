"""Nothing is overwritten unasked, nothing endless is read, and nothing is printed that a terminal obeys."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from denoise.bulk import array_files, files
from denoise.cli import backend, commands
from denoise.cli.progress import printable
from tests.cli.conftest import COMMAND, HERE, PATIENCE_S, Answer, Fake, denoise, told
from tests.cli.test_client import CARD, PICTURE, PNG
from tests.conftest import CLEAN_7, NOISY_7, Pixels, tiny_model

MINE = b"a file of one's own"
ESCAPES = "\x1b]0;owned\x07\x1b[1A\x9b2J\x7f\u202e\r"


class Here:
    """The command, run in this process and in a folder with one noisy picture, `in/7.png`."""

    def __init__(self, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.models = models
        self.capsys = capsys
        Path("in").mkdir()
        shutil.copy(NOISY_7, "in/7.png")

    def run(self, *arguments: str | Path) -> tuple[int, str]:
        """The exit status, and what was printed."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            commands.main([*map(str, arguments), "--models", str(self.models)])
        assert isinstance(ended.value.code, int)
        return ended.value.code, " ".join("".join(self.capsys.readouterr()).split())


@pytest.fixture
def here(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DENOISE_MODELS", "")  # The option sets it.
    return Here(tiny_models, capsys)


@pytest.mark.parametrize(("source", "target"), [("in", "out"), ("in/7.png", "out/7.png"), ("in/7.png", "out")])
def test_a_file_that_is_no_answer_is_kept(here: Here, source: str, target: str) -> None:
    Path("out").mkdir()
    Path("out/7.png").write_bytes(MINE)
    status, said = here.run(source, "-o", target)
    assert (status, Path("out/7.png").read_bytes()) == (1, MINE)
    assert "in/7.png: 'out/7.png' is there already, and not known as an answer of this command; --overwrite" in said
    assert here.run(source, "-o", target, "--overwrite")[0] == 0
    assert Path("out/7.png").read_bytes().startswith(b"\x89PNG")


def test_another_picture_with_the_name_of_an_answer_is_kept(here: Here) -> None:
    Path("out").mkdir()
    shutil.copy(CLEAN_7, "out/7.png")
    assert here.run("in", "-o", "out")[0] == 1
    assert Path("out/7.png").read_bytes() == CLEAN_7.read_bytes()


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_what_is_done_is_known_by_what_made_it(here: Here, kind: str) -> None:
    run = ("in", "-o", "out", "--format", kind)
    assert here.run(*run)[0] == 0
    before = Path(f"out/7.{kind}").read_bytes()
    assert here.run(*run) == (0, "Nothing was left to do; 1 done before (--overwrite cleans them anew).")
    for more, words in (
        (("--model", "half"), "made by another model"),
        (("--noise", "0.5", "--seed", "1"), "made with other options"),
    ):
        status, said = here.run(*run, *more)
        assert (status, Path(f"out/7.{kind}").read_bytes()) == (1, before)
        assert f"'out/7.{kind}' is there already, {words}; --overwrite replaces it." in said
    assert here.run(*run, "--model", "half", "--overwrite")[0] == 0
    assert here.run(*run, "--model", "half")[0] == 0
    assert Path(f"out/7.{kind}").read_bytes() != before


def test_a_model_that_was_trained_anew_is_noticed(here: Here, tmp_path: Path) -> None:
    here.models = tmp_path / "models"
    here.models.mkdir()
    (here.models / "copy.onnx").write_bytes(tiny_model())
    assert here.run("in", "-o", "out")[0] == 0
    (here.models / "copy.onnx").write_bytes(tiny_model(factor=0.75))
    status, said = here.run("in", "-o", "out")
    assert status == 1
    assert "made by another model" in said


def test_an_answer_of_another_version_is_noticed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    assert here.run("in", "-o", "out")[0] == 0
    monkeypatch.setattr(backend, "__version__", "9.9.9")
    assert "made by another version" in here.run("in", "-o", "out")[1]


def test_an_arrays_answer_is_known_by_the_file_beside_it(here: Here, digits: Pixels) -> None:
    np.save("in/digits.npy", digits[:10])
    Path("in/7.png").unlink()
    run = ("in", "-o", "out", "--model", "half")
    assert here.run(*run)[0] == 0
    assert here.run(*run)[1].startswith("Nothing was left to do; 1 done before")
    np.save("out/digits.npy", digits[:10])
    status, said = here.run(*run)
    assert (status, len(np.load("out/digits.npy"))) == (1, 10)
    assert "'out/digits.npy' is there already, and not known as an answer" in said


def test_the_answer_of_a_service_is_labelled_with_its_model_and_version(here: Here, fake: Fake) -> None:
    def facts(sha256: str, version: str) -> list[Answer]:
        said = {"models": [CARD | {"sha256": sha256}]}, {"versions": {"denoise": version}}
        return [(200, {}, json.dumps(each).encode()) for each in said]

    fake.answers = [*facts("1", "7.0"), (200, PNG, PICTURE)]
    assert here.run("in", "-o", "out", "--url", fake.url)[0] == 0
    fake.answers = facts("1", "7.0")
    assert here.run("in", "-o", "out", "--url", fake.url)[1].startswith("Nothing was left to do; 1 done before")
    fake.answers = facts("2", "7.0")
    assert "made by another model" in here.run("in", "-o", "out", "--url", fake.url)[1]
    fake.answers = facts("1", "7.1")
    assert "made by another version" in here.run("in", "-o", "out", "--url", fake.url)[1]


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_nothing_is_written_through_links(here: Here, more: tuple[str, ...]) -> None:
    for name in ("out", "elsewhere"):
        Path(name).mkdir()
    Path("elsewhere/mine.png").write_bytes(MINE)
    Path("out/7.png").symlink_to("../elsewhere/mine.png")
    status, said = here.run("in", "-o", "out", *more)
    assert (status, Path("elsewhere/mine.png").read_bytes()) == (1, MINE)
    assert "'out/7.png' is a link, and answers are not written through links." in said
    Path("out/7.png").unlink()
    Path("out/7.png").symlink_to("../elsewhere/not yet there")
    assert here.run("in/7.png", "-o", "out/7.png", *more)[0] == 1
    assert not Path("elsewhere/not yet there").exists()


def test_nothing_is_written_into_a_folder_behind_a_link(here: Here) -> None:
    for name in ("out", "elsewhere", "in/deep"):
        Path(name).mkdir()
    shutil.copy(NOISY_7, "in/deep/8.png")
    Path("out/deep").symlink_to("../elsewhere")
    status, said = here.run("in", "-o", "out", "--overwrite")
    assert (status, list(Path("elsewhere").iterdir())) == (1, [])
    assert "in/deep/8.png: 'out/deep' is a link; answers are not written through links." in said
    assert Path("out/7.png").exists()


def test_a_file_that_came_in_between_is_kept(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), files.write_whole(tmp_path / "a", overwrite=False):
        (tmp_path / "a").write_bytes(MINE)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [MINE]


def test_so_it_is_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(FileExistsError), files.write_whole(tmp_path / "a", overwrite=False):
        (tmp_path / "a").write_bytes(MINE)
    with files.write_whole(tmp_path / "b", overwrite=False) as file:
        file.write(MINE)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": MINE, "b": MINE}


def test_standard_input_overwrites_nothing(here: Here) -> None:
    Path("out.png").write_bytes(MINE)
    ended = denoise("-", "-o", "out.png", "--models", here.models, stdin=NOISY_7.read_bytes(), folder=Path.cwd())
    assert (ended.returncode, Path("out.png").read_bytes()) == (1, MINE)
    assert told(ended) == "'out.png' is there already; --overwrite replaces it."


def test_a_device_is_written_to(here: Here) -> None:
    assert here.run("in/7.png", "-o", "/dev/null") == (0, "")
    assert Path("/dev/null").is_char_device()


def test_endless_files_fail_alone(here: Here) -> None:
    Path("in/zero.png").symlink_to("/dev/zero")
    os.mkfifo("in/pipe.png")
    with Path("in/sparse.png").open("wb") as file:
        file.truncate(50 << 30)
    status, said = here.run("in", "-o", "out")
    assert (status, [path.name for path in Path("out").iterdir()]) == (1, ["7.png"])
    assert "in/zero.png: It is no regular file" in said
    assert "in/pipe.png: It is no regular file" in said
    assert "in/sparse.png: It has 53,687,091,200 bytes; pictures of at most 268,435,456 bytes are taken." in said
    assert "It is no regular file" in here.run("in/zero.png", "-o", "zero.png")[1]
    assert "It is no regular file" in here.run("/dev/zero")[1]


def test_a_stream_is_read_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(bytes(3000))
    with (tmp_path / "file").open("rb") as file, pytest.raises(files.TooLarge, match="more than 2,000 bytes"):
        files.read_bounded(file, limit=2000)
    monkeypatch.setattr(array_files, "UNPACKED_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", np.zeros((2, 28, 28), np.uint8))
    with (
        pytest.raises(files.TooLarge, match="1,696 bytes; 1,000 are taken"),
        array_files.open_arrays(tmp_path / "a.npz"),
    ):
        pass


def test_a_name_that_no_file_can_have_is_told(here: Here) -> None:
    name = "a" * 300 + ".png"
    for arguments in ((name,), ("in/7.png", "-o", name), ("in", "-o", name)):
        status, said = here.run(*arguments)
        assert (status, said) == (1, f"'{name}' cannot be used: File name too long.")


def test_what_is_printed_moves_no_cursor(here: Here) -> None:
    for name in (f"a{ESCAPES}.png".encode(), b"b\n0 failed.\n.png", b"c\xff\x9b2J.png"):
        (Path("in") / os.fsdecode(name)).write_bytes(b"x")
    status, said = here.run("in", "-o", "out")
    assert (status, printable(said)) == (1, said)
    assert r"in/a\x1b]0;owned\x07\x1b[1A\x9b2J\x7f\u202e\r.png: The 1 bytes are no image" in said
    assert r"in/b\n0 failed.\n.png: " in said
    assert r"in/c\udcff\udc9b2J.png: " in said
    status, said = here.run(f"-{ESCAPES}")
    assert (status, printable(said)) == (2, said)


def test_nor_does_what_a_service_says(here: Here, fake: Fake) -> None:
    card = CARD | {"name": f"m{ESCAPES}", "title": ESCAPES}
    fake.answers = [(200, {}, json.dumps({"models": [card]}).encode())]
    ended = denoise("models", "--url", fake.url)
    assert ended.returncode == 0
    assert printable(ended.stdout.decode().strip()) == ended.stdout.decode().strip()
    fake.answers += [fake.answers[0], (400, {}, json.dumps({"detail": f"no{ESCAPES}"}).encode())]
    status, said = here.run("in", "-o", "out", "--url", fake.url)
    assert (status, said) == (1, r"in/7.png: no\x1b]0;owned\x07\x1b[1A\x9b2J\x7f\u202e\r")


def test_what_is_no_picture_leaves_no_file(here: Here, fake: Fake) -> None:
    for source, target in (("in", "out"), ("in/7.png", "out.png")):
        fake.answers = [
            (200, {}, json.dumps({"models": [CARD]}).encode()),
            (404, {}, b""),
            (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
        ]
        assert here.run(source, "-o", target, "--url", fake.url)[0] == 1
    assert [path.name for path in Path().iterdir()] == ["in"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_amid_an_array_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    np.save(tmp_path / "digits.npy", np.zeros((60_000, 28, 28), np.uint8))
    command = [*COMMAND, "digits.npy", "-o", "out.npy", "--model", "unet_dae", "--jobs", "1"]
    # The signal may come between a file's opening and the block that closes it, which Python then warns of.
    quiet = HERE | {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    before = signal.signal(number, signal.SIG_DFL)  # Where nohup began the tests, what they start is deaf to SIGHUP.
    with subprocess.Popen(command, cwd=tmp_path, env=quiet, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(number, before)
        until = time.monotonic() + PATIENCE_S
        while len(list(tmp_path.iterdir())) == 1 and time.monotonic() < until:
            time.sleep(0.02)
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    assert said == "Stopped after 0 pictures; the same command goes on from there.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npy"]


@pytest.mark.usefixtures("here")
def test_a_silent_service_does_not_keep_the_command_from_ending() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [*COMMAND, "in/7.png", "-o", "out.png", "--url", url]
        with subprocess.Popen(command, env=HERE, stderr=subprocess.PIPE, text=True) as process:
            caller, _ = silent.accept()
            assert caller.recv(10_000).startswith(b"GET /models ")
            models = json.dumps({"models": [CARD]}).encode()
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(models), models))
            assert caller.recv(10_000).startswith(b"GET /info ")
            caller.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            while b"POST " not in caller.recv(10):  # The picture is being sent; it gets no answer.
                pass
            time.sleep(0.5)  # All threads of the command have started, and it waits for them.
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE_S)
            caller.close()
    assert (process.returncode, said) == (143, "Stopped after 0 pictures; the same command goes on from there.\n")
    assert [path.name for path in Path().iterdir()] == ["in"]
