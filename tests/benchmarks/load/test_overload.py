"""Asked for four times what it can do, the service answers what it can, refuses the rest, and nothing else."""

import re

import pytest

from benchmarks import ROOT
from benchmarks.load import overload


@pytest.mark.needs("wrk")
def test_overload_is_refused_in_this_checkout_and_in_another(capfd: pytest.CaptureFixture[str]) -> None:
    overload.main(["--seconds", "3", "--turns", "1", "--against", str(ROOT)])
    printed = capfd.readouterr().out
    refusals = re.findall(r"([\d,]+) refusals/s, 0 other answers/s", printed)
    assert len(refusals) == 2
    assert all(int(each.replace(",", "")) > 0 for each in refusals)
    for before, after in re.findall(r"(\d+) MiB before, (\d+) MiB after", printed):
        assert int(after) < 1.1 * int(before)
