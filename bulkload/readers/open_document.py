"""Read OpenDocument spreadsheets exactly, for the cells that calamine reads as empty, wrongly or not at all.

In: the blocks of the part `content.xml`. Out: its survey; its unread cells; or the content written again in the plain
way that calamine reads. As for xlsx, a pattern recognises cells in the forms that spreadsheet programs write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from bulkload.errors import InputError
from bulkload.readers.sheet_scan import (
    MAX_CELL_TEXT,
    Problem,
    UnreadCell,
    WorksheetSurvey,
    escape_xml,
    feed,
    reject_impossible_position,
    reject_long_text,
    xml_parser,
)
from bulkload.readers.table import MAX_COLUMNS

_CELL = rb"<table:(?:covered-)?table-cell(?![a-z-])"
_CELL_END = rb"</table:(?:covered-)?table-cell>"
_TAG_END = rb"[^<>]*+(?:(?<=/)>|(?<!/)>"  # of an empty element, or of a start tag whose content follows
_ANNOTATION = rb"<office:annotation(?:[^<]++|<(?!/office:annotation>))*+</office:annotation>"
_PARAGRAPH_TEXT = rb"(?:[^<]++|</?text:(?:span|a|s)(?=[ />])[^<>]*+>)*+"
_PARAGRAPH = rb"<text:p(?:(?=[ />])" + _TAG_END + _PARAGRAPH_TEXT + rb"</text:p>))"
_NOT_TEXT = rb'(?![^<>]*? office:value-type="string")'
# The ways of writing a cell that calamine reads right: those of most cells, without errors; then all, with the value as
# an attribute, as text, or without a value
_FREQUENT_FORMS = (
    rb'(?: table:style-name="[^"<>]*+")?+(?: table:number-columns-repeated="[0-9]++")?+(?:/>| office:value-type="(?:'
    rb'string"(?: calcext:value-type="string")?+><text:p>(?!#|Err:)[^<]*+</text:p></table:table-cell>'
    rb'|float" office:value="[0-9.Ee+-]++"(?: calcext:value-type="float")?+><text:p>(?!#|Err:)))'
)
_USUAL_FORMS = b"|".join(
    (
        _NOT_TEXT + rb'[^<>]*? office:(?:value="[0-9.Ee+-]++"|boolean-value="(?:true|false)"|(?:date|time)-value=")',
        rb'[^<>]*? office:string-value="(?:[^"]|"[^<>]*? calcext:value-type="error")',
        rb'[^<>]*? office:string-value=""' + _TAG_END + rb"(?:<text:p/>|<text:p></text:p>)*+" + _CELL_END + rb")",
        rb'(?![^<>]*? office:(?:[a-z]+-)?value=)[^<>]*? office:value-type="string"'
        + (_TAG_END + rb"(?:" + _PARAGRAPH + rb"|" + _ANNOTATION + rb")*+" + _CELL_END + rb")"),
        rb"(?![^<>]*? (?:office:|table:formula))" + _TAG_END + rb"(?:" + _ANNOTATION + rb")*+" + _CELL_END + rb")",
    )
)
_UNUSUAL_START = re.compile(
    rb'(?!(?:\xef\xbb\xbf)?\s*<)|.{0,200}?\sencoding=(?!["\']utf-8["\'])', re.DOTALL | re.IGNORECASE
)
_USUAL_PREFIXES = (
    b'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"',
    b'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"',
    b'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"',
)
_DECLARATION = re.compile(rb"<!")  # a comment or CDATA
_SAFE_CUTS = (b"<table:table-cell", b"<table:covered-table-cell", b"</table:table-row>")
_ERROR_MARKERS = (b'value-type="error"', b">#", b">Err:")
_LONGEST_SPLIT = 1 << 20  # bytes of a cell that a block boundary splits

_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_STYLE = "urn:oasis:names:tc:opendocument:xmlns:style:1.0"
_CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
_CELL_TAGS = (f"{_TABLE} table-cell", f"{_TABLE} covered-table-cell")
_PARAGRAPH_TAG = f"{_TEXT} p"
_TEXT_CONTAINERS = (f"{_TEXT} span", f"{_TEXT} a")
_SPACES_TAG = f"{_TEXT} s"
_CHARACTERS = {f"{_TEXT} tab": "\t", f"{_TEXT} line-break": "\n"}
_ERROR_TEXT = re.compile(r"#(N/A|REF!|DIV/0!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!)|Err:\d+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SWITCHES = {"true": "true", "1": "true", "false": "false", "0": "false"}
_SPACE = " \t\r\n"
_MAX_REPEATED_DIGITS = 7


@cache
def _other_cell(forms: bytes) -> re.Pattern[bytes]:
    """Return a pattern that finds the first cell in none of these forms."""
    return re.compile(_CELL + rb"(?!" + forms + rb")")


class _Cell(NamedTuple):
    repeated: int
    kind: str  # the attribute that the value is written to again; empty for an empty cell
    text: str
    problem: Problem | None


@dataclass(slots=True)
class _Row:
    first: int  # counted from 0
    repeated: int
    cells: list[_Cell] = field(default_factory=list)


class _Style(NamedTuple):
    """A style that shows or hides the worksheets that use it."""

    name: str
    display: str


class _Worksheet(NamedTuple):
    name: str
    style: str


_Item = _Style | _Worksheet | _Row


def survey_open_document(blocks: Iterable[bytes]) -> WorksheetSurvey:
    """Survey the content of all worksheets; `cells` is 0, because calamine refuses one that is too large."""
    may_have_unread_cells, is_usual, tail, missing = False, True, b"", set(_USUAL_PREFIXES)
    for number, block in enumerate(blocks):
        text = tail + block
        missing = {prefix for prefix in missing if prefix not in text}
        # the cell that the end of the block splits is searched with the next block
        cut = max(*map(text.rfind, _SAFE_CUTS), len(text) - _LONGEST_SPLIT)
        if _other_cell(_FREQUENT_FORMS).search(text, 0, cut):
            may_have_unread_cells = may_have_unread_cells or any(marker in text for marker in _ERROR_MARKERS)
            is_usual = is_usual and not _other_cell(_USUAL_FORMS).search(text, 0, cut)
        if (number == 0 and _UNUSUAL_START.match(text)) or _DECLARATION.search(text):
            is_usual = False
        tail = text[max(cut, 0) :]
    return WorksheetSurvey(0, may_have_unread_cells or not is_usual or bool(missing), is_usual and not missing)


def unread_cells_open_document(blocks: Iterable[bytes], worksheet: str) -> Iterator[UnreadCell]:
    """Yield the unread cells of the worksheet of that name."""
    name = ""
    for item in _read_items(blocks):
        if isinstance(item, _Worksheet):
            name = item.name
        elif isinstance(item, _Row) and name == worksheet and any(cell.problem for cell in item.cells):
            for row in range(item.first, item.first + item.repeated):
                column = 0
                for cell in item.cells:
                    if cell.problem:
                        for index in range(column, min(column + cell.repeated, MAX_COLUMNS)):
                            yield UnreadCell(row, index, cell.text, cell.problem)
                    column += cell.repeated


def write_plain_content(blocks: Iterable[bytes], write: Callable[[bytes], object]) -> None:
    """Write all worksheets again in the plain way, without their unread cells."""
    namespaces = {"office": _OFFICE, "style": _STYLE, "table": _TABLE, "text": _TEXT}
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in namespaces.items())
    write(f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content {declared}>'.encode())
    is_inside = False
    for item in _read_items(blocks):
        if isinstance(item, _Style):
            properties = f'<style:table-properties table:display="{escape_xml(item.display)}"/>'
            write(f'<style:style style:name="{escape_xml(item.name)}">{properties}</style:style>'.encode())
        elif isinstance(item, _Worksheet):
            end, is_inside = "</table:table>" if is_inside else "", True
            attributes = f'table:name="{escape_xml(item.name)}" table:style-name="{escape_xml(item.style)}"'
            write(f"{end}<table:table {attributes}>".encode())
        else:
            cells = "".join(map(_written, item.cells))
            write(f'<table:table-row table:number-rows-repeated="{item.repeated}">{cells}</table:table-row>'.encode())
    write(f"{'</table:table>' if is_inside else ''}</office:document-content>".encode())


def _written(cell: _Cell) -> str:
    start = f'<table:table-cell table:number-columns-repeated="{cell.repeated}"'
    if not cell.kind or cell.problem:
        return f"{start}/>"
    if cell.kind == "string":
        text = escape_xml(cell.text)
        return f'{start} office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
    return f'{start} office:{cell.kind}="{escape_xml(cell.text)}"/>'


class _ContentParser:
    """The functions that the XML parser calls for the content; `items` collects what it reads."""

    def __init__(self) -> None:
        self.items: list[_Item] = []
        self._style = ""
        self._depth = 0  # of worksheets: one inside another is not a worksheet
        self._next_row = 0
        self._row: _Row | None = None
        self._cell: dict[str, str] | None = None
        self._inside: list[str] = []  # the elements of the cell that the parser is in
        self._paragraphs: list[list[str]] = []
        self._length = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._cell is not None:
            self._start_inside_cell(tag, attributes)
        elif tag in _CELL_TAGS and self._row is not None:
            self._cell, self._inside, self._paragraphs, self._length = attributes, [], [], 0
        elif tag == f"{_TABLE} table-row" and self._depth == 1:
            repeated = _repeat_count(attributes.get(f"{_TABLE} number-rows-repeated"))
            self._row = _Row(self._next_row, repeated)
        elif tag == f"{_TABLE} table":
            self._depth += 1
            if self._depth == 1:
                self._next_row = 0
                style = attributes.get(f"{_TABLE} style-name", "")
                self.items.append(_Worksheet(attributes.get(f"{_TABLE} name", ""), style))
        elif tag == f"{_STYLE} style":
            self._style = attributes.get(f"{_STYLE} name", "")
        elif tag == f"{_STYLE} table-properties" and (display := attributes.get(f"{_TABLE} display")):
            self.items.append(_Style(self._style, display))

    def end(self, tag: str) -> None:
        if self._inside:
            self._inside.pop()
        elif self._cell is not None:
            self._end_cell(self._cell)
            self._cell = None
        elif tag == f"{_TABLE} table-row" and self._row is not None:
            self._next_row += self._row.repeated
            if any(cell.kind for cell in self._row.cells):
                reject_impossible_position(self._next_row - 1, 0)
            self.items.append(self._row)
            self._row = None
        elif tag == f"{_TABLE} table":
            self._depth -= 1

    def text(self, data: str) -> None:
        if self._is_in_paragraph():
            self._add_text(data)

    def _start_inside_cell(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._inside and tag == _PARAGRAPH_TAG:
            self._paragraphs.append([])
        elif self._is_in_paragraph():
            if tag == _SPACES_TAG:
                self._add_text(" " * _repeat_count(attributes.get(f"{_TEXT} c")))
            elif tag in _CHARACTERS:
                self._add_text(_CHARACTERS[tag])
        self._inside.append(tag)

    def _is_in_paragraph(self) -> bool:
        """True in the text of the cell itself, not of a comment or a drawing."""
        return self._inside[:1] == [_PARAGRAPH_TAG] and all(tag in _TEXT_CONTAINERS for tag in self._inside[1:])

    def _add_text(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_CELL_TEXT:
            reject_long_text()
        self._paragraphs[-1].append(text)

    def _end_cell(self, attributes: dict[str, str]) -> None:
        shown = "\n".join(map("".join, self._paragraphs))
        repeated = _repeat_count(attributes.get(f"{_TABLE} number-columns-repeated"))
        if self._row is not None:
            self._row.cells.append(_Cell(repeated, *_content(attributes, shown)))


def _read_items(blocks: Iterable[bytes]) -> Iterator[_Item]:
    """Yield the worksheets, each followed by its rows, and the styles that show or hide worksheets."""
    handlers = _ContentParser()
    parser = xml_parser(handlers.start, handlers.end, handlers.text, namespaces=True)
    for block in blocks:
        feed(parser, block)
        yield from handlers.items
        handlers.items.clear()
    feed(parser, b"", is_last=True)


def _content(attributes: dict[str, str], shown: str) -> tuple[str, str, Problem | None]:
    """Return the attribute for the value of a cell, its text and its problem."""
    has_formula = f"{_TABLE} formula" in attributes
    value_type = attributes.get(f"{_OFFICE} value-type")
    if attributes.get(f"{_CALCEXT} value-type") == "error" or value_type == "error":
        return "string", shown or "#ERROR!", "error"
    if has_formula and _ERROR_TEXT.fullmatch(shown):
        return "string", shown, "error"
    if (number := attributes.get(f"{_OFFICE} value")) is not None and value_type != "string":
        is_number = _NUMBER.fullmatch(number.strip(_SPACE)) is not None
        return ("value", number.strip(_SPACE), None) if is_number else ("string", number, "unreadable")
    for kind in ("date-value", "time-value"):
        if (value := attributes.get(f"{_OFFICE} {kind}")) is not None:
            return kind, value, None
    if (value := attributes.get(f"{_OFFICE} boolean-value")) is not None:
        switch = _SWITCHES.get(value.strip(_SPACE).lower())
        return ("boolean-value", switch, None) if switch else ("string", value, "unreadable")
    text = attributes.get(f"{_OFFICE} string-value") or shown or number or ""
    if text:
        return "string", text, None
    return ("string", "", "formula") if has_formula and value_type is None else ("", "", None)


def _repeat_count(text: str | None) -> int:
    """Return how often something is repeated; without a usable number, once."""
    if not text or not (text.isascii() and text.isdigit()):
        return 1
    if len(text) > _MAX_REPEATED_DIGITS:
        raise InputError(
            f"the workbook is damaged: a cell or row is repeated {text[:20]}… times; save or send it again."
        )
    return int(text)
