"""Build workbooks of Excel 5 and 95, whose text is in a code page that they may not name."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_SECTOR = 512
_FREE, _END_OF_CHAIN, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SHEET = b"Sheet1"


def excel5_workbook(
    rows: Sequence[Sequence[str]], codec: str, *, code_page: int | None = None, rich: bool = False
) -> bytes:
    """A workbook with one worksheet of texts; `rich` writes them with runs of formatting, as Excel 5 does."""
    worksheet = _record(0x809, struct.pack("<HHHH", 0x500, 0x10, 0, 0))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            raw = cell.encode(codec)
            place = struct.pack("<HHHH", row, column, 0, len(raw))
            worksheet += _record(0xD6, place + raw + b"\0") if rich else _record(0x204, place + raw)
    worksheet += _record(0x0A)
    start = len(_workbook_records(0, code_page))
    return _ole_document(_workbook_records(start, code_page) + worksheet)


def _workbook_records(worksheet_start: int, code_page: int | None) -> bytes:
    named = b"" if code_page is None else _record(0x42, struct.pack("<H", code_page))
    sheet = _record(0x85, struct.pack("<IHB", worksheet_start, 0, len(_SHEET)) + _SHEET)
    return _record(0x809, struct.pack("<HHHH", 0x500, 5, 0, 0)) + named + sheet + _record(0x0A)


def _record(record_type: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", record_type, len(data)) + data


def _ole_document(stream: bytes) -> bytes:
    """An OLE document with one stream; sector 0 is its allocation table, sector 1 its directory."""
    stream = stream.ljust(max(4096, -(-len(stream) // _SECTOR) * _SECTOR), b"\0")
    last = 1 + len(stream) // _SECTOR
    table = [_TABLE, _END_OF_CHAIN, *range(3, last + 1), _END_OF_CHAIN]
    table += [_FREE] * (_SECTOR // 4 - len(table))
    header = bytes.fromhex("d0cf11e0a1b11ae1").ljust(24, b"\0") + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    header = header.ljust(44, b"\0") + struct.pack("<9I", 1, 1, 0, 4096, _END_OF_CHAIN, 0, _END_OF_CHAIN, 0, 0)
    header = header.ljust(_SECTOR, b"\xff")
    directory = _entry("Root Entry", 5, 1, _END_OF_CHAIN, 0) + _entry("Book", 2, _FREE, 2, len(stream))
    return header + struct.pack("<128I", *table) + directory.ljust(_SECTOR, b"\0") + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le")
    place = struct.pack("<HBBIII", len(raw) + 2, kind, 1, _FREE, _FREE, child)
    return (raw.ljust(64, b"\0") + place).ljust(116, b"\0") + struct.pack("<III", start, size, 0)
