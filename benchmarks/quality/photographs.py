"""`python -m benchmarks.quality.photographs`: what the default model and plain methods make of photos of writing.

Photos of MNIST's test digits on drawn sheets, and single digits under low-passed noise, are cleaned as `/denoise` does
it, and read. Writes docs/photographs.csv, and docs/photographs.md from it; some minutes on one core. `--sheet FILE`
writes the contact sheet instead. `--folder FOLDER` measures NoisyOffice and ORAND-CAR where they lie in it, and the
page keeps what was measured before.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality import album, composites, real


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.photographs", description=__doc__)
    parser.add_argument("--folder", type=Path, help="measure the collections that lie there")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write the contact sheet")
    parser.add_argument("--quick", action="store_true", help="the smallest pages alone, and write nothing")
    options = parser.parse_args(arguments)
    if options.sheet:
        album.write_sheet(options.sheet, list(composites.contacts()))
    elif options.folder:
        measured = list(real.measure(options.folder))
        replaced = {each.table for each in measured}
        _keep([each for each in album.read() if each.table not in replaced] + measured)
    elif options.quick:
        scores = list(composites.measure(composites.SCALES[:1], composites.DIGITS // 10))
        print(*album.page(scores), sep="\n")
    else:
        scores = list(composites.measure(composites.SCALES, composites.DIGITS))
        _keep(scores + [each for each in (album.read() if album.FILE.exists() else []) if each.sha256])


def _keep(scores: list[album.Score]) -> None:
    album.write(scores)
    print(*album.page(album.read()), sep="\n")


if __name__ == "__main__":
    main()
