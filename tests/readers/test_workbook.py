"""Workbooks: equal rows from every program that saves them, row numbers as shown, every error cell reported."""

import contextlib
import datetime
import io
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter  # type: ignore[import-untyped]

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.readers import sheet_patterns, workbook, zip_package
from bulkload.readers.opening import open_source

DATA = Path(__file__).parent / "data"
HEADER = ("type", "name", "hostname", "port", "note")
ROWS = (
    ("imap", "Zürich – Mail", "mail1.example.com", "993", "one, two; three | four"),
    ("smtp", "NA", "null", "25", "line one\nline two"),
    ("pop", "None", "mail3.example.com", "110", ""),
)


pytestmark = pytest.mark.usefixtures("in_this_process")


def is_header(cells: Sequence[str]) -> bool:
    return {"type", "name", "hostname"} <= {cell.lower() for cell in cells}


def read(path: Path, sheet: str | None = None) -> tuple[Source, list[RawRow]]:
    with open_source(path, sheet=sheet, is_header=is_header) as source:
        return source, list(source.rows)


def codes(row: RawRow) -> list[tuple[str, str | None]]:
    return [(issue.code, issue.column) for issue in row.issues]


def table(
    worksheet: xlsxwriter.worksheet.Worksheet,
    *,
    top: int = 0,
    left: int = 0,
    numbers: bool = True,
    header: Sequence[str] = HEADER,
) -> None:
    for index, row in enumerate((header, *ROWS)):
        for column, cell in enumerate(row):
            if cell.isdigit() and numbers:
                worksheet.write_number(top + index, left + column, float(cell))
            else:
                worksheet.write_string(top + index, left + column, cell)


def plain(book: xlsxwriter.Workbook) -> None:
    table(book.add_worksheet("Hosts"))


def numbers_as_text(book: xlsxwriter.Workbook) -> None:
    table(book.add_worksheet(), numbers=False)


def in_the_middle(book: xlsxwriter.Workbook) -> None:
    table(book.add_worksheet(), top=3, left=2)


def far_from_the_corner(book: xlsxwriter.Workbook) -> None:
    table(book.add_worksheet(), top=5_000, left=60)


def under_a_merged_title(book: xlsxwriter.Workbook) -> None:
    worksheet = book.add_worksheet()
    worksheet.merge_range(0, 0, 1, 6, "All hosts, 2025")
    worksheet.write(2, 0, "by the mail team")
    table(worksheet, top=4)


def wrapped_and_merged_header(book: xlsxwriter.Workbook) -> None:
    worksheet = book.add_worksheet()
    table(worksheet, top=1, header=())
    for column, text in enumerate(("type ", "name", " hostname\n", "port", "\tnote")):
        worksheet.merge_range(0, column, 1, column, text)


def on_the_second_worksheet(book: xlsxwriter.Workbook) -> None:
    book.add_worksheet("Read me").write(0, 0, "See the next worksheet")
    table(book.add_worksheet("Hosts"))


def after_hidden_copies(book: xlsxwriter.Workbook) -> None:
    for name in ("Old", "Older"):
        worksheet = book.add_worksheet(name)
        table(worksheet, top=1)
        worksheet.hide() if name == "Old" else worksheet.very_hidden()
    worksheet = book.add_worksheet("Hosts")
    table(worksheet)
    worksheet.activate()
    worksheet.set_first_sheet()


def with_blank_rows_and_styles_below(book: xlsxwriter.Workbook) -> None:
    worksheet = book.add_worksheet()
    table(worksheet)
    bold = book.add_format({"bold": True})
    for row in range(6, 500):
        worksheet.write_blank(row, 3, None, bold)
    worksheet.write_string(501, 1, "   ")


def as_formulas_with_values(book: xlsxwriter.Workbook) -> None:
    worksheet = book.add_worksheet()
    table(worksheet)
    worksheet.write_formula(1, 3, "=990+3", None, 993)
    worksheet.write_formula(2, 1, '="N"&"A"', None, "NA")


LAYOUTS = (
    plain,
    numbers_as_text,
    in_the_middle,
    far_from_the_corner,
    under_a_merged_title,
    wrapped_and_merged_header,
    on_the_second_worksheet,
    after_hidden_copies,
    with_blank_rows_and_styles_below,
    as_formulas_with_values,
)


