"""What small files cost is measured on files that are small, and for the most part valid."""

import numpy as np
import pytest

from benchmarks.load import cost, small_files
from denoise.errors import RequestError
from denoise.pictures import images


def is_taken(content: bytes) -> bool:
    try:
        images.measure(content, small_files.MOST_PIXELS)
    except RequestError:
        return False
    return True


def test_files_are_small_and_most_are_taken() -> None:
    random = np.random.default_rng(1)
    samples = [small_files.make(random) for _ in range(20)]
    assert max(len(sample.content) for sample in samples) <= small_files.MOST_BYTES
    assert sum(is_taken(sample.content) for sample in samples) > 10
    assert len({sample.description for sample in samples}) > 15


def test_the_dearest_files_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main(["--files", "3"])
    printed = capsys.readouterr().out
    assert "3 files; answers" in printed
    assert printed.partition("files below 10 kB")[2].count(" ms a byte, ") == 2 * 3
