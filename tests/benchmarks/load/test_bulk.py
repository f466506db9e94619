"""A short measurement: every figure is printed, and the broken files are counted."""

import pytest

from benchmarks.load import bulk


def test_every_figure_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    bulk.main(["--pictures", "40", "--broken", "2", "--seconds", "0.01", "--jobs", "2"])
    printed = capfd.readouterr().out
    assert printed.count("40 pictures in") == 2
    assert printed.count("2 failed:") == 2
    assert printed.count("of it") == 4 * 2 * 2
