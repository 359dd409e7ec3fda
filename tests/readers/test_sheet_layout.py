"""Merged cells count for all their rows or are an issue; hidden rows and columns are named, or left out on request."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.monitors.header import is_header
from bulkload.readers import sheet_layout
from bulkload.readers.opening import open_source
from tests.readers.layout_workbooks import KINDS, pack_ods, save
from tests.readers.test_workbook import repacked

pytestmark = pytest.mark.usefixtures("in_this_process")

HEADER = ("type", "name", "hostname", "port", "interval", "timeout", "enabled")


WITH_MERGED_CELLS = [kind for kind in KINDS if kind != "xls of Excel 95"]


def host(number: int, **cells: str) -> tuple[str, ...]:
    values = {"type": "imap", "name": f"n{number}", "hostname": f"mx{number}.example.com", "port": "993"} | cells
    return tuple(values.get(column, "") for column in HEADER)


def read(path: Path, *, skip_hidden: bool = False) -> tuple[Source, list[RawRow]]:
    with open_source(path, is_header=is_header, skip_hidden=skip_hidden) as source:
        return source, list(source.rows)


def issues(row: RawRow) -> list[tuple[str, str | None]]:
    return [(issue.code, issue.column) for issue in row.issues]


@pytest.mark.parametrize("kind", WITH_MERGED_CELLS)
def test_the_value_of_cells_merged_over_rows_counts_for_each_row(tmp_path: Path, kind: str) -> None:
    cells = [HEADER, host(1, interval="60", enabled="no"), host(2), host(3), host(4)]
    source, rows = read(save(tmp_path, kind, cells, merged=["E2:E4", "G2:G3"]))
    assert [(row.cells[4], row.cells[6]) for row in rows] == [("60", "no"), ("60", "no"), ("60", ""), ("", "")]
    assert not any(row.issues for row in rows)
    assert "The value of the merged cells E2:E4, G2:G3 counts for each of their rows." in source.notes


@pytest.mark.parametrize("kind", WITH_MERGED_CELLS)
def test_a_value_merged_over_several_columns_is_an_issue_of_each_row_and_column(tmp_path: Path, kind: str) -> None:
    cells = [HEADER, host(1, interval="30"), host(2), host(3), host(4, timeout="9")]
    _, rows = read(save(tmp_path, kind, cells, merged=["E2:F3", "E5:F5"]))
    both = [("cell.merged", "interval"), ("cell.merged", "timeout")]
    assert [issues(row) for row in rows] == [both, both, [], both]
    assert "The cells E2:F3 are merged over several columns" in rows[1].issues[0].message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_filter", [False, True])
def test_hidden_rows_are_read_and_named_or_left_out_and_named(tmp_path: Path, kind: str, by_filter: bool) -> None:
    cells = [HEADER, *map(host, range(2, 11)), (), ()]
    path = save(tmp_path, kind, cells, hidden_rows=(3, 5, 6, 7, 12), by_filter=by_filter)
    cause = " (by a filter)" if by_filter else ""
    source, rows = read(path)
    assert [row.number for row in rows] == list(range(2, 11))
    note = f"Rows 3, 5–7 are hidden{cause}; they are read like the others; --skip-hidden leaves them out."
    assert note in source.notes
    source, rows = read(path, skip_hidden=True)
    assert [row.number for row in rows] == [2, 4, 8, 9, 10]
    assert f"Rows 3, 5–7 are hidden{cause} and left out, because of --skip-hidden." in source.notes


@pytest.mark.parametrize("kind", KINDS)
def test_a_hidden_column_is_read_and_named_or_left_out_and_named(tmp_path: Path, kind: str) -> None:
    cells = [(*HEADER, "host"), (*host(1), "new.example.com")]
    path = save(tmp_path, kind, cells, hidden_columns=(2,))
    source, rows = read(path)
    assert source.header[2] == "hostname"
    assert rows[0].cells[2] == "mx1.example.com"
    note = 'Column C "hostname" is hidden; it is read like the others; --skip-hidden leaves it out.'
    assert note in source.notes
    source, rows = read(path, skip_hidden=True)
    assert source.header == ("type", "name", "", "port", "interval", "timeout", "enabled", "host")
    assert rows[0].cells == ("imap", "n1", "", "993", "", "", "", "new.example.com")
    assert 'Column C "hostname" is hidden and left out, because of --skip-hidden.' in source.notes


def xlsx(folder: Path, fill: Callable[[Worksheet], None]) -> Path:
    book = openpyxl.Workbook()
    worksheet = book.active
    assert worksheet is not None
    fill(worksheet)
    book.save(folder / "hosts.xlsx")
    return folder / "hosts.xlsx"


def test_merged_cells_do_not_make_rows_of_blank_rows(tmp_path: Path) -> None:
    """A monitor that takes two lines of the worksheet is one row, and a merge down to the last row is none."""
    areas = [f"{column}2:{column}3" for column in "ABCDEF"]
    path = save(tmp_path, "xlsx", [HEADER, host(1, enabled="no"), (), host(3)], merged=[*areas, "G2:G1048576"])
    tracemalloc.start()
    _, rows = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(row.number, row.cells[6]) for row in rows] == [(2, "no"), (4, "no")]
    assert peak < 20 << 20


def test_an_error_in_merged_cells_is_an_issue_of_each_row(tmp_path: Path) -> None:
    def fill(worksheet: Worksheet) -> None:
        for row in (HEADER, host(1), host(2), host(3)):
            worksheet.append(row)
        worksheet["B2"], worksheet["G2"] = "#N/A", "=1+1"
        worksheet["B3"] = None
        worksheet.merge_cells("B2:B3")
        worksheet.merge_cells("G2:G4")

    _, rows = read(xlsx(tmp_path, fill))
    error, formula = ("cell.error", "name"), ("cell.formula", "enabled")
    assert [sorted(issues(row)) for row in rows] == [[error, formula], [error, formula], [formula]]


@pytest.mark.parametrize("kind", WITH_MERGED_CELLS)
def test_content_under_merged_cells_that_they_do_not_show_is_an_issue(tmp_path: Path, kind: str) -> None:
    cells = [HEADER, host(1, enabled="no"), host(2, enabled="yes"), host(3, enabled="no"), host(4, interval="5")]
    _, rows = read(save(tmp_path, kind, cells, merged=["G2:G4", "E4:E5"]))
    assert [issues(row) for row in rows] == [[], [("cell.merged", "enabled")], [], [("cell.merged", "interval")]]
    assert "show 'no'" in rows[1].issues[0].message
    assert "show nothing" in rows[3].issues[0].message


@pytest.mark.parametrize("kind", WITH_MERGED_CELLS)
def test_a_header_of_two_lines_is_one_header(tmp_path: Path, kind: str) -> None:
    cells = [
        ("All hosts",),
        ("type", "name", "Server", "", "interval", "", "enabled"),
        ("", "", "hostname", "port", "", "timeout", ""),
        host(1, enabled="no"),
    ]
    merged = ["A1:G1", "A2:A3", "B2:B3", "C2:D2", "E2:E3", "G2:G3"]
    source, rows = read(save(tmp_path, kind, cells, merged=merged))
    assert source.header == HEADER
    assert [(row.number, row.cells, row.issues) for row in rows] == [(4, host(1, enabled="no"), ())]
    assert "The header was found in row 3; the rows above it were ignored." in source.notes


@pytest.mark.parametrize("group", ["Mail", "Server"])  # the second is a name of hostname
def test_a_line_of_group_names_belongs_to_the_header_below_it(tmp_path: Path, group: str) -> None:
    cells = [("type", "name", group, "", "", "", "enabled"), ("", "", "hostname", "port"), host(1, enabled="no")]
    source, rows = read(save(tmp_path, "xlsx", cells, merged=["C1:D1"]))
    assert source.header == ("type", "name", "hostname", "port", "", "", "enabled")
    assert [(row.cells[6], row.issues) for row in rows] == [("no", ())]
    assert source.notes == ()


def test_a_title_above_the_header_and_a_label_beside_the_table_change_nothing(tmp_path: Path) -> None:
    cells = [
        ("", "All hosts", "", "", "", "", "", "", "2025-01-01"),
        ("", *HEADER),
        ("Servers of the office", *host(1, enabled="no")),
        ("", *host(2, enabled="no")),
    ]
    source, rows = read(save(tmp_path, "xlsx", cells, merged=["B1:H1", "A3:A4"]))
    assert source.header == ("", *HEADER)
    assert [(row.cells[7], row.issues) for row in rows] == [("no", ()), ("no", ())]
    assert source.notes == ("The header was found in row 2; the rows above it were ignored.",)


def test_the_second_column_of_a_merged_header_must_be_empty(tmp_path: Path) -> None:
    header = ("type", "name", "hostname", "enabled", "", "note")
    cells = [
        header,
        ("imap", "n1", "mx1.example.com", "no", "", "x"),
        ("imap", "n2", "mx2.example.com", "", "no", "x"),
        ("imap", "n3", "mx3.example.com", "no", "", "x"),
    ]
    source, rows = read(save(tmp_path, "xlsx", cells, merged=["D1:E1", "D4:E4"]))
    assert source.header == header
    assert [issues(row) for row in rows] == [[], [("cell.merged", None)], []]
    assert "D1:E1" in rows[1].issues[0].message


def test_cells_merged_with_the_header_have_no_value(tmp_path: Path) -> None:
    _, rows = read(save(tmp_path, "xlsx", [HEADER, host(1), host(2), host(3)], merged=["G1:G3"]))
    assert [issues(row) for row in rows] == [[("cell.merged", "enabled")], [("cell.merged", "enabled")], []]


def test_a_title_between_the_rows_is_one_issue(tmp_path: Path) -> None:
    _, rows = read(save(tmp_path, "xlsx", [HEADER, host(1), ("Branches",), host(3)], merged=["A3:G3"]))
    assert [issues(row) for row in rows] == [[], [("cell.merged", "type")], []]


def test_merged_cells_beside_the_table_and_without_content_are_of_no_concern(tmp_path: Path) -> None:
    cells = [("", *HEADER), ("", *host(1)), ("", *host(2))]
    source, rows = read(save(tmp_path, "xlsx", cells, merged=["F2:G3", "H2:K2", "A1:A3"]))
    assert [row.cells for row in rows] == [host(1), host(2)]
    assert not any(row.issues for row in rows)
    assert source.notes == ()


def test_a_hidden_row_or_column_still_gives_merged_cells_their_value(tmp_path: Path) -> None:
    cells = [HEADER, host(1, enabled="no"), host(2), host(3)]
    path = save(tmp_path, "xlsx", cells, merged=["G2:G4"], hidden_rows=[2], hidden_columns=[3])
    _, rows = read(path, skip_hidden=True)
    assert [(row.number, row.cells[3], row.cells[6]) for row in rows] == [(3, "", "no"), (4, "", "no")]


def test_a_table_that_begins_in_another_column_is_named_by_its_own_letters(tmp_path: Path) -> None:
    def fill(worksheet: Worksheet) -> None:
        for index, row in enumerate((HEADER, host(1, enabled="no"), host(2)), 3):
            for column, text in enumerate(row, 4):
                worksheet.cell(index, column, text or None)
        worksheet.merge_cells("J4:J5")
        worksheet.column_dimensions["F"].hidden = True
        worksheet.column_dimensions.group("A", "B", hidden=True)

    path = xlsx(tmp_path, fill)
    source, rows = read(path)
    assert [row.cells[6] for row in rows] == ["no", "no"]
    assert any(note.startswith('Column F "hostname" is hidden;') for note in source.notes)
    assert "The value of the merged cells J4:J5 counts for each of their rows." in source.notes


@pytest.mark.parametrize(
    ("row", "is_hidden"),
    [
        ('<row r="2" hidden="1">', True),
        ("<row r='2' hidden='1'>", True),
        ('<row r="2" hidden="true" outlineLevel="1">', True),
        ('<row hidden="1">', True),
        ('<row r="2" ht="0" customHeight="1">', True),
        ('<row r="2" ht="0.0">', True),
        ('<row r="2" hidden="0" ht="12.8">', False),
        ('<row r="2" hidden="false" ht="0.5" customHeight="false" collapsed="false">', False),
    ],
)
@pytest.mark.parametrize("has_prefix", [False, True])
def test_every_spelling_of_a_hidden_row_is_understood(
    tmp_path: Path, row: str, is_hidden: bool, has_prefix: bool
) -> None:
    def change(part: str, content: bytes) -> bytes:
        if not part.startswith("xl/worksheets/sheet"):
            return content
        assert b'<row r="2">' in content
        content = content.replace(b'<row r="2">', row.encode())
        if has_prefix:
            content = content.replace(b"</", b"</x:").replace(b"<", b"<x:").replace(b"<x:/x:", b"</x:")
            content = content.replace(b"<x:?", b"<?").replace(b"xmlns=", b"xmlns:x=")
        return content

    path = save(tmp_path, "xlsx", [HEADER, host(2), host(3)])
    source, rows = read(repacked(path, change), skip_hidden=True)
    assert [row.number for row in rows] == ([3] if is_hidden else [2, 3])
    assert len(source.notes) == is_hidden


@pytest.mark.parametrize(
    ("column", "is_hidden"),
    [
        ('<col min="3" max="3" hidden="1"/>', True),
        ("<col min='3' max='16384' width='0' customWidth='1'/>", True),
        ('<col min="1" max="7" width="9.14" hidden="false"/>', False),
    ],
)
def test_every_spelling_of_a_hidden_column_is_understood(tmp_path: Path, column: str, is_hidden: bool) -> None:
    def change(part: str, content: bytes) -> bytes:
        return content.replace(b"<sheetData>", f"<cols>{column}</cols><sheetData>".encode())

    path = repacked(save(tmp_path, "xlsx", [HEADER, host(2)]), change)
    assert len(read(path)[0].notes) == is_hidden


def test_signs_are_found_wherever_a_block_ends() -> None:
    row = b'<sheetData><row r="2" ht="0.000" customHeight="1">'
    for cut in range(len(row)):
        signs = sheet_layout.LayoutSigns(sheet_layout.XML_SIGNS)
        assert b"".join(signs.look_at([row[:cut], row[cut:]])) == row
        assert signs.found


ODS_CELLS = {  # of a row with a name and a host, and with a further cell at its end
    "plain": "<table:table-row>{}</table:table-row>",
    "repeated": '<table:table-row table:number-rows-repeated="2" table:visibility="filter">{}</table:table-row>',
    "group": '<table:table-row-group table:display="false"><table:table-row>{}</table:table-row>'
    "</table:table-row-group>",
    "no height": '<table:table-row table:style-name="ro0">{}</table:table-row>',
}


def ods_row(kind: str, *texts: str) -> str:
    cells = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{t}</text:p></table:table-cell>' for t in texts
    )
    return ODS_CELLS[kind].format(cells)


def test_rows_of_an_open_document_are_hidden_in_every_way(tmp_path: Path) -> None:
    style = (
        '<style:style style:name="ro0" style:family="table-row"><style:table-row-properties style:row-height="0cm"/>'
        '</style:style><style:style style:name="co0" style:family="table-column">'
        '<style:table-column-properties style:column-width="0.00mm"/></style:style>'
    )
    table = '<table:table-column/><table:table-column table:style-name="co0" table:number-columns-repeated="2"/>'
    table += f"<table:table-header-rows>{ods_row('plain', 'type', 'name', 'hostname')}</table:table-header-rows>"
    for number, kind in enumerate(ODS_CELLS):
        table += ods_row(kind, "imap", f"n{number}", "mx.example.com")
    source, rows = read(pack_ods(tmp_path / "hosts.ods", table, style))
    assert [row.number for row in rows] == [2, 3, 4, 5, 6]
    assert source.notes == (
        "Rows 3–6 are hidden (by a filter); they are read like the others; --skip-hidden leaves them out.",
        'Columns B "name", C "hostname" are hidden; they are read like the others; --skip-hidden leaves them out.',
    )


def test_repeated_merged_cells_of_an_open_document_take_no_memory(tmp_path: Path) -> None:
    cell = '<table:table-cell office:value-type="string"{}><text:p>{}</text:p></table:table-cell>'
    table = ods_row("plain", *HEADER[:3])
    rows = "".join(
        cell.format(spans, text) for spans, text in [("", "imap"), (' table:number-columns-spanned="2"', "n")]
    )
    rows += "<table:covered-table-cell/>"
    table += f'<table:table-row table:number-rows-repeated="1000">{rows}</table:table-row>'
    _, raw_rows = read(pack_ods(tmp_path / "hosts.ods", table))
    assert len(raw_rows) == 1000
    assert {tuple(issues(row)) for row in raw_rows} == {(("cell.merged", "name"), ("cell.merged", "hostname"))}


@pytest.mark.parametrize("change", ["CDATA", "extension lists", "other part name"])
def test_a_worksheet_that_calamine_misreads_keeps_its_merged_and_hidden_cells(tmp_path: Path, change: str) -> None:
    """calamine gets a plain copy of such a worksheet, which has neither."""
    cells = [HEADER, host(1, interval="60", enabled="no"), host(2), host(3), host(4)]
    path = save(tmp_path, "xlsx", cells, merged=["G2:G4"], hidden_rows=[5])

    def write_otherwise(part: str, content: bytes) -> bytes:
        text = content.decode()
        if change == "other part name":
            return text.replace("/sharedStrings.xml", "/texts.xml").replace('"sharedStrings.xml', '"texts.xml').encode()
        if not part.startswith("xl/worksheets/sheet"):
            return content
        if change == "CDATA":
            return re.sub(r"<v>(\d+)</v>", r"<v><![CDATA[\1]]></v>", text).encode()
        return text.replace("</v></c>", "</v><extLst/></c>").encode()

    source, rows = read(
        repacked(
            path,
            write_otherwise,
            rename={"xl/sharedStrings.xml": "xl/texts.xml"} if change == "other part name" else {},
        )
    )
    assert [row.cells[-1] for row in rows] == ["no", "no", "no", ""]
    assert "Row 5 is hidden" in " ".join(source.notes)


@pytest.mark.parametrize("kind", WITH_MERGED_CELLS)
def test_more_merged_areas_than_a_person_can_make_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(sheet_layout, "MAX_AREAS", 3)
    path = save(tmp_path, kind, [HEADER, host(1)], merged=["A2:A3", "B2:B3", "C2:C3", "D2:D3"])
    with pytest.raises(InputError, match="more than 3 merged areas"):
        read(path)


def test_a_long_list_of_hidden_rows_is_cut(tmp_path: Path) -> None:
    cells = [HEADER, *map(host, range(2, 60))]
    source, _ = read(save(tmp_path, "xlsx", cells, hidden_rows=range(3, 60, 2)))
    assert source.notes[0].startswith("Rows 3, 5, 7, 9, 11, 13, 15, 17 and 21 more are hidden;")


def test_a_hidden_header_is_named_and_a_hidden_title_is_not(tmp_path: Path) -> None:
    path = save(tmp_path, "xlsx", [("All hosts",), HEADER, host(1)], hidden_rows=[1, 2])
    assert "Row 2 is hidden; it is read like the others; --skip-hidden leaves it out." in read(path)[0].notes


def test_the_rows_of_a_continued_results_workbook_are_named_by_worksheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name in ("results", "results (2)"):
        worksheet = book.create_sheet(name)
        for row in (
            ("type", "name", "hostname", "run_id"),
            ("imap", "a", "mx.example.com"),
            ("imap", "b", "m.example.com"),
        ):
            worksheet.append(row)
        worksheet.row_dimensions[3 if name == "results" else 2].hidden = True
    del book["Sheet"]
    book.save(tmp_path / "hosts-results.xlsx")
    source, rows = read(tmp_path / "hosts-results.xlsx")
    assert len(rows) == 4
    assert source.notes[1:] == (
        "Row 3 is hidden; it is read like the others; --skip-hidden leaves it out.",
        "Row 2 of the worksheet 'results (2)' is hidden; it is read like the others; --skip-hidden leaves it out.",
    )
    source, rows = read(tmp_path / "hosts-results.xlsx", skip_hidden=True)
    assert [(row.number, row.cells[1]) for row in rows] == [(2, "a"), (4, "b")]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_is_an_input_error(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, [HEADER, host(1), host(2)], merged=["E2:E3"], hidden_rows=[3], hidden_columns=[2])
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            _, rows = read(path, skip_hidden=True)
        except InputError:
            continue
        assert all(isinstance(cell, str) for row in rows for cell in row.cells)
