"""Write results as an Excel workbook: the rows in the first worksheet, the summary in the second.

In: the run and its rows, read once. Out: an .xlsx file. Memory does not grow with the rows: each row is written to disk
when the next one begins, and the number of comments is limited. Rows without anything special are written whole by
`plain_rows`. Rows that do not fit in one worksheet continue in `results (2)`, `results (3)` …

Writers in Rust are several times faster than XlsxWriter, but the available ones (rustpy-xlsxwriter, wolfxl) cannot add
comments to cells below the header while they stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bulkload.errors import UsageError
from bulkload.files.printable import display_width, one_line, printable
from bulkload.files.xlsx import CELL_UNITS, WORKSHEET_ROWS, truncate_to_cell, write_text
from bulkload.model import ReportRow, RunInfo, Status
from bulkload.monitors.header import columns_of
from bulkload.monitors.result_columns import RESULT_COLUMNS
from bulkload.reports.marks import Mark, columns_by_name, marks
from bulkload.reports.palette import PALETTE
from bulkload.reports.plain_rows import PlainRows, is_supported
from bulkload.reports.result_cells import result_cells, result_header
from bulkload.reports.summary_sheet import write_summary

SHEET_COLUMNS = 16_384  # of an Excel worksheet
MOST_COMMENTS = 10_000  # per workbook; comments are kept in memory, and Excel is slow with more
RESULTS_SHEET = "results"
SUMMARY_SHEET = "summary"

_MEASURED_ROWS = 1_000  # per worksheet; rows that determine the widths of columns
_NARROWEST, _WIDEST, _WIDEST_ERROR = 7, 44, 64  # column widths in characters
_FILTER_BUTTON = 4  # characters, for the filter button and the bold font
_MOST_LINES = 6  # that are visible in a taller row; the cell contains the whole text
_LINE_HEIGHT = 15  # points
_MOST_TALL_ROWS = 20_000  # per worksheet; XlsxWriter keeps their heights in memory
_COLUMNS_PER_PAGE = 11  # that are readable in print
_COMMENT_WIDTH, _COMMENT_LINE = 300, 17  # pixels
_COMMENT_LINE_CHARACTERS = 46
_COMMENT_CHARACTERS = 2_000

_ERROR = RESULT_COLUMNS.index("error")
_NUMBERS = tuple(RESULT_COLUMNS.index(name) for name in ("attempts", "source_row"))


def write_workbook(
    path: Path,
    run: RunInfo,
    rows: Iterable[ReportRow],
    *,
    sheet_rows: int = WORKSHEET_ROWS,
    most_comments: int = MOST_COMMENTS,
    cell_by_cell: bool = False,
) -> None:
    """Write the workbook; temporary files are written to the folder of `path`.

    `cell_by_cell` is the slow way for all rows; the workbook is the same.
    """
    import xlsxwriter  # type: ignore[import-untyped]  # it does not declare its annotations

    header = (*run.header, *result_header(run.header))
    if len(header) > SHEET_COLUMNS:
        raise UsageError(
            f"The results have {len(header):,} columns; an Excel worksheet holds {SHEET_COLUMNS:,}. Use .csv instead."
        )
    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True, "use_zip64": True, "tmpdir": str(path.parent)})
    try:
        workbook.set_properties({"title": one_line(f"Results of {run.input}")})
        formats = _CellFormats(workbook)
        notes = _Notes(most_comments)
        cell_by_cell = cell_by_cell or not is_supported()

        def add_results(name: str) -> _ResultsSheet:
            return _ResultsSheet(workbook, name, run, header, formats, notes, cell_by_cell=cell_by_cell)

        results = add_results(RESULTS_SHEET)
        summary = workbook.add_worksheet(SUMMARY_SHEET)
        worksheets = 1
        for row in rows:
            if results.next_row >= sheet_rows:
                results.finish()
                worksheets += 1
                results = add_results(f"{RESULTS_SHEET} ({worksheets})")
            results.write(row)
        results.finish()
        write_summary(workbook, summary, run, notes=notes.sentences(worksheets))
        workbook.close()
    except xlsxwriter.exceptions.FileCreateError as error:
        raise error.args[0] from error  # the OSError that it wraps
    finally:
        _close_files(workbook)


def _close_files(workbook: Any) -> None:
    """Close the temporary files that XlsxWriter leaves open after an error, even if they cannot be written any more."""
    for worksheet in workbook.worksheets():
        for file in (worksheet.row_data_fh, worksheet.fh):
            with suppress(OSError):
                file.close()


def _name_column(run: RunInfo) -> int | None:
    """The column of the monitors' names, which every printed page repeats; None if there is none."""
    mapping = json.loads(run.settings.get("map") or "{}")
    name = columns_of(run.header, mapping).get("name")
    return run.header.index(name) if name is not None else None


