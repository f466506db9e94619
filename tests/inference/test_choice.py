"""Of the ways to run a model the fastest serves that proves itself, and workers make the choice once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from denoise.errors import SetupError
from denoise.inference import choice, clock
from denoise.inference.choice import Choice
from denoise.inference.denoiser import Restored
from denoise.inference.proof import examples
from denoise.inference.ways import CPU, CUDA, CUDA_TFLOAT32, OPENVINO, OPENVINO_BFLOAT16, Way, Ways
from denoise.pictures import Pixels

WAYS = Ways((OPENVINO_BFLOAT16, OPENVINO, CPU), {CUDA: "There is none."})
TICKS = {CPU: 10, OPENVINO: 7, OPENVINO_BFLOAT16: 3}


class Clock:
    """Time that passes only while a model runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def process_time(self) -> float:
        """Seconds."""
        return self.now

    perf_counter = process_time


class Timed:
    """A model that takes so many ticks for a picture, and whose answers are off by so much."""

    seconds_per_pixel: float | None = None
    size = (28, 28)

    def __init__(self, way: Way, time: Clock, ticks: float, off: float) -> None:
        self.way, self._time, self._ticks, self._off = way, time, ticks, off

    def __call__(self, pixels: Pixels) -> Restored:
        """The picture itself, but for what it is off."""
        self._time.now += self._ticks * len(pixels) * 1e-4
        return Restored(pixels + np.float32(self._off), None)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(clock, "time", own)
    return own


def choose(time: Clock, ticks: dict[Way, float] | None = None, off: float = 0.0) -> tuple[Timed, Choice]:
    """What is chosen when the ways take so long, and bfloat16 is off by so much."""
    spent = TICKS | (ticks or {})
    return choice.choose(WAYS, lambda way: Timed(way, time, spent[way], off if way == OPENVINO_BFLOAT16 else 0))


def test_the_fastest_way_serves_and_the_others_are_told_how_much_slower_they_are(time: Clock) -> None:
    model, chosen = choose(time)
    assert model.way == chosen.way == OPENVINO_BFLOAT16
    assert model.seconds_per_pixel == pytest.approx(3e-4 / 28**2)
    assert chosen.ruled_out[CPU] == "It takes 1,000 µs for a digit, OpenVINO in bfloat16 300 µs."
    assert chosen.ruled_out[OPENVINO] == "OpenVINO in bfloat16 works, which is faster wherever the processor has it."


@pytest.mark.parametrize("off", [0.06, 0.004, np.nan])
def test_a_way_that_is_too_inexact_is_ruled_out_and_the_next_one_serves(time: Clock, off: float) -> None:
    model, chosen = choose(time, off=off)
    assert model.way == OPENVINO
    assert chosen.ruled_out[OPENVINO_BFLOAT16].startswith(f"Its answers are off by {off:.2g}, or")
    assert chosen.ruled_out[OPENVINO_BFLOAT16].endswith("allowed is 0.05, or 0.003 on the mean.")


def test_a_way_that_is_hardly_faster_is_not_taken(time: Clock) -> None:
    model, chosen = choose(time, {OPENVINO_BFLOAT16: 9})
    assert model.way == CPU
    assert set(chosen.ruled_out) == {OPENVINO, OPENVINO_BFLOAT16}


def choose_on_gpu(time: Clock, ticks: float, off: float = 0.0, *, among: tuple[Way, ...]) -> tuple[Timed, Choice]:
    """What is chosen when TF32 takes so long and is off by so much, and float32 takes a tick on the GPU."""
    spent = TICKS | {CUDA_TFLOAT32: ticks, CUDA: 1}
    return choice.choose(Ways(among, {}), lambda way: Timed(way, time, spent[way], off if way == CUDA_TFLOAT32 else 0))


@pytest.mark.parametrize("among", [(CUDA_TFLOAT32, CUDA), (CUDA_TFLOAT32, CUDA, CPU)])
def test_a_gpu_multiplies_in_tf32_only_where_that_saves_much_and_is_exact_enough(
    time: Clock, among: tuple[Way, ...]
) -> None:
    assert choose_on_gpu(time, 0.8, among=among)[0].way == CUDA_TFLOAT32
    model, chosen = choose_on_gpu(time, 0.9, among=among)
    assert model.way == CUDA
    assert chosen.ruled_out[CUDA_TFLOAT32] == f"It takes 90 µs for a digit, {CUDA} 100 µs."
    model, chosen = choose_on_gpu(time, 0.1, off=0.02, among=among)
    assert model.way == CUDA
    assert chosen.ruled_out[CUDA_TFLOAT32].endswith("allowed is 0.01, or 0.001 on the mean.")


def refuse(failing: set[Way], time: Clock) -> Callable[[Way], Timed]:
    """What loads models, but not in some ways."""

    def load(way: Way) -> Timed:
        if way in failing:
            raise SetupError(f"{way} refuses.")
        return Timed(way, time, TICKS[way], 0)

    return load


def test_a_way_that_refuses_is_ruled_out_and_a_file_that_no_way_runs_stops_the_start(time: Clock) -> None:
    model, chosen = choice.choose(WAYS, refuse({OPENVINO_BFLOAT16, OPENVINO}, time))
    assert (model.way, chosen.ruled_out[OPENVINO]) == (CPU, "OpenVINO in float32 refuses.")
    with pytest.raises(SetupError, match="CPUExecutionProvider in float32 refuses"):
        choice.choose(WAYS, refuse({CPU}, time))


def test_only_batches_that_fit_into_a_turn_are_timed(time: Clock) -> None:
    sizes: list[int] = []

    def run(pixels: Pixels) -> None:
        sizes.append(len(pixels))
        time.now += len(pixels) * 0.003

    assert clock.warm_and_time([run], None) == [pytest.approx(0.003 / 28**2)]
    assert set(sizes) == {1, 2, 4}


def test_the_examples_are_the_same_each_time_and_of_the_size_that_the_model_takes() -> None:
    digits, page = examples(None)
    assert all(np.array_equal(*pair) for pair in zip(examples(None), [digits, page], strict=True))
    assert [batch.shape for batch in examples((28, 28))] == [digits.shape] == [(16, 28, 28, 1)]
    assert [batch.shape for batch in examples((40, 20))] == [(16, 40, 20, 1)]
    assert page.shape[0] == 1
    assert 0 <= page.min() < page.max() <= 1


def test_workers_read_the_choices_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.FILE, str(tmp_path / "ways.json"))
    made = Choice(OPENVINO_BFLOAT16, {CPU: "It takes longer."})
    with choice.share() as choices:
        assert choices == {}
        choices["abc"] = made
    with choice.share() as choices:
        assert choices == {"abc": made}
    (tmp_path / "ways.json").write_text('{"abc": {"way"')
    with choice.share() as choices:
        assert choices == {}


def test_nothing_is_kept_outside_of_a_service() -> None:
    with choice.share() as choices:
        choices["abc"] = Choice(CPU, {})
    with choice.share() as choices:
        assert choices == {}
