"""Scan worksheets for what calamine does not report: their extent, and cells that it reads as empty.

In: the blocks of the part that holds a worksheet. Out: a `WorksheetSurvey`, and, if the survey finds signs of them, a
stream of `UnreadCell` in the order of the worksheet. calamine lays a worksheet out as a full rectangle, so one stray
cell in a far corner would exhaust memory; the survey comes first. This module has what all formats share, and xlsb;
`sheet_xml`, `open_document` and `biff` have the other formats.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple
from xml.parsers import expat

from bulkload.errors import InputError
from bulkload.readers.zip_package import binary_records

MAX_CELLS = 60_000_000  # cells of the rectangle around a worksheet; each takes 32 bytes while it is read
MAX_ROWS, MAX_WIDTH = 1 << 20, 1 << 14  # rows and columns that any spreadsheet program can store
MAX_CELL_TEXT = 1 << 20  # characters of a cell; Excel stores 32,767

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

_ROW_RECORD = 0
_CELL_RECORDS = range(1, 12)
_ERROR_RECORDS = (3, 11)  # a constant, a formula's result
_SHORT_CELL_RECORDS = range(12, 19)  # without a column: they follow the cell before them
_SHORT_BLANK_RECORD, _SHORT_ERROR_RECORD = 12, 14
_RICH_TEXT_RECORD = 62
_UNREAD_RECORDS = frozenset({*_ERROR_RECORDS, *_SHORT_CELL_RECORDS, _RICH_TEXT_RECORD}) - {_SHORT_BLANK_RECORD}

_XML_ESCAPES = {ord(character): f"&#{ord(character)};" for character in '&<>"\t\n\r'}

Problem = Literal["error", "formula", "unreadable"]


class WorksheetSurvey(NamedTuple):
    """The extent of a worksheet, and whether calamine reads its cells."""

    cells: int  # of the rectangle around its content, at most
    may_have_unread_cells: bool
    is_usual: bool = True  # False: cells are written in a way that calamine may read wrongly or refuse


class UnreadCell(NamedTuple):
    """A cell that has content, but that calamine reads as empty."""

    row: int  # counted from 0
    column: int  # counted from 0
    text: str  # the error shown, or what is stored; empty for a formula without a stored value
    problem: Problem | None  # None: `text` is the value


def survey_binary(records: Iterable[tuple[int, bytes]]) -> WorksheetSurvey:
    """Survey a worksheet of an xlsb package from its records."""
    row, width, may_have_unread_cells = 0, 0, False
    for record_type, data in records:
        if record_type == _ROW_RECORD:
            row = max(row, _number(data))
        elif record_type in _CELL_RECORDS:
            width = max(width, _number(data) + 1)
        may_have_unread_cells = may_have_unread_cells or record_type in _UNREAD_RECORDS
    reject_impossible_position(row, width - 1)
    return WorksheetSurvey(width * (row + 1), may_have_unread_cells)


def unread_cells_binary(blocks: Iterable[bytes]) -> Iterator[UnreadCell]:
    """Yield the unread cells of a worksheet of an xlsb package, where every formula has a stored value."""
    row, column = 0, -1
    for record_type, data in binary_records(blocks):
        if record_type == _ROW_RECORD:
            row, column = _number(data), -1
        elif record_type in _SHORT_CELL_RECORDS:
            column += 1
            if record_type == _SHORT_ERROR_RECORD:
                yield UnreadCell(row, column, BINARY_ERRORS.get(data[4] if len(data) > 4 else -1, "#ERROR!"), "error")
            elif record_type != _SHORT_BLANK_RECORD:
                yield UnreadCell(row, column, "", "unreadable")
        elif record_type in _CELL_RECORDS or record_type == _RICH_TEXT_RECORD:
            column = _number(data)
            if record_type in _ERROR_RECORDS:
                yield UnreadCell(row, column, BINARY_ERRORS.get(data[8] if len(data) > 8 else -1, "#ERROR!"), "error")
            elif record_type == _RICH_TEXT_RECORD:
                length = _number(data[9:])  # after the column, the style and a byte of flags
                yield UnreadCell(row, column, data[13 : 13 + 2 * length].decode("utf-16-le", "replace"), None)


def reject_impossible_position(row: int, column: int) -> None:
    """Raise `InputError` for a position, counted from 0, that no spreadsheet program can store."""
    if row >= MAX_ROWS or column >= MAX_WIDTH:
        raise InputError(
            f"the workbook is damaged: it has a cell in row {row + 1:,}, column {column + 1:,}, but a worksheet has "
            f"{MAX_ROWS:,} rows and {MAX_WIDTH:,} columns; save or send it again."
        )


def reject_long_text() -> None:
    """Raise `InputError` for a cell with more text than any spreadsheet program stores."""
    raise InputError(f"the workbook is damaged: a cell has more than {MAX_CELL_TEXT:,} characters.")


def escape_xml(text: str) -> str:
    """Escape text so that it can be the content of an element or the value of an attribute."""
    return text.translate(_XML_ESCAPES)


def xml_parser(
    start: object = None, end: object = None, text: object = None, *, namespaces: bool = False
) -> expat.XMLParserType:
    """Return a parser that calls these functions, if given, and rejects a document type declaration."""
    parser = expat.ParserCreate(namespace_separator=" ") if namespaces else expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start  # type: ignore[assignment]
    parser.EndElementHandler = end  # type: ignore[assignment]
    parser.CharacterDataHandler = text  # type: ignore[assignment]
    parser.StartDoctypeDeclHandler = _reject_doctype
    return parser


def feed(parser: expat.XMLParserType, block: bytes, *, is_last: bool = False) -> None:
    """Parse a block; raises `InputError` if it is not XML."""
    try:
        parser.Parse(block, is_last)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise InputError(f"the workbook is damaged ({error}); save or send it again.") from error


def column_index(letters: str) -> int:
    """Return the index of a column, counted from 0."""
    index = 0
    for letter in letters[:5]:  # more letters are beyond the last column anyway
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def _reject_doctype(*declaration: object) -> None:
    """Handle a document type declaration, which could declare entities."""
    raise InputError("the workbook has a document type declaration, which no spreadsheet program writes.")


def _number(data: bytes) -> int:
    if len(data) < 4:
        raise InputError("the workbook is damaged: a record is too short.")
    value: int = struct.unpack_from("<I", data)[0]
    return value
