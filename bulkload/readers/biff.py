"""Inspect an xls workbook: circles of sectors, cells that calamine reads as empty, text without a code page.

In: a path, and the index of a worksheet. Out: an `InputError`; a stream of `UnreadCell`; the encoding of doubtful text.
An xls file is an OLE document: its sectors are chained by a table, and one of its streams holds the records of all
worksheets.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from bulkload.errors import InputError
from bulkload.readers.encoding import Encoding, code_page_encoding
from bulkload.readers.sheet_scan import BINARY_ERRORS, Problem, UnreadCell
from bulkload.readers.zip_package import translate_damage

_END_OF_CHAIN = 0xFFFFFFFA  # values from here on are not sector numbers
_BEGIN, _END = 0x809, 0x0A  # of the workbook's records and of each worksheet; a chart in a worksheet has its own
_BOUND_SHEET = 0x85
_STRINGS, _STRING_CELL = 0xFC, 0xFD
_FORMULA, _FORMULA_TEXT = 0x06, 0x207
_BETWEEN_FORMULA_AND_TEXT = frozenset({0x221, 0x236, 0x4BC})  # an array, a data table, a shared formula
_BOOLEAN_OR_ERROR = 0x205
_CODE_PAGE = 0x42
_EXCEL_97 = 0x600  # from this version on, text is Unicode
_TEXT_AT = {0x204: 8, 0xD6: 8, 0x207: 2}  # type of a record with the text of a cell → where its text begins
_OLD_CELLS = frozenset({0x02, 0x03, 0x04, 0x05, 0x206, 0x406})  # of versions before Excel 5
_DIRECTORY_ENTRY = 128  # bytes
_CIRCLE = "the workbook is damaged: a chain of its sectors is a circle; save or send it again."


def unread_cells_xls(path: Path, worksheet_index: int) -> Iterator[UnreadCell]:
    """Yield the unread cells of a worksheet; the index counts from 0 in the order of the workbook."""
    strings = 0
    without_text: UnreadCell | None = None  # a formula whose text the next record should hold
    for record_type, data in worksheet_records(path, worksheet_index):
        if without_text and record_type not in _BETWEEN_FORMULA_AND_TEXT:
            if record_type != _FORMULA_TEXT:
                yield without_text
            without_text = None
        with translate_damage():
            if record_type == _STRINGS:
                strings = struct.unpack_from("<I", data, 4)[0]
            elif cell := _unread_cell(record_type, data, strings):
                if record_type == _FORMULA and cell.problem == "formula":
                    without_text = cell
                else:
                    yield cell


def worksheet_records(path: Path, worksheet_index: int) -> Iterator[tuple[int, bytes]]:
    """Yield the type and data of each record of a worksheet, without its charts, and of the record with all strings."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        with translate_damage():
            blocks = _workbook_stream(content)
        offsets: list[int] = []
        depth, is_inside = 0, False
        for position, record_type, data in _records(blocks):
            if position in offsets:
                is_inside, depth = offsets.index(position) == worksheet_index, 0
            if record_type == _BEGIN:
                depth += 1
            if record_type == _BOUND_SHEET:
                with translate_damage():
                    offsets.append(struct.unpack_from("<I", data)[0])
            elif record_type == _STRINGS or (is_inside and depth == 1):
                yield record_type, data
            if record_type == _END:
                depth -= 1


def reject_circles(path: Path) -> None:
    """Raise `InputError` if a chain of sectors leads back into itself: calamine would follow it forever."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, translate_damage():
        document = _Document(content)
        _reject_circles(document.table, [document.directory, document.small_table])
        entries = list(document.entries())
        roots, streams = entries[:1], entries[1:]
        regular = [first for _, first, length in streams if length >= document.smallest_regular]
        _reject_circles(document.table, [*(first for _, first, _ in roots), *regular])
        small = [first for _, first, length in streams if 0 < length < document.smallest_regular]
        _reject_circles(_sector_numbers(b"".join(document.sectors(document.small_table))), small)


def _reject_circles(table: list[int], starts: list[int]) -> None:
    walks = [_END_OF_CHAIN] * len(table)  # per sector: the start of the chain that reached it first
    for start in dict.fromkeys(starts):
        sector = start
        while sector < len(table) and walks[sector] == _END_OF_CHAIN:
            walks[sector] = start
            sector = table[sector]
        if sector < len(table) and walks[sector] == start:
            raise InputError(_CIRCLE)


def text_encoding(path: Path, given: str | None) -> Encoding | None:
    """Return the encoding of the text of an Excel 5 workbook that names no code page; None for any other workbook."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, translate_damage():
        for _, record_type, data in _records(_workbook_stream(content)):
            is_unicode = record_type == _BEGIN and struct.unpack_from("<H", data)[0] >= _EXCEL_97
            if is_unicode or record_type == _CODE_PAGE:
                return None
            if record_type == _END:
                return code_page_encoding(_non_ascii_texts(content), given)
    return None


def as_decoded(text: str, encoding: Encoding) -> str:
    """Return a text as `encoding` decodes it, with surrogates in place of bytes that it does not decode.

    calamine takes every byte for the character of that number, as in Latin-1.
    """
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raise InputError("its text is in an encoding that it does not name; save it as .xlsx.") from None
    return raw.decode(encoding.codec, encoding.errors)


