"""The paper of a page is found under any light, and dividing by it leaves the ink."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from denoise.pictures import page
from tests.conftest import Pixels
from tests.pictures.test_framing import noisy, psnr
from tests.pictures.test_strokes import row_of_digits


def sheet(digits: Pixels, scale: int = 2) -> Pixels:
    """Ink, light on black: two rows of six digits with paper around them."""
    rows = [row_of_digits(digits[first:], scale) for first in (0, 8, 16)]
    return np.pad(np.concatenate(rows, axis=1), 14 * scale)


def divided(light: Pixels) -> Pixels:
    return page.divide(light, page.look(light))


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("scale", [1, 2, 5])
def test_ink_is_left_under_slanting_light_and_hard_shadows(digits: Pixels, strength: float, scale: int) -> None:
    ink = sheet(digits, scale)
    light = np.linspace(0.4, 0.9, ink.shape[1], dtype=np.float32) * np.ones_like(ink)
    light[:, : ink.shape[1] // 3] *= 0.5
    shaded = light * (1 - strength * ink)
    assert psnr(divided(shaded), ink) > 22
    assert psnr(divided(shaded), ink) > psnr(1 - shaded, ink) + 10


def test_a_clean_page_on_white_stays_as_it_is(digits: Pixels) -> None:
    assert np.abs(divided(1 - sheet(digits)) - sheet(digits)).max() < 0.02


def test_white_noise_that_was_clipped_stays_as_it_is(digits: Pixels) -> None:
    picture = noisy(1 - sheet(digits, 3), 0.5)
    assert np.abs(page.look(picture).paper - 1).max() < 1e-6


def test_a_dark_table_becomes_clean_paper(digits: Pixels) -> None:
    picture = noisy(0.8 * (1 - 0.7 * sheet(digits)), 0.01)
    picture[:, :80] = 0.1
    assert (divided(picture)[:, :76] < 0.1).all()


def test_what_a_sheet_lies_on_is_clean_however_rough_it_is(digits: Pixels) -> None:
    ink = sheet(digits, 3)
    picture = np.pad(0.8 * (1 - 0.7 * ink), 80)
    picture[picture == 0] = np.random.default_rng(1).uniform(0.0, 0.2, np.count_nonzero(picture == 0))
    found = divided(picture.astype(np.float32))
    around = np.pad(np.zeros_like(ink, bool), 80, constant_values=True)
    assert (found[around] == 0).mean() > 0.97
    assert psnr(found[80:-80, 80:-80], ink) > 18


def test_a_dark_display_in_a_light_front_is_no_surrounding(digits: Pixels) -> None:
    picture = np.full((400, 700), 0.9, np.float32)
    digit_row = np.concatenate(digits[:4], axis=1).repeat(4, axis=0).repeat(4, axis=1)
    picture[100:212, 100:548] = 0.15 * (1 - 0.9 * digit_row)
    assert page.look(picture).outside is None or not page.look(picture).outside[60:200, 80:520].any()
    assert divided(picture)[100:212, 100:548][digit_row > 0.9].mean() > 0.5


def test_the_gain_makes_up_for_faint_ink_up_to_its_limit(digits: Pixels) -> None:
    for strength, gain in ((0.95, 1), (0.5, 2), (0.07, page.LARGEST_GAIN)):
        assert page.look(0.9 * (1 - strength * sheet(digits, 3))).gain == pytest.approx(gain, rel=0.15)


@pytest.mark.parametrize(("strength", "factor"), [(0.13, 0.015), (0.17, 0.03), (0.22, 0.03), (0.33, 0.03)])
def test_faint_pencil_on_quiet_paper_becomes_as_dark_as_ink(digits: Pixels, strength: float, factor: float) -> None:
    picture = noisy(0.9 * (1 - strength * sheet(digits, 3)), factor)
    assert page.look(picture).gain == pytest.approx(1 / strength, rel=0.2)


@pytest.mark.parametrize("strength", [0.4, 0.8])
def test_strokes_out_of_focus_are_sharpened(digits: Pixels, strength: float) -> None:
    ink = sheet(digits, 3)
    soft = (0.8 * (1 - strength * gaussian_filter(ink, 2.5))).astype(np.float32)
    sharp = page.divide(*page.sharpen(soft, page.look(soft), 1.0))
    assert psnr(sharp, ink) > psnr(divided(soft), ink) + 1


@pytest.mark.parametrize(("blur", "factor", "shrunk"), [(0.5, 0, 1), (2.5, 0.2, 1), (2.5, 0, 2)])
def test_what_is_sharp_or_noisy_or_shrunk_is_not_sharpened(
    digits: Pixels, blur: float, factor: float, shrunk: float
) -> None:
    soft = noisy(0.8 * (1 - 0.8 * gaussian_filter(sheet(digits, 2), blur)), factor)
    assert page.sharpen(soft, page.look(soft), shrunk)[0] is soft


def glare(shape: tuple[int, ...]) -> Pixels:
    """How much a lamp's reflection veils, most in the middle."""
    rows, columns = (np.linspace(-1, 1, side) for side in shape)
    return (0.85 * np.exp(-8 * (rows[:, np.newaxis] ** 2 + columns**2))).astype(np.float32)


def test_ink_that_glare_veils_is_as_strong_as_other_ink(digits: Pixels) -> None:
    ink = sheet(digits, 3)
    veil = glare(ink.shape)
    picture = noisy((1 - veil) * 0.65 * (1 - 0.85 * ink) + veil, 0.004)
    seen = page.look(picture)
    assert seen.glare is not None
    veiled = (veil > 0.6) & (ink > 0.9)
    assert page.divide(picture, seen._replace(glare=None))[veiled].mean() < 0.4
    assert page.divide(picture, seen)[veiled].mean() > 0.6


def test_glare_on_blank_paper_stays_clean(digits: Pixels) -> None:
    ink = np.pad(sheet(digits, 3), ((0, 400), (0, 0)))
    veil = np.roll(glare(ink.shape), 200, axis=0)
    picture = noisy((1 - veil) * 0.65 * (1 - 0.85 * ink) + veil, 0.01)
    assert (divided(picture)[-380:] < 0.3).all()


def test_a_faint_grid_on_blank_paper_is_not_made_dark() -> None:
    picture = np.full((400, 400), 0.8, np.float32)
    picture[::30] *= 0.93
    picture[:, ::30] *= 0.93
    assert page.look(noisy(picture, 0.01)).gain <= page.LARGEST_GAIN


@pytest.mark.parametrize("share", [0.02, 0.05, 0.125, 0.25])
@pytest.mark.parametrize("tone", [0.04, 0.2, 0.45])
def test_a_frame_around_a_sheet_is_neither_stroke_nor_paper(digits: Pixels, share: float, tone: float) -> None:
    ink = sheet(digits, 2)
    wide = round(share * min(ink.shape) / (1 - 2 * share))
    picture = noisy(np.pad(0.9 * (1 - 0.9 * ink), wide, constant_values=tone), 0.05)
    found = page.look(picture)
    assert found.strokes.broad < 12
    inside = page.divide(picture, found)[wide:-wide, wide:-wide]
    assert psnr(inside, ink) > 22


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 70), (1, 4_000_000)])
def test_any_shape_has_paper(shape: tuple[int, int]) -> None:
    ink = divided(np.full(shape, 0.6, np.float32))
    assert ink.shape == shape
    assert np.abs(ink).max() < 0.01
