"""Scan a worksheet for what calamine does not report: its extent, error cells, formulas without a stored value.

In: the blocks of the part that holds the worksheet. Out: a `WorksheetSurvey`, and, if the survey finds signs of them, a
stream of `UnreadCell` in the order of the worksheet. calamine reads both types of cell as empty. It also lays a
worksheet out as a full rectangle, so one stray cell in a far corner would exhaust memory; the survey comes first.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.parsers import expat

from bulkload.errors import InputError
from bulkload.readers.table import MAX_COLUMNS
from bulkload.readers.zip_package import binary_records

MAX_CELLS = 60_000_000  # cells of the rectangle around a worksheet; each takes 32 bytes while it is read

BINARY_ERRORS = {  # the error codes of xls and xlsb
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}

_OVERLAP = 64  # bytes; longer than any cell reference or marker, which a block boundary may split
_ASSUMED_ROWS = 99_999  # the most rows that a worksheet without six-digit row numbers can have
_MARKERS = (b't="e"', b"t='e'", b"<f", b":f>", b":f ")
_OPEN_DOCUMENT_MARKERS = (b'value-type="error"', b"value-type='error'", b">#", b">Err:")
_FAR_REFERENCE = re.compile(rb' r="(?:[A-Z]{2}|[A-Z]\d{6})')  # beyond column Z or row 99,999
_COLUMN = re.compile(rb' r="([A-Z]{1,4})')
_HIGH_ROW = re.compile(rb' r="[A-Z]{1,4}(\d{6,9})')
_REFERENCE = re.compile(r"([A-Z]{1,4})(\d{1,9})")
_ERROR_TEXT = re.compile(r"#(N/A|REF!|DIV/0!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!)|Err:\d+")
_MAX_DIGITS = 9
_ROW_NUMBER = re.compile(r"[0-9]{1,9}")
_ROW_RECORD = 0
_CELL_RECORDS = range(1, 12)
_ERROR_RECORDS = (3, 11)  # a constant, a formula's result
_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
_WORKSHEET_TAG = f"{_TABLE} table"
_ROW_TAG = f"{_TABLE} table-row"
_CELL_TAGS = (f"{_TABLE} table-cell", f"{_TABLE} covered-table-cell")
_ANNOTATION_TAG = f"{_OFFICE} annotation"
_PARAGRAPH_TAG = f"{_TEXT} p"
_NAME = f"{_TABLE} name"
_ROWS_REPEATED = f"{_TABLE} number-rows-repeated"
_COLUMNS_REPEATED = f"{_TABLE} number-columns-repeated"
_FORMULA = f"{_TABLE} formula"
_SHOWN_TYPE = f"{_CALCEXT} value-type"


class WorksheetSurvey(NamedTuple):
    """The extent of a worksheet, and whether it may have unread cells."""

    cells: int  # of the rectangle around its content, at most
    may_have_unread_cells: bool


class UnreadCell(NamedTuple):
    """A cell that calamine reads as empty; `error` is empty for a formula without a stored value."""

    row: int  # counted from 0
    column: int  # counted from 0
    error: str


def survey_xml(blocks: Iterable[bytes]) -> WorksheetSurvey:
    """Survey a worksheet of an xlsx package; `cells` is an upper bound."""
    columns = {b"Z"}
    rows, may_have_unread_cells, tail = 0, False, b""
    for block in blocks:
        text = tail + block
        if b" r='" in text:
            text = text.replace(b"'", b'"')
        if _FAR_REFERENCE.search(text):
            columns.update(_COLUMN.findall(text))
            if high_rows := _HIGH_ROW.findall(text):
                rows = max(rows, *map(int, high_rows))
        may_have_unread_cells = may_have_unread_cells or any(marker in text for marker in _MARKERS)
        tail = text[-_OVERLAP:]
    width = max(_column_index(letters.decode()) + 1 for letters in columns)
    return WorksheetSurvey(width * (rows or _ASSUMED_ROWS), may_have_unread_cells)


def count_cells_xml(blocks: Iterable[bytes]) -> int:
    """Count the cells of the rectangle around a worksheet of an xlsx package."""
    top, left, bottom, right = 1 << 30, 1 << 30, -1, -1
    for row, column in _references(blocks):
        top, left, bottom, right = min(top, row), min(left, column), max(bottom, row), max(right, column)
    return max(0, bottom - top + 1) * max(0, right - left + 1)


def unread_cells_xml(blocks: Iterable[bytes]) -> Iterator[UnreadCell]:
    """Yield the unread cells of a worksheet of an xlsx package."""
    unread: list[UnreadCell] = []
    cell_type, value = "", ""
    row, column, has_formula, in_value = -1, -1, False, False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal cell_type, value, row, column, has_formula, in_value
        name = tag.rpartition(":")[2]
        if name == "row":
            row, column = _row_index(attributes["r"]) if "r" in attributes else row + 1, -1
        elif name == "c":
            cell_type, value, has_formula = attributes.get("t", "n"), "", False
            if match := _REFERENCE.fullmatch(attributes.get("r", "")):
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
        elif name == "c" and (cell_type == "e" or (has_formula and cell_type == "n" and not value.strip())):
            unread.append(UnreadCell(row, column, (value.strip() or "#ERROR!") if cell_type == "e" else ""))

    def text(data: str) -> None:
        nonlocal value
        if in_value:
            value += data

    parser = _parser(start, end, text)
    for block in blocks:
        _feed(parser, block)
        yield from unread
        unread.clear()


def survey_binary(records: Iterable[tuple[int, bytes]]) -> WorksheetSurvey:
    """Survey a worksheet of an xlsb package from its records."""
    row, width, may_have_unread_cells = 0, 0, False
    for record_type, data in records:
        if record_type == _ROW_RECORD:
            row = max(row, _number(data))
        elif record_type in _CELL_RECORDS:
            width = max(width, _number(data) + 1)
            may_have_unread_cells = may_have_unread_cells or record_type in _ERROR_RECORDS
    return WorksheetSurvey(width * (row + 1), may_have_unread_cells)


def unread_cells_binary(blocks: Iterable[bytes]) -> Iterator[UnreadCell]:
    """Yield the error cells of a worksheet of an xlsb package, where every formula has a stored value."""
    row = 0
    for record_type, data in binary_records(blocks):
        if record_type == _ROW_RECORD:
            row = _number(data)
        elif record_type in _ERROR_RECORDS:
            yield UnreadCell(row, _number(data), BINARY_ERRORS.get(data[8] if len(data) > 8 else -1, "#ERROR!"))


def survey_open_document(blocks: Iterable[bytes]) -> WorksheetSurvey:
    """Survey an OpenDocument package; `cells` is 0, because calamine refuses one that is too large."""
    tail = b""
    for block in blocks:
        text = tail + block
        if any(marker in text for marker in _OPEN_DOCUMENT_MARKERS):
            return WorksheetSurvey(0, True)
        tail = text[-_OVERLAP:]
    return WorksheetSurvey(0, False)


def unread_cells_open_document(blocks: Iterable[bytes], worksheet: str) -> Iterator[UnreadCell]:
    """Yield the error cells of the worksheet of that name in an OpenDocument package."""
    for name, rows, cells in _rows_with_errors(blocks):
        if name == worksheet:
            for row in rows:
                yield from (cell._replace(row=row) for cell in cells)


def _rows_with_errors(blocks: Iterable[bytes]) -> Iterator[tuple[str, range, list[UnreadCell]]]:
    """Yield the worksheet's name, the rows (one content can be repeated over several) and their error cells."""
    completed: list[tuple[str, range, list[UnreadCell]]] = []
    worksheet, row, row_repeated = "", 0, 1
    column, cell_repeated = 0, 1
    cell: dict[str, str] = {}
    unread: list[UnreadCell] = []
    shown, depth, in_text = "", 0, False  # depth: of annotations, whose text does not belong to the cell

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal worksheet, row, row_repeated, column, cell_repeated, cell, shown, depth, in_text
        if tag == _WORKSHEET_TAG:
            worksheet, row = attributes.get(_NAME, ""), 0
        elif tag == _ROW_TAG:
            row_repeated = _repeat_count(attributes.get(_ROWS_REPEATED))
            column = 0
            unread.clear()
        elif tag in _CELL_TAGS:
            cell_repeated = _repeat_count(attributes.get(_COLUMNS_REPEATED))
            cell, shown = attributes, ""
        elif tag == _ANNOTATION_TAG:
            depth += 1
        elif tag == _PARAGRAPH_TAG and not depth:
            in_text = True

    def end(tag: str) -> None:
        nonlocal row, column, depth, in_text
        if tag == _ROW_TAG:
            if unread:
                completed.append((worksheet, range(row, row + row_repeated), unread.copy()))
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
        yield from completed
        completed.clear()


