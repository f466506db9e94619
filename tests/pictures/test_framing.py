"""Any picture of a digit is framed as MNIST frames its digits, and the answer goes back to its place."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from denoise.pictures import framing
from tests.conftest import Pixels

SIZE = (28, 28)
COUNT = 15  # digits per case


def noisy(pixels: Pixels, factor: float, seed: int = 0) -> Pixels:
    drawn = np.random.default_rng(seed).standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(pixels + np.float32(factor) * drawn, 0, 1)


def page(digit: Pixels, *, side: int, shape: tuple[int, int], at: tuple[int, int], stroke: int = 0) -> Pixels:
    """A digit drawn `side` px large on a black page; `stroke` px thicker, or thinner where negative."""
    image = Image.fromarray(np.rint(digit * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    if stroke:
        image = image.filter((ImageFilter.MaxFilter if stroke > 0 else ImageFilter.MinFilter)(2 * abs(stroke) + 1))
    paper = np.zeros(shape, np.float32)
    paper[at[0] : at[0] + side, at[1] : at[1] + side] = np.asarray(image, np.float32) / 255
    return paper


def dark_on_uneven_paper(ink: Pixels) -> Pixels:
    """Dark ink on paper that is lit from 0.35 at the left to 0.95 at the right, darker to the top and bottom."""
    height, width = ink.shape
    light = np.linspace(0.35, 0.95, width) * (1 - 0.2 * np.linspace(-1, 1, height)[:, None] ** 2)
    return (light * (1 - 0.75 * ink)).astype(np.float32)


def psnr(a: Pixels, b: Pixels) -> float:
    return float(-10 * np.log10(np.mean(np.square(a - b)) + 1e-12))


@pytest.mark.parametrize("stroke", [-4, 0, 9], ids=["thin", "plain", "thick"])
@pytest.mark.parametrize("factor", [0, 0.2])
@pytest.mark.parametrize("light", ["light on dark", "dark on light", "uneven light"])
def test_polarity_and_box_are_found_in_any_picture(digits: Pixels, stroke: int, factor: float, light: str) -> None:
    for digit in digits[:COUNT]:
        ink = page(digit, side=280, shape=(400, 500), at=(70, 150), stroke=stroke)
        if ink.sum() < 300:
            continue  # the thin filter left nothing of a thin digit
        picture = {"light on dark": ink, "dark on light": 1 - ink, "uneven light": dark_on_uneven_paper(ink)}[light]
        frame = framing.fit(noisy(picture, factor), SIZE, None)[1]
        assert frame.inverted == (light != "light on dark")
        rows, columns = np.nonzero(ink > 0.5)
        box = max(np.ptp(rows) + 1, np.ptp(columns) + 1)
        assert frame.rows[1] - frame.rows[0] == pytest.approx(box * 28 / 20, rel=0.15)
        for span, ink_at in ((frame.rows, rows), (frame.columns, columns)):
            assert span[0] < ink_at.min() + 0.03 * box  # the tip of a thin stroke may be lost in smoothing
            assert span[1] > ink_at.max() + 1 - 0.03 * box


@pytest.mark.parametrize("dark", [False, True])
def test_faded_and_unevenly_lit_digits_cut_out_tightly_are_told_apart(digits: Pixels, dark: bool) -> None:
    slope = np.linspace(0, 0.3, 20, dtype=np.float32)
    cut = digits[:50, 4:-4, 4:-4]
    right = [
        framing.fit(1 - ink if dark else ink, None, None)[1].inverted == dark
        for ink in (*(0.35 + 0.3 * cut), *(slope + 0.6 * cut))
    ]
    assert sum(right) >= 97  # of 100; a bold one cut so tightly has little paper left


def test_a_28_px_picture_goes_in_as_it_is_but_for_its_polarity(digits: Pixels) -> None:
    picture = noisy(digits[0], 0.5)
    assert np.array_equal(framing.fit(picture, SIZE, None)[0], picture)
    assert np.array_equal(framing.fit(1 - picture, SIZE, None)[0], 1 - (1 - picture))


def test_what_the_caller_says_of_polarity_is_done(digits: Pixels) -> None:
    picture, frame = framing.fit(digits[0], SIZE, True)
    assert np.array_equal(picture, 1 - digits[0])
    assert np.allclose(framing.restore(picture, frame), digits[0])


@pytest.mark.parametrize("at", [(10, 20), (250, 400)])
def test_a_digit_on_a_page_is_framed_as_it_was_in_mnist(digits: Pixels, at: tuple[int, int]) -> None:
    framed = [framing.fit(page(d, side=120, shape=(400, 600), at=at), SIZE, None)[0] for d in digits[:COUNT]]
    # MNIST moved its digits by whole pixels, so up to half of one is left to differ
    assert np.median([psnr(a, b) for a, b in zip(framed, digits, strict=False)]) > 20


def test_small_digits_on_a_large_page_are_found(digits: Pixels) -> None:
    differences = []
    for digit in digits[:10]:
        picture = noisy(1 - page(digit, side=80, shape=(1500, 2000), at=(1300, 100)), 0.1)
        framed, frame = framing.fit(picture, SIZE, None)
        differences.append(psnr(framed, digit))
        assert frame.rows[0] == pytest.approx(1300, abs=7)
        assert frame.columns[0] == pytest.approx(100, abs=7)
    assert np.median(differences) > 18


def test_specks_do_not_stretch_the_box(digits: Pixels) -> None:
    picture = page(digits[0], side=120, shape=(300, 300), at=(100, 100))
    clean = framing.fit(picture, SIZE, None)[1]
    picture[5:10, 5:10] = 1
    assert framing.fit(picture, SIZE, None)[1].rows == pytest.approx(clean.rows, abs=2)


def test_the_answer_goes_back_to_its_place_and_polarity(digits: Pixels) -> None:
    clean = 1 - page(digits[0], side=280, shape=(600, 500), at=(200, 100))
    framed, frame = framing.fit(clean, SIZE, None)
    answer = framing.restore(framed, frame)
    assert answer.shape == clean.shape
    assert answer[0, 0] == 1  # paper
    assert psnr(answer, clean) > 22
    assert framing.restore(framed, frame, native=True).shape == SIZE


def test_a_model_of_any_size_gets_the_whole_picture(digits: Pixels) -> None:
    picture = page(digits[0], side=60, shape=(90, 200), at=(10, 20))
    framed, frame = framing.fit(1 - picture, None, None)
    assert framed.shape == (92, 200)  # multiples of 4, the rest reflected
    assert np.allclose(framed[:90], picture)
    assert np.allclose(framing.restore(framed, frame), 1 - picture)


def test_a_model_of_any_size_gets_large_strokes_smaller(digits: Pixels) -> None:
    picture = page(digits[0], side=336, shape=(500, 711), at=(100, 200))
    framed, frame = framing.fit(noisy(picture, 0.2), None, None)
    assert framed.shape[0] < 250
    assert psnr(framing.restore(framed, frame), picture) > 18
    native = framing.restore(framed, frame, native=True)
    assert native.shape == pytest.approx([side / frame.shrunk for side in picture.shape], abs=1)
    assert native.shape != framed.shape  # That was padded.


@pytest.mark.parametrize("paper", [1.0, 0.9])
def test_a_model_sees_nothing_beyond_black_and_white(digits: Pixels, paper: float) -> None:
    ink = np.kron(np.hstack(list(digits[:6])) > 0.5, np.ones((7, 7)))
    seen, frame = framing.fit((paper * (1 - ink)).astype(np.float32), None, None)
    assert frame.shrunk > 1
    assert (seen.min(), seen.max()) == (0, 1)


@pytest.mark.parametrize(("scale", "shrunk"), [(3, True), (1, False)], ids=["broad strokes", "fine strokes"])
def test_a_large_picture_is_shrunk_as_far_as_its_strokes_allow(digits: Pixels, scale: int, shrunk: bool) -> None:
    side = 28 * scale
    page = np.tile(np.kron(digits[0], np.ones((scale, scale), np.float32)), (2000 // side, 2800 // side))
    fitted, frame = framing.fit(1 - page, None, True)
    assert (fitted.size < 1.1 * framing.LARGE_PICTURE) == shrunk
    assert (frame.shrunk > 1) == shrunk


@pytest.mark.parametrize("scale", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(("factor", "most"), [(0.0, 5.5), (0.2, 4.5)])
def test_strokes_of_any_width_become_about_as_wide_as_was_learnt(
    digits: Pixels, scale: int, factor: float, most: float
) -> None:
    side = 28 * scale
    picture = np.concatenate([page(d, side=side, shape=(side, side), at=(0, 0)) for d in digits[:6]], axis=1)
    light = 0.9 * (1 - 0.7 * picture)
    framed = framing.fit(noisy(light, factor * 0.6), None, None)[0]
    shrunk = framed.shape[1] / light.shape[1]
    assert shrunk <= 1
    assert 0.6 * min(2.5 * scale, most) <= 2.5 * scale * shrunk <= 2.5 * most


def test_a_dark_strip_along_an_edge_is_neither_paper_nor_ink(digits: Pixels) -> None:
    for digit in digits[:10]:
        picture = 0.85 - 0.6 * page(digit, side=280, shape=(400, 500), at=(70, 150))
        picture[:, :60] = 0.15
        framed, frame = framing.fit(noisy(picture, 0.05), SIZE, None)
        assert frame.inverted
        assert psnr(framed, digit) > 14


@pytest.mark.parametrize("light", [0.1, 0.9])
def test_blank_paper_stays_blank_and_keeps_its_polarity(light: float) -> None:
    blank = noisy(np.full((300, 400), light, np.float32), 0.03)
    framed, frame = framing.fit(blank, SIZE, None)
    assert frame.inverted == (light > 0.5)
    assert framed.max() < 0.05


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 400), (400, 1), (3, 5), (29, 28), (2000, 30), (1, 4_000_000), (4_000_000, 1)]
)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_blank_pictures_of_any_shape_come_back_blank(shape: tuple[int, int], value: float) -> None:
    framed, frame = framing.fit(np.full(shape, value, np.float32), SIZE, None)
    assert framed.shape == SIZE
    assert np.isfinite(framed).all()
    assert framing.restore(framed, frame).shape == shape


def printed(size: int) -> Pixels:
    """Five lines of small print, light on black."""
    image = Image.new("L", (420, 7 * size))
    for line in range(5):
        text = "Quick words 0123456789 in a line of print"
        place = (10, round((1 + 1.2 * line) * size))
        ImageDraw.Draw(image).text(place, text, fill=255, font=ImageFont.load_default(size))
    return np.asarray(image, np.float32) / 255


def test_fine_print_is_as_grey_in_the_answer_as_it_was_seen() -> None:
    ink = printed(16)
    seen, frame = framing.fit(noisy(dark_on_uneven_paper(ink), 0.01), None, None)
    assert frame.kept > 0
    harder = np.clip(2 * seen - 0.5, 0, 1)
    kept = framing.keep_print(seen, harder, frame)
    assert psnr(kept, seen) > psnr(harder, seen) + 5
    assert (kept[framing.neighbourhood.maximum(harder, 3) == 0] == 0).all()


@pytest.mark.parametrize(("size", "factor"), [(16, 0.1), (64, 0.01)], ids=["noisy", "large"])
def test_noisy_and_large_print_is_what_the_model_makes_of_it(size: int, factor: float) -> None:
    seen, frame = framing.fit(noisy(dark_on_uneven_paper(printed(size)), factor), None, None)
    assert frame.kept == 0
    assert np.array_equal(framing.keep_print(seen, seen / 2, frame), seen / 2)
