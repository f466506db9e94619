"""`--report`: the table of what a run has cleaned, the most doubtful first, to say which scans are worth a look."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from denoise.bulk.files import write_whole
from denoise.bulk.picture_files import ItemOutcome
from denoise.bulk.provenance import OVERWRITE, Taken, check_place
from denoise.cli.progress import printable

COLUMNS = ("file", "seconds", "uncertainty", "warnings")


def check_report(report: Path, *, overwrite: bool) -> None:
    """Raises Taken when the table cannot be put there."""
    check_place(report)
    if report.exists() and not overwrite:
        raise Taken(f"'{report}' is there already; {OVERWRITE}.")


def write_report(report: Path, outcomes: Sequence[ItemOutcome], *, overwrite: bool) -> None:
    """Writes the table as CSV: files that failed, then the others by their uncertainty. Raises OSError."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for outcome in sorted(outcomes, key=_doubt, reverse=True):
        uncertainty = "" if outcome.uncertainty is None else f"{outcome.uncertainty:.4f}"
        warnings = (outcome.why,) if outcome.why else outcome.warnings
        cells = (str(outcome.item.source), f"{outcome.seconds:.3f}", uncertainty, " ".join(warnings))
        table.writerow(map(printable, cells))
    with write_whole(report, overwrite=overwrite) as file:
        file.write(text.getvalue().encode())


def _doubt(outcome: ItemOutcome) -> float:
    if outcome.why:
        return math.inf
    return 0.0 if outcome.uncertainty is None else outcome.uncertainty
