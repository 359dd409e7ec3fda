"""The workbook, opened with openpyxl, calamine and LibreOffice."""

from __future__ import annotations

import csv
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.cell.cell import Cell
from openpyxl.worksheet.worksheet import Worksheet
from python_calamine import CalamineWorkbook

from bulkload.errors import UsageError
from bulkload.files.xlsx import CELL_UNITS
from bulkload.model import Issue, ReportRow, RunInfo, Status
from bulkload.monitors.result_columns import RESULT_COLUMNS
from bulkload.reports import formats as report
from bulkload.reports.palette import PALETTE
from bulkload.reports.results_workbook import SHEET_COLUMNS, write_workbook
from tests.support.report_samples import HEADER, TEXT, TRICKY_TEXTS, one_row_per_status, row, run_info

ERROR_COLUMN = len(HEADER) + 1 + RESULT_COLUMNS.index("error")  # counted from 1, as openpyxl does
BAD_PORT = Issue(code="port.range", message="port is 0; a port is a whole number from 1 to 65535.", column="port")
ODD_PORT = Issue(code="port.type", message="port 110 is POP3's.", column="port", severity="warning")


def write(path: Path, rows: Iterable[ReportRow], run: RunInfo | None = None) -> openpyxl.Workbook:
    report.write(path, run or run_info([]), rows)
    return openpyxl.load_workbook(path)


def results(book: openpyxl.Workbook) -> Worksheet:
    sheet = book["results"]
    assert isinstance(sheet, Worksheet)
    return sheet


def cell(sheet: Worksheet, row_number: int, column: int) -> Cell:
    result = sheet.cell(row_number, column)
    assert isinstance(result, Cell)
    return result


def values(path: Path, sheet: str = "results") -> list[list[object]]:
    """Read a worksheet as bulkload itself reads workbooks."""
    return [list(line) for line in CalamineWorkbook.from_path(path).get_sheet_by_name(sheet).to_python()]


def facts(path: Path) -> dict[object, object]:
    """Read the first two columns of the summary."""
    return {line[0]: line[1] for line in values(path, "summary") if line[0] != ""}


def test_all_rows_are_in_the_workbook_in_order_with_their_results(tmp_path: Path) -> None:
    rows = one_row_per_status()
    path = tmp_path / "out.xlsx"
    write(path, rows)
    header, *lines = values(path)
    assert header == [*HEADER, *RESULT_COLUMNS]
    expected = [
        [*r.cells, r.status.value, r.monitor_id, r.error, "", r.status.next_step, 1.0, float(r.source_row), "r1"]
        for r in rows
    ]
    assert lines == expected


def test_results_come_first_and_the_summary_second(tmp_path: Path) -> None:
    assert write(tmp_path / "out.xlsx", one_row_per_status()).sheetnames == ["results", "summary"]


@pytest.mark.parametrize("text", TRICKY_TEXTS)
def test_text_stays_text_whatever_it_contains(tmp_path: Path, text: str) -> None:
    """No cell is a formula, a number or a link, and every text is read back unchanged."""
    path = tmp_path / "out.xlsx"
    book = write(
        path,
        [row(text, text, text, text, monitor_id=text, error=text, error_columns=(text,), status=Status.FAILED)],
        run_info([], header=(text, *HEADER[1:]), run_id=text),
    )
    for column in (1, 2, 3, 4, 6, 7, 8, 12):
        checked = cell(results(book), 2, column)
        assert (checked.data_type, checked.number_format, checked.hyperlink) == ("s", "@", None)
    assert [values(path)[1][column] for column in (0, 1, 2, 3, 5, 6, 7, 11)] == [text] * 8
    assert values(path)[0][0] == text
    with zipfile.ZipFile(path) as parts:
        sheets = [parts.read(name) for name in parts.namelist() if name.startswith("xl/worksheets/sheet")]
    assert sheets
    assert not any(b"<f>" in sheet or b"<hyperlink" in sheet for sheet in sheets)


