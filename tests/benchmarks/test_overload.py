"""Asked for four times what it can do, the service answers what it can, refuses the rest, and nothing else."""

import re

import pytest

from benchmarks import ROOT
from benchmarks.load import overload


@pytest.mark.needs("wrk")
def test_overload_is_refused_and_what_can_be_done_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    overload.main(["--seconds", "2", "--turns", "2"])
    report = capfd.readouterr().out
    refusals = re.search(r"([\d,]+) refusals/s, 0 other answers/s", report)
    assert refusals, report
    assert int(refusals[1].replace(",", "")) > 0
    before, after = (int(size) for size in re.findall(r"(\d+) MiB (?:before|after)", report))
    assert after < 1.1 * before


@pytest.mark.needs("wrk")
def test_another_checkout_takes_turns_beside_this_one(capfd: pytest.CaptureFixture[str]) -> None:
    overload.main(["--seconds", "1", "--turns", "1", "--model", "easy_dae", "--against", str(ROOT)])
    assert capfd.readouterr().out.count(" other answers/s; medians of 1 turns") == 2
