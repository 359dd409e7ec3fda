"""What calamine does not tell about a sheet: its true extent, error cells, formulas without a stored value.

In: the blocks of the part that holds the sheet. Out: a `SheetSurvey` (calamine lays a sheet out as a full rectangle,
so one stray cell in a far corner would take all memory: the extent has to be known before), and, if the survey
saw anything of the kind, the `UnreadCell` cells in the order of the sheet. calamine reads both kinds as empty cells.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.parsers import expat

from bulkload.errors import InputError
from bulkload.readers.table import MAX_COLUMNS
from bulkload.readers.zip_package import records

MAX_CELLS = 60_000_000  # cells of the rectangle that holds a sheet; 32 bytes each while it is read

BINARY_ERRORS = {  # as xls and xlsb store them
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}

_OVERLAP = 64  # bytes: longer than any cell reference or mark, which a block may cut in two
_FEW_ROWS = 99_999
_MARKS = (b't="e"', b"t='e'", b"<f", b":f>", b":f ")
_OPEN_DOCUMENT_MARKS = (b'value-type="error"', b"value-type='error'", b">#", b">Err:")
_FAR_OUT = re.compile(rb' r="(?:[A-Z]{2}|[A-Z]\d{6})')  # beyond column Z or among many rows
_COLUMN = re.compile(rb' r="([A-Z]{1,4})')
_MANY_ROWS = re.compile(rb' r="[A-Z]{1,4}(\d{6,9})')
_REFERENCE = re.compile(r"([A-Z]{1,4})(\d{1,9})")
_ERROR_TEXT = re.compile(r"#(N/A|REF!|DIV/0!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!)|Err:\d+")
_ROW_RECORD = 0
_CELL_RECORDS = range(1, 12)
_ERROR_RECORDS = (3, 11)  # a constant, the result of a formula
_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
_SHEET_TAG = f"{_TABLE} table"
_ROW_TAG = f"{_TABLE} table-row"
_CELL_TAGS = (f"{_TABLE} table-cell", f"{_TABLE} covered-table-cell")
_ANNOTATION_TAG = f"{_OFFICE} annotation"
_PARAGRAPH_TAG = f"{_TEXT} p"
_NAME = f"{_TABLE} name"
_ROWS_REPEATED = f"{_TABLE} number-rows-repeated"
_COLUMNS_REPEATED = f"{_TABLE} number-columns-repeated"
_FORMULA = f"{_TABLE} formula"
_SHOWN_TYPE = f"{_CALCEXT} value-type"


class SheetSurvey(NamedTuple):
    """How far a sheet reaches, and whether a second look is worth it."""

    cells: int
    suspicious: bool


class UnreadCell(NamedTuple):
    """A cell that calamine shows as empty; `error` is empty for a formula without a stored value."""

    row: int  # counted from 0
    column: int  # counted from 0
    error: str


def survey_xml(blocks: Iterable[bytes]) -> SheetSurvey:
    """SheetSurvey a sheet of an xlsx package. An upper bound of its extent is enough."""
    columns = {b"Z"}
    rows, suspicious, tail = 0, False, b""
    for block in blocks:
        text = tail + block
        if b" r='" in text:
            text = text.replace(b"'", b'"')
        if _FAR_OUT.search(text):
            columns.update(_COLUMN.findall(text))
            if many := _MANY_ROWS.findall(text):
                rows = max(rows, *map(int, many))
        suspicious = suspicious or any(mark in text for mark in _MARKS)
        tail = text[-_OVERLAP:]
    width = max(_column_index(letters.decode()) + 1 for letters in columns)
    return SheetSurvey(width * (rows or _FEW_ROWS), suspicious)


def exact_cells_xml(blocks: Iterable[bytes]) -> int:
    """Return the number of cells of the rectangle that holds a sheet, for sheets near the limit."""
    top, left, bottom, right = 1 << 30, 1 << 30, -1, -1
    for reference in _references(blocks):
        row, column = reference
        top, left, bottom, right = min(top, row), min(left, column), max(bottom, row), max(right, column)
    return max(0, bottom - top + 1) * max(0, right - left + 1)


def unread_cells_xml(blocks: Iterable[bytes]) -> Iterator[UnreadCell]:
    """Find the lost cells of a sheet of an xlsx package."""
    found: list[UnreadCell] = []
    reference, kind, value = "", "", ""
    row, column, has_formula, in_value = -1, -1, False, False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal reference, kind, value, row, column, has_formula, in_value
        name = tag.rpartition(":")[2]
        if name == "row":
            row, column = int(attributes["r"]) - 1 if "r" in attributes else row + 1, -1
        elif name == "c":
            kind, value, has_formula = attributes.get("t", "n"), "", False
            reference = attributes.get("r", "")
            if match := _REFERENCE.fullmatch(reference):
                column, row = _column_index(match[1]), int(match[2]) - 1
            else:
                column += 1
        elif name == "f":
            has_formula = True
        elif name == "v":
            in_value = True

    def end(tag: str) -> None:
        nonlocal in_value
        name = tag.rpartition(":")[2]
        if name == "v":
            in_value = False
        elif name == "c" and (kind == "e" or (has_formula and kind == "n" and not value.strip())):
            found.append(UnreadCell(row, column, (value.strip() or "#ERROR!") if kind == "e" else ""))

    def text(data: str) -> None:
        nonlocal value
        if in_value:
            value += data

    parser = _parser(start, end, text)
    for block in blocks:
        _feed(parser, block)
        yield from found
        found.clear()


def survey_binary(blocks: Iterable[bytes]) -> SheetSurvey:
    """SheetSurvey a sheet of an xlsb package."""
    row, width, suspicious = 0, 0, False
    for kind, data in records(blocks):
        if kind == _ROW_RECORD:
            row = max(row, _number(data))
        elif kind in _CELL_RECORDS:
            width = max(width, _number(data) + 1)
            suspicious = suspicious or kind in _ERROR_RECORDS
    return SheetSurvey(width * (row + 1), suspicious)


def unread_cells_binary(blocks: Iterable[bytes]) -> Iterator[UnreadCell]:
    """Find the error cells of a sheet of an xlsb package; its formulas always have a value."""
    row = 0
    for kind, data in records(blocks):
        if kind == _ROW_RECORD:
            row = _number(data)
        elif kind in _ERROR_RECORDS:
            yield UnreadCell(row, _number(data), BINARY_ERRORS.get(data[8] if len(data) > 8 else -1, "#ERROR!"))


def survey_open_document(blocks: Iterable[bytes]) -> SheetSurvey:
    """SheetSurvey an OpenDocument package; calamine itself refuses one that reaches too far."""
    tail = b""
    for block in blocks:
        text = tail + block
        if any(mark in text for mark in _OPEN_DOCUMENT_MARKS):
            return SheetSurvey(0, True)
        tail = text[-_OVERLAP:]
    return SheetSurvey(0, False)


def unread_cells_open_document(blocks: Iterable[bytes], sheet: str) -> Iterator[UnreadCell]:
    """Find the error cells of one sheet of an OpenDocument package."""
    for name, rows, lost in _rows_with_errors(blocks):
        if name == sheet:
            for row in rows:
                yield from (cell._replace(row=row) for cell in lost)


def _rows_with_errors(blocks: Iterable[bytes]) -> Iterator[tuple[str, range, list[UnreadCell]]]:
    """Yield the sheet, the rows (the same content can be repeated) and the error cells in them."""
    found: list[tuple[str, range, list[UnreadCell]]] = []
    sheet, row, row_repeated = "", 0, 1
    column, cell_repeated = 0, 1
    cell: dict[str, str] = {}
    unread: list[UnreadCell] = []
    shown, depth, in_text = "", 0, False  # depth: inside an annotation, whose text is not the cell's

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal sheet, row, row_repeated, column, cell_repeated, cell, shown, depth, in_text
        if tag == _SHEET_TAG:
            sheet, row = attributes.get(_NAME, ""), 0
        elif tag == _ROW_TAG:
            row_repeated = _positive(attributes.get(_ROWS_REPEATED))
            column = 0
            unread.clear()
        elif tag in _CELL_TAGS:
            cell_repeated = _positive(attributes.get(_COLUMNS_REPEATED))
            cell, shown = attributes, ""
        elif tag == _ANNOTATION_TAG:
            depth += 1
        elif tag == _PARAGRAPH_TAG and not depth:
            in_text = True

    def end(tag: str) -> None:
        nonlocal row, column, depth, in_text
        if tag == _ROW_TAG:
            if unread:
                found.append((sheet, range(row, row + row_repeated), unread.copy()))
            row += row_repeated
        elif tag in _CELL_TAGS:
            if _is_error(cell, shown):
                columns = range(column, column + min(cell_repeated, MAX_COLUMNS))
                unread.extend(UnreadCell(row, index, shown or "#ERROR!") for index in columns)
            column += cell_repeated
        elif tag == _ANNOTATION_TAG:
            depth -= 1
        elif tag == _PARAGRAPH_TAG:
            in_text = False

    def text(data: str) -> None:
        nonlocal shown
        if in_text and not depth and len(shown) < _OVERLAP:
            shown += data

    parser = _parser(start, end, text, namespaces=True)
    for block in blocks:
        _feed(parser, block)
        yield from found
        found.clear()


def _is_error(cell: dict[str, str], shown: str) -> bool:
    if cell.get(_SHOWN_TYPE) == "error":
        return True
    return _FORMULA in cell and _ERROR_TEXT.fullmatch(shown) is not None


def _references(blocks: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield row and column of every cell, with the help of the parser that reads references in any spelling."""
    found: list[tuple[int, int]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "c" and (match := _REFERENCE.fullmatch(attributes.get("r", ""))):
            found.append((int(match[2]) - 1, _column_index(match[1])))

    parser = _parser(start, lambda tag: None, lambda data: None)
    for block in blocks:
        _feed(parser, block)
        yield from found
        found.clear()


def _parser(start: object, end: object, text: object, *, namespaces: bool = False) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ") if namespaces else expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start  # type: ignore[assignment]
    parser.EndElementHandler = end  # type: ignore[assignment]
    parser.CharacterDataHandler = text  # type: ignore[assignment]
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*declaration: object) -> None:
    raise InputError("the workbook has a document type declaration, which no spreadsheet program writes.")


def _feed(parser: expat.XMLParserType, block: bytes) -> None:
    try:
        parser.Parse(block, False)
    except expat.ExpatError as error:
        raise InputError(f"the workbook is damaged ({error}); save or send it again.") from error


def _positive(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 1


def _number(data: bytes) -> int:
    if len(data) < 4:
        raise InputError("the workbook is damaged: a record is too short.")
    value: int = struct.unpack_from("<I", data)[0]
    return value


def _column_index(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1
