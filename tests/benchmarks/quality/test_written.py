"""The figures of read pages are of the pages that the page says, and docs/quality.md shows those that were measured."""

import numpy as np

from benchmarks.quality import reader, written
from denoise.pictures import framing


def test_a_page_has_forty_digits_in_reading_order() -> None:
    digits, _ = reader.test_digits()
    page = written.page(digits, 2.0, np.random.default_rng(0))
    assert len(page.boxes) == 40
    assert page.picture.max() <= written.PAPER
    for left, top, right, bottom in page.boxes.astype(int):
        inside = page.picture[top:bottom, left:right]
        assert inside.min() < 0.3
        assert (inside < 0.9).any(axis=0).all()


def test_noise_on_a_ruled_page_is_not_taken_for_broad_strokes() -> None:
    digits, _ = reader.test_digits()
    random = np.random.default_rng([written.SEED, 2, 15])
    picture = written.page(digits, 1.5, random).picture
    for spoil in (written.ruled, written.noisy):
        picture = spoil(picture, 1.5, random)
    seen, _ = framing.fit(picture.astype(np.float32), None, None)
    assert seen.shape[0] > 0.8 * picture.shape[0]


def test_boxes_are_compared_by_what_they_have_in_common() -> None:
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    others = np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    assert np.allclose(written.overlaps(box, others), [[1, 1 / 3, 0]])


def test_the_page_shows_the_committed_figures() -> None:
    section = "\n".join(written.section(written.read()))
    assert section in written.SHEET.read_text(encoding="utf-8")


def test_nearly_all_digits_of_the_committed_pages_were_found_and_can_be_read() -> None:
    readings = written.read()
    for way in [way for way, spoilt in written.WAYS.items() if len(spoilt) < len(("lines", "shadow", "noise"))]:
        there = [reading for reading in readings if reading.way == way]
        assert np.mean([reading.found for reading in there]) >= 98, way
        assert np.mean([reading.false for reading in there]) <= 1, way
        assert np.mean([reading.own - reading.read for reading in there]) <= 1, way
