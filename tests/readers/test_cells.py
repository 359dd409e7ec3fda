"""Cells as programs write them: each is read, or its row has an issue; none with content becomes an empty one."""

import datetime
import struct
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter  # type: ignore[import-untyped]

from bulkload.errors import InputError
from bulkload.readers import open_document, sheet_patterns, sheet_scan, sheet_xml, zip_package
from tests.readers.test_workbook import DATA, codes, read, record, repacked, save_xlsb, saved, table, wide

pytestmark = pytest.mark.usefixtures("in_this_process")

SHEET = "xl/worksheets/sheet1.xml"


def with_cell(path: Path, cell: str) -> Path:
    """Write a workbook whose cell D2, below the header "port", is written in this way."""

    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        worksheet.write_row(0, 0, ("type", "name", "hostname", "port"))
        worksheet.write_row(1, 0, ("imap", "a", "h", 12345))

    def change(part: str, content: bytes) -> bytes:
        if part != SHEET:
            return content
        assert b'<c r="D2"><v>12345</v></c>' in content
        return content.replace(b'<c r="D2"><v>12345</v></c>', cell.encode())

    return repacked(saved(path, fill), change)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="D2"><v>7</v></c>', "7"),
        ('<c r="D2"><v><![CDATA[7]]></v></c>', "7"),
        ('<c r="D2" t="str"><v><![CDATA[no]]></v></c>', "no"),
        ('<c r="D2"><v><!-- seven -->7</v></c>', "7"),
        ('<c r="D2"><v>7<!-- seven -->0</v></c>', "70"),
        ('<c r="D2"><v><?seven?>7</v></c>', "7"),
        ('<c r="D2"><v>7&#48;</v></c>', "70"),
        ('<c r="D2"><v>\n 7\n</v></c>', "7"),
        ('<c r="D2" t="s"><v><![CDATA[1]]></v></c>', "name"),
        ('<c r="D2" t="s"><v>\n 1\n</v></c>', "name"),
        ('<c r="D2" t="s"><v>&#49;</v></c>', "name"),
        ('<c r="D2" t="b"><v>0</v></c>', "false"),
        ('<c r="D2" t="b"><v> 0 </v></c>', "false"),
        ('<c r="D2" t="b"><v>false</v></c>', "false"),
        ('<c r="D2" t="b"><v><![CDATA[0]]></v></c>', "false"),
        ('<c r="D2" t="inlineStr"><is><t>no</t></is><v/></c>', "no"),
        ('<c r="D2" t="inlineStr"><v/><is><t>no</t></is></c>', "no"),
        ('<c r="D2" t="inlineStr"><is><t><![CDATA[n]]>o</t></is><v></v></c>', "no"),
        ('<c r="D2" t="inlineStr"><is><r><t>n</t></r><r><t>o</t></r><rPh><t>x</t></rPh></is><v/></c>', "no"),
        ('<c r="D2" t="inlineStr"><v>no</v></c>', "no"),
        ('<c r="D2" t="inlineStr"><t>no</t></c>', "no"),
        ('<c r="D2"><is><t>no</t></is></c>', "no"),
        ('<c r="D2"><v>7</v><f>3+4</f></c>', "7"),
        ('<c r="D2"><f>3+4</f><v>7</v><extLst><ext uri="x"><v>9</v></ext></extLst></c>', "7"),
        ('<c r="D2"><extLst/><v>7</v></c>', "7"),
        ('<c r="D2" t="str"><f>A1</f><v>a &amp;&#10;b</v></c>', "a &\nb"),
        ('<c r="D2" t="str"><f>A1</f><v/><!-- empty --></c>', ""),
        ('<x:c xmlns:x="urn:x" r="D2"><x:v>7</x:v></x:c>', "7"),
        ('<c r="d2"><v>7</v></c>', "7"),
        ('<c r="$D$2"><v>7</v></c>', "7"),
        ('<c r="0"><v>7</v></c>', "7"),
        ("<c><v>7</v></c>", "7"),
        ("<c\nr = 'D2'\n><v\n>7</v\n></c\n>", "7"),
        ('<c t="n" r="D2"><v>7</v></c>', "7"),
    ],
)
def test_a_value_is_read_however_its_cell_is_written(tmp_path: Path, cell: str, text: str) -> None:
    _, rows = read(with_cell(tmp_path, cell))
    assert [row.cells for row in rows] == [("imap", "a", "h", text)]
    assert rows[0].issues == ()


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        *((f'<c r="D2"{kind}><f>A1</f></c>', "cell.formula") for kind in ("", ' t="n"', ' t="b"', ' t="str"')),
        ('<c r="D2" t="inlineStr"><f>A1</f></c>', "cell.formula"),
        ('<c r="D2"><f>A1</f><v/></c>', "cell.formula"),
        ('<c r="D2"><f>A1</f><v><!-- none --></v></c>', "cell.formula"),
        ('<c r="D2"><f t="shared" si="0"/></c>', "cell.formula"),
        ('<c r="D2" t="e"><v>#N/A</v></c>', "cell.error"),
        ('<c r="D2" t="e"/>', "cell.error"),
        ('<c r="D2" t="e"><v><![CDATA[#N/A]]></v></c>', "cell.error"),
        ('<c r="D2" t="e"><f>A1</f><v>#SPILL!</v></c>', "cell.error"),
        ('<c r="D2" t="b"><v>maybe</v></c>', "cell.unreadable"),
        ('<c r="D2" t="s"><v>one</v></c>', "cell.unreadable"),
        ('<c r="D2" t="n"><v>seven</v></c>', "cell.unreadable"),
        ('<c r="D2" t="n"><v>1.2.3</v></c>', "cell.unreadable"),
        ('<c r="D2" t="other"><v>7</v></c>', "cell.unreadable"),
    ],
)
def test_a_cell_whose_value_is_not_known_is_an_issue(tmp_path: Path, cell: str, code: str) -> None:
    _, rows = read(with_cell(tmp_path, cell))
    assert [codes(row) for row in rows] == [[(code, "port")]]


