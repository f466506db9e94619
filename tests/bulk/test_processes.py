"""Pictures in processes side by side: all are done, broken ones are told, and one that dies costs one picture."""

import multiprocessing
from pathlib import Path

import pytest

from denoise.bulk import processes
from denoise.bulk.files import Item
from denoise.bulk.processes import Engine
from denoise.bulk.provenance import Maker
from denoise.errors import SetupError
from denoise.inference.ways import CPU
from denoise.pictures.parameters import Parameters
from tests.conftest import NOISY_7

MAKER = Maker("1.0", "copy", "", Parameters())


def items(folder: Path, count: int) -> list[Item]:
    return [Item(NOISY_7, folder / f"{number}.png", "png") for number in range(count)]


@pytest.fixture
def engine(tiny_models: Path) -> Engine:
    return Engine(tiny_models / "copy.onnx", CPU, MAKER)


def test_all_are_done_and_failures_are_told(engine: Engine, tmp_path: Path) -> None:
    broken = Item(tmp_path / "gone.png", tmp_path / "out.png", "png")
    (tmp_path / "file").touch()
    nowhere = Item(NOISY_7, tmp_path / "file" / "out.png", "png")
    outcomes = processes.clean_in_processes([*items(tmp_path, 30), broken, nowhere], engine, 2)
    told = {outcome.item: outcome.why for outcome in outcomes}
    assert {item: why for item, why in told.items() if why} == {
        broken: "It cannot be read: No such file or directory.",
        nowhere: f"'{nowhere.target}' cannot be written: {told[nowhere].rpartition(': ')[2]}",  # type: ignore[union-attr]
    }
    assert len(list(tmp_path.glob("*.png"))) == 30
    assert not list(tmp_path.glob(".*"))


def test_a_process_that_dies_is_replaced(engine: Engine, tmp_path: Path) -> None:
    running = processes.clean_in_processes(items(tmp_path, 200), engine, 1)
    told = [next(running)]
    multiprocessing.active_children()[0].kill()
    told += running
    assert {outcome.item for outcome in told} == set(items(tmp_path, 200))
    (why,) = [outcome.why for outcome in told if outcome.why]
    assert "The process that worked on it died" in why
    assert not multiprocessing.active_children()


def test_others_do_the_work_of_a_process_that_dies_while_it_starts(engine: Engine, tmp_path: Path) -> None:
    started: list[processes.CleaningProcess] = []

    class Dying(processes.CleaningProcess):
        def __init__(self, engine: Engine) -> None:
            super().__init__(engine)
            started.append(self)
            if len(started) == 1:
                self._process.kill()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "CleaningProcess", Dying)
        told = list(processes.clean_in_processes(items(tmp_path, 30), engine, 2))
        assert {outcome.item for outcome in told if outcome.why is None} == set(items(tmp_path, 30))
        started.clear()
        with pytest.raises(SetupError, match="No process for the work could start"):
            list(processes.clean_in_processes(items(tmp_path, 4), engine, 1))


def test_processes_that_cannot_start_are_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"gone.onnx cannot be read: No such file"):
        list(processes.clean_in_processes(items(tmp_path, 4), Engine(tmp_path / "gone.onnx", CPU, MAKER), 1))


def test_threads_do_all_of_it_too(engine: Engine, tmp_path: Path) -> None:
    told = list(processes.clean_in_threads(items(tmp_path, 50), engine.start(), MAKER, 4))
    assert {outcome.item for outcome in told if outcome.why is None} == set(items(tmp_path, 50))
