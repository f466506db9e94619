"""What a network is trained on is as many pictures of each kind as is said, the same in every run."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.conftest import Pixels
from training import mixtures, parts

BLEND = parts.Blend(
    parts=2, digits=50, pages=10, photos=6, on_digits=mixtures.ON_DIGITS, on_pages=mixtures.ON_PAGES, near=0.7
)


@pytest.fixture(scope="module")
def clean(digits: Pixels) -> Pixels:
    return digits[:300, ..., np.newaxis]


def same(one: list[parts.Pictures], other: list[parts.Pictures]) -> bool:
    """Whether two parts have the same pictures."""
    return all(map(np.array_equal, itertools.chain(*one), itertools.chain(*other)))


def test_a_part_has_digits_pages_and_pieces_of_photos(clean: Pixels) -> None:
    drawn = parts.part(clean, BLEND, (1, 2, 3))
    assert [target.shape for _, target in drawn] == [(50, 28, 28, 1), (10, 96, 96, 1), (6, 96, 96, 1)]
    for spoilt, target in drawn:
        assert spoilt.dtype == target.dtype == np.float32
        assert spoilt.shape == target.shape
        assert 0 <= min(spoilt.min(), target.min()) <= max(spoilt.max(), target.max()) <= 1
        assert not np.array_equal(spoilt, target)
    assert same(drawn, parts.part(clean, BLEND, (1, 2, 3)))
    assert not same(drawn, parts.part(clean, BLEND, (1, 2, 4)))
    without = dataclasses.replace(BLEND, digits=400, pages=0, photos=0)
    assert [len(target) for _, target in parts.part(clean, without, (1, 2, 3))] == [len(clean)]


def test_processes_draw_all_parts_of_the_epochs_in_their_order(clean: Pixels) -> None:
    drawn = list(parts.draw(clean, BLEND, 1, range(3, 6)))
    expected = [parts.part(clean, BLEND, (1, epoch, number)) for epoch in (3, 4, 5) for number in (0, 1)]
    assert all(same(one, other) for one, other in zip(drawn, expected, strict=True))


def test_all_digits_come_in_a_new_order_each_epoch(clean: Pixels) -> None:
    (noisy, first), (_, second) = (parts.noisy_digits(clean, 0.5, (1, epoch)) for epoch in (0, 1))
    assert not np.array_equal(first, second)
    for target in (first, second):
        assert sorted(target.sum(axis=(1, 2, 3))) == pytest.approx(sorted(clean.sum(axis=(1, 2, 3))))
    assert np.std(noisy - first) == pytest.approx(0.33, abs=0.03)  # Clipping takes a third of the factor.


def test_pages_are_near_the_digits_size_as_often_as_is_said(clean: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def pages(_: Pixels, count: int, side: int, scales: tuple[float, float], __: np.random.Generator) -> Pixels:
        drawn.append((count, scales))
        return np.zeros((count, side, side, 1), np.float32)

    monkeypatch.setattr(parts.pages, "pages", pages)
    assert len(parts._pages(clean, 10, 0.7, np.random.default_rng(0))) == 10
    assert drawn == [(3, parts.PAGE_SCALES), (7, parts.NEAR_SCALES)]
