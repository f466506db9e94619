"""Photos of sheets show the ink that they are said to hold, whatever paper and light do."""

import numpy as np
import pytest

from tests.conftest import Pixels
from training import photos


@pytest.fixture(scope="module")
def shots(digits: Pixels) -> list[tuple[Pixels, Pixels]]:
    random = np.random.default_rng(0)
    return [shot for _ in range(20) for shot in photos.sheet_shots(digits[:200, ..., np.newaxis], random)]


def test_they_are_light_ink_on_black_and_so_is_what_is_to_be_found(shots: list[tuple[Pixels, Pixels]]) -> None:
    for seen, ink in shots:
        assert seen.shape == ink.shape == (photos.SHEET_PX, photos.SHEET_PX)
        assert seen.dtype == ink.dtype == np.float32
        assert 0 <= min(seen.min(), ink.min()) <= max(seen.max(), ink.max()) <= 1
        assert ink.max() > 0.8


def test_where_ink_is_more_is_seen_than_where_there_is_none(shots: list[tuple[Pixels, Pixels]]) -> None:
    brighter = [seen[ink > 0.9].mean() > seen[ink < 0.1].mean() for seen, ink in shots]
    assert np.mean(brighter) > 0.9


def test_some_sheets_are_clean_already(shots: list[tuple[Pixels, Pixels]]) -> None:
    same = [np.array_equal(seen, ink) for seen, ink in shots]
    assert 0 < sum(same) < len(same)


def test_an_estimate_of_the_paper_follows_a_shadow_and_leaves_the_ink() -> None:
    picture = np.full((192, 192), 0.8, np.float32)
    picture[:, 96:] *= 0.4
    picture[::24] *= 0.3
    random = np.random.default_rng(0)
    for _ in range(5):
        quotient = picture / photos._paper(picture, random)
        assert np.median(quotient[:, :60]) == pytest.approx(1, abs=0.1)
        assert np.median(quotient[:, 140:]) == pytest.approx(1, abs=0.1)
        assert quotient[::24].max() < 0.5


def test_pieces_are_as_many_and_as_large_as_is_asked_and_repeatable(digits: Pixels) -> None:
    once, again = (photos.photos(digits[:50, ..., np.newaxis], 5, 64, np.random.default_rng(3)) for _ in range(2))
    assert [each.shape for each in once] == [(5, 64, 64, 1)] * 2
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
