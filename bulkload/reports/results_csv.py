"""Write results as CSV that Excel opens correctly.

In: the run and its rows. Out: UTF-8 with a byte order mark and CRLF, with the delimiter of the input: the user's
columns as they were typed, decimal commas included, then the result columns. No cell is a formula.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from bulkload.files.delimiters import DELIMITERS
from bulkload.files.formulas import neutralise_all
from bulkload.model import ReportRow, RunInfo
from bulkload.reports.result_cells import result_cells, result_header

_BY_NAME = {name: delimiter for delimiter, name in DELIMITERS.items()}


def write_csv(path: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Write one line per row; `bulkload.files.formulas.restore` restores the original cells."""
    # "replace": half a surrogate pair cannot be encoded in UTF-8, and must not stop the report
    with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as stream:
        writer = csv.writer(stream, delimiter=_BY_NAME.get(run.details.get("delimiter", ""), ","))
        writer.writerow(neutralise_all([*run.header, *result_header(run.header)]))
        writer.writerows(neutralise_all([*row.cells, *map(str, result_cells(row, run.run_id))]) for row in rows)
