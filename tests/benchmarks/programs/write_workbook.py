"""Write a results workbook of 18 columns, with our writer or with a bare openpyxl loop.

python -m tests.benchmarks.programs.write_workbook ours|openpyxl FILE ROWS
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bulkload.model import ReportRow, RunInfo, Status
from bulkload.reports.result_cells import result_cells, result_header
from tests.benchmarks.inputs import COLUMNS, rows

RUN = RunInfo(run_id="20260314T021500-1f3a", input="rows.csv", header=COLUMNS)


def report_rows(count: int) -> Iterator[ReportRow]:
    """As many rows that went well."""
    for n, cells in enumerate(rows(count)):
        yield ReportRow(source_row=n + 2, cells=cells, status=Status.CREATED, monitor_id=str(1_000_000 + n), attempts=1)


def openpyxl_loop(path: Path, count: int) -> None:
    """Write the same cells as openpyxl's documentation shows for large files: no looks, no widths, no summary."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append((*COLUMNS, *result_header(COLUMNS)))
    for row in report_rows(count):
        sheet.append((*row.cells, *result_cells(row, RUN.run_id)))
    book.save(path)


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        from bulkload.reports.formats import write

        write(Path(sys.argv[2]), RUN, report_rows(int(sys.argv[3])))
    else:
        openpyxl_loop(Path(sys.argv[2]), int(sys.argv[3]))