class _CellFormats:
    """The cell formats of one workbook."""

    def __init__(self, workbook: Any) -> None:
        # with "@", an edited cell stays text; otherwise, an edited +1 or =x would become a formula
        text = {"num_format": "@", "valign": "top"}
        self.user_header = workbook.add_format(
            {"bold": True, "bg_color": "#E8EAED", "bottom": 1, "valign": "top", "num_format": "@"}
        )
        self.result_header = workbook.add_format(
            {"bold": True, "bg_color": "#37474F", "font_color": "#FFFFFF", "bottom": 1, "valign": "top"}
        )
        self.error = workbook.add_format(
            text | {"bg_color": "#FFD5BF", "font_color": "#6B2400", "border": 1, "border_color": "#D55E00"}
        )
        self.warning = workbook.add_format(
            text | {"bg_color": "#FFF3C4", "font_color": "#5C4300", "border": 1, "border_color": "#E69F00"}
        )
        self.user: dict[Status, Any] = {}
        self.user_wrapped: dict[Status, Any] = {}
        self.result: dict[Status, tuple[Any, ...]] = {}  # a format for each result column
        self.result_wrapped: dict[Status, tuple[Any, ...]] = {}  # the same for a taller row
        for status, colours in PALETTE.items():
            tint = text | {"bg_color": colours.fill}
            self.user[status] = workbook.add_format(tint)
            self.user_wrapped[status] = workbook.add_format(tint | {"text_wrap": True})
            style = {"bg_color": colours.fill, "font_color": colours.ink, "valign": "top"}
            plain = workbook.add_format(style | {"num_format": "@"})
            number = workbook.add_format(style | {"align": "center"})
            formats = [plain] * len(RESULT_COLUMNS)
            formats[0] = workbook.add_format(style | {"num_format": "@", "bold": True})
            for column in _NUMBERS:
                formats[column] = number
            self.result[status] = tuple(formats)
            formats[_ERROR] = workbook.add_format(style | {"num_format": "@", "text_wrap": True})
            self.result_wrapped[status] = tuple(formats)


class _Notes:
    """Counts what the summary notes about the results worksheets."""

    def __init__(self, most_comments: int) -> None:
        self.most_comments = most_comments
        self.comments = 0
        self.omitted_comments = 0
        self.cut_cells = 0

    def sentences(self, worksheets: int) -> list[str]:
        """Notes about what a reader of the workbook may not expect."""
        sentences = []
        if worksheets > 1:
            sentences.append(f"The rows continue on {worksheets:,} worksheets, because they do not fit in one.")
        if self.omitted_comments:
            sentences.append(
                f"Only the first {self.most_comments:,} marked cells have a comment; {self.omitted_comments:,} more are"
                " only coloured, and their messages are in the error column."
            )
        if self.cut_cells:
            sentences.append(
                f"Cells cut to the {CELL_UNITS:,} characters that an Excel cell holds: {self.cut_cells:,}."
                " Results as .csv or .jsonl contain the whole text."
            )
        return sentences


