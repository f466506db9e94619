"""The default model keeps near what docs/photographs.md shows, on a small drawn picture of every kind there.

The floors, in dB, lie one to two below what was measured when they were written.
"""

import numpy as np
import pytest

from benchmarks.quality import album, composites, surfaces
from benchmarks.quality.shelf import clean, psnr, shelf
from training import noise, score

ROWS_AND_COLUMNS = 2, 6
FLOORS = {
    "plain": (30.5, 29),
    "lined": (29, 27),
    "squared": (28.5, 24),
    "halftone": (25, 19),
    "guilloche": (25, 18.5),
    "the back shines through": (30, 21),
    "stains": (27.5, 18),
    "crumpled": (29, 23),
    "half in shadow": (27, 24),
    "on a dark table": (31, 29.5),
}
NOISY_FLOORS = {0.03: (27, 24.5), 0.06: (26, 21), 0.10: (23, 16)}


@pytest.mark.parametrize("ink", composites.INKS)
@pytest.mark.parametrize("kind", surfaces.KINDS)
def test_ink_on_every_kind_of_paper(kind: str, ink: str) -> None:
    photo = composites.take(kind, ink, 1.0, surfaces.QUIET, *ROWS_AND_COLUMNS).photo
    answer = clean(photo.picture)
    assert answer.inverted
    assert psnr(photo.truth, answer.restored) > FLOORS[kind][list(composites.INKS).index(ink)]


@pytest.mark.parametrize("ink", composites.INKS)
@pytest.mark.parametrize("deviation", surfaces.LOUD)
def test_noise_as_a_cameras(deviation: float, ink: str) -> None:
    photo = composites.take(surfaces.PLAIN, ink, 1.0, deviation, *ROWS_AND_COLUMNS).photo
    floor = NOISY_FLOORS[deviation][list(composites.INKS).index(ink)]
    assert psnr(photo.truth, clean(photo.picture).restored) > floor


@pytest.mark.parametrize(
    ("deviation", "low_pass", "floor"),
    [(0.3, 1.0, 25), (0.5, 0.0, 20.5), (0.5, 0.5, 19.5), (0.5, 0.7, 18.7), (0.5, 1.0, 20.5)],
)
def test_digits_under_noise_whose_neighbours_are_alike(deviation: float, low_pass: float, floor: float) -> None:
    clear = (shelf().digits[:20, ..., np.newaxis] / 255).astype(np.float32)
    random = np.random.default_rng(2017)
    if low_pass:
        spoilt = noise.low_passed(clear, deviation, low_pass, random)
    else:
        spoilt = noise.gaussian(clear, deviation, random)
    answers = np.stack([clean(each).restored for each in spoilt[..., 0]])
    assert score.psnr(clear, answers[..., np.newaxis]) > floor


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_page_that_is_clean_stays_so(scale: float) -> None:
    truth = composites.take(surfaces.PLAIN, "dark", scale, surfaces.QUIET, *ROWS_AND_COLUMNS).photo.truth
    assert psnr(truth, clean(truth).restored) > 48


@pytest.mark.parametrize(("kind", "scale"), [("squared", 2.0), ("lined", 1.0), ("half in shadow", 2.0)])
def test_digits_are_read_in_the_answer_as_well_as_on_the_clean_page(kind: str, scale: float) -> None:
    shot = composites.take(kind, "dark", scale, surfaces.QUIET, *ROWS_AND_COLUMNS)
    scores = {
        each.method: each.read or 0
        for each in composites.measure_pages(composites.Taken(album.PAPER, kind, "dark", [shot]))
    }
    assert scores["unet_dae"] > scores["clean"] - 10
