"""The report as CSV that Excel opens rightly.

In: the run and its rows. Out: UTF-8 with BOM, CRLF, the user's columns and then ours, no cell a live formula.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from bulkload.files.formulas import neutralise
from bulkload.model import ReportRow, RunInfo
from bulkload.reports.result_cells import result_cells, result_header


def write_csv(path: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Write one line per row; `bulkload.files.formulas.restore` gives every cell back as it was."""
    # "replace": half of a surrogate pair is the one thing UTF-8 cannot carry, and no reason to lose a report
    with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow([neutralise(name) for name in (*run.header, *result_header(run.header))])
        lines.writerows(
            [neutralise(str(cell)) for cell in (*row.cells, *result_cells(row, run.run_id))] for row in rows
        )
