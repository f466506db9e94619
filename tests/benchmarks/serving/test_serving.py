"""What wrk prints is read as it is meant, and the tables show what was measured."""

import io
import re

import pytest
from PIL import Image

from benchmarks import ROOT, checkouts
from benchmarks.serving import __main__ as serving
from benchmarks.serving import in_process, lineup, pages, requests, table, wrk
from benchmarks.serving.in_process import InProcess
from benchmarks.serving.lineup import Stack
from benchmarks.serving.turns import Figures
from benchmarks.serving.wrk import Measurement


@pytest.mark.parametrize(
    ("printed", "ms"), [("813.00us", 0.813), ("6.08ms", 6.08), ("1.39s", 1390), ("2.00m", 120_000)]
)
def test_times_of_wrk_are_read(printed: str, ms: float) -> None:
    assert wrk.milliseconds(printed) == pytest.approx(ms)


def test_the_table_has_ratios_and_efficiencies() -> None:
    ours, by_hand = lineup.ours("conv_dae"), lineup.by_hand("conv_dae")
    figures = Figures()
    figures.turns[lineup.FIXED.row, 16] = [Measurement(20_000, 1, 2, cpu_us=40)] * 3
    figures.turns[ours.row, 16] = [Measurement(rate, 1.5, 2.5, cpu_us=800) for rate in (1500, 1000, 2000)]
    figures.turns[by_hand.row, 16] = [Measurement(rate, 3, 4, cpu_us=700) for rate in (1500, 800, 1000)]
    figures.in_process[ours.row] = [InProcess({1: 2000, 8: 2500}, run_us=400, decode_us=30, encode_us=20)]
    text = "\n".join(table.report(figures, rounds=3))
    # The median of 1500 / 1500, 1000 / 800 and 2000 / 1000, and (40 + 30 + 400 + 20) / 800.
    assert "| this service, conv_dae | 1,500 | 1.25 | 1.50 | 2.50 | 800 | 0.61 |  |" in text


def test_two_checkouts_stand_side_by_side() -> None:
    here, there = pair = lineup.beside(checkouts.checkout(ROOT, "python -m service"))[0]
    assert there.command[1:] == ("-m", "service")
    figures = Figures()
    for callers in (1, 16, 64):
        figures.turns[here.row, callers] = [Measurement(950, 1, 2, cpu_us=500)]
        figures.turns[there.row, callers] = [Measurement(1000, 1, 2, cpu_us=400)]
    *rows, _, worst = table.comparison([pair], figures)
    assert rows[2] == "| this service, conv_dae | 1 | 1,000 | 950 | 0.950 | 400 | 500 | 0.0% | 0.0% |"
    assert worst == "The worst row: this service, conv_dae, callers: 1, 0.950 of what it was."


@pytest.mark.needs("wrk")
def test_another_checkout_is_started_and_measured(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.serving.turns.CALLERS", (16,))
    monkeypatch.setattr("benchmarks.serving.turns.TURNS_PER_ROUND", 1)
    monkeypatch.setattr("benchmarks.serving.turns.TURN_S", 1)
    serving.main(["easy_dae", "--rounds", "1", "--against", str(ROOT)])
    rows = re.findall(r"\| this service, easy_dae \| (\d+) \|", capfd.readouterr().out)
    assert rows == ["16"]


def test_runs_in_process_are_summed_up_by_their_medians() -> None:
    rounds = [InProcess({1: rate, 8: 10 * rate}, run_us=rate, decode_us=rate, encode_us=1 / rate) for rate in (1, 4, 2)]
    assert in_process.median(rounds) == InProcess({1: 2, 8: 20}, run_us=2, decode_us=2, encode_us=0.5)


def test_every_stack_is_sent_what_it_takes() -> None:
    content, headers = requests.body(Stack("form", "conv_dae", (), form=True))
    assert content.startswith(b"--benchmark\r\n")
    assert headers == {"Content-Type": "multipart/form-data; boundary=benchmark"}
    assert requests.body(Stack("raw", "conv_dae", ()))[1] == {"Content-Type": "image/png"}
    content, headers = requests.body(lineup.ours_by_tensor("conv_dae"))
    assert len(content) == int(headers["Inference-Header-Content-Length"]) + 64 * 784 * 4


def test_the_processor_is_told_with_its_instructions() -> None:
    assert table.processor()
    assert "," not in table.processor().replace(", ", "")


def test_ours_is_measured_with_and_without_bfloat16() -> None:
    ours, exact = lineup.ours("unet_dae"), lineup.ours_in_float32("unet_dae")
    assert ours.environment["DENOISE_PRECISION"] == ours.precision == "auto"
    assert (
        exact.environment["DENOISE_PRECISION"] == exact.precision == lineup.by_hand("unet_dae").precision == "float32"
    )
    assert {ours.row, exact.row} <= {stack.row for stack in lineup.all_stacks()}


def test_pages_are_drawn_and_their_medians_shown() -> None:
    with Image.open(io.BytesIO(pages.draw((100, 140)))) as page:
        assert (page.format, page.size) == ("PNG", (140, 100))
    rows = list(pages.report({("ours", "1 MP"): [1, 3, 2], ("ours", "12 MP"): [9], ("bare", "1 MP"): [4]}))
    assert rows[2:] == ["| ours | 2.00 | 9.00 |", "| bare | 4.00 |  |"]