def with_rows(path: Path, *rows: str) -> Path:
    """Write a workbook whose rows below the header are written in this way."""

    def change(part: str, content: bytes) -> bytes:
        return content.replace(b"</sheetData>", "".join(rows).encode() + b"</sheetData>") if part == SHEET else content

    header = ("type", "name", "hostname", "port")
    return repacked(saved(path, lambda book: book.add_worksheet().write_row(0, 0, header)), change)


def row_xml(number: int, name: str, *, at: int | None = None) -> str:
    at = number if at is None else at
    texts = zip("ABCD", ("imap", name, f"{name}.example.com", "993"), strict=True)
    cells = "".join(f'<c r="{letter}{at}" t="inlineStr"><is><t>{text}</t></is></c>' for letter, text in texts)
    return f'<row r="{number}">{cells}</row>'


@pytest.mark.parametrize(
    "rows",
    [
        (row_xml(2, "a"), row_xml(2, "b")),
        (row_xml(2, "a"), row_xml(3, "b"), row_xml(2, "c")),
        (row_xml(2, "a"), row_xml(3, "b"), row_xml(1, "c")),
    ],
)
def test_a_row_that_is_stored_twice_is_not_lost(tmp_path: Path, rows: Sequence[str]) -> None:
    with pytest.raises(InputError, match=r"stores row \d twice"):
        read(with_rows(tmp_path, *rows))


@pytest.mark.parametrize("is_same", [True, False])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_part_that_is_packed_twice_must_be_the_same(tmp_path: Path, *, is_same: bool) -> None:
    path = with_rows(tmp_path, row_xml(2, "a"))
    with zipfile.ZipFile(path, "a") as package:
        content = package.read(SHEET)
        package.writestr(SHEET, content if is_same else content.replace(b">a<", b">b<"))
    if is_same:
        assert [row.cells[1] for row in read(path)[1]] == ["a"]
    else:
        with pytest.raises(InputError, match=r"sheet1\.xml twice with different content"):
            read(path)


def test_rows_in_another_order_and_repeated_empty_rows_are_read(tmp_path: Path) -> None:
    rows = (row_xml(4, "c"), row_xml(2, "a"), '<row r="3" ht="20"/>', row_xml(3, "b"), '<row r="4"/>')
    _, found = read(with_rows(tmp_path, *rows))
    assert [(row.number, row.cells[1]) for row in found] == [(2, "a"), (3, "b"), (4, "c")]


