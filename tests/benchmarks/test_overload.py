"""Asked for four times what it can do, it answers what it can, refuses the rest, and nothing else."""

import re

import pytest

from benchmarks import overload


@pytest.mark.needs("wrk")
def test_overload_is_refused_and_what_can_be_done_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    overload.main(["--seconds", "3"])
    told = capfd.readouterr().out
    refusals = re.search(r"([\d,]+) refusals/s, 0 other answers/s", told)
    assert refusals, told
    assert int(refusals[1].replace(",", "")) > 0
    answered = re.search(r"pictures/s \((\d+)%\)", told)
    assert answered, told
    assert int(answered[1]) > 15  # of what it does unhurried: how much more is told by the benchmark, not by a test
    before, after = (int(size) for size in re.findall(r"(\d+) MiB (?:before|after)", told))
    assert after < 1.1 * before
