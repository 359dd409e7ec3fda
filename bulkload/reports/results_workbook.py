"""The report as an Excel workbook: the rows on the first sheet, the summary on the second.

In: the run and its rows, read once. Out: an .xlsx file. Memory stays flat: a row leaves for the disk when the next
one begins, and the number of comments is bounded. More rows than a sheet holds go on in `results (2)`, `results (3)` …

Writers with a core in Rust are several times faster than XlsxWriter, but those there are (rustpy-xlsxwriter, wolfxl)
put no comment on a cell below the header while they stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bulkload.errors import UsageError
from bulkload.files.printable import display_width, one_line, printable
from bulkload.files.xlsx import CELL_UNITS, truncate_to_cell, write_text
from bulkload.model import ReportRow, RunInfo, Status
from bulkload.monitors.result_columns import RESULT_COLUMNS
from bulkload.reports.marks import Mark, columns_by_name, marks
from bulkload.reports.palette import PALETTE
from bulkload.reports.result_cells import result_cells, result_header
from bulkload.reports.summary_sheet import write_summary

SHEET_ROWS = 1_048_576  # what Excel holds, the header included
SHEET_COLUMNS = 16_384  # what Excel holds
MOST_COMMENTS = 10_000  # per workbook; comments stay in memory until the end, and Excel gets slow with more
RESULTS_SHEET = "results"
SUMMARY_SHEET = "summary"

_MEASURED_ROWS = 1_000  # per sheet; enough to choose widths
_NARROWEST, _WIDEST, _WIDEST_ERROR = 7, 44, 64  # column widths in characters
_FILTER_BUTTON = 4  # characters that the button of the autofilter and the bold face cost
_MOST_LINES = 6  # in a row that is made taller; a longer text is cut by the cell's edge, not in the cell
_LINE_POINTS = 15
_MOST_TALL_ROWS = 20_000  # per sheet; XlsxWriter keeps every height in memory
_COLUMNS_PER_PAGE = 11  # printed side by side, still printable
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
    sheet_rows: int = SHEET_ROWS,
    most_comments: int = MOST_COMMENTS,
) -> None:
    """Write the workbook; `path` stands in a folder that may take scratch files."""
    import xlsxwriter  # type: ignore[import-untyped]  # it has annotations, but does not declare them

    header = (*run.header, *result_header(run.header))
    if len(header) > SHEET_COLUMNS:
        raise UsageError(
            f"The report has {len(header):,} columns; an Excel sheet holds {SHEET_COLUMNS:,}, so write .csv instead."
        )
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "use_zip64": True, "tmpdir": str(path.parent)})
    try:
        book.set_properties({"title": one_line(f"Results of {run.input}")})
        looks = _Looks(book)
        counter = _Notes(most_comments)
        sheet = _ResultsSheet(book, RESULTS_SHEET, run, header, looks, counter)
        summary = book.add_worksheet(SUMMARY_SHEET)
        pages = 1
        for row in rows:
            if sheet.next_row >= sheet_rows:
                sheet.finish()
                pages += 1
                sheet = _ResultsSheet(book, f"{RESULTS_SHEET} ({pages})", run, header, looks, counter)
            sheet.write(row)
        sheet.finish()
        write_summary(book, summary, run, notes=counter.sentences(pages))
        book.close()
    except xlsxwriter.exceptions.FileCreateError as error:
        raise error.args[0] from error  # the OSError that it wraps
    finally:
        for page in book.worksheets():
            page._opt_close()  # a failure would leave the scratch files open


class _Looks:
    """The cell formats of one workbook."""

    def __init__(self, book: Any) -> None:
        # "@" keeps a cell text when a person edits it; without it an edited +1 or =x comes alive
        text = {"num_format": "@", "valign": "top"}
        self.user_head = book.add_format(
            {"bold": True, "bg_color": "#E8EAED", "bottom": 1, "valign": "top", "num_format": "@"}
        )
        self.our_head = book.add_format(
            {"bold": True, "bg_color": "#37474F", "font_color": "#FFFFFF", "bottom": 1, "valign": "top"}
        )
        self.wrong = book.add_format(
            text | {"bg_color": "#FFD5BF", "font_color": "#6B2400", "border": 1, "border_color": "#D55E00"}
        )
        self.doubtful = book.add_format(
            text | {"bg_color": "#FFF3C4", "font_color": "#5C4300", "border": 1, "border_color": "#E69F00"}
        )
        self.user: dict[Status, Any] = {}
        self.user_wrapped: dict[Status, Any] = {}
        self.result: dict[Status, tuple[Any, ...]] = {}  # one format per result column
        self.wrapped: dict[Status, tuple[Any, ...]] = {}  # the same for a row that is made taller
        for status, colours in PALETTE.items():
            tint = text | {"bg_color": colours.fill}
            self.user[status] = book.add_format(tint)
            self.user_wrapped[status] = book.add_format(tint | {"text_wrap": True})
            look = {"bg_color": colours.fill, "font_color": colours.ink, "valign": "top"}
            plain = book.add_format(look | {"num_format": "@"})
            number = book.add_format(look | {"align": "center"})
            formats = [plain] * len(RESULT_COLUMNS)
            formats[0] = book.add_format(look | {"num_format": "@", "bold": True})
            for column in _NUMBERS:
                formats[column] = number
            self.result[status] = tuple(formats)
            formats[_ERROR] = book.add_format(look | {"num_format": "@", "text_wrap": True})
            self.wrapped[status] = tuple(formats)


class _Notes:
    """What the summary has to admit about the results sheets, counted while they are written."""

    def __init__(self, most_comments: int) -> None:
        self.most_comments = most_comments
        self.comments = 0
        self.uncommented = 0
        self.cut = 0

    def sentences(self, pages: int) -> list[str]:
        """Say what a reader of the workbook would not expect."""
        said = []
        if pages > 1:
            said.append(f"The rows go on over {pages:,} sheets, because one sheet holds no more.")
        if self.uncommented:
            said.append(
                f"Only the first {self.most_comments:,} marked cells have a comment; {self.uncommented:,} more are "
                "coloured, and their sentences are in the error column."
            )
        if self.cut:
            said.append(
                f"Cells cut because Excel holds {CELL_UNITS:,} characters in one: {self.cut:,}; "
                "the .csv and .jsonl reports have them whole."
            )
        return said


class _ResultsSheet:
    """One sheet of rows, written from top to bottom."""

    def __init__(self, book: Any, name: str, run: RunInfo, header: Sequence[str], looks: _Looks, notes: _Notes) -> None:
        self._sheet = book.add_worksheet(name)
        self._run_id = run.run_id
        self._header = header
        self._user_columns = len(run.header)
        self._column_of = columns_by_name(run.header)
        self._looks = looks
        self._notes = notes
        self._widths = [display_width(name) + _FILTER_BUTTON for name in header]
        self._tall_rows = 0
        self.next_row = 1
        self._sheet.freeze_panes(1, 0)
        for column, title in enumerate(header):
            look = looks.user_head if column < self._user_columns else looks.our_head
            self._text(0, column, title, look)

    def write(self, row: ReportRow) -> None:
        """Add one row: the user's cells, then ours."""
        at, looks = self.next_row, self._looks
        marked = marks(row, self._column_of) if row.issues or row.error_columns else {}
        tall = self._make_tall(row)
        user, wrapped = looks.user[row.status], looks.user_wrapped[row.status]
        for column, cell in enumerate(row.cells):
            if cell:
                self._text(at, column, cell, wrapped if tall and "\n" in cell else user)
            else:
                self._sheet.write_blank(at, column, None, user)
        for place, mark in marked.items():
            if place is None:  # about the whole row
                self._comment(at, self._user_columns + _ERROR, mark)
                continue
            look = looks.wrong if mark.severity == "error" else looks.doubtful
            self._text(at, place, row.cells[place], look)
            self._comment(at, place, mark)
        cells = result_cells(row, self._run_id)
        formats = looks.wrapped if tall else looks.result
        for column, (value, look) in enumerate(zip(cells, formats[row.status], strict=True), self._user_columns):
            if isinstance(value, int):
                self._sheet.write_number(at, column, value, look)
            else:
                self._text(at, column, value, look)
        if at <= _MEASURED_ROWS:
            texts = (*row.cells, *map(str, cells))
            self._widths = [max(w, display_width(text)) for w, text in zip(self._widths, texts, strict=True)]
        self.next_row += 1

    def finish(self) -> None:
        """Set what needs the whole sheet to be known: widths, filter, printing."""
        sheet, last_row, last_column = self._sheet, self.next_row - 1, len(self._header) - 1
        for column, width in enumerate(self._widths):
            widest = _WIDEST_ERROR if column == self._user_columns + _ERROR else _WIDEST
            sheet.set_column(column, column, min(max(width + 1, _NARROWEST), widest))
        sheet.autofilter(0, 0, last_row, last_column)
        sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{SHEET_ROWS}"})  # text is meant
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.set_footer("&L&A&RPage &P of &N")
        sheet.fit_to_pages(-(-len(self._header) // _COLUMNS_PER_PAGE), 0)  # rounded up

    def _make_tall(self, row: ReportRow) -> bool:
        """Give the next row the height its text needs; LibreOffice does not do so by itself."""
        lines = sum(1 + display_width(line) // _WIDEST_ERROR for line in row.error.split("\n"))
        lines = max(lines, 1, *(1 + cell.count("\n") for cell in row.cells))
        if lines == 1 or self._tall_rows >= _MOST_TALL_ROWS:
            return False
        self._tall_rows += 1
        self._sheet.set_row(self.next_row, _LINE_POINTS * min(lines, _MOST_LINES))
        return True

    def _text(self, row: int, column: int, text: str, look: Any) -> None:
        """Write a cell; if its text is too long, cut it and say so."""
        shown = truncate_to_cell(text)
        if shown != text:
            self._notes.cut += 1
            sentence = f"This text has {len(text):,} characters; only the first {len(shown):,} fit in a cell of Excel."
            self._comment(row, column, Mark(severity="warning", sentences=(sentence,)))
        write_text(self._sheet, row, column, shown, look)

    def _comment(self, row: int, column: int, mark: Mark) -> None:
        if not mark.sentences:
            return
        if self._notes.comments >= self._notes.most_comments:
            self._notes.uncommented += 1
            return
        self._notes.comments += 1
        text = printable("\n".join(mark.sentences))
        if len(text) > _COMMENT_CHARACTERS:
            text = text[: _COMMENT_CHARACTERS - 1] + "…"
        lines = sum(1 + len(line) // _COMMENT_LINE_CHARACTERS for line in text.splitlines())
        size = {"width": _COMMENT_WIDTH, "height": _COMMENT_LINE * (min(lines, 20) + 1)}
        self._sheet.write_comment(row, column, text, size | {"author": "bulkload", "font_size": 9})