@pytest.mark.parametrize(
    "dimension", ["A1", "A0:H48943", "1:49", "A:H", "", "A1:B2:C3", "$A$1:$H$9", "ZZZZZ99999999999:A1", "nonsense"]
)
def test_a_wrong_dimension_is_ignored(tmp_path: Path, dimension: str) -> None:
    def change(part: str, content: bytes) -> bytes:
        return content.replace(b'<dimension ref="A1:E4"/>', f'<dimension ref="{dimension}"/>'.encode())

    path = saved(tmp_path, lambda book: table(book.add_worksheet()))
    _, rows = read(repacked(path, change))
    assert rows == read(path)[1]


@pytest.mark.parametrize(
    "row",
    [
        f'<row r="{"9" * 5000}"><c><v>7</v></c></row>',
        f'<row r="{"9" * 5000}"><c r="A9"><v>7</v></c></row>',
        '<row r="9999999"><c><v>7</v></c></row>',
        f'<row r="9"><c r="A{"9" * 5000}"><v>7</v></c></row>',
        f'<row r="9"><c r="{"A" * 5000}9"><v>7</v></c></row>',
        '<row r="9"><c r="A1048577"><v>7</v></c></row>',
        '<row r="9"><c r="XFE9"><v>7</v></c></row>',
        '<row r="9"><c r="XFD9"/><c><v>7</v></c></row>',
    ],
)
def test_a_position_that_no_worksheet_has_is_damage(tmp_path: Path, row: str) -> None:
    def change(part: str, content: bytes) -> bytes:
        return content.replace(b"</sheetData>", row.encode() + b"</sheetData>")

    with pytest.raises(InputError, match=r"^changed\.xlsx: the work(book is damaged|sheet .* spans)") as rejection:
        read(repacked(saved(tmp_path, lambda book: table(book.add_worksheet())), change))
    assert len(str(rejection.value)) < 300


def test_a_far_cell_without_a_reference_is_rejected_before_it_exhausts_memory(tmp_path: Path) -> None:
    def change(part: str, content: bytes) -> bytes:
        far = b'<row r="1048576">' + b"<c/>" * 1_000 + b"<c><v>7</v></c></row>"
        return content.replace(b"</sheetData>", far + b"</sheetData>")

    with pytest.raises(InputError, match=r"spans 1,049,624,576 cells; 60,000,000 are allowed"):
        read(repacked(saved(tmp_path, lambda book: table(book.add_worksheet())), change))


def test_a_repaired_copy_keeps_dates_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        table(worksheet, header=("type", "name", "hostname", "note", "note"))
        worksheet.write_datetime(3, 4, datetime.datetime(2025, 3, 1), book.add_format({"num_format": "yyyy-mm-dd"}))
        worksheet.write_string(4, 0, " spaces &amp; <signs> ")

    path = saved(tmp_path, fill, date_1904=True)
    plain = read(path)[1]
    assert plain[2].cells[4] == "2025-03-01"
    _, rows = read(repacked(path, lambda part, content: content.replace(b"<sheetData>", b"<sheetData><!-- -->")))
    assert rows == plain
    assert list(folder.iterdir()) == []


RENAMED: dict[str, dict[str, str]] = {  # the names of parts, and targets of relationships
    "another workbook": {"xl/workbook.xml": "xl/workbook22.xml"},
    "another folder": {"xl/": "excel/deep/", "xl/workbook.xml": "excel/deep/book.xml"},
    "no folder": {"xl/": "", "xl/workbook.xml": "book.xml"},
    "other strings": {"xl/sharedStrings.xml": "xl/strings.xml"},
    "other styles": {"xl/styles.xml": "xl/style/formats.xml"},
    "another worksheet": {SHEET: "xl/worksheets/Blatt 1.xml"},
}


def renamed(path: Path, names: dict[str, str], target: Callable[[str], str] = lambda name: f"/{name}") -> Path:
    """Write a copy in which parts have other names, and the relationships name them in this way."""

    def new(name: str) -> str:
        folder = next((name.replace(old, other, 1) for old, other in names.items() if old.endswith("/")), name)
        return names.get(name, folder if name.startswith("xl/") else name)

    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name("renamed.xlsx"), "w") as copy:
        for part in old.namelist():
            content = old.read(part).decode()
            if part.endswith(".rels"):
                for name in old.namelist():
                    for written in (f'"{name}"', f'"/{name}"', f'"{name.removeprefix("xl/")}"'):
                        content = content.replace(f"Target={written}", f'Target="{target(new(name))}"')
            name = new(part)
            if part == "xl/_rels/workbook.xml.rels":
                folder, _, file = new("xl/workbook.xml").rpartition("/")
                name = f"{folder}/_rels/{file}.rels".lstrip("/")
            copy.writestr(name, content)
    return path.with_name("renamed.xlsx")


