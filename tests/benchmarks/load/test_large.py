"""Large pictures are answered, and what they took is printed."""

import re

import pytest

from benchmarks.load import large


def test_time_and_memory_are_printed(capfd: pytest.CaptureFixture[str]) -> None:
    large.main(["--side", "600"])
    rows = re.findall(r"600×600 \| (\d) \| [\d.]+ \| ([\d.]+), ([\d.]+) \| (\d+), (\d+) \|", capfd.readouterr().out)
    assert [row[0] for row in rows] == ["1", "4"]
    for _, sent, answered, before, most in rows:
        assert float(answered) > float(sent) + 8
        assert int(before) < int(most) < 1024
