"""Write a comparison to a file.

In: a `Comparison`. Out: an .xlsx or .csv file with its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.files.atomic import atomic_write
from bulkload.files.xlsx import WORKSHEET_ROWS, truncate_to_cell, write_text
from bulkload.operations.comparison import NOT_COMPARED, Comparison, Line, comparison_lines
from bulkload.operations.export import write_csv

HEADER = ("change", "row", "monitor_id", "type", "name", "host", "field", "old", "new")
SUFFIXES = (".xlsx", ".csv")
_WIDTHS = (14, 8, 12, 12, 32, 32, 22, 32, 32)  # characters
_FILLS = {"new": "#DDF3EB", "gone": "#FBE3D3", "changed": "#DFF1FB", NOT_COMPARED: "#FDF0D2"}


def check_comparison_files(inputs: Sequence[Path], results: Sequence[Path]) -> None:
    """Raise `UsageError` for a file of another format, or one that is an input."""
    for path in results:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"The results file {path} must end in .xlsx or .csv.")
        if any(path.resolve() == source.resolve() for source in inputs):
            raise UsageError(f"--results {path} would replace an input; choose another name.")


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the file; an existing one is replaced only by a complete one. Raises `StoreError`."""
    lines = [_cells(line) for line in comparison_lines(comparison)]
    with atomic_write(path) as draft:
        if path.suffix.lower() == ".csv":
            write_csv(draft, HEADER, lines)
        else:
            _write_workbook(draft, lines)


def _cells(line: Line) -> tuple[str, ...]:
    row = "" if line.row is None else str(line.row)
    return line.change, row, line.monitor_id, line.type, line.name, line.server, line.field, line.old, line.new


def _write_workbook(path: Path, lines: Sequence[Sequence[str]]) -> None:
    import xlsxwriter  # type: ignore[import-untyped]

    if len(lines) >= WORKSHEET_ROWS:
        raise UsageError(f"There are {len(lines):,} differences, more than an Excel worksheet holds; use .csv.")
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as workbook:
        head = workbook.add_format({"num_format": "@", "bold": True, "bg_color": "#E8EAED", "bottom": 1})
        texts = {
            kind: workbook.add_format({"num_format": "@", "valign": "top", "text_wrap": True, "bg_color": fill})
            for kind, fill in _FILLS.items()
        }
        worksheet = workbook.add_worksheet("differences")
        worksheet.freeze_panes(1, 0)
        for column, (name, width) in enumerate(zip(HEADER, _WIDTHS, strict=True)):
            worksheet.set_column(column, column, width)
            write_text(worksheet, 0, column, name, head)
        for number, line in enumerate(lines, 1):
            for column, cell in enumerate(line):
                write_text(worksheet, number, column, truncate_to_cell(cell), texts[line[0]])
        worksheet.autofilter(0, 0, max(1, len(lines)), len(HEADER) - 1)
        worksheet.ignore_errors({"number_stored_as_text": f"A1:XFD{WORKSHEET_ROWS}"})