@pytest.mark.parametrize("names", RENAMED.values(), ids=RENAMED.keys())
def test_parts_are_found_by_their_relationships(tmp_path: Path, names: dict[str, str]) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet("Hosts")
        table(worksheet)
        worksheet.write_datetime(3, 4, datetime.datetime(2025, 3, 1), book.add_format({"num_format": "yyyy-mm-dd"}))
        book.add_worksheet("Old").hide()
        book.add_worksheet("Chart data")

    source, rows = read(path := saved(tmp_path, fill))
    changed, changed_rows = read(renamed(path, names))
    assert changed_rows == rows
    assert (changed.format, changed.details, changed.notes) == ("xlsx", source.details, source.notes)


@pytest.mark.parametrize(
    "target",
    [
        lambda name: f"/{name}".upper(),
        lambda name: f"\\{name}".replace("/", "\\"),
        lambda name: f"/docProps/../{name}",
        lambda name: f"/./{name}",
    ],
)
def test_targets_of_relationships_may_be_written_in_several_ways(tmp_path: Path, target: Callable[[str], str]) -> None:
    path = saved(tmp_path, lambda book: table(book.add_worksheet()))
    assert read(renamed(path, {}, target))[1] == read(path)[1]


@pytest.mark.parametrize("name", ["{}", "/{}"])
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_parts_may_be_packed_under_names_of_several_forms(tmp_path: Path, name: str, separator: str) -> None:
    path = saved(tmp_path, lambda book: table(book.add_worksheet()))
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "packed.xlsx", "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(name.format(part).replace("/", separator), old.read(part))
    assert read(tmp_path / "packed.xlsx")[1] == read(path)[1]


def test_strings_are_found_without_a_relationship(tmp_path: Path) -> None:
    def change(part: str, content: bytes) -> bytes:
        kind = b"relationships/sharedStrings"
        return content.replace(kind, b"relationships/other").replace(b"<sheetData>", b"<sheetData><!-- -->")

    path = saved(tmp_path, lambda book: table(book.add_worksheet()))
    assert read(repacked(path, change))[1] == read(path)[1]


def test_a_repaired_worksheet_keeps_its_merged_areas() -> None:
    worksheet = (
        b'<worksheet><sheetData/><mergeCells><mergeCell ref="A1:B2"/><mergeCell ref="?"/></mergeCells></worksheet>'
    )
    written: list[bytes] = []
    sheet_xml.write_plain_worksheet([worksheet], written.append)
    assert b'<mergeCells><mergeCell ref="A1:B2"/></mergeCells>' in b"".join(written)


def test_a_worksheet_of_another_kind_does_not_prevent_reading(tmp_path: Path) -> None:
    """Workbooks may have sheets with macros of Excel 4, which are not worksheets."""

    def fill(book: xlsxwriter.Workbook) -> None:
        table(book.add_worksheet("Hosts"))
        book.add_worksheet("Macro1")

    def change(part: str, content: bytes) -> bytes:
        kind = b'relationships/worksheet" Target="worksheets/sheet2.xml"'
        return content.replace(kind, kind.replace(b"worksheet", b"xlMacrosheet", 1))

    path = saved(tmp_path, fill)
    source, rows = read(repacked(path, change))
    assert rows == read(path)[1]
    assert source.details == {}


@pytest.mark.parametrize("part", [SHEET, "xl/sharedStrings.xml", "xl/workbook.xml"])
def test_parts_in_utf_16_are_read(tmp_path: Path, part: str) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content.decode().replace("UTF-8", "UTF-16").encode("utf-16") if name == part else content

    path = saved(tmp_path, lambda book: table(book.add_worksheet()))
    assert read(repacked(path, change))[1] == read(path)[1]


def test_a_word_document_whose_parts_have_other_names_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.xlsx"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("[Content_Types].xml", "<Types>application/vnd.openxmlformats.wordprocessingml</Types>")
        package.writestr("word/document2.xml", "<document/>")
    with pytest.raises(InputError, match="a Word document, not a spreadsheet"):
        read(path)


def with_prefix(content: bytes) -> bytes:
    """Write the prefix x: before every tag, as programs based on the OpenXML SDK do."""
    content = content.replace(b"</", b"</x:").replace(b"<", b"<x:").replace(b"<x:/x:", b"</x:")
    return content.replace(b"<x:?", b"<?").replace(b" xmlns=", b" xmlns:x=")


