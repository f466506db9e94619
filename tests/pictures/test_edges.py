"""What was shrunk for a model has the picture's own edges in the answer, where these are fine and have little noise."""

import numpy as np
import pytest

from denoise.pictures import MULTIPLE, Pixels, edges, framing, neighbourhood
from denoise.pictures.edges import Edges
from denoise.pictures.noise import gaussian, psnr
from denoise.pictures.resampling import resample

BLOCK = 6  # Each pixel of a digit is so many pixels of a picture.


def sharp_page(digits: Pixels) -> Pixels:
    """Two rows of three digits, light ink on black, whose edges are as sharp as can be."""
    rows = [np.concatenate(list(digits[first : first + 3]), axis=1) for first in (0, 3)]
    return np.kron(np.concatenate(rows) > 0.5, np.ones((BLOCK, BLOCK))).astype(np.float32)


def answers(ink: Pixels, light: Pixels) -> tuple[Pixels, Pixels]:
    """What a faultless model's answer becomes without and with the edges of a picture, light ink on black."""
    _, frame = framing.fit(light, None, inverted=True)
    shape = tuple(round(side / frame.shrunk) for side in ink.shape)
    answer = np.clip(resample(ink, (shape[0], shape[1]), (0, ink.shape[0]), (0, ink.shape[1])), 0, 1)
    answer = np.pad(answer, [(0, -side % MULTIPLE) for side in shape], mode="symmetric")
    return 1 - framing.restore(answer, frame), 1 - framing.restore(answer, frame, light)


@pytest.mark.parametrize(("noise", "gain"), [(0.0, 10), (0.01, 10), (0.03, 3)])
def test_a_quiet_picture_gives_an_answer_its_edges(digits: Pixels, noise: float, gain: float) -> None:
    ink = sharp_page(digits)
    without, with_edges = answers(ink, gaussian(0.85 - 0.7 * ink, noise, 1))
    assert psnr(with_edges, ink) > psnr(without, ink) + gain


@pytest.mark.parametrize("margin", [0, 150])
def test_the_table_around_a_sheet_says_nothing_of_its_noise(digits: Pixels, margin: int) -> None:
    ink = sharp_page(digits)
    light = np.pad(0.85 - 0.7 * ink, margin, constant_values=0.08)
    found = framing.fit(gaussian(light, 0.01, 1), None, inverted=True)[1].edges
    assert found == Edges(1.0, 1)


def test_a_noisy_picture_gives_none(digits: Pixels) -> None:
    ink = sharp_page(digits)
    light = gaussian(0.85 - 0.7 * ink, 0.5, 1)
    assert framing.fit(light, None, inverted=True)[1].edges is None


def test_a_picture_out_of_focus_gives_none(digits: Pixels) -> None:
    ink = sharp_page(digits)
    light = 0.85 - 0.7 * neighbourhood.mean(neighbourhood.mean(ink, 13), 13)
    assert framing.fit(light, None, inverted=True)[1].edges is None


def test_edges_that_only_the_answer_has_stay_its_own(digits: Pixels) -> None:
    answer = digits[0]
    other = np.kron(digits[1], np.ones((3, 3), np.float32))
    span = (0.0, 28.0)
    enlarged = edges.enlarge(answer, other, span, span, Edges(1.0, 1))
    plain = np.clip(resample(answer, (84, 84), span, span), 0, 1)
    assert psnr(enlarged, plain) > 25


@pytest.mark.parametrize("shape", [(301, 217), (1, 500), (2000, 30), (30, 2000)])
def test_bands_leave_no_seam(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    rows, columns = (max(1, round(side / 3)) for side in shape)
    answer = random.random((rows, columns), np.float32)
    spans = (0.0, float(rows)), (0.0, float(columns))
    picture = np.clip(resample(answer, shape, *spans) + 0.02 * random.random(shape, np.float32), 0, 1)
    whole = edges.enlarge(answer, picture, *spans, Edges(1.0, 1))
    monkeypatch.setattr(edges, "PIXELS_PER_BAND", 3000)
    assert np.allclose(edges.enlarge(answer, picture, *spans, Edges(1.0, 1)), whole, atol=1e-5)


def test_what_is_flat_in_the_answer_has_no_noise_of_the_picture() -> None:
    answer = np.zeros((40, 40), np.float32)
    answer[:, 20:] = 1
    picture = gaussian(np.kron(answer, np.ones((3, 3), np.float32)), 0.3, 1)
    enlarged = edges.enlarge(answer, picture, (0.0, 40.0), (0.0, 40.0), Edges(1.0, 1))
    assert np.abs(enlarged[:, :48]).max() < 1e-6
    assert np.abs(enlarged[:, 72:] - 1).max() < 1e-6
