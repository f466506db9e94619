"""How much a file of so many bytes may cost: a small file with a huge picture is refused before it takes the time.

Cost is counted in pixels that a model of any size runs on, each 1.3 to 2.6 µs of a CPU with the committed one. A page
scan is blank for the most part, and blank paper compresses without end; so pixels that no model need run on, which cost
no more than to be decoded and encoded, count a fraction. Blank pages of 2,480×3,508 pixels pass in every kind of file:
the smallest, a WebP, has 408 bytes.
"""

from denoise.errors import UnsupportedKind

PIXELS_OF_ANY_FILE = 10_000
PIXELS_PER_BYTE = 200
# A page with a digit or two has so many bytes in the tersest kind of file, and each further byte may hold so much more.
BYTES_OF_A_PAGE, PIXELS_PER_BYTE_OF_A_PAGE = 450, 2_000
# From here on a file has to have SMALL_FILE bytes to be worth more.
PIXELS_OF_SMALL_FILE = 1_250_000
SMALL_FILE = 10_000
PIXELS_PER_FURTHER_BYTE = 1_000
# To decode, frame and encode so many pixels costs as much as to run a model on one.
BLANK_PIXELS_PER_PIXEL = 25
# What a small file may declare: so many pixels; more for each byte from that many on; and a page of A4 at 400 dpi.
DECLARED_BY_ANY_FILE = 100_000
BYTES_OF_ANY_FILE, DECLARED_PER_BYTE = 60, 26_000
MOST_DECLARED_BY_SMALL_FILE = 16_000_000
# So many scans of a progressive JPEG cost as much as everything else about a blank picture.
SCANS_PER_PASS = 40


def most_pixels(size: int) -> int:
    """How many pixels of a file of `size` bytes a model may be run on."""
    of_page = PIXELS_PER_BYTE_OF_A_PAGE * max(0, size - BYTES_OF_A_PAGE)
    of_small = min(PIXELS_OF_ANY_FILE + PIXELS_PER_BYTE * size + of_page, PIXELS_OF_SMALL_FILE)
    return of_small + PIXELS_PER_FURTHER_BYTE * max(0, size - SMALL_FILE)


def most_declared(size: int, scans: int = 1) -> int:
    """How many pixels a file of `size` bytes may declare, when decoding goes over them `scans` times."""
    if size <= SMALL_FILE:
        by_size = DECLARED_PER_BYTE * (size - BYTES_OF_ANY_FILE)
        most = min(max(DECLARED_BY_ANY_FILE, by_size), MOST_DECLARED_BY_SMALL_FILE)
    else:
        most = BLANK_PIXELS_PER_PIXEL * most_pixels(size)
    return int(most / (1 + scans / SCANS_PER_PASS))


def check_declared(size: int, width: int, height: int, scans: int = 1) -> None:
    """Refuses a picture by what its header tells: the file has `size` bytes and goes over all pixels `scans` times.

    Raises:
        UnsupportedKind: so few bytes cannot hold so large a picture.
    """
    most = most_declared(size, scans)
    if width * height > most:
        in_scans = f" in {scans:,} scans" if scans > 1 else ""
        raise UnsupportedKind(
            f"A file of {size:,} bytes cannot hold the {width}×{height} pixels{in_scans} that it declares; at most "
            f"{most:,} pixels are taken from so few bytes."
        )


def check_inked(size: int, width: int, height: int, run_on: int) -> None:
    """Refuses a picture by what it shows: a model would be run on `run_on` pixels, those that are not blank paper.

    Raises:
        UnsupportedKind: so few bytes cannot hold so much ink.
    """
    most = max(PIXELS_OF_ANY_FILE, most_pixels(size) - width * height // BLANK_PIXELS_PER_PIXEL)
    if run_on > most:
        raise UnsupportedKind(
            f"A file of {size:,} bytes cannot hold as much as its {width}×{height} pixels show: ink on {run_on:,} of "
            f"them, where at most {most:,} are taken from so few bytes."
        )
