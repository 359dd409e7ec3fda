"""Writes a results workbook with 18 columns, with our writer or with a simple openpyxl loop.

python -m tests.benchmarks.programs.write_workbook ours|openpyxl FILE ROWS
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bulkload.model import ReportRow, RunInfo, Status
from bulkload.reports.result_cells import result_cells, result_header
from tests.benchmarks.inputs import COLUMNS, input_rows

RUN = RunInfo(run_id="20260314T021500-1f3a", input="rows.csv", header=COLUMNS)


def report_rows(count: int) -> Iterator[ReportRow]:
    """Rows of created monitors."""
    for n, cells in enumerate(input_rows(count)):
        yield ReportRow(source_row=n + 2, cells=cells, status=Status.CREATED, monitor_id=str(1_000_000 + n), attempts=1)


def openpyxl_loop(path: Path, count: int) -> None:
    """Write the same cells as the documentation of openpyxl shows for large files, without formatting or summary."""
    from openpyxl import Workbook

    workbook = Workbook(write_only=True)
    worksheet = workbook.create_sheet()
    worksheet.append((*COLUMNS, *result_header(COLUMNS)))
    for row in report_rows(count):
        worksheet.append((*row.cells, *result_cells(row, RUN.run_id)))
    workbook.save(path)


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        from bulkload.reports.formats import write

        write(Path(sys.argv[2]), RUN, report_rows(int(sys.argv[3])))
    else:
        openpyxl_loop(Path(sys.argv[2]), int(sys.argv[3]))
