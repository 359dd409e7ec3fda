"""Read the worksheets of xlsx packages exactly, for the cells that calamine reads as empty, wrongly or not at all.

In: the blocks of a worksheet's part. Out: its unread cells; or the worksheet written again in the plain way that
calamine reads. This takes several times as long as calamine; `sheet_patterns` finds out whether it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from bulkload.errors import InputError
from bulkload.monitors.header import column_letters
from bulkload.readers.sheet_scan import (
    MAX_CELL_TEXT,
    MAX_ROWS,
    Problem,
    UnreadCell,
    WorksheetSurvey,
    column_index,
    escape_xml,
    feed,
    reject_impossible_position,
    reject_long_text,
    xml_parser,
)

_REFERENCE = re.compile(r"([A-Z]+)([0-9]+)")
_AREA = re.compile(r"[A-Z]{1,3}[1-9][0-9]{0,6}:[A-Z]{1,3}[1-9][0-9]{0,6}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9][0-9TZ:.+-]*")
_SWITCHES = {"0": "0", "1": "1", "false": "0", "true": "1"}
_SPACE = " \t\r\n"
_NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


_letters = lru_cache(maxsize=1_000)(column_letters)


class _Cell(NamedTuple):
    row: int  # counted from 0
    column: int  # counted from 0
    style: str
    kind: str  # the type that the value is written with again
    text: str
    problem: Problem | None


def count_cells_xml(blocks: Iterable[bytes]) -> int:
    """Count the cells of the rectangle around the content of a worksheet."""
    return write_plain_worksheet(blocks, lambda text: None).cells


def unread_cells_xml(blocks: Iterable[bytes]) -> Iterator[UnreadCell]:
    """Yield the cells that hold an error, a formula without a stored value, or content that cannot be read."""
    for cells in _read_cells(blocks):
        for cell in cells:
            if cell.problem:
                yield UnreadCell(cell.row, cell.column, cell.text, cell.problem)


def write_plain_worksheet(blocks: Iterable[bytes], write: Callable[[bytes], object]) -> WorksheetSurvey:
    """Write the worksheet again in the plain way, with its merged areas but without its unread cells."""
    top, left, bottom, right, row = 1 << 30, 1 << 30, -1, -1, -1
    has_unread_cells = False
    merged: list[str] = []
    write(f'<?xml version="1.0" encoding="UTF-8"?>\n<worksheet xmlns="{_NAMESPACE}"><sheetData>'.encode())
    for cells in _read_cells(blocks, merged):
        lines = []
        for cell in cells:
            if cell.problem:
                has_unread_cells = True
                continue
            if cell.row != row:
                lines.append(f'{"</row>" if row >= 0 else ""}<row r="{cell.row + 1}">')
                row = cell.row
            top, left = min(top, cell.row), min(left, cell.column)
            bottom, right = max(bottom, cell.row), max(right, cell.column)
            lines.append(_written(cell))
        write("".join(lines).encode())
    areas = "".join(f'<mergeCell ref="{area}"/>' for area in merged)
    write(f"{'</row>' if row >= 0 else ''}</sheetData><mergeCells>{areas}</mergeCells></worksheet>".encode())
    cells_around = max(0, bottom - top + 1) * max(0, right - left + 1)
    return WorksheetSurvey(cells_around, has_unread_cells, is_usual=False)


def _written(cell: _Cell) -> str:
    start = f'<c r="{_letters(cell.column)}{cell.row + 1}"' + (f' s="{cell.style}"' if cell.style else "")
    text = escape_xml(cell.text)
    if cell.kind == "inlineStr":
        return f'{start} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    return f'{start} t="{cell.kind}"><v>{text}</v></c>'


class _CellParser:
    """The functions that the XML parser calls for a worksheet; `cells` collects its cells."""

    def __init__(self, merged: list[str]) -> None:
        self.cells: list[_Cell] = []
        self._merged = merged
        self._row, self._column = -1, -1
        self._rows_with_content = bytearray(MAX_ROWS // 8 + 1)  # a bit for each
        self._stored_row = -1  # the last of them, of the current element
        self._depth = 0  # of elements inside a cell, 0 outside
        self._child = ""  # the element of the cell that the parser is in
        self._phonetic_depth = 0  # of a reading aid for Chinese or Japanese text, which is not content
        self._is_trimmed = False
        self._target: list[str] | None = None  # where text goes
        self._length = 0
        self._attributes: dict[str, str] = {}
        self._has_formula = False
        self._value: list[str] | None = None
        self._inline: list[str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self._depth:
            if name == "c":
                self._start_cell(attributes)
            elif name == "row":
                self._row, self._column = _row_index(attributes.get("r", ""), self._row + 1), -1
                self._stored_row = -1
            elif name == "mergeCell" and len(self._merged) < MAX_ROWS and _AREA.fullmatch(attributes.get("ref", "")):
                self._merged.append(attributes["ref"])
            return
        self._depth += 1
        if self._depth == 2:
            self._child = name
            if name == "f":
                self._has_formula = True
            elif name == "v":
                self._value = self._target = []
            elif name in ("is", "t") and self._inline is None:
                self._inline = []
        if name == "rPh" and not self._phonetic_depth:
            self._phonetic_depth = self._depth
        if name == "t" and self._child in ("is", "t") and not self._phonetic_depth:
            self._target = []
            self._is_trimmed = attributes.get("xml:space") != "preserve"

    def end(self, tag: str) -> None:
        if not self._depth:
            return
        name = tag.rpartition(":")[2]
        if name == "t" and self._target is not None and self._child in ("is", "t") and self._inline is not None:
            text = "".join(self._target)
            self._inline.append(text.strip(_SPACE) if self._is_trimmed else text)
            self._target = None
        elif name == "v" and self._depth == 2:
            self._target = None
        if self._depth == self._phonetic_depth:
            self._phonetic_depth = 0
        self._depth -= 1
        if not self._depth:
            self._end_cell()

    def text(self, data: str) -> None:
        if self._target is not None:
            self._target.append(data)
            self._length += len(data)
            if self._length > MAX_CELL_TEXT:
                reject_long_text()

    def _start_cell(self, attributes: dict[str, str]) -> None:
        self._depth, self._child, self._phonetic_depth, self._length = 1, "", 0, 0
        self._attributes, self._has_formula, self._value, self._inline, self._target = (
            attributes,
            False,
            None,
            None,
            None,
        )
        reference = attributes.get("r", "")
        match = _REFERENCE.fullmatch(reference) or _REFERENCE.fullmatch(
            reference.replace("$", "").strip(_SPACE).upper()
        )
        if match and match[2].strip("0"):
            self._row, self._column = _row_index(match[2], 0), column_index(match[1])
        else:  # without a usable reference, the cell follows the one before it
            self._row, self._column = max(self._row, 0), self._column + 1
        reject_impossible_position(self._row, self._column)

    def _end_cell(self) -> None:
        value = None if self._value is None else "".join(self._value)
        inline = None if self._inline is None else "".join(self._inline)
        cell_type = self._attributes.get("t")
        if (content := _content(cell_type, value, inline, has_formula=self._has_formula)) is not None:
            style = self._attributes.get("s", "")
            style = style if style.isascii() and style.isdigit() else ""
            if self._row != self._stored_row:
                self._store_row()
            self.cells.append(_Cell(self._row, self._column, style, *content))

    def _store_row(self) -> None:
        """Note that the current row has content. Raises `InputError` if an earlier element has that row as well."""
        self._stored_row = self._row
        place, bit = self._row >> 3, 1 << (self._row & 7)
        if self._rows_with_content[place] & bit:
            raise InputError(
                f"the worksheet stores row {self._row + 1:,} twice, and spreadsheet programs show only one of them; "
                "correct the program that wrote the file, or give the rows different numbers."
            )
        self._rows_with_content[place] |= bit


def _read_cells(blocks: Iterable[bytes], merged: list[str] | None = None) -> Iterator[list[_Cell]]:
    """Yield the cells with content, block by block; `merged` receives the merged areas."""
    handlers = _CellParser([] if merged is None else merged)
    parser = xml_parser(handlers.start, handlers.end, handlers.text)
    for block in blocks:
        feed(parser, block)
        yield handlers.cells
        handlers.cells = []
    feed(parser, b"", is_last=True)
    yield handlers.cells


def _content(
    cell_type: str | None, value: str | None, inline: str | None, *, has_formula: bool
) -> tuple[str, str, Problem | None] | None:
    """Return the type, text and problem of a cell; None if it is empty."""
    trimmed = (value or "").strip(_SPACE)
    if cell_type == "e":
        return "e", trimmed or "#ERROR!", "error"
    if cell_type == "str" and (value or (value is not None and not inline)):
        return ("str", value, None) if value else None
    if cell_type == "inlineStr" and not inline and trimmed:
        return "str", value or "", None
    if inline and (cell_type in ("inlineStr", "str") or not trimmed):
        return "inlineStr", inline, None
    if not trimmed and inline is not None:
        return None
    if not trimmed:
        return ("n", "", "formula") if has_formula else None
    if cell_type in (None, "n") and _NUMBER.fullmatch(trimmed):
        return "n", trimmed, None
    if cell_type is None:
        return "str", value or "", None
    if cell_type == "b" and (switch := _SWITCHES.get(trimmed.lower())):
        return "b", switch, None
    if (cell_type == "s" and trimmed.isascii() and trimmed.isdigit()) or (
        cell_type == "d" and _DATE.fullmatch(trimmed)
    ):
        return cell_type, trimmed, None
    return "str", trimmed, "unreadable"


def _row_index(number: str, default: int) -> int:
    """Return the index of a row with this number, or the default without a usable number."""
    number = number.strip(_SPACE).lstrip("0")
    if not (number.isascii() and number.isdigit()):
        return default
    if len(number) > len(str(MAX_ROWS)):
        raise InputError(
            f"the workbook is damaged: it has a row number of {len(number):,} digits; save or send it again."
        )
    reject_impossible_position(int(number) - 1, 0)
    return int(number) - 1