def test_unread_cells_are_found_whatever_the_prefix_of_tags(tmp_path: Path) -> None:
    path = with_cell(tmp_path, '<c r="D2" s="1" t="e"><f>A1</f><v>#N/A</v></c>')
    for change in (lambda content: content, with_prefix, lambda content: content.replace(b"<c ", b"<!-- --><c ")):
        changed = repacked(path, lambda part, content: change(content) if part == SHEET else content, "again.xlsx")  # noqa: B023
        _, rows = read(changed)
        assert (rows[0].cells, codes(rows[0])) == (("imap", "a", "h", "#N/A"), [("cell.error", "port")])


@pytest.mark.parametrize("program", ["xlsxwriter", "openpyxl", "LibreOffice", "strings in place", "OpenXML SDK"])
def test_worksheets_of_common_programs_need_no_repair(tmp_path: Path, program: str) -> None:
    """A worksheet that looks unusual is read twice more; only unusual ones may cost that."""

    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        table(worksheet)
        worksheet.write_row(5, 0, (1.5, True, "", -2e-9), book.add_format({"bold": True}))
        worksheet.write_rich_string(5, 5, "a", book.add_format({"bold": True}), "b")
        worksheet.write_formula(5, 6, "=A1&B1", None, "a & b")
        worksheet.write_formula(5, 7, "=1<2", None, True)
        worksheet.write_formula(5, 8, "=NA()", None, "#N/A")
        worksheet.write_comment(5, 0, "a comment")

    if program == "openpyxl":
        book = openpyxl.Workbook()
        worksheet = book.active
        assert worksheet is not None
        for value in ("text", 993, True, 1.5, datetime.date(2025, 3, 1), "=A1"):
            worksheet.append([value, None, value])
        book.save(path := tmp_path / "hosts.xlsx")
    elif program == "LibreOffice":
        path = DATA / "errors.xlsx"
    else:
        path = saved(tmp_path, fill, constant_memory=program == "strings in place")
    if program == "OpenXML SDK":
        path = repacked(path, lambda part, content: with_prefix(content) if part == SHEET else content)
    with zip_package.open_package(path) as package:
        survey = sheet_patterns.survey_xml(zip_package.read_blocks(package, SHEET))
    assert survey.is_usual
    assert survey.may_have_unread_cells


STRING = 'office:value-type="string"'
OPEN_DOCUMENT_CELLS = [
    ('office:value-type="float" office:value="7"><text:p>7.00</text:p>', "7", None),
    ('office:value-type="float"><text:p>7</text:p>', "7", None),
    ("><text:p>no</text:p>", "no", None),
    (STRING + ' office:string-value="no">', "no", None),
    (STRING + ' office:string-value="no"><text:p>No!</text:p>', "no", None),
    (STRING + ' office:string-value=""><text:p>no</text:p>', "no", None),
    (STRING + "><text:p><text:span>n</text:span><text:a>o</text:a></text:p>", "no", None),
    (STRING + "><text:p><![CDATA[no]]></text:p>", "no", None),
    (STRING + "><text:p>n<!-- -->o</text:p>", "no", None),
    (STRING + '><text:p>a<text:s text:c="2"/>b<text:tab/>c<text:line-break/>d</text:p>', "a  b\tc\nd", None),
    (STRING + "><text:p>a</text:p><text:p>b</text:p>", "a\nb", None),
    (STRING + "><office:annotation><text:p>note</text:p></office:annotation><text:p>no</text:p>", "no", None),
    (STRING + "><draw:frame><text:p>caption</text:p></draw:frame><text:p>no</text:p>", "no", None),
    ('office:value-type="boolean" office:boolean-value="false"><text:p>FALSE</text:p>', "false", None),
    ('office:value-type="boolean" office:boolean-value="0">', "false", None),
    (STRING + ' office:boolean-value="1"><text:p>TRUE</text:p>', "true", None),
    (STRING + ' office:value="7"><text:p>no</text:p>', "no", None),
    ('office:value-type="boolean" office:boolean-value="perhaps">', "perhaps", "cell.unreadable"),
    ('office:value-type="date" office:date-value="2025-03-01"><text:p>1 March</text:p>', "2025-03-01", None),
    ('table:formula="of:=[.A1]" ' + STRING + "><text:p/>", "", None),
    ('table:formula="of:=[.A1]">', "", "cell.formula"),
    ('table:formula="of:=1/0" ' + STRING + ' office:string-value=""><text:p>#DIV/0!</text:p>', "#DIV/0!", "cell.error"),
]


