"""A short soak: memory stays where it was, and every answer is one that is allowed."""

import pytest

from benchmarks.load import soak


def test_memory_stays_flat(capfd: pytest.CaptureFixture[str]) -> None:
    soak.main(["--requests", "1200", "--first", "500", "--workers", "1"])
    printed = capfd.readouterr().out
    assert "resident memory of 1 workers" in printed
    assert "200: " in printed
