"""The pages of a TIFF are found without decoding any, taken by themselves, and joined again."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from denoise.errors import BadParameter, BrokenBody, TooLarge
from denoise.pictures import images, tiff

LIMIT = 1_000_000  # pixels
PAGES = [np.full((20 + number, 30), 60 * number, np.uint8) for number in range(4)]


def scan(*pages: np.ndarray, **options: object) -> bytes:
    first, *others = map(Image.fromarray, pages)
    content = io.BytesIO()
    first.save(content, "TIFF", save_all=True, append_images=others, **options)
    return content.getvalue()


def with_directories(count: int, subfile_type: int = 0, loop: bool = False) -> bytes:
    """A TIFF with so many directories of one entry each, and no pixels; with `loop` the last leads to the first."""
    content, size = b"II*\0" + struct.pack("<I", 8), struct.calcsize("<HHHIII")
    for number in range(count):
        following = 8 + size * (number + 1) if number + 1 < count else 8 * loop
        content += struct.pack("<HHHIII", 1, 254, 4, 1, subfile_type, following)
    return content


@pytest.mark.parametrize("options", [{}, {"big_tiff": True}, {"compression": "tiff_lzw"}])
def test_each_page_is_the_picture_that_it_was(options: dict[str, object]) -> None:
    content = scan(*PAGES, **options)
    directories = tiff.choose(content, None, 4)
    taken = [images.decode(tiff.take_page(content, directory), LIMIT) for directory in directories]
    assert [np.rint(255 * page).tolist() for page in taken] == [page.tolist() for page in PAGES]
    assert {len(tiff.choose(tiff.take_page(content, directory), None, 4)) for directory in directories} == {1}


def test_joined_pages_are_those_of_one_file() -> None:
    joined = tiff.join([images.encode(page / np.float32(255), "tiff", (300, 200)) for page in PAGES])
    with Image.open(io.BytesIO(joined)) as image:
        assert image.n_frames == 4
        for number, page in enumerate(PAGES):
            image.seek(number)
            assert np.array_equal(np.asarray(image), page)
            assert image.info["dpi"] == (300, 200)


def test_one_page_may_be_meant() -> None:
    content = scan(*PAGES)
    assert tiff.choose(content, 3, 1) == tiff.choose(content, None, 4)[2:3]
    with pytest.raises(BadParameter, match="page=5: the file has 4 pages"):
        tiff.choose(content, 5, 64)
    with pytest.raises(BadParameter, match="page=2: the file has 1 page"):
        tiff.choose(b"no TIFF", 2, 64)


def test_thumbnails_and_masks_are_no_pages() -> None:
    assert len(tiff.choose(with_directories(3), None, 64)) == 3
    for subfile_type in (1, 4):
        assert tiff.choose(with_directories(3, subfile_type), None, 64) == [0]


def test_pages_are_counted_no_further_than_they_may_be() -> None:
    with pytest.raises(TooLarge, match="65 pages; at most 64 are taken"):
        tiff.choose(with_directories(65), None, 64)
    with pytest.raises(TooLarge, match="more than 10,000 pages"):
        tiff.choose(with_directories(20_000), 1, 64)
    assert len(tiff.choose(with_directories(5, loop=True), None, 64)) == 5


def test_a_page_of_too_many_tags_is_refused_before_they_are_read() -> None:
    content = b"II*\0" + struct.pack("<IH", 8, 1001) + bytes(12 * 1001 + 4)
    with pytest.raises(BrokenBody, match="1,001 tags; at most 1,000"):
        tiff.choose(content, None, 64)


@pytest.mark.parametrize("length", range(8, 60, 3))
def test_a_file_that_is_cut_has_the_pages_that_are_there(length: int) -> None:
    assert len(tiff.choose(with_directories(3)[:length], None, 64)) in (1, 2, 3)