@pytest.mark.parametrize("is_indented", [False, True])
@pytest.mark.parametrize(("cell", "text", "code"), OPEN_DOCUMENT_CELLS)
def test_a_cell_of_an_open_document_is_read_or_an_issue(
    tmp_path: Path, cell: str, text: str, code: str | None, *, is_indented: bool
) -> None:
    def change(part: str, content: bytes) -> bytes:
        if part != "content.xml":
            return content
        old = b'office:value-type="float" office:value="993" calcext:value-type="float"><text:p>993</text:p>'
        assert content.count(old) == 1
        content = content.replace(old, cell.encode())
        end = b"</table:table-cell><table"
        return content.replace(end, end.replace(b"><", b">\n<")) if is_indented else content

    path = tmp_path / "hosts.ods"
    path.write_bytes((DATA / "hosts.ods").read_bytes())
    _, rows = read(repacked(path, change, "changed.ods"))
    assert rows[0].cells[3] == text
    assert codes(rows[0]) == ([(code, "port")] if code else [])
    assert [row.cells for row in rows[1:]] == [row.cells for row in read(path)[1][1:]]


def test_an_open_document_without_its_media_type_is_read(tmp_path: Path) -> None:
    """Whoever unpacks a document and packs it again often loses the part `mimetype`."""
    with zipfile.ZipFile(DATA / "hosts.ods") as old, zipfile.ZipFile(tmp_path / "hosts.ods", "w") as new:
        for part in old.namelist():
            if part != "mimetype":
                new.writestr(part, old.read(part))
    assert read(tmp_path / "hosts.ods")[1] == read(DATA / "hosts.ods")[1]


def test_an_absurd_number_of_repeated_rows_is_damage(tmp_path: Path) -> None:
    def change(part: str, content: bytes) -> bytes:
        return content.replace(
            b"<table:table-row ", b'<table:table-row table:number-rows-repeated="' + b"9" * 5000 + b'" ', 1
        )

    path = tmp_path / "hosts.ods"
    path.write_bytes((DATA / "hosts.ods").read_bytes())
    with pytest.raises(InputError, match="the workbook is damaged"):
        read(repacked(path, change, "changed.ods"))


def test_the_open_document_of_libreoffice_needs_no_repair() -> None:
    for name in ("hosts.ods", "errors.ods"):
        with zip_package.open_package(DATA / name) as package:
            blocks = list(zip_package.read_blocks(package, "content.xml"))
        assert open_document.survey_open_document(blocks).is_usual
        (content,) = blocks
        for cut in range(1, len(content), 97):
            survey = open_document.survey_open_document([content[:cut], content[cut:]])
            assert survey == (0, name == "errors.ods", True)


def test_a_binary_worksheet_with_formatted_text_is_read(tmp_path: Path) -> None:
    """A cell with formatted text has a record of its own, which calamine skips."""
    path = save_xlsb(tmp_path / "hosts.xlsb", {0: {0: "type", 1: "name", 2: "hostname"}, 1: {0: "imap", 1: "a"}})

    def change(part: str, content: bytes) -> bytes:
        text = record(62, struct.pack("<II", 2, 0) + b"\0" + wide("mail.example.com"))
        short_error = record(14, struct.pack("<I", 0) + b"\x2a")
        return content.replace(record(146), text + short_error + record(146)) if "sheet1" in part else content

    _, rows = read(repacked(path, change, "changed.xlsb"))
    assert rows[0].cells == ("imap", "a", "mail.example.com")
    assert codes(rows[0]) == [("row.long", None)] or rows[0].issues == ()


def test_a_binary_workbook_part_of_another_name_is_read(tmp_path: Path) -> None:
    path = save_xlsb(
        tmp_path / "hosts.xlsb", {0: {0: "type", 1: "name", 2: "hostname"}, 1: {0: "imap", 1: "a", 2: "h"}}
    )
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "renamed.xlsb", "w") as new:
        for part in old.namelist():
            new.writestr(
                part.replace("workbook.bin", "book.bin"), old.read(part).replace(b"/workbook.bin", b"/book.bin")
            )
    assert [row.cells for row in read(tmp_path / "renamed.xlsb")[1]] == [("imap", "a", "h")]


