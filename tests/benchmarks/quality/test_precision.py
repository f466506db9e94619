"""What a model's precision costs is measured on pictures that are the same for both."""

import pytest

from benchmarks.quality import precision


def test_every_way_to_spoil_digits_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    precision.main(["--model", "conv_dae", "--digits", "2", "--pages", "1"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    noisy = [row for row in rows if row[0] == "| gaussian"]
    assert [row[1:3] for row in noisy] == [[level, "2 digits"] for level in ("0.1", "0.3", "0.5", "0.7", "1")]
    assert all(abs(float(row[4].rstrip(" |"))) < 0.5 for row in noisy)
    assert rows[-1][0].startswith("noisy: ")
