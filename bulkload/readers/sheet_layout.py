"""Find merged cells, hidden rows and hidden columns, which calamine does not report for all formats.

In: the blocks of the part that holds a worksheet, or its records. Out: a `SheetLayout`. Few worksheets hide anything,
so XML is parsed for it only if `LayoutSigns`, which looks at blocks that are read anyway, finds a sign of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bulkload.errors import InputError
from bulkload.readers.sheet_scan import column_index, feed, xml_parser
from bulkload.readers.zip_package import translate_damage

MAX_ROWS = 1 << 20  # of a worksheet; a row further down cannot have content
MAX_AREAS = 1_000_000  # merged areas of a worksheet, and series of hidden rows

Span = tuple[int, int]  # first and last row or column, counted from 0


class Area(NamedTuple):
    """Merged cells: their first and last row and column, counted from 0."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetLayout:
    """What the layout of a worksheet tells about its cells."""

    merged: tuple[Area, ...] = ()
    hidden_rows: tuple[Span, ...] = ()  # only rows with content
    hidden_columns: tuple[Span, ...] = ()
    is_filtered: bool = False  # a filter hides the rows that do not match


_OVERLAP = 128  # bytes; longer than any sign, which a block boundary may split
_ZERO = rb"""\s*=\s*["']0*\.?0*(?:cm|mm|in|pt|pc|px)?["']"""


class _Sign(NamedTuple):
    """A text that is quick to find, and the pattern that tells the sign from texts like it."""

    quick: bytes
    pattern: re.Pattern[bytes]
    above: bytes = b""  # if given, the sign stands above the first occurrence of this text


XML_SIGNS = (
    _Sign(b"mergeCell", re.compile(rb"mergeCell\s")),
    _Sign(b"hidden", re.compile(rb"""hidden\s*=\s*["']\s*[1tT]""")),
    _Sign(b"ht", re.compile(rb"ht" + _ZERO)),
    _Sign(b"width", re.compile(rb"width" + _ZERO), above=b"sheetData"),
)
OPEN_DOCUMENT_SIGNS = (
    _Sign(b"visibility", re.compile(rb"""visibility\s*=\s*["'][cf]""")),
    _Sign(b"-spanned", re.compile(rb"-spanned")),
    _Sign(b"display", re.compile(rb"""display\s*=\s*["']f""")),
    _Sign(b"row-height", re.compile(rb"row-height" + _ZERO)),
    _Sign(b"column-width", re.compile(rb"column-width" + _ZERO)),
)
_TRUE = ("1", "true")
_VALUE_TAGS = frozenset({"v", "t", "f", "is"})
_ROW_TAGS = frozenset({"row", "col", "filterColumn", "sheetPr", "mergeCell", *_VALUE_TAGS})
_AREA = re.compile(r"\$?([A-Z]{1,3})\$?([1-9][0-9]{0,6}):\$?([A-Z]{1,3})\$?([1-9][0-9]{0,6})")

_ZERO_LENGTH = re.compile(r"0*\.?0*(?:cm|mm|in|pt|pc|px)?")

# Records of xlsb
_ROW, _COLUMN, _MERGED, _FILTER_COLUMN = 0, 60, 176, 163
_CELLS_WITH_VALUE = frozenset({*range(2, 12), 62})
# Records of xls
_XLS_ROW, _XLS_COLUMN, _XLS_MERGED, _XLS_FILTER_MODE = 0x208, 0x7D, 0xE5, 0x9B
_XLS_CELLS_WITH_VALUE = frozenset({0x06, 0xBD, 0xD6, 0xFD, 0x203, 0x204, 0x205, 0x206, 0x27E, 0x406})


def in_order(areas: Iterable[Area]) -> tuple[Area, ...]:
    """Return areas by their first rows, without those that are one cell or none."""
    return tuple(sorted(area for area in areas if area.top < area.bottom or area.left < area.right))