def test_a_binary_worksheet_with_an_impossible_row_is_damage(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 1,048,578"):
        read(save_xlsb(tmp_path / "hosts.xlsb", {0: {0: "type", 1: "name", 2: "hostname"}, 1_048_577: {0: "imap"}}))


def xls(path: Path, *records: tuple[int, bytes]) -> Path:
    """Write an xls workbook with one worksheet that has these records after its header."""

    def encoded(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def label(row: int, column: int, text: str) -> tuple[int, bytes]:
        return 0x204, struct.pack("<HHHHB", row, column, 0, len(text), 0) + text.encode()

    begin = encoded(0x809, struct.pack("<HHHHII", 0x600, 0x5, 0, 0, 0, 0))
    strings = encoded(0xFC, struct.pack("<II", 1, 1) + struct.pack("<HB", 1, 0) + b"s")
    end = encoded(0x0A, b"")
    name = b"Hosts"
    length = len(begin) + len(strings) + len(end) + 4 + 8 + len(name)
    bound = encoded(0x85, struct.pack("<IHBB", length, 0, len(name), 0) + name)
    header = [label(0, column, text) for column, text in enumerate(("type", "name", "hostname", "port"))]
    row = [label(1, column, text) for column, text in enumerate(("imap", "a", "h"))]
    stream = (
        begin + bound + strings + end + begin + b"".join(encoded(*each) for each in (*header, *row, *records)) + end
    )
    stream = stream.ljust(max(4096, -len(stream) % 512 + len(stream)), b"\0")
    sectors = len(stream) // 512

    def entry(title: str, kind: int, child: int, first: int, size: int) -> bytes:
        encoded_title = title.encode("utf-16-le") + b"\0\0"
        start = encoded_title.ljust(64, b"\0") + struct.pack(
            "<HBBIII", len(encoded_title), kind, 1, 2**32 - 1, 2**32 - 1, child
        )
        return start + bytes(36) + struct.pack("<III", first, size, 0)

    directory = entry("Root Entry", 5, 1, 2**32 - 2, 0) + entry("Workbook", 2, 2**32 - 1, 2, len(stream)) + bytes(256)
    chain = [2**32 - 3, 2**32 - 2, *range(3, 2 + sectors), 2**32 - 2]
    table_sector = struct.pack(f"<{len(chain)}I", *chain).ljust(512, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 2**32 - 2, 0, 2**32 - 2, 0) + struct.pack("<I", 0)
    path.write_bytes(head.ljust(512, b"\xff") + table_sector + directory + stream)
    return path


def formula(result: bytes) -> tuple[int, bytes]:
    return 0x06, struct.pack("<HHH", 1, 3, 0) + result + struct.pack("<HIH", 0, 0, 3) + b"\x1e\x07\x00"


TEXT_RESULT = b"\0\0\0\0\0\0\xff\xff"
CHART = (
    (0x809, struct.pack("<HHHHII", 0x600, 0x20, 0, 0, 0, 0)),
    (0x205, struct.pack("<HHHBB", 1, 3, 0, 7, 1)),
    (0x0A, b""),
)


@pytest.mark.parametrize(
    ("records", "text", "code"),
    [
        ([(0x203, struct.pack("<HHHd", 1, 3, 0, 7.0))], "7", None),
        ([(0xFD, struct.pack("<HHHI", 1, 3, 0, 0))], "s", None),
        ([(0xFD, struct.pack("<HHHI", 1, 3, 0, 9))], "", "cell.unreadable"),
        ([formula(TEXT_RESULT), (0x207, struct.pack("<HB", 2, 0) + b"no")], "no", None),
        ([formula(TEXT_RESULT), (0x4BC, bytes(10)), (0x207, struct.pack("<HB", 2, 0) + b"no")], "no", None),
        ([formula(TEXT_RESULT)], "", "cell.formula"),
        ([formula(b"\x03\0\0\0\0\0\xff\xff")], "", None),
        ([formula(b"\x01\0\0\0\0\0\xff\xff")], "false", None),
        ([formula(b"\x02\0\x2a\0\0\0\xff\xff")], "#N/A", "cell.error"),
        ([(0x03, struct.pack("<HHBBBd", 1, 3, 0, 0, 0, 7.0))], "", "cell.unreadable"),
        ([(0x205, struct.pack("<HHHBB", 1, 3, 0, 0, 0)), *CHART], "false", None),
    ],
)
def test_a_cell_of_an_xls_workbook_is_read_or_an_issue(
    tmp_path: Path, records: list[tuple[int, bytes]], text: str, code: str | None
) -> None:
    _, rows = read(xls(tmp_path / "hosts.xls", *records))
    assert [(row.cells, codes(row)) for row in rows] == [(("imap", "a", "h", text), [(code, "port")] if code else [])]


def test_unread_cells_of_rows_in_any_order_are_not_lost(tmp_path: Path) -> None:
    def change(part: str, content: bytes) -> bytes:
        rows = '<row r="9"><c r="B9" t="e"><v>#N/A</v></c></row><row r="7"><c r="B7" t="e"><v>#N/A</v></c></row>'
        return content.replace(b"</sheetData>", rows.encode() + b"</sheetData>")

    with pytest.raises(InputError, match="not in order"):
        read(repacked(saved(tmp_path, lambda book: table(book.add_worksheet())), change))


def test_an_unread_cell_to_the_left_of_the_table_is_an_issue(tmp_path: Path) -> None:
    """A whole column of formulas without values is no reason to use defaults."""
    book = openpyxl.Workbook()
    worksheet = book.active
    assert worksheet is not None
    worksheet.append(["=X1", "type", "name", "hostname"])
    worksheet.append(["=X2", "imap", "a", "h"])
    book.save(tmp_path / "hosts.xlsx")
    _, rows = read(tmp_path / "hosts.xlsx")
    assert [codes(row) for row in rows] == [[("cell.unreadable", None)]]
    assert "column A" in rows[0].issues[0].message


def test_a_header_cell_whose_formula_has_no_value_is_rejected(tmp_path: Path) -> None:
    """Its column would count as one without a name, and what is in it would not be sent."""
    book = openpyxl.Workbook()
    worksheet = book.active
    assert worksheet is not None
    worksheet.append(["type", "name", "hostname", '="ena"&"bled"', "port"])
    worksheet.append(["imap", "a", "h", "no", 993])
    book.save(tmp_path / "hosts.xlsx")
    with pytest.raises(
        InputError, match=r"^hosts\.xlsx: The header in row 1, column D: The formula in this cell has no"
    ):
        read(tmp_path / "hosts.xlsx")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (29.999999999999996, "30"),
        (0.1 + 0.2, "0.3"),
        (15.5, "15.5"),
        (993.0000000000001, "993"),
        (29.99999999999, "29.99999999999"),
    ],
)
def test_a_number_is_read_as_a_spreadsheet_program_shows_it(tmp_path: Path, value: float, text: str) -> None:
    _, rows = read(with_cell(tmp_path, f'<c r="D2"><v>{value!r}</v></c>'))
    assert rows[0].cells[3] == text
    assert rows[0].issues == ()


