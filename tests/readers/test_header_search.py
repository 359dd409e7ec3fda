"""The header is found where it is, also an incomplete one; a row of data never is one; the user can name its row."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.monitors.header import header_score, is_header
from bulkload.readers.opening import open_source

HEADER = ("Name", "Hostname", "Intervall")  # type and plan are missing
DATA = ("mx", "mx.firma.de", "15")
TITLES: list[tuple[str, ...]] = [("Our mail servers",), (), ("As of May", "Name")]


def workbook(folder: Path, sheets: dict[str, list[tuple[str, ...]]], merged: str = "") -> Path:
    book = openpyxl.Workbook()
    book.remove(book["Sheet"])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for number, row in enumerate(rows, 1):
            for column, text in enumerate(row, 1):
                sheet.cell(number, column, text)
        if merged:
            sheet.merge_cells(merged)
    book.save(folder / "hosts.xlsx")
    return folder / "hosts.xlsx"


def text(folder: Path, rows: list[tuple[str, ...]]) -> Path:
    path = folder / "hosts.csv"
    path.write_text("".join(";".join(row) + "\n" for row in rows), "utf-8")
    return path


def written(folder: Path, kind: str, rows: list[tuple[str, ...]]) -> Path:
    return text(folder, rows) if kind == "csv" else workbook(folder, {"A": rows}, "A1:C1" if kind == "merged" else "")


def read(path: Path, **options: object) -> tuple[Source, list[RawRow]]:
    with open_source(path, is_header=is_header, **options) as source:  # type: ignore[arg-type]
        return source, list(source.rows)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "merged"])
def test_an_incomplete_header_below_titles_is_found(tmp_path: Path, kind: str) -> None:
    rows = [*TITLES, HEADER, DATA, DATA]
    path = written(tmp_path, kind, rows)
    source, found = read(path)
    assert source.header == HEADER
    assert [row.number for row in found] == [5, 6]
    assert source.header_place == ("row 4" if kind == "csv" else "sheet A, row 4")


def test_the_best_worksheet_is_read_and_the_earlier_of_equals(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Cover": [("Mail",)], "Poor": [("Name", "Note")], "Good": [HEADER, DATA], "B": [HEADER]})
    source, _ = read(path)
    assert source.header_place == "sheet Good, row 1"
    source, _ = read(path, sheet="Poor")
    assert source.header == ("Name", "Note")


def test_a_complete_header_beats_a_longer_incomplete_one(tmp_path: Path) -> None:
    complete = ("Name", "Type", "Host")
    long = ("Name", "Host", "Interval", "Timeout", "Note", "Port", "Enabled")
    source, _ = read(workbook(tmp_path, {"Long": [long], "Complete": [complete]}))
    assert source.header == complete


def test_a_row_of_data_is_no_header() -> None:
    for row in (("Monitor", "active", "mx.firma.de"), ("Server", "imap", "note"), ("Host", "Label", "15")):
        assert header_score(row) == 0
    source_like = ("Label", "Server", "active", "Retry")
    assert header_score(source_like) > 0  # nothing in it is a value


def test_without_any_known_column_the_first_row_is_used(tmp_path: Path) -> None:
    source, found = read(text(tmp_path, [("a", "b"), ("c", "d")]))
    assert (source.header, len(found), source.header_place) == (("a", "b"), 1, "")


@pytest.mark.parametrize("kind", ["csv", "xlsx", "merged"])
def test_the_named_row_is_the_header(tmp_path: Path, kind: str) -> None:
    rows = [*TITLES, ("x", "y", "z"), ("Name", "Type", "Host"), DATA]
    path = written(tmp_path, kind, rows)
    source, found = read(path, header_row=4)
    assert source.header == ("x", "y", "z")
    assert [row.number for row in found] == [5, 6]
    source, found = read(path)
    assert [row.number for row in found] == [6]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("row", [2, 40])
def test_a_named_row_that_is_empty_is_refused(tmp_path: Path, kind: str, row: int) -> None:
    rows = [*TITLES, HEADER, DATA]
    path = text(tmp_path, rows) if kind == "csv" else workbook(tmp_path, {"A": rows})
    with pytest.raises(InputError, match=f"row {row}, which --header-row names"):
        read(path, header_row=row)