class LayoutSigns:
    """Looks for signs of merged cells or of something hidden in the blocks that another function reads."""

    def __init__(self, signs: Iterable[_Sign]) -> None:
        self._signs = list(signs)
        self._merged = 0  # at most
        self._tail = b""
        self.found = False

    def look(self, block: bytes) -> None:
        """Look at the next block. Blocks without any sign can be left out."""
        self._merged += block.count(b"mergeCell")
        _limit(self._merged, "merged areas")  # calamine has no limit
        if not self.found:
            text = self._tail + block
            self.found = any(sign.quick in text and sign.pattern.search(text) for sign in self._signs)
            self._signs = [sign for sign in self._signs if not sign.above or sign.above not in text]
            self._tail = text[-_OVERLAP:]

    def look_at(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the blocks unchanged."""
        for block in blocks:
            self.look(block)
            yield block


def layout_xml(blocks: Iterable[bytes]) -> SheetLayout:
    """Return the layout of a worksheet of an xlsx package."""
    layout = LayoutCollector()
    row, is_hidden = -1, False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal row, is_hidden
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        if tag not in _ROW_TAGS:
            return
        if tag == "row":
            row = number(attributes.get("r"), row + 2) - 1
            is_hidden = _is_true(attributes.get("hidden")) or is_zero(attributes.get("ht"))
        elif tag == "col":
            if _is_true(attributes.get("hidden")) or is_zero(attributes.get("width")):
                layout.hide_columns(number(attributes.get("min"), 0) - 1, number(attributes.get("max"), 0) - 1)
        elif tag == "mergeCell":
            if match := _AREA.fullmatch(attributes.get("ref", "").strip().upper()):
                (left, right), (top, bottom) = map(column_index, match.group(1, 3)), map(int, match.group(2, 4))
                layout.merge(Area(top - 1, left, bottom - 1, right))
        elif tag == "filterColumn":
            layout.is_filtered = True
        elif tag == "sheetPr":
            layout.is_filtered = layout.is_filtered or _is_true(attributes.get("filterMode"))
        elif is_hidden:  # and the cell has a value
            layout.hide_rows(row, row)
            is_hidden = False

    parser = xml_parser(start)
    for block in blocks:
        feed(parser, block)
    return layout.complete()


class BinaryLayout:
    """Collects the layout of a worksheet of an xlsb package from the records that another function reads."""

    def __init__(self) -> None:
        self._layout = LayoutCollector()

    def look_at(self, records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yield the records unchanged."""
        layout, hidden_row = self._layout, -1
        for kind, data in records:
            if kind == _ROW:
                with translate_damage():
                    row, flags = struct.unpack_from("<I7xB", data)
                hidden_row = row if flags & 0x10 else -1
            elif hidden_row >= 0 and kind in _CELLS_WITH_VALUE:
                layout.hide_rows(hidden_row, hidden_row)
                hidden_row = -1
            elif kind == _COLUMN:
                with translate_damage():
                    first, last, width, flags = struct.unpack_from("<III4xH", data)
                if flags & 1 or not width:
                    layout.hide_columns(first, last)
            elif kind == _MERGED:
                with translate_damage():
                    top, bottom, left, right = struct.unpack_from("<IIII", data)
                layout.merge(Area(top, left, bottom, right))
            elif kind == _FILTER_COLUMN:
                layout.is_filtered = True
            yield kind, data

    def complete(self) -> SheetLayout:
        """Return the layout, after all records were read."""
        return self._layout.complete()


def layout_xls(records: Iterable[tuple[int, bytes]]) -> SheetLayout:
    """Return what is hidden in a worksheet of an xls workbook; calamine reports its merged cells."""
    layout = LayoutCollector()
    hidden: set[int] = set()  # a row's record comes before those of its cells
    merged = 0
    with translate_damage():
        for kind, data in records:
            if kind == _XLS_ROW:
                row, flags = struct.unpack_from("<H10xH", data)
                if flags & 0x20:
                    hidden.add(row)
            elif kind in _XLS_CELLS_WITH_VALUE:
                if (row := struct.unpack_from("<H", data)[0]) in hidden:
                    hidden.discard(row)
                    layout.hide_rows(row, row)
            elif kind == _XLS_COLUMN:
                first, last, width, flags = struct.unpack_from("<HHH2xH", data)
                if flags & 1 or not width:
                    layout.hide_columns(first, last)
            elif kind == _XLS_FILTER_MODE:
                layout.is_filtered = True
            elif kind == _XLS_MERGED:
                merged += len(data) // 8
                _limit(merged, "merged areas")  # calamine has no limit
    return layout.complete()


class LayoutCollector:
    """Collects a `SheetLayout` while a worksheet is read."""

    def __init__(self) -> None:
        self._areas: set[Area] = set()
        self._rows: list[Span] = []
        self._columns: list[Span] = []
        self.is_filtered = False

    def merge(self, area: Area) -> None:
        self._areas.add(area)
        _limit(len(self._areas), "merged areas")

    def hide_rows(self, first: int, last: int) -> None:
        if 0 <= first < MAX_ROWS:
            _add(self._rows, first, last)
            _limit(len(self._rows), "series of hidden rows")

    def hide_columns(self, first: int, last: int) -> None:
        if 0 <= first <= last:
            _add(self._columns, first, last)
            _limit(len(self._columns), "series of hidden columns")

    def complete(self) -> SheetLayout:
        return SheetLayout(
            merged=in_order(self._areas),
            hidden_rows=tuple(_joined(self._rows)),
            hidden_columns=tuple(_joined(self._columns)),
            is_filtered=self.is_filtered,
        )


def _add(spans: list[Span], first: int, last: int) -> None:
    if spans and spans[-1][1] + 1 == first:
        spans[-1] = (spans[-1][0], last)
    else:
        spans.append((first, last))


def _joined(spans: list[Span]) -> list[Span]:
    """Return spans in order, those that touch joined."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _limit(count: int, noun: str) -> None:
    if count > MAX_AREAS:
        raise InputError(f"the worksheet has more than {MAX_AREAS:,} {noun}; copy the table to a new worksheet.")


def number(text: str | None, default: int) -> int:
    """Return a positive number of at most nine digits; the default for any other text."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) else default


def _is_true(text: str | None) -> bool:
    return text is not None and text.strip().lower() in _TRUE


def is_zero(text: str | None) -> bool:
    """True for the length 0, with or without a unit."""
    return text is not None and "0" in text and _ZERO_LENGTH.fullmatch(text.strip()) is not None
