"""A short soak: memory stays about where it was, and every answer is one that is allowed."""

import pytest

from benchmarks.load import soak


def test_memory_does_not_leak(capfd: pytest.CaptureFixture[str]) -> None:
    # In so few requests memory goes up and down by a fifth; what leaked half a megabyte a request would be found.
    soak.main(["--requests", "600", "--first", "300", "--workers", "1", "--growth", "40"])
    printed = capfd.readouterr().out
    assert "resident memory of 1 workers" in printed
    assert "200: " in printed