def _is_error(cell: dict[str, str], shown: str) -> bool:
    if cell.get(_SHOWN_TYPE) == "error":
        return True
    return _FORMULA in cell and _ERROR_TEXT.fullmatch(shown) is not None


def _references(blocks: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the row and column of each cell; unlike the patterns, the parser accepts any spelling of the XML."""
    references: list[tuple[int, int]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "c" and (match := _REFERENCE.fullmatch(attributes.get("r", ""))):
            references.append((int(match[2]) - 1, _column_index(match[1])))

    parser = _parser(start, lambda tag: None, lambda data: None)
    for block in blocks:
        _feed(parser, block)
        yield from references
        references.clear()


def _parser(start: object, end: object, text: object, *, namespaces: bool = False) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ") if namespaces else expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start  # type: ignore[assignment]
    parser.EndElementHandler = end  # type: ignore[assignment]
    parser.CharacterDataHandler = text  # type: ignore[assignment]
    parser.StartDoctypeDeclHandler = reject_doctype
    return parser


def reject_doctype(*declaration: object) -> None:
    """Handle a document type declaration, which could declare entities."""
    raise InputError("the workbook has a document type declaration, which no spreadsheet program writes.")


def _feed(parser: expat.XMLParserType, block: bytes) -> None:
    try:
        parser.Parse(block, False)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise InputError(f"the workbook is damaged ({error}); save or send it again.") from error


def _row_index(text: str) -> int:
    if not _ROW_NUMBER.fullmatch(text.strip()):
        raise InputError(f"the workbook is damaged: {text[:20]!r} is not the number of a row.")
    return int(text) - 1


def _repeat_count(text: str | None) -> int:
    if not text or not text.isascii() or not text.isdigit():
        return 1
    if len(text) > _MAX_DIGITS:
        raise InputError(f"the workbook is damaged: a row or cell is repeated {text[:20]}… times.")
    return int(text)


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
