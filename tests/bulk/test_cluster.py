"""`denoise bulk` on a real Ray cluster of two nodes: the same answers, whatever is broken, interrupted or lost."""

import contextlib
import csv
import io
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from denoise.bulk import arrays, cluster, tables
from denoise.bulk.picture_files import cleaner
from denoise.bulk.pieces import BulkJob, BulkPiece, Outcome
from denoise.bulk.plan import make_plan
from denoise.bulk.processes import Engine
from denoise.bulk.provenance import Maker
from denoise.cli import commands
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU
from denoise.pictures.parameters import Parameters
from denoise.settings import MAX_PIXELS
from tests.cli.conftest import COMMAND, HERE, PATIENCE_S, denoise, fill
from tests.conftest import MNIST, NOISY_7, ROOT, Pixels, RayCluster

# Ray opens files and sockets that it leaves to the end of the process, and calls what other libraries call old.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
IDX = MNIST / "t10k-images-idx3-ubyte.gz"


def in_bulk(ray_cluster: RayCluster, *arguments: str | Path) -> int:
    """The exit status of `denoise bulk` in this process, which has joined the cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENOISE_MODELS", "")  # --models sets it
        with pytest.raises(SystemExit) as ended:
            commands.main(["bulk", *map(str, arguments), "--address", ray_cluster.address])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def png(digit: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray((digit * 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def tiff_of(digits: Pixels) -> bytes:
    """A TIFF with a page for each digit."""
    first, *others = (Image.fromarray((digit * 255).astype(np.uint8)) for digit in digits)
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=others)
    return file.getvalue()


def job(model: Path) -> BulkJob:
    engine, opened = Engine(model, CPU, Maker("1.0", model.stem, "", Parameters())), Denoiser(model, CPU, 1)
    return BulkJob(engine, arrays.Work(opened, opened.size), "auto", 2, False)


def contents(folder: Path) -> dict[Path, bytes]:
    """The answers below a folder; what made them is told with their dates, which differ."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".denoise")
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_folders_and_arrays_become_what_denoise_makes_of_them(
    ray_cluster: RayCluster, tiny_models: Path, tmp_path: Path, digits: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "scans" / "a", digits, 70)
    (tmp_path / "scans" / "broken.png").write_bytes(b"no picture")
    shutil.copy(IDX, tmp_path / "scans")
    np.save(tmp_path / "scans" / "floats.npy", digits[:5000])
    np.save(tmp_path / "scans" / "outside.npy", digits[:5000] * 2)
    np.savez(tmp_path / "scans" / "both.npz", digits=digits[:100], labels=np.arange(100))
    options = ("--models", tiny_models, "--model", "half", "--noise", "0.2", "--seed", "3")
    assert denoise(tmp_path / "scans", "-o", tmp_path / "there", *options).returncode == 1
    report = tmp_path / "report.csv"
    assert in_bulk(ray_cluster, tmp_path / "scans", "-o", tmp_path / "here", *options, "--report", report) == 1
    _, first, *others = csv.reader(report.read_text(encoding="utf-8").splitlines())
    assert (first[0], first[2]) == (str(tmp_path / "scans" / "broken.png"), "")
    assert len(others) == 70
    assert all(0 <= float(uncertainty) <= 1 for _, _, uncertainty, _ in others)
    assert contents(tmp_path / "here") == contents(tmp_path / "there") | {
        path: content for path, content in contents(tmp_path / "here").items() if ".parts" in str(path.parent)
    }
    told = capsys.readouterr().err
    assert "2 failed:" in told
    assert f"{tmp_path}/scans/broken.png: The 10 bytes are no image" in told
    assert f"{tmp_path}/scans/outside.npy: Its pictures from number 0 on have values from 0 to 2" in told


def test_tables_keep_their_rows_and_other_columns(
    ray_cluster: RayCluster,
    tiny_models: Path,
    tmp_path: Path,
    digits: Pixels,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "ROWS_PER_RANGE", 30)
    pictures = [png(digit) for digit in digits[:100]]
    pictures[2] = tiff_of(digits[:2])
    plain: list[bytes | None] = [*pictures[:50], b"no picture", None, *pictures[52:]]
    structs = [one and {"bytes": one, "path": f"{n}.png"} for n, one in enumerate(plain)]
    given = tmp_path / "given"
    given.mkdir()
    for name, column in (("plain", plain), ("structs", structs)):
        table = pa.table({"label": list(range(100)), "image": column}).replace_schema_metadata({"huggingface": "{}"})
        parquet.write_table(table, given / f"{name}.parquet", row_group_size=45)
    parquet.write_table(pa.table({"label": [1]}), given / "labels.parquet")
    (given / "broken.parquet").write_bytes(b"no table")
    assert in_bulk(ray_cluster, given, "-o", tmp_path / "clean", "--models", tiny_models, "--model", "half") == 1
    told = capsys.readouterr().err
    assert "4 failed:" in told
    assert f"{given}/plain.parquet, row 50: The 10 bytes are no image" in told
    assert f"{given}/labels.parquet: It has no column of pictures; none of its columns has binary values." in told
    assert f"{given}/broken.parquet: The table cannot be read: " in told
    half = cleaner(Denoiser(tiny_models / "half.onnx", CPU, 1), Parameters(), MAX_PIXELS)
    for name in ("plain", "structs"):
        table, answer = (parquet.read_table(folder / f"{name}.parquet") for folder in (given, tmp_path / "clean"))
        assert answer.schema.equals(table.schema, check_metadata=True)
        assert answer["label"] == table["label"]
        cleaned = [one["bytes"] if isinstance(one, dict) else one for one in answer["image"].to_pylist()]
        assert cleaned == [
            None if n in (50, 51) else half(one, "tiff" if n == 2 else "png").content for n, one in enumerate(pictures)
        ]
    assert sorted(path.name for path in (tmp_path / "clean").glob("[!.]*")) == ["plain.parquet", "structs.parquet"]


