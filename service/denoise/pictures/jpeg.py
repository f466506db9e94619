"""How often a JPEG (ISO/IEC 10918-1, annex B) has its decoder go over all pixels, from its markers alone."""

import re

from denoise.errors import BrokenBody

START, SCAN, END = b"\xff\xd8", b"\xda", b"\xd9"
MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
# These markers have no length and no content.
BARE = (b"\x01", b"\xd8")
# A progressive JPEG has about ten scans.
MOST_SCANS = 200


def count_scans(content: bytes) -> int:
    """The scans of a file, at least 1; phones put a film behind a photograph's end, which is passed over.

    Raises BrokenBody when there are so many that a small file would take minutes.
    """
    at, scans = len(START), 0
    while content.startswith(START) and scans <= MOST_SCANS and (found := MARKER.search(content, at)):
        marker, at = found[1], found.end()
        if marker == END:
            break
        scans += marker == SCAN
        if marker not in BARE:
            at += int.from_bytes(content[at : at + 2])
    if scans > MOST_SCANS:
        raise BrokenBody(f"The JPEG has {scans:,} scans; at most {MOST_SCANS} are taken.")
    return max(1, scans)