@given(cells=st.lists(TEXT, min_size=4, max_size=4).map(tuple), error=TEXT)
@settings(max_examples=25)
def test_any_text_is_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, cells: tuple[str, ...], error: str
) -> None:
    path = tmp_path_factory.mktemp("xlsx") / "out.xlsx"
    report.write(path, run_info([]), [row(*cells, error=error, issues=(BAD_PORT,))])
    line = values(path)[1]
    assert (line[:4], line[6]) == (list(cells), error)
    openpyxl.load_workbook(path)


@pytest.mark.skipif(shutil.which("soffice") is None, reason="needs LibreOffice")
def test_libreoffice_shows_every_row_as_text_and_evaluates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    texts = [text for text in TRICKY_TEXTS if "\r" not in text and "\x00" not in text] + ["\r=1+1"]
    report.write(path, run_info([]), [row(text, text, text, text, error=text) for text in texts])
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}",
            "--headless",
            "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false",
            "--outdir",
            str(tmp_path),
            str(path),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        _, *lines = csv.reader(stream)
    assert [(*line[:4], line[6]) for line in lines] == [(text,) * 5 for text in texts]


def test_rows_that_do_not_fit_in_one_worksheet_continue_in_others(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    rows = [row("imap", f"n{n}", "h", "1", source_row=n) for n in range(25)]
    write_workbook(path, run_info(rows), iter(rows), sheet_rows=10)
    assert CalamineWorkbook.from_path(path).sheet_names == ["results", "summary", "results (2)", "results (3)"]
    pages = [values(path, name) for name in ("results", "results (2)", "results (3)")]
    assert [len(page) for page in pages] == [10, 10, 8]
    assert all(page[0] == [*HEADER, *RESULT_COLUMNS] for page in pages)
    assert [line[1] for page in pages for line in page[1:]] == [f"n{n}" for n in range(25)]
    assert "The rows continue on 3 worksheets, because they do not fit in one." in facts(path)


@pytest.mark.parametrize("rows", [0, 9])
def test_rows_that_just_fit_need_one_worksheet(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "out.xlsx"
    write_workbook(path, run_info([]), [row()] * rows, sheet_rows=10)
    assert CalamineWorkbook.from_path(path).sheet_names == ["results", "summary"]


def test_more_columns_than_a_worksheet_holds_is_a_usage_error(tmp_path: Path) -> None:
    header = tuple(f"c{n}" for n in range(SHEET_COLUMNS))
    with pytest.raises(UsageError, match=r"16,392 columns; an Excel worksheet holds 16,384"):
        report.write(tmp_path / "out.xlsx", run_info([], header=header), [])
    assert list(tmp_path.iterdir()) == []


def test_an_invalid_cell_is_marked_and_has_its_message_as_comment(tmp_path: Path) -> None:
    sheet = results(
        write(tmp_path / "out.xlsx", [row(status=Status.INVALID, error_columns=("port",), issues=(BAD_PORT,)), row()])
    )
    invalid, neighbour, valid = cell(sheet, 2, 4), cell(sheet, 2, 3), cell(sheet, 3, 4)
    assert invalid.comment is not None
    assert invalid.comment.text == BAD_PORT.message
    assert valid.comment is None
    assert len({marked.fill.fgColor.rgb for marked in (invalid, neighbour, valid)}) == 3
    assert invalid.value == "993"


def test_a_warning_has_another_colour_than_an_error(tmp_path: Path) -> None:
    sheet = results(write(tmp_path / "out.xlsx", [row(issues=(ODD_PORT,)), row(issues=(ODD_PORT, BAD_PORT))]))
    warned, both = cell(sheet, 2, 4), cell(sheet, 3, 4)
    assert warned.comment is not None
    assert both.comment is not None
    assert warned.comment.text == "Warning: port 110 is POP3's."
    assert both.comment.text == f"Warning: port 110 is POP3's.\n{BAD_PORT.message}"
    assert warned.fill.fgColor.rgb != both.fill.fgColor.rgb


def test_an_error_column_without_an_issue_has_the_error_of_the_row(tmp_path: Path) -> None:
    rejected = row(status=Status.REJECTED, error="Plan is not available.", error_columns=("name", "not there"))
    comment = cell(results(write(tmp_path / "out.xlsx", [rejected])), 2, 2).comment
    assert comment is not None
    assert comment.text == "Plan is not available."


def test_a_warning_about_the_whole_row_is_a_comment_on_the_error_column(tmp_path: Path) -> None:
    warned = row(issues=(Issue(code="row.odd", message="This row is odd.", severity="warning"),))
    comment = cell(results(write(tmp_path / "out.xlsx", [warned])), 2, ERROR_COLUMN).comment
    assert comment is not None
    assert comment.text == "Warning: This row is odd."


@pytest.mark.parametrize("message", ["value is \x00\x0b.", "half \ud83d", "<r>x</r> & more", "x" * 50_000])
def test_a_comment_can_contain_any_text(tmp_path: Path, message: str) -> None:
    issue = Issue(code="c", message=message, column="port")
    comment = cell(results(write(tmp_path / "out.xlsx", [row(issues=(issue,))])), 2, 4).comment
    assert comment is not None
    assert comment.text[:4] == message[:4]


def test_the_number_of_comments_is_limited_and_the_summary_says_so(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    write_workbook(path, run_info([]), [row(issues=(BAD_PORT,))] * 8, most_comments=5)
    sheet = results(openpyxl.load_workbook(path))
    assert [cell(sheet, n, 4).comment is not None for n in range(2, 10)] == [True] * 5 + [False] * 3
    assert len({cell(sheet, n, 4).fill.fgColor.rgb for n in range(2, 10)}) == 1
    [note] = [name for name in facts(path) if str(name).startswith("Only the first")]
    assert note == (
        "Only the first 5 marked cells have a comment; 3 more are only coloured,"
        " and their messages are in the error column."
    )


@pytest.mark.parametrize(
    ("text", "kept"),
    [("x" * CELL_UNITS, CELL_UNITS), ("x" * 40_000, CELL_UNITS), ("\U0001f4ec" * 20_000, CELL_UNITS // 2)],
)
def test_text_that_is_too_long_for_a_cell_is_cut_and_the_summary_says_so(tmp_path: Path, text: str, kept: int) -> None:
    path = tmp_path / "out.xlsx"
    name = cell(results(write(path, [row("imap", text, "h", "1")])), 2, 2)
    assert name.value == text[:kept]
    is_cut = kept < len(text)
    assert (name.comment is not None) == is_cut
    assert any("Cells cut to" in str(label) for label in facts(path)) == is_cut


@pytest.mark.parametrize("status", list(Status))
def test_all_cells_of_a_row_have_the_colour_of_its_status(tmp_path: Path, status: Status) -> None:
    sheet = results(write(tmp_path / "out.xlsx", [row("imap", "", "h", "1", status=status)]))
    columns = range(1, len(HEADER) + len(RESULT_COLUMNS) + 1)
    assert {cell(sheet, 2, n).fill.fgColor.rgb for n in columns} == {"FF" + PALETTE[status].fill[1:]}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("is_dark", [False, True])
def test_colours_are_readable(status: Status, is_dark: bool) -> None:
    """The contrast of text and background is at least 7:1, as WCAG level AAA requires."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    colours = PALETTE[status]
    pair = (colours.dark_fill, colours.dark_ink) if is_dark else (colours.fill, colours.ink)
    dark, light = sorted(map(luminance, pair))
    assert (light + 0.05) / (dark + 0.05) >= 7


def test_the_worksheet_has_a_frozen_header_a_filter_and_fitting_widths(tmp_path: Path) -> None:
    rows = [row("imap", "x" * 30, "y" * 200, "1")] * 3
    sheet = results(write(tmp_path / "out.xlsx", rows))
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:L4"
    assert all(cell(sheet, 1, n).font.b for n in range(1, 13))
    widths = [sheet.column_dimensions[letter].width for letter in "ABC"]
    assert widths[0] < 15 < 30 < widths[1] < 40 < widths[2] < 50


def test_a_row_is_as_tall_as_its_error_up_to_a_limit(tmp_path: Path) -> None:
    sheet = results(
        write(tmp_path / "out.xlsx", [row(error="x" * 50), row(error="word " * 30), row(error="word " * 2_000)])
    )
    heights = [sheet.row_dimensions[n].height for n in (2, 3, 4)]
    assert heights == [None, 45, 90]


def test_the_summary_has_the_counts_and_the_facts_of_the_run(tmp_path: Path) -> None:
    rows = one_row_per_status() * 3
    path = tmp_path / "out.xlsx"
    write(path, rows, run_info(rows, stopped="The login was refused."))
    summary = facts(path)
    assert {summary[status.value] for status in Status} == {3.0}
    assert [line[1] for line in values(path, "summary") if line[0] == "Rows"] == [
        3.0 * len(Status),
        str(3 * len(Status)),
    ]
    assert "Stopped early: The login was refused." in summary
    assert {
        name: summary[name] for name in ("Run", "Input", "Account", "Started", "Finished", "Sent", "On existing")
    } == {
        "Run": "r1",
        "Input": "hosts.csv",
        "Account": "ops@example.org",
        "Started": "2026-11-22 11:00:30 UTC",
        "Finished": "2026-11-22 11:00:42 UTC",
        "Sent": "1,047",
        "On existing": "skip: monitors that exist stay as they are",
    }


def test_an_empty_run_has_a_valid_workbook(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    write(path, [])
    assert values(path) == [[*HEADER, *RESULT_COLUMNS]]
    assert "The input has no rows." in facts(path)


@pytest.mark.parametrize("text", [*TRICKY_TEXTS, "half \ud83d"])
def test_the_summary_can_contain_any_text(tmp_path: Path, text: str) -> None:
    run = RunInfo(run_id=text, input=text, header=(text,), account=text, settings={text: text}, stopped=text)
    sheet = write(tmp_path / "out.xlsx", [], run)["summary"]
    assert isinstance(sheet, Worksheet)
    assert {item.data_type for line in sheet.iter_rows() for item in line if item.value is not None} <= {"s", "n"}


def test_every_part_of_the_file_is_valid_xml_whatever_the_name_of_the_input(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    name = "a\x00\x1b<r>&\ud83d"
    run = RunInfo(run_id=name, input=name, header=(name,), details={name: name}, stopped=name)
    report.write(path, run, [row(name, error=name, error_columns=(name,))])
    with zipfile.ZipFile(path) as parts:
        for part in parts.namelist():
            ElementTree.fromstring(parts.read(part))


def test_a_workbook_can_have_two_hundred_columns(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    header = tuple(f"column {n}" for n in range(200))
    write(path, [row(*header)], run_info([], header=header))
    assert values(path)[1][:200] == list(header)


@pytest.mark.parametrize(
    ("header", "mapping", "expected"),
    [
        (("type", "name", "host"), "", "$B:$B"),
        (("Monitor", "type", "label"), '{"label":"name"}', "$C:$C"),
        (("type", "hostname"), "", None),
    ],
)
def test_printed_pages_repeat_the_name(
    tmp_path: Path, header: tuple[str, ...], mapping: str, expected: str | None
) -> None:
    run = RunInfo(run_id="r1", input="a.csv", header=header, settings={"map": mapping} if mapping else {})
    path = tmp_path / "out.xlsx"
    report.write(path, run, iter([ReportRow(2, ("x",) * len(header), Status.CREATED)]))
    sheet = openpyxl.load_workbook(path)["results"]
    assert (sheet.print_title_cols, sheet.print_title_rows) == (expected, "$1:$1")