def test_a_node_that_is_lost_costs_nothing(
    ray_cluster: RayCluster, tmp_path: Path, digits: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PICTURES_PER_PIECE", 4)
    monkeypatch.setattr(arrays, "RUNS_PER_BLOCK", 1)
    fill(tmp_path / "scans", digits, 200, side=160)
    np.save(tmp_path / "scans" / "digits.npy", digits[:3000])
    plan = make_plan([str(tmp_path / "scans")], str(tmp_path / "clean"), None, tables=True)
    work = job(ROOT / "models" / "conv_dae.onnx")
    running = cluster.clean(plan, work, lambda _: None)
    outcomes = [next(running)]
    deadline = time.monotonic() + PATIENCE_S
    while not works_on_it(ray_cluster.second) and time.monotonic() < deadline:
        outcomes.append(next(running))
    assert works_on_it(ray_cluster.second)
    outcomes += [next(running) for _ in range(4)]
    ray_cluster.lose()
    before = len(outcomes)
    outcomes += running
    ray_cluster.another()
    assert len(outcomes) > before
    assert sum(outcome.cleaned for outcome in outcomes) == 3_200
    assert not [failure for outcome in outcomes for failure in outcome.failures]
    assert len(list((tmp_path / "clean").glob("*.png"))) == 200
    assert len(np.load(tmp_path / "clean" / "digits.npy", "r")) == 3_000


def works_on_it(node: Any) -> bool:
    """Whether a node has a process of ours that works."""
    (raylet,) = node.all_processes["raylet"]
    names = ["".join(child.cmdline()) for child in psutil.Process(raylet.process.pid).children()]
    return any("PieceActor" in name and "IDLE" not in name for name in names)


def test_what_was_interrupted_goes_on(
    ray_cluster: RayCluster, tmp_path: Path, digits: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "digits.npy", np.resize(digits, (30_000, 28, 28)))
    arguments = (str(tmp_path / "digits.npy"), "-o", str(tmp_path / "clean.npy"), "--model", "easy_dae")
    command = [*COMMAND[:1], *COMMAND[3:], "bulk", *arguments, "--jobs", "1"]  # on a cluster of its own
    running = subprocess.Popen(command, env=HERE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while not list(tmp_path.glob(f".*/{'[0-9]' * 7}")) and time.monotonic() < deadline:  # a part that is done
        time.sleep(0.01)
    family = psutil.Process(running.pid).children(recursive=True)
    open_to = {each.laddr.ip for one in family for each in listening(one)}
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 143
    assert open_to
    assert open_to <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert "the same command goes on from there" in told
    assert not (tmp_path / "clean.npy").exists()
    assert in_bulk(ray_cluster, *arguments) == 0
    (count,) = re.findall(r"^([\d,]+) pictures in", capsys.readouterr().err, re.MULTILINE)
    assert 0 < int(count.replace(",", "")) < 30_000
    assert denoise(*arguments[:2], tmp_path / "there.npy", *arguments[3:]).returncode == 0
    assert (tmp_path / "clean.npy").read_bytes() == (tmp_path / "there.npy").read_bytes()
    assert {path.name for path in tmp_path.glob(".*")} == {".clean.npy.denoise", ".there.npy.denoise"}


def listening(process: psutil.Process) -> list[Any]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [each for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]
    return []


@pytest.mark.usefixtures("ray_cluster")
def test_a_picture_that_kills_processes_takes_no_other_with_it(
    tiny_models: Path, tmp_path: Path, digits: Pixels
) -> None:
    fill(tmp_path / "scans", digits, 10)
    plan = make_plan([str(tmp_path / "scans")], str(tmp_path / "clean"), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "RETRIES", 0)
        patch.setattr(cluster, "PieceActor", Deadly)
        alone = job(tiny_models / "copy.onnx")._replace(jobs=1)
        outcomes = list(cluster.clean(plan, alone, lambda _: None))
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    assert failures == [(str(tmp_path / "scans" / "007.png"), cluster.DIED)]
    assert len(list((tmp_path / "clean").glob("*.png"))) == 9


class Deadly(cluster.PieceActor):
    """A process that one of the pictures kills."""

    def do(self, piece: BulkPiece) -> Outcome:
        """Dies of that picture."""
        if any(item.source.name == "007.png" for item in piece.items):
            os._exit(1)
        return super().do(piece)


def test_without_ray_it_is_told_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('No module named ray')")
    there = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    ended = denoise("bulk", NOISY_7, "-o", tmp_path / "clean.png", folder=tmp_path, **there)
    assert ended.returncode == 1
    assert b"`denoise bulk` needs Ray: pip install 'denoise-service[ray]'" in ended.stderr
    assert denoise(NOISY_7, "-o", tmp_path / "clean.png", folder=tmp_path, **there).returncode == 0
