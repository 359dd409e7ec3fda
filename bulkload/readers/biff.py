"""Error cells of an xls workbook, which calamine reads as empty: a path goes in, `UnreadCell` cells come out.

An xls file is an OLE document: sectors chained by a table. One of its streams holds the records of all sheets.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from bulkload.errors import InputError
from bulkload.readers.sheet_scan import BINARY_ERRORS, UnreadCell
from bulkload.readers.zip_package import damage_translated

_END_OF_CHAIN = 0xFFFFFFFA  # this and all above it are no sectors
_SHEET = 0x85
_FORMULA = 0x06
_BOOLEAN_OR_ERROR = 0x205
_DIRECTORY_ENTRY = 128  # bytes


def unread_cells_xls(path: Path, sheet: int) -> Iterator[UnreadCell]:
    """Find the error cells of one sheet, counted from 0 in the order of the workbook."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        with damage_translated():
            blocks = _workbook_stream(content)
        offsets: list[int] = []
        inside = False
        for position, kind, data in _records(blocks):
            if position in offsets:
                inside = offsets.index(position) == sheet
            with damage_translated():
                if kind == _SHEET:
                    offsets.append(struct.unpack_from("<I", data)[0])
                elif inside and kind in (_FORMULA, _BOOLEAN_OR_ERROR) and (code := _error_code(kind, data)) is not None:
                    row, column = struct.unpack_from("<HH", data)
                    yield UnreadCell(row, column, BINARY_ERRORS.get(code, "#ERROR!"))


def _error_code(kind: int, data: bytes) -> int | None:
    if kind == _BOOLEAN_OR_ERROR:
        return data[6] if data[7:8] == b"\x01" else None
    # the result of a formula is a number, unless its last two bytes are set
    return data[8] if data[6:7] == b"\x02" and data[12:14] == b"\xff\xff" else None


def _records(blocks: Iterator[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield position, kind and data of every record."""
    data, start, base = b"", 0, 0
    for block in blocks:
        base += start
        data, start = data[start:] + block, 0
        while start + 4 <= len(data):
            kind, length = struct.unpack_from("<HH", data, start)
            if start + 4 + length > len(data):
                break
            yield base + start, kind, data[start + 4 : start + 4 + length]
            start += 4 + length


def _workbook_stream(content: mmap.mmap) -> Iterator[bytes]:
    """Return the sectors of the stream that holds the sheets."""
    size = 1 << _limited(struct.unpack_from("<H", content, 30)[0], 9, 12)
    small_size = 1 << _limited(struct.unpack_from("<H", content, 32)[0], 2, 12)
    directory, smallest, small_table = (struct.unpack_from("<I", content, place)[0] for place in (48, 56, 60))
    table = _sector_table(content, size)

    def sectors(first: int) -> Iterator[bytes]:
        for number in _chain(first, table):
            yield content[(number + 1) * size : (number + 2) * size]

    streams: dict[str, tuple[int, int]] = {}
    for block in sectors(directory):
        for entry in range(0, len(block), _DIRECTORY_ENTRY):
            name = block[entry : entry + 64].decode("utf-16-le", "replace").rstrip("\0")
            streams[name] = struct.unpack_from("<II", block, entry + 116)
    # a file for both Excel 5 and later has two streams
    first, length = streams.get("Workbook") or streams.get("Book") or (_END_OF_CHAIN, 0)
    if not length:
        raise InputError("it is an OLE document, but not a workbook.")
    if length >= smallest:
        return sectors(first)
    small = b"".join(sectors(streams["Root Entry"][0]))
    small_chain = _chain(first, _numbers(b"".join(sectors(small_table))))
    return (small[number * small_size : (number + 1) * small_size] for number in small_chain)


def _sector_table(content: mmap.mmap, size: int) -> list[int]:
    """Return the table that says which sector follows which."""
    places = list(struct.unpack_from("<109I", content, 76))
    more, _ = struct.unpack_from("<II", content, 68)
    seen: set[int] = set()
    while more < _END_OF_CHAIN and more not in seen:
        seen.add(more)
        *numbers, more = _numbers(content[(more + 1) * size : (more + 2) * size])
        places.extend(numbers)
    table: list[int] = []
    for place in dict.fromkeys(places):
        if place < _END_OF_CHAIN:
            table.extend(_numbers(content[(place + 1) * size : (place + 2) * size]))
    return table


def _chain(first: int, table: list[int]) -> Iterator[int]:
    number, left = first, len(table)
    while number < len(table) and left:
        yield number
        number, left = table[number], left - 1


def _numbers(data: bytes) -> list[int]:
    return list(struct.unpack_from(f"<{len(data) // 4}I", data))


def _limited(value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InputError("the workbook is damaged: its sectors have no size there is.")
    return value