class _ResultsSheet:
    """One worksheet of rows, written from top to bottom."""

    def __init__(
        self,
        workbook: Any,
        name: str,
        run: RunInfo,
        header: Sequence[str],
        formats: _CellFormats,
        notes: _Notes,
        *,
        cell_by_cell: bool,
    ) -> None:
        self._worksheet = workbook.add_worksheet(name)
        self._run_id = run.run_id
        self._header = header
        self._user_columns = len(run.header)
        self._column_of = columns_by_name(run.header)
        self._name_column = _name_column(run)
        self._formats = formats
        self._notes = notes
        self._widths = [display_width(name) + _FILTER_BUTTON for name in header]
        self._tall_rows = 0
        self._plain_rows = {
            status: PlainRows(self._worksheet, (formats.user[status],) * self._user_columns, formats.result[status])
            for status in ([] if cell_by_cell else PALETTE)
        }
        self.next_row = 1
        self._worksheet.freeze_panes(1, 0)
        for column, title in enumerate(header):
            header_format = formats.user_header if column < self._user_columns else formats.result_header
            self._write_text(0, column, title, header_format)

    def write(self, row: ReportRow) -> None:
        """Add one row: the user's cells, then the result."""
        marked = marks(row, self._column_of) if row.issues or row.error_columns else {}
        is_tall = self._make_tall(row)
        results = result_cells(row, self._run_id)
        if self.next_row <= _MEASURED_ROWS:
            texts = (*row.cells, *map(str, results))
            self._widths = [max(width, display_width(text)) for width, text in zip(self._widths, texts, strict=True)]
        plain_rows = None if marked or is_tall else self._plain_rows.get(row.status)
        if plain_rows is None or not plain_rows.write(self.next_row, row.cells, results):
            self._write_cells(row, results, marked, is_tall)
        self.next_row += 1

    def _write_cells(
        self, row: ReportRow, results: Sequence[str | int], marked: Mapping[int | None, Mark], is_tall: bool
    ) -> None:
        row_index, formats = self.next_row, self._formats
        user, wrapped = formats.user[row.status], formats.user_wrapped[row.status]
        for column, cell in enumerate(row.cells):
            if cell:
                self._write_text(row_index, column, cell, wrapped if is_tall and "\n" in cell else user)
            else:
                self._worksheet.write_blank(row_index, column, None, user)
        for marked_column, mark in marked.items():
            if marked_column is None:  # the whole row
                self._comment(row_index, self._user_columns + _ERROR, mark)
                continue
            mark_format = formats.error if mark.severity == "error" else formats.warning
            self._write_text(row_index, marked_column, row.cells[marked_column], mark_format)
            self._comment(row_index, marked_column, mark)
        result_formats = (formats.result_wrapped if is_tall else formats.result)[row.status]
        for column, (value, cell_format) in enumerate(zip(results, result_formats, strict=True), self._user_columns):
            if isinstance(value, int):
                self._worksheet.write_number(row_index, column, value, cell_format)
            else:
                self._write_text(row_index, column, value, cell_format)

    def finish(self) -> None:
        """Set what depends on all rows: widths, filter, printing."""
        worksheet, last_row, last_column = self._worksheet, self.next_row - 1, len(self._header) - 1
        for column, width in enumerate(self._widths):
            widest = _WIDEST_ERROR if column == self._user_columns + _ERROR else _WIDEST
            worksheet.set_column(column, column, min(max(width + 1, _NARROWEST), widest))
        worksheet.autofilter(0, 0, last_row, last_column)
        worksheet.ignore_errors({"number_stored_as_text": f"A1:XFD{WORKSHEET_ROWS}"})  # these are meant to be text
        worksheet.repeat_rows(0)
        if self._name_column is not None:
            worksheet.repeat_columns(self._name_column)
        worksheet.set_landscape()
        worksheet.set_paper(9)  # A4
        worksheet.set_footer("&L&A&RPage &P of &N")
        worksheet.fit_to_pages(-(-len(self._header) // _COLUMNS_PER_PAGE), 0)  # rounded up

    def _make_tall(self, row: ReportRow) -> bool:
        """Make the next row as tall as its text; LibreOffice does not adjust it. Returns False if it is one line."""
        lines = sum(1 + display_width(line) // _WIDEST_ERROR for line in row.error.split("\n"))
        lines = max(lines, 1, *(1 + cell.count("\n") for cell in row.cells))
        if lines == 1 or self._tall_rows >= _MOST_TALL_ROWS:
            return False
        self._tall_rows += 1
        self._worksheet.set_row(self.next_row, _LINE_HEIGHT * min(lines, _MOST_LINES))
        return True

    def _write_text(self, row: int, column: int, text: str, cell_format: Any) -> None:
        """Write a cell; a text that is too long is cut, with a comment."""
        cut_text = truncate_to_cell(text)
        if cut_text != text:
            self._notes.cut_cells += 1
            sentence = f"This text has {len(text):,} characters; only the first {len(cut_text):,} fit in an Excel cell."
            self._comment(row, column, Mark(severity="warning", sentences=(sentence,)))
        write_text(self._worksheet, row, column, cut_text, cell_format)

    def _comment(self, row: int, column: int, mark: Mark) -> None:
        if not mark.sentences:
            return
        if self._notes.comments >= self._notes.most_comments:
            self._notes.omitted_comments += 1
            return
        self._notes.comments += 1
        text = printable("\n".join(mark.sentences))
        if len(text) > _COMMENT_CHARACTERS:
            text = text[: _COMMENT_CHARACTERS - 1] + "…"
        lines = sum(1 + len(line) // _COMMENT_LINE_CHARACTERS for line in text.splitlines())
        size = {"width": _COMMENT_WIDTH, "height": _COMMENT_LINE * (min(lines, 20) + 1)}
        self._worksheet.write_comment(row, column, text, size | {"author": "bulkload", "font_size": 9})
