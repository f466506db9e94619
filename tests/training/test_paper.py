"""Sheets of paper and the light on them keep within what they say, and some of each kind come about."""

import numpy as np
import pytest

from training import paper

SHAPE = (96, 128)


def test_a_sheet_throws_back_light_without_ink_on_it_and_is_repeatable() -> None:
    def sheet(seed: int) -> paper.Pixels:
        back = np.zeros(SHAPE, np.float32)
        return paper.sheet(SHAPE, 1.0, lambda: back, np.random.default_rng(seed))

    sheets = [sheet(seed) for seed in range(20)]
    assert all(each.min() >= 0 and each.max() <= 1 and each.dtype == np.float32 for each in sheets)
    assert min(np.median(each) for each in sheets) > 0.3
    assert len({round(float(each.std()), 4) for each in sheets}) > 10
    assert np.array_equal(sheets[3], sheet(3))


def test_light_varies_by_no_more_than_slope_shadow_and_vignette_together() -> None:
    lights = [paper.light(SHAPE, np.random.default_rng(seed)) for seed in range(60)]
    ratios = [float(each.max() / each.min()) for each in lights]
    assert min(ratios) == pytest.approx(1)
    assert 2 < max(ratios) < 4 / (0.3 * 0.4)


def test_rules_are_as_deep_as_ink_at_half_strength_and_no_wider_than_four_pixels() -> None:
    for seed in range(20):
        ruled = paper._rules(SHAPE, 1.0, np.random.default_rng(seed))
        assert ruled.min() > 0.15  # Where two cross, each at its deepest.
        assert np.median(ruled) == pytest.approx(1, abs=0.3)


def test_the_ink_on_the_back_shines_through_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRAIN", "FIBRE", "FOLDS", "CRUMPLED", "STAINS", "RULES", "SCREEN"):
        monkeypatch.setattr(paper, name, 0)
    monkeypatch.setattr(paper, "BLEED", 1)
    back = np.zeros(SHAPE, np.float32)
    back[40:60, 10:30] = 1
    sheet = paper.sheet(SHAPE, 1.0, lambda: back, np.random.default_rng(0))
    assert sheet[:, :64].min() == pytest.approx(sheet.max())
    assert 0.69 < sheet[50, -20] / sheet.max() < 0.91


def test_most_sheets_fill_the_picture_and_others_lie_on_something_dark() -> None:
    tables = [paper.table(SHAPE, np.random.default_rng(seed)) for seed in range(60)]
    partly = [beside for on, beside in tables if on.min() < 0.5]
    assert 1 <= len(partly) <= 20
    assert max(beside.mean() for beside in partly) < 0.6
