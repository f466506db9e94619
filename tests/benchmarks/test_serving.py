"""What wrk prints is read as it is meant, and the table says what was measured."""

import pytest

from benchmarks import serving
from benchmarks.serving import STACKS, Alone, Measured, Stack


@pytest.mark.parametrize(("told", "ms"), [("813.00us", 0.813), ("6.08ms", 6.08), ("1.39s", 1390), ("2.00m", 120_000)])
def test_times_of_wrk_are_read(told: str, ms: float) -> None:
    assert serving.milliseconds(told) == pytest.approx(ms)


def test_the_table_has_ratios_and_efficiencies() -> None:
    bare, ours, by_hand = STACKS[0], STACKS[1], STACKS[2]
    measured = {
        (bare.row, 16): [Measured(20_000, 1, 2, cpu_us=40)] * 3,
        (ours.row, 16): [Measured(rate, 1.5, 2.5, cpu_us=800) for rate in (1500, 1000, 2000)],
        (by_hand.row, 16): [Measured(rate, 3, 4, cpu_us=700) for rate in (1500, 800, 1000)],
    }
    alone = {ours.row: Alone({1: 2000, 8: 2500}, decode_us=30, encode_us=20)}
    text = "\n".join(serving.report(measured, alone, rounds=3))
    # the median of 1500 / 1500, 1000 / 800 and 2000 / 1000; (40 + 30 + 400 + 20) / 800
    assert "| this service, conv_dae | 1,500 | 1.25 | 1.50 | 2.50 | 800 | 0.61 |  |" in text


def test_runs_alone_are_told_by_their_medians() -> None:
    rounds = [Alone({1: rate, 8: 10 * rate}, decode_us=rate, encode_us=1 / rate) for rate in (1, 4, 2)]
    assert serving.typical(rounds) == Alone({1: 2, 8: 20}, decode_us=2, encode_us=0.5)


def test_every_stack_is_sent_what_it_takes() -> None:
    content, headers = serving.body(Stack("form", "conv_dae", (), form=True))
    assert content.startswith(b"--benchmark\r\n")
    assert headers == {"Content-Type": "multipart/form-data; boundary=benchmark"}
    assert serving.body(Stack("raw", "conv_dae", ()))[1] == {"Content-Type": "image/png"}
    content, headers = serving.body(serving.of_tensors("conv_dae"))
    assert len(content) == int(headers["Inference-Header-Content-Length"]) + 64 * 784 * 4