def saved(path: Path, fill: Callable[[xlsxwriter.Workbook], None], name: str = "hosts.xlsx", **options: bool) -> Path:
    book = xlsxwriter.Workbook(path / name, options)
    fill(book)
    book.close()
    return path / name


def repacked(
    path: Path,
    change: Callable[[str, bytes], bytes],
    name: str = "changed.xlsx",
    rename: Mapping[str, str] | None = None,
) -> Path:
    """Write a copy of a package with changed parts, as another program might write it."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name(name), "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr((rename or {}).get(part, part), change(part, old.read(part)))
    return path.with_name(name)


def record(kind: int, data: bytes = b"") -> bytes:
    def varint(number: int) -> bytes:
        low, high = number & 0x7F, number >> 7
        return bytes([low]) if not high else bytes([low | 0x80]) + varint(high)

    return varint(kind) + varint(len(data)) + data


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def save_xlsb(path: Path, rows: dict[int, dict[int, str | float | bytes]]) -> Path:
    """Write a minimal xlsb workbook; a cell of bytes is an error cell with that code."""
    worksheet = record(129) + record(148, struct.pack("<IIII", 0, max(rows), 0, 10)) + record(145)
    for number, cells in rows.items():
        worksheet += record(0, struct.pack("<IIHBBBI", number, 0, 300, 0, 0, 0, 0))
        for column, value in cells.items():
            place = struct.pack("<II", column, 0)
            if isinstance(value, str):
                worksheet += record(6, place + wide(value))
            elif isinstance(value, bytes):
                worksheet += record(3, place + value)
            else:
                worksheet += record(5, place + struct.pack("<d", value))
    worksheet += record(146) + record(130)
    book = record(131) + record(143) + record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("Hosts"))
    book += record(144) + record(132)
    namespace = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

    def relations(target: str, kind: str) -> str:
        relationship = f'<Relationship Id="rId1" Type="{office}/{kind}" Target="{target}"/>'
        return f'<Relationships xmlns="{namespace}/relationships">{relationship}</Relationships>'

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{namespace}/content-types"><Default Extension="bin" '
            'ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/></Types>',
        )
        packed.writestr("_rels/.rels", relations("xl/workbook.bin", "officeDocument"))
        packed.writestr("xl/_rels/workbook.bin.rels", relations("worksheets/sheet1.bin", "worksheet"))
        packed.writestr("xl/workbook.bin", book)
        packed.writestr("xl/worksheets/sheet1.bin", worksheet)
    return path


def by_openpyxl(path: Path) -> Path:
    book = openpyxl.Workbook()
    worksheet = book.active
    assert worksheet is not None
    for row in (HEADER, *ROWS):
        worksheet.append([int(cell) if cell.isdigit() else cell or None for cell in row])
    book.save(path / "hosts.xlsx")
    return path / "hosts.xlsx"


def by_pandas(path: Path, suffix: str) -> Path:
    import pandas as pd

    frame = pd.DataFrame([[int(cell) if cell.isdigit() else cell for cell in row] for row in ROWS], columns=HEADER)
    frame.to_excel(str(path / f"hosts.{suffix}"), index=False)
    return path / f"hosts.{suffix}"


def by_hand_xlsb(path: Path) -> Path:
    rows: dict[int, dict[int, str | float | bytes]] = {
        number: {column: float(cell) if cell.isdigit() else cell for column, cell in enumerate(row)}
        for number, row in enumerate((HEADER, *ROWS), 4)
    }
    return save_xlsb(path / "hosts.xlsb", rows)


def with_macros(path: Path) -> Path:
    file = saved(path, plain).rename(path / "hosts.xlsm")
    with zipfile.ZipFile(file, "a") as packed:
        packed.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0 not run")
    return file


def with_prefixed_tags(path: Path) -> Path:
    """Write every tag of the worksheet with a prefix and every attribute in single quotes, as some programs do."""

    def change(part: str, content: bytes) -> bytes:
        if not part.startswith("xl/worksheets/sheet"):
            return content
        content = content.replace(b"</", b"</x:").replace(b"<", b"<x:").replace(b"<x:/x:", b"</x:")
        content = content.replace(b"<x:?", b"<?").replace(b"xmlns=", b"xmlns:x=")
        return content.replace(b'"', b"'")

    return repacked(saved(path, as_formulas_with_values), change)


SAVERS: dict[str, Callable[[Path], Path]] = {
    **{fill.__name__: lambda path, fill=fill: saved(path, fill) for fill in LAYOUTS},  # type: ignore[misc]
    **{
        f"{fill.__name__}, strings in place": lambda path, fill=fill: saved(path, fill, constant_memory=True)  # type: ignore[misc]
        for fill in LAYOUTS
        if fill not in (under_a_merged_title, wrapped_and_merged_header, as_formulas_with_values)
    },
    **{f"LibreOffice {suffix}": lambda path, s=suffix: DATA / f"hosts.{s}" for suffix in ("xls", "xlsx", "ods")},  # type: ignore[misc]
    "openpyxl": by_openpyxl,
    "pandas xlsx": lambda path: by_pandas(path, "xlsx"),
    "pandas ods": lambda path: by_pandas(path, "ods"),
    "binary": by_hand_xlsb,
    "macros": with_macros,
    "prefixed tags": with_prefixed_tags,
    "xlsx named csv": lambda path: saved(path, plain, "hosts.csv"),
    **{
        f"{content} named {suffix}": lambda path, content=content, suffix=suffix: Path(  # type: ignore[misc]
            shutil.copy(DATA / f"hosts.{content}", path / f"hosts.{suffix}")
        )
        for content, suffix in [("xlsx", "ods"), ("ods", "xlsx"), ("xls", "xlsx"), ("xlsx", "xls"), ("ods", "txt")]
    },
    "no suffix": lambda path: saved(path, plain).rename(path / "hosts"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:odf")
@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS.keys())
def test_every_program_saves_a_workbook_with_the_same_rows(tmp_path: Path, save: Callable[[Path], Path]) -> None:
    source, rows = read(save(tmp_path))
    assert source.header == HEADER
    assert [row.cells for row in rows] == list(ROWS)
    assert not any(row.issues for row in rows)


@pytest.mark.parametrize(
    ("fill", "first"),
    [
        (plain, 2),
        (in_the_middle, 5),
        (far_from_the_corner, 5_002),
        (under_a_merged_title, 6),
        (wrapped_and_merged_header, 3),
    ],
)
def test_rows_are_numbered_as_the_spreadsheet_shows_them(
    tmp_path: Path, fill: Callable[[xlsxwriter.Workbook], None], first: int
) -> None:
    _, rows = read(saved(tmp_path, fill))
    assert [row.number for row in rows] == [first, first + 1, first + 2]


@pytest.mark.parametrize("suffix", ["xlsx", "ods", "xls"])
def test_error_cells_are_issues_with_the_error_as_text(suffix: str) -> None:
    _, rows = read(DATA / f"errors.{suffix}")
    assert [row.number for row in rows] == [5, 6]
    assert rows[0].cells == ("imap", "A", "#N/A", "993", "#DIV/0!")
    assert codes(rows[0]) == [("cell.error", "hostname"), ("cell.error", "note")]
    assert rows[1].issues == ()


def test_error_cells_of_a_binary_workbook_are_issues(tmp_path: Path) -> None:
    path = save_xlsb(
        tmp_path / "hosts.xlsb",
        {
            2: {1: "type", 2: "name", 3: "hostname"},
            5: {1: "imap", 2: b"\x2a", 3: "mail.example.com"},
            6: {1: "pop", 2: "fine", 3: b"\x17"},
        },
    )
    _, rows = read(path)
    assert [(row.number, row.cells, codes(row)) for row in rows] == [
        (6, ("imap", "#N/A", "mail.example.com"), [("cell.error", "name")]),
        (7, ("pop", "fine", "#REF!"), [("cell.error", "hostname")]),
    ]


def test_a_formula_without_a_stored_value_is_an_issue_even_in_a_row_of_its_own(tmp_path: Path) -> None:
    """openpyxl writes formulas without values; no row with one may disappear."""
    book = openpyxl.Workbook()
    worksheet = book.active
    assert worksheet is not None
    worksheet.append(HEADER)
    worksheet.append(["imap", "=B1", "mail1.example.com", 143])
    worksheet["B5"] = "=B2"
    book.save(tmp_path / "hosts.xlsx")
    _, rows = read(tmp_path / "hosts.xlsx")
    assert [(row.number, codes(row)) for row in rows] == [
        (2, [("cell.formula", "name")]),
        (5, [("cell.formula", "name")]),
    ]


def test_a_formula_whose_stored_value_is_empty_text_is_an_empty_cell(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        table(worksheet)
        worksheet.write_formula(3, 4, '=""', None, "")

    def change(part: str, content: bytes) -> bytes:  # as Excel and LibreOffice store it
        return content.replace(b'r="E4"', b'r="E4" t="str"')

    path = saved(tmp_path, fill)
    assert codes(read(path)[1][2]) == [("cell.formula", "note")]
    _, rows = read(repacked(path, change))
    assert [row.cells for row in rows] == list(ROWS)
    assert not any(row.issues for row in rows)


def test_text_that_looks_like_an_error_or_a_formula_is_text(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        for row, cells in enumerate((HEADER, ("imap", "#N/A", "=1+1", ' t="e" <f>', "  spaces  "))):
            for column, cell in enumerate(cells):
                worksheet.write_string(row, column, cell)

    _, rows = read(saved(tmp_path, fill))
    assert [(row.cells, row.issues) for row in rows] == [(("imap", "#N/A", "=1+1", ' t="e" <f>', "  spaces  "), ())]


@pytest.mark.parametrize(
    ("value", "number_format", "text", "code"),
    [
        (993.0, "0.00", "993", None),
        (-5, "General", "-5", None),
        (0.25, "0%", "0.25", None),
        (1e-7, "General", "1E-07", None),
        (999_999_999_999_999, "0", "999999999999999", None),
        (1e15, "0", "1000000000000000", "cell.precision"),
        (1.9e18, "General", "1.9E+18", "cell.precision"),
        (-1.9e18, "General", "-1.9E+18", "cell.precision"),
        (True, "General", "true", None),
        (False, "General", "false", None),
        (datetime.date(2025, 3, 1), "yyyy-mm-dd", "2025-03-01", None),
        (datetime.datetime(2025, 3, 1, 4, 5, 6), "yyyy-mm-dd hh:mm:ss", "2025-03-01T04:05:06", None),
        (datetime.time(4, 5, 6), "hh:mm:ss", "04:05:06", None),
        (1.5, "[h]:mm:ss", "36:00:00", None),
    ],
)
def test_values_become_the_text_a_person_would_type(
    tmp_path: Path, value: object, number_format: str, text: str, code: str | None
) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        worksheet.write_row(0, 0, HEADER)
        worksheet.write_row(1, 0, ("imap", "a", "h"))
        worksheet.write(1, 3, value, book.add_format({"num_format": number_format}))

    _, rows = read(saved(tmp_path, fill))
    assert rows[0].cells == ("imap", "a", "h", text, "")
    assert [(issue.code, issue.column, issue.value) for issue in rows[0].issues] == (
        [(code, "port", text)] if code else []
    )


def test_content_to_the_right_of_the_header_is_an_issue_of_its_row(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        table(worksheet)
        worksheet.write(2, 7, "call Bob")

    _, rows = read(saved(tmp_path, fill))
    assert [row.cells for row in rows] == list(ROWS)
    assert [codes(row) for row in rows] == [[], [("row.long", None)], []]
    assert "call Bob" in rows[1].issues[0].message


def test_hidden_worksheets_are_named_and_read_only_on_request(tmp_path: Path) -> None:
    path = saved(tmp_path, after_hidden_copies)
    source, rows = read(path)
    assert source.details == {"sheet": "Hosts"}
    assert source.notes == ("Hidden worksheets were ignored: 'Old', 'Older'.",)
    assert rows[0].number == 2
    source, rows = read(path, sheet="Old")
    assert source.details == {"sheet": "Old"}
    assert rows[0].number == 3


def test_further_matching_worksheets_are_named_unless_one_was_requested(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        for name in ("Hosts", "Notes", "Old hosts"):
            worksheet = book.add_worksheet(name)
            if name != "Notes":
                table(worksheet)

    path = saved(tmp_path, fill)
    assert read(path)[0].details == {"sheet": "Hosts", "other sheets": "also matching: Old hosts"}
    assert read(path, sheet="Hosts")[0].details == {"sheet": "Hosts"}


def test_an_unknown_worksheet_is_rejected_with_the_names_of_all(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"hosts\.xlsx: worksheet 'Hots' not found; the workbook has 'Read me', 'Hosts'"
    ):
        read(saved(tmp_path, on_the_second_worksheet), sheet="Hots")


def test_the_requested_worksheet_is_read_even_without_a_known_header(tmp_path: Path) -> None:
    source, rows = read(saved(tmp_path, on_the_second_worksheet), sheet="read me")
    assert source.header == ("See the next worksheet",)
    assert rows == []


def continued(header: Sequence[str], *, third: Sequence[str] | None = None) -> Callable[[xlsxwriter.Workbook], None]:
    def fill(book: xlsxwriter.Workbook) -> None:
        for name, columns, first in (
            ("results", header, 0),
            ("results (2)", header, 3),
            ("results (3)", third or header, 6),
            ("results (5)", header, 9),
        ):
            worksheet = book.add_worksheet(name)
            worksheet.write_row(0, 0, columns)
            for row in range(3):
                worksheet.write_row(1 + row, 0, ("imap", f"host {first + row}", "h"))

    return fill


@pytest.mark.parametrize("run_id", ["run_id", "bulkload_run_id"])
def test_a_results_workbook_continues_on_further_worksheets_and_so_do_row_numbers(tmp_path: Path, run_id: str) -> None:
    source, rows = read(saved(tmp_path, continued(("type", "name", "hostname", run_id))))
    assert [row.cells[1] for row in rows] == [f"host {number}" for number in range(9)]
    assert [row.number for row in rows] == list(range(2, 11))
    assert "'results (2)', 'results (3)'" in source.notes[0]


def test_a_continuation_with_other_columns_is_rejected(tmp_path: Path) -> None:
    path = saved(tmp_path, continued(("type", "name", "hostname", "run_id"), third=("type", "name", "hostname", "x")))
    with pytest.raises(InputError, match=r"'results \(3\)' does not have the columns"):
        read(path)


def test_a_copied_worksheet_is_not_read(tmp_path: Path) -> None:
    """Excel also names a copied worksheet 'results (2)'."""
    _, rows = read(saved(tmp_path, continued(("type", "name", "hostname"))))
    assert len(rows) == 3


def test_a_suffix_that_does_not_match_the_content_is_noted(tmp_path: Path) -> None:
    source, _ = read(saved(tmp_path, plain, "hosts.csv"))
    assert source.notes == ("The name ends in .csv, but the file was read as XLSX because of its content.",)


def test_macros_are_noted(tmp_path: Path) -> None:
    source, _ = read(with_macros(tmp_path))
    assert source.format == "xlsm"
    assert source.notes == ("The workbook has macros, which are never run.",)


def zipped(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return stream.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
REJECTED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF document"),
    "HTML": (b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>Please sign in</body></html>", "an HTML page"),
    "HTML table named xls": (b"<table><tr><td>type</td></tr></table>", "an HTML page"),
    "XML spreadsheet": (b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>', "an XML spreadsheet"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(20), "a gzip archive"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a picture"),
    "database": (b"SQLite format 3\0" + bytes(100), "an SQLite database"),
    "program": (b"\x7fELF" + bytes(range(256)) * 4, "neither text nor a workbook"),
    "zeros": (bytes(5000), "neither text nor a workbook"),
    "zip of files": (zipped({"a.csv": b"type,name"}), "a zip archive"),
    "empty zip": (zipped({}), "a zip archive"),
    "Word": (zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), "a Word document"),
    "OpenDocument text": (
        zipped({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b""}),
        "not a spreadsheet",
    ),
    "protected ods": (
        zipped(
            {
                "mimetype": b"application/vnd.oasis.opendocument.spreadsheet",
                "content.xml": b"",
                "META-INF/manifest.xml": b"<m><manifest:encryption-data/></m>",
            }
        ),
        "protected by a password",
    ),
    "protected xlsx": (OLE + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
    "old Word": (OLE + "WordDocument".encode("utf-16-le"), "a Word document"),
    "half an xls": ((DATA / "hosts.xls").read_bytes()[:1500], "damaged"),
    "half an xlsx": ((DATA / "hosts.xlsx").read_bytes()[:3000], "damaged or cut off"),
    "half an ods": ((DATA / "hosts.ods").read_bytes()[:6000], "damaged or cut off"),
    "no worksheets": (zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b"<workbook/>"}), "damaged"),
}


@pytest.mark.parametrize("name", ["input.csv", "input.xlsx"])
@pytest.mark.parametrize(("content", "description"), REJECTED.values(), ids=REJECTED.keys())
def test_a_file_of_another_type_is_rejected_by_the_name_of_its_type(
    tmp_path: Path, content: bytes, description: str, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^{name}: .*{description}"):
        read(path)


def test_a_missing_file_a_folder_and_a_pipe_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.csv: file not found"):
        read(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="a folder, not a file"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # what a program gets for <(command)
    with pytest.raises(InputError, match="a pipe or a device"):
        read(tmp_path / "pipe")


def test_a_workbook_without_content_is_rejected_and_its_hidden_worksheets_named(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        book.add_worksheet("Empty")
        worksheet = book.add_worksheet("Data")
        table(worksheet)
        worksheet.hide()

    with pytest.raises(InputError, match=r"no visible worksheet has content.*'Data'"):
        read(saved(tmp_path, fill))


def test_stray_content_in_the_far_corner_is_rejected_before_it_exhausts_memory(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        table(worksheet)
        worksheet.write(1_048_575, 16_383, "x")

    with pytest.raises(InputError, match=r"17,179,869,184 cells; 60,000,000 are allowed"):
        read(saved(tmp_path, fill))


def test_stray_content_of_a_short_worksheet_is_accepted(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        table(worksheet)
        worksheet.write(1, 5_000, "x")

    _, rows = read(saved(tmp_path, fill))
    assert [row.cells for row in rows] == list(ROWS)
    assert [codes(row) for row in rows] == [[("row.long", None)], [], []]


def test_repeated_cells_of_an_open_document_are_counted_in_full(tmp_path: Path) -> None:
    def change(part: str, content: bytes) -> bytes:
        rows, columns = b'table:number-rows-repeated="900000"', b'table:number-columns-repeated="900"'
        cell = b"<table:table-cell " + columns + b' office:value-type="string"><text:p>x</text:p></table:table-cell>'
        repeated = b"<table:table-row " + rows + b">" + cell + b"</table:table-row></table:table>"
        return content.replace(b"</table:table>", repeated, 1) if part == "content.xml" else content

    shutil.copy(DATA / "hosts.ods", tmp_path)
    with pytest.raises(InputError, match="too many cells"):
        read(repacked(tmp_path / "hosts.ods", change, "repeated.ods"))


def test_a_package_that_expands_too_far_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, plain)
    monkeypatch.setattr(zip_package, "MAX_EXPANDED", 1_000)
    with pytest.raises(InputError, match=r"expands to .* bytes; 1,000 are allowed"):
        read(path)


def test_a_package_with_an_extreme_compression_ratio_is_rejected(tmp_path: Path) -> None:
    def change(part: str, content: bytes) -> bytes:
        return content + b" " * (100 << 20) if part == "xl/worksheets/sheet1.xml" else content

    with pytest.raises(InputError, match=r"expands to .* times its size; 250 times are allowed"):
        read(repacked(saved(tmp_path, plain), change))


def test_a_package_with_a_false_size_is_rejected(tmp_path: Path) -> None:
    path = saved(tmp_path, plain)
    with zipfile.ZipFile(path) as packed:
        size = packed.getinfo("xl/worksheets/sheet1.xml").file_size
    content = path.read_bytes()
    assert content.count(struct.pack("<I", size)) >= 1
    path.write_bytes(content.replace(struct.pack("<I", size), struct.pack("<I", size - 200)))
    with pytest.raises(InputError, match="damaged or cut off"):
        read(path)


@pytest.mark.parametrize(("module", "kind"), [(workbook, "hosts.xlsx"), (workbook, "hosts.xls")])
def test_a_file_over_the_size_limit_is_rejected(monkeypatch: pytest.MonkeyPatch, module: object, kind: str) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="100 are allowed"):
        read(DATA / kind)


@pytest.mark.parametrize("kind", ["hosts.xlsx", "hosts.ods", "hosts.xls"])
def test_damage_anywhere_is_an_input_error_and_never_a_crash(tmp_path: Path, kind: str) -> None:
    content = (DATA / kind).read_bytes()
    for place in range(0, len(content), max(1, len(content) // 150)):
        path = tmp_path / kind
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        with contextlib.suppress(InputError):
            _, rows = read(path)
            assert all(isinstance(cell, str) for row in rows for cell in row.cells)


@pytest.mark.parametrize("kind", ["hosts.xlsx", "hosts.ods", "hosts.xls"])
@pytest.mark.parametrize("error", [ValueError, RuntimeError, OSError, KeyboardInterrupt, InputError])
def test_an_exception_of_the_caller_is_not_attributed_to_the_open_file(kind: str, error: type[BaseException]) -> None:
    with (
        pytest.raises(error, match=r"^not the file$") as caught,
        open_source(DATA / kind, is_header=is_header),
    ):
        raise error("not the file")
    assert type(caught.value) is error


def test_a_worksheet_that_declares_entities_is_rejected(tmp_path: Path) -> None:
    def change(part: str, content: bytes) -> bytes:
        if part != "xl/worksheets/sheet1.xml":
            return content
        return content.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "aaaa">]>', 1)

    path = repacked(saved(tmp_path, as_formulas_with_values), change)
    with pytest.raises(InputError, match="document type declaration") as rejection:
        read(path)
    assert rejection.traceback, "the traceback keeps the objects that were being read alive"
    if (descriptors := Path("/proc/self/fd")).is_dir():
        assert path.resolve() not in {link.resolve() for link in descriptors.iterdir()}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'<row r="2"', b'<row r="' + b"2" * 5000 + b'"'),
        (b'encoding="UTF-8"', b'encoding="xyz"'),
        (b'encoding="UTF-8"', b'encoding="utf-32"'),
    ],
)
def test_impossible_values_in_a_worksheet_are_input_errors(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = repacked(
        saved(tmp_path, as_formulas_with_values),
        lambda name, content: content.replace(old, new, 1) if name == "xl/worksheets/sheet1.xml" else content,
    )
    with pytest.raises(InputError, match=r"changed\.xlsx"):
        read(path)


def test_a_survey_finds_markers_and_references_split_between_blocks() -> None:
    cell = b'<c r="ABC1012345" t="e"><v>#N/A</v></c>'
    worksheet = b'<worksheet><sheetData><row r="1">' + cell + b"</row></sheetData></worksheet>"
    whole = sheet_patterns.survey_xml([worksheet])
    assert whole.may_have_unread_cells
    assert whole.is_usual
    for cut in range(len(b"<worksheet>"), len(worksheet)):
        assert sheet_patterns.survey_xml([worksheet[:cut], worksheet[cut:]]) == whole


@pytest.mark.parametrize(
    ("names", "is_restored"),
    [
        (("hosts-results",), True),
        (("results",), True),
        (("results", "summary"), False),
        (("results", "results (2)"), False),
        (("monitors",), False),
    ],
)
def test_results_in_csv_that_were_saved_as_a_workbook_are_restored(
    tmp_path: Path, names: Sequence[str], is_restored: bool
) -> None:
    """A spreadsheet program takes the apostrophe of a CSV cell for text; in our own workbooks it is the user's."""
    book = openpyxl.Workbook()
    for name in names:
        worksheet = book.create_sheet(name)
        worksheet.append(("type", "name", "hostname", "'=mine", "run_id"))
        worksheet.append(("imap", "'=1+1", "mx.example.com", "a;'-b", "r1"))
    del book["Sheet"]
    book.save(tmp_path / "saved.xlsx")
    source, rows = read(tmp_path / "saved.xlsx")
    texts = ("=mine", "=1+1", "a;-b") if is_restored else ("'=mine", "'=1+1", "a;'-b")
    assert (source.header[3], rows[0].cells[1], rows[0].cells[3]) == texts
    assert any("results in CSV" in note for note in source.notes) is is_restored


@pytest.mark.parametrize("suffix", [".xlsx", ".xlsm", ".xltx", ".xltm"])
def test_a_usual_suffix_has_no_note(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, lambda book: table(book.add_worksheet()))
    assert read(path.rename(path.with_suffix(suffix)))[0].notes == ()
