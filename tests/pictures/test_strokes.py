"""The width of strokes is found in any picture, noisy or not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from benchmarks.quality import spoilt
from denoise.pictures import page, strokes
from tests.conftest import Pixels
from tests.pictures.test_framing import noisy

MNIST_STROKE_PX = 2.5


def row_of_digits(digits: Pixels, scale: float) -> Pixels:
    side = round(28 * scale)
    drawn = [Image.fromarray(np.rint(digit * 255).astype(np.uint8)).resize((side, side)) for digit in digits[:8]]
    tiles = [np.asarray(image, np.float32) / 255 for image in drawn]
    return np.concatenate([np.concatenate(tiles[:4], axis=1), np.concatenate(tiles[4:], axis=1)])


def written_with(pen: int, *, ink: float = 1.0) -> Pixels:
    """Rings, bars and slants drawn by a pen of so many pixels, each about ten pens high."""
    side = 14 * pen + 8
    image = Image.new("F", (3 * side, side))
    draw = ImageDraw.Draw(image)
    near, far = 2 * pen, side - 2 * pen
    draw.ellipse((near, near, far, far), outline=ink, width=pen)
    draw.line((side + near, near, side + far, near), fill=ink, width=pen)
    draw.line((side + side // 2, near, side + side // 2, far), fill=ink, width=pen)
    draw.line((2 * side + near, far, 2 * side + far, near), fill=ink, width=pen)
    draw.line((2 * side + near, near, 2 * side + near, far), fill=ink, width=pen)
    return np.asarray(image, np.float32)


@pytest.mark.parametrize("pen", [1, 2, 3, 5, 8, 12, 20, 40])
@pytest.mark.parametrize("ink", [0.4, 1.0])
@pytest.mark.parametrize("factor", [0, 0.05])
def test_the_width_of_a_pen_is_found(pen: int, ink: float, factor: float) -> None:
    picture = written_with(pen, ink=ink)
    drawn = factor * np.random.default_rng(pen).standard_normal(picture.shape, dtype=np.float32)
    found = strokes.measure(picture + drawn)
    assert found.width == pytest.approx(pen, abs=max(1, 0.25 * pen))
    assert found.strength == pytest.approx(ink, abs=0.1)


@pytest.mark.parametrize("scale", [1, 2, 3, 6, 10])
@pytest.mark.parametrize("factor", [0, 0.2, 0.5])
def test_it_is_found_in_strong_noise_to_a_factor_of_two(digits: Pixels, scale: float, factor: float) -> None:
    pages = [noisy(row_of_digits(digits[first:], scale), factor) for first in range(0, 80, 8)]
    width = np.median([strokes.measure(page).width for page in pages])
    assert MNIST_STROKE_PX * scale / 2 - 0.5 < width < MNIST_STROKE_PX * scale * 1.5 + 0.5


def test_of_two_inks_the_stronger_one_tells_the_strength(digits: Pixels) -> None:
    pale, dark = 0.4 * row_of_digits(digits, 2), 0.7 * row_of_digits(digits[8:], 2)
    found = strokes.measure(np.concatenate([*[pale] * 6, dark]))
    assert found.strength == pytest.approx(0.62, abs=0.05)


def test_broad_strokes_that_strong_noise_cuts_into_bits_are_found_on_the_pages_that_quality_is_measured_on() -> None:
    noisy = {each.pictures: 1 - each.noisy[0, ..., 0] for each in spoilt.every_way(quick=True)}
    widths = {scale: page.look(noisy[f"page of 200×800 px, digits at {scale}×"]).strokes.width for scale in (1, 3, 6)}
    assert widths[1] <= 3
    assert 5 <= widths[3] <= 10 <= widths[6]


@pytest.mark.parametrize("pen", [4, 8])
@pytest.mark.parametrize("blur", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("ink", [0.4, 1.0])
def test_the_blur_of_edges_is_found(pen: int, blur: float, ink: float) -> None:
    drawn = gaussian_filter(np.pad(written_with(pen, ink=ink), 8), blur)
    grain = 0.02 * ink * np.random.default_rng(pen).standard_normal(drawn.shape, dtype=np.float32)
    assert strokes.measure(drawn + grain).blur == pytest.approx(blur, rel=0.25)


@pytest.mark.parametrize("pen", [2, 4, 8])
def test_sharp_edges_have_next_to_no_blur(pen: int) -> None:
    grain = 0.03 * np.random.default_rng(pen).standard_normal(written_with(pen).shape, dtype=np.float32)
    assert strokes.measure(written_with(pen) + grain).blur < 0.7


def test_frames_and_specks_are_no_strokes(digits: Pixels) -> None:
    picture = np.pad(row_of_digits(digits, 4), 40)
    width = strokes.measure(picture).width
    picture[10:30, 10:-10] = picture[-30:-10, 10:-10] = picture[10:-10, 10:30] = 1
    rows, columns = np.random.default_rng(1).integers(40, 200, (2, 300))
    picture[rows, columns] = 1
    assert strokes.measure(picture).width == pytest.approx(width, rel=0.35)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (64, 64)])
def test_a_picture_without_ink_has_no_strokes(shape: tuple[int, int]) -> None:
    assert strokes.measure(np.zeros(shape, np.float32)).width == 0