def _non_ascii_texts(content: mmap.mmap) -> Iterator[bytes]:
    for _, record_type, data in _records(_workbook_stream(content)):
        if record_type in _TEXT_AT and not (text := data[_TEXT_AT[record_type] :]).isascii():
            yield text


def _unread_cell(record_type: int, data: bytes, strings: int) -> UnreadCell | None:
    """Return the cell of a record if calamine reads it as empty, or may: a formula whose result is text."""
    text = ""
    problem: Problem = "unreadable"
    if record_type == _STRING_CELL:
        if struct.unpack_from("<I", data, 6)[0] < strings:
            return None
    elif record_type in (_FORMULA, _BOOLEAN_OR_ERROR):
        if (code := _error_code(record_type, data)) is not None:
            text, problem = BINARY_ERRORS.get(code, "#ERROR!"), "error"
        elif record_type == _FORMULA and data[6:7] == b"\x00" and data[12:14] == b"\xff\xff":
            problem = "formula"
        else:
            return None
    elif record_type not in _OLD_CELLS:
        return None
    row, column = struct.unpack_from("<HH", data)
    return UnreadCell(row, column, text, problem)


def _error_code(record_type: int, data: bytes) -> int | None:
    if record_type == _BOOLEAN_OR_ERROR:
        return data[6] if data[7:8] == b"\x01" else None
    # the result of a formula is a number unless its last two bytes are 0xFF
    return data[8] if data[6:7] == b"\x02" and data[12:14] == b"\xff\xff" else None


def _records(blocks: Iterator[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield the position, type and data of each record."""
    data, start, base = b"", 0, 0
    for block in blocks:
        base += start
        data, start = data[start:] + block, 0
        while start + 4 <= len(data):
            record_type, length = struct.unpack_from("<HH", data, start)
            if start + 4 + length > len(data):
                break
            yield base + start, record_type, data[start + 4 : start + 4 + length]
            start += 4 + length


class _Document:
    """An OLE document: the sizes of its sectors, and where its chains begin."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self.size = 1 << _sector_shift(struct.unpack_from("<H", content, 30)[0], 9, 12)
        self.small_size = 1 << _sector_shift(struct.unpack_from("<H", content, 32)[0], 2, 12)
        self.directory, self.smallest_regular, self.small_table = (
            struct.unpack_from("<I", content, offset)[0] for offset in (48, 56, 60)
        )
        self.table = _sector_table(content, self.size)

    def sectors(self, first: int) -> Iterator[bytes]:
        """Return the sectors of a chain."""
        for sector in _chain(first, self.table):
            yield self._content[(sector + 1) * self.size : (sector + 2) * self.size]

    def entries(self) -> Iterator[tuple[str, int, int]]:
        """Return the name, first sector and length of each stream; the root entry is the first."""
        for block in self.sectors(self.directory):
            for entry in range(0, len(block), _DIRECTORY_ENTRY):
                name = block[entry : entry + 64].decode("utf-16-le", "replace").rstrip("\0")
                yield (name, *struct.unpack_from("<II", block, entry + 116))


def _workbook_stream(content: mmap.mmap) -> Iterator[bytes]:
    """Return the sectors of the stream that holds the worksheets."""
    document = _Document(content)
    streams = {name.lower(): (first, length) for name, first, length in document.entries()}
    # a file written for both Excel 5 and later versions has two streams
    first, length = streams.get("workbook") or streams.get("book") or (_END_OF_CHAIN, 0)
    if not length:
        raise InputError("it is an OLE document, but not a workbook.")
    if length >= document.smallest_regular:
        return document.sectors(first)
    size = document.small_size
    small = b"".join(document.sectors(streams["root entry"][0]))
    small_chain = _chain(first, _sector_numbers(b"".join(document.sectors(document.small_table))))
    return (small[sector * size : (sector + 1) * size] for sector in small_chain)


def _sector_table(content: mmap.mmap, size: int) -> list[int]:
    """Return the sector allocation table: the number of the sector that follows each sector."""
    table_sectors = list(struct.unpack_from("<109I", content, 76))
    next_sector, _ = struct.unpack_from("<II", content, 68)
    seen: set[int] = set()
    while next_sector < _END_OF_CHAIN and next_sector not in seen:
        seen.add(next_sector)
        *numbers, next_sector = _sector_numbers(content[(next_sector + 1) * size : (next_sector + 2) * size])
        table_sectors.extend(numbers)
    if next_sector in seen:
        raise InputError(_CIRCLE)
    table: list[int] = []
    for sector in dict.fromkeys(table_sectors):
        if sector < _END_OF_CHAIN:
            table.extend(_sector_numbers(content[(sector + 1) * size : (sector + 2) * size]))
    return table


def _chain(first: int, table: list[int]) -> Iterator[int]:
    sector, remaining = first, len(table)  # a chain longer than the table is a loop
    while sector < len(table) and remaining:
        yield sector
        sector, remaining = table[sector], remaining - 1


def _sector_numbers(data: bytes) -> list[int]:
    return list(struct.unpack_from(f"<{len(data) // 4}I", data))


def _sector_shift(shift: int, lowest: int, highest: int) -> int:
    """Return the power of two of a sector size if it is in range."""
    if not lowest <= shift <= highest:
        raise InputError("the workbook is damaged: invalid sector size.")
    return shift