def test_more_text_than_a_cell_holds_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_xml, "MAX_CELL_TEXT", 100)
    assert sheet_scan.MAX_CELL_TEXT > 32_767
    with pytest.raises(InputError, match="a cell has more than"):
        read(with_cell(tmp_path, f'<c r="D2" t="str"><v>{"x" * 101}</v><extLst/></c>'))


@pytest.mark.parametrize("formula", ["=TRUE()", '=IF(A2="imap",993,143)', "{=A1}"])
def test_a_formula_that_was_never_calculated_is_not_zero(tmp_path: Path, formula: str) -> None:
    """XlsxWriter stores 0 for a formula without a given value, and lets Excel calculate it on opening."""

    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        worksheet.write_row(0, 0, ("type", "name", "hostname", "port", "enabled", "note"))
        worksheet.write_row(1, 0, ("imap", "a", "h", 0))
        worksheet.write_formula(1, 4, formula)
        worksheet.write_formula(1, 5, "=1+1", None, 2)

    path = saved(tmp_path, fill)
    _, rows = read(path)
    assert [codes(row) for row in rows] == [[("cell.formula", "enabled")]]
    assert rows[0].cells[3] == "0"
    assert rows[0].cells[5] == "2"

    def change(part: str, content: bytes) -> bytes:
        return content.replace(b' fullCalcOnLoad="1"', b"") if part == "xl/workbook.xml" else content

    assert [codes(row) for row in read(repacked(path, change))[1]] == [[]]
