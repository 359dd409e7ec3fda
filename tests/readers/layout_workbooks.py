"""Write small workbooks with merged cells, hidden rows and hidden columns, in every format."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

import openpyxl
from openpyxl.worksheet.cell_range import CellRange

from tests.readers.test_workbook import record, repacked, save_xlsb

KINDS = ("xlsx", "xlsm", "xlsb", "xls", "xls of Excel 95", "ods")
Cells = Sequence[Sequence[str]]


def save(
    folder: Path,
    kind: str,
    cells: Cells,
    *,
    merged: Sequence[str] = (),
    hidden_rows: Sequence[int] = (),
    hidden_columns: Sequence[int] = (),
    by_filter: bool = False,
) -> Path:
    """Write a workbook; rows are numbered as a person sees them, columns are counted from 0."""
    areas = [CellRange(text) for text in merged]
    bounds = [(each.min_row - 1, each.max_row - 1, each.min_col - 1, each.max_col - 1) for each in areas]
    path = folder / f"hosts.{kind[:4].strip()}"
    if kind in ("xlsx", "xlsm"):
        book = openpyxl.Workbook()
        worksheet = book.active
        assert worksheet is not None
        for row in cells:
            worksheet.append([cell or None for cell in row])
        for area in areas:
            worksheet.merged_cells.add(area)  # unlike merge_cells, keeps what is in the other cells
        for number in hidden_rows:
            worksheet.row_dimensions[number].hidden = True
        for column in hidden_columns:
            worksheet.column_dimensions["ABCDEFGH"[column]].hidden = True
        worksheet.sheet_properties.filterMode = by_filter
        book.save(path)
        if kind == "xlsm":
            with zipfile.ZipFile(path, "a") as packed:
                packed.writestr("xl/vbaProject.bin", b"")
    elif kind == "xlsb":
        columns = b"".join(record(60, struct.pack("<IIIIH", c, c, 2000, 0, 1)) for c in hidden_columns)
        after = b"".join(record(176, struct.pack("<IIII", *bound)) for bound in bounds)
        after += record(163, bytes(6)) if by_filter else b""

        def change(part: str, content: bytes) -> bytes:
            if part != "xl/worksheets/sheet1.bin":
                return content
            for number in hidden_rows:
                shown = struct.pack("<IIHBB", number - 1, 0, 300, 0, 0)
                content = content.replace(shown, shown[:-1] + b"\x10")
            return content.replace(record(145), columns + record(145)).replace(record(146), record(146) + after)

        rows = {index: {c: text for c, text in enumerate(row) if text} for index, row in enumerate(cells)}
        plain = save_xlsb(path, rows)  # type: ignore[arg-type]
        repacked(plain, change, "changed.xlsb").replace(path)
    elif kind == "ods":
        save_ods(path, cells, bounds, hidden_rows, hidden_columns, by_filter=by_filter)
    else:
        save_xls(path, cells, bounds, hidden_rows, hidden_columns, by_filter=by_filter, is_biff8=kind == "xls")
    return path


def save_ods(
    path: Path,
    cells: Cells,
    merged: Sequence[tuple[int, int, int, int]],
    hidden_rows: Sequence[int],
    hidden_columns: Sequence[int],
    *,
    by_filter: bool,
) -> None:
    spans = {
        (top, left): f'table:number-rows-spanned="{bottom - top + 1}" table:number-columns-spanned="{right - left + 1}"'
        for top, bottom, left, right in merged
    }
    visibility = "filter" if by_filter else "collapse"
    columns = "".join(
        f'<table:table-column table:visibility="{"collapse" if column in hidden_columns else "visible"}"/>'
        for column in range(max(map(len, cells)))
    )
    rows = ""
    for index, row in enumerate(cells):
        rows += f'<table:table-row table:visibility="{visibility if index + 1 in hidden_rows else "visible"}">'
        for column, text in enumerate(row):
            value = f'office:value-type="string"><text:p>{escape(text)}</text:p>' if text else ">"
            rows += f"<table:table-cell {spans.get((index, column), '')} {value}</table:table-cell>"
        rows += "</table:table-row>"
    pack_ods(path, columns + rows)


def pack_ods(path: Path, table: str, styles: str = "") -> Path:
    names = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{names}:office:1.0" '
        f'xmlns:table="{names}:table:1.0" xmlns:text="{names}:text:1.0" xmlns:style="{names}:style:1.0">'
        f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="Hosts">{table}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        packed.writestr("content.xml", content)
        packed.writestr("META-INF/manifest.xml", "<manifest/>")
    return path


def save_xls(
    path: Path,
    cells: Cells,
    merged: Sequence[tuple[int, int, int, int]],
    hidden_rows: Sequence[int],
    hidden_columns: Sequence[int],
    *,
    by_filter: bool,
    is_biff8: bool,
) -> None:
    """Write a minimal workbook of Excel 97 or Excel 95, the latter without merged cells, which it does not have."""

    def biff(kind: int, data: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def begin(kind: int) -> bytes:
        return biff(
            0x809, struct.pack("<HHHHII", 0x600 if is_biff8 else 0x500, kind, 0, 0, 0, 0)[: 16 if is_biff8 else 8]
        )

    worksheet = begin(0x10) + (biff(0x9B) if by_filter else b"")
    for column in hidden_columns:
        worksheet += biff(0x7D, struct.pack("<HHHHHH", column, column, 2000, 15, 1, 0))
    for index, row in enumerate(cells):
        flags = 0x120 if index + 1 in hidden_rows else 0x100
        worksheet += biff(0x208, struct.pack("<HHHHHHHH", index, 0, len(row), 300, 0, 0, flags, 15))
    for index, row in enumerate(cells):
        for column, text in enumerate(row):
            if text:
                label = struct.pack("<HHHH", index, column, 15, len(text)) + (b"\0" if is_biff8 else b"")
                worksheet += biff(0x204, label + text.encode("latin-1"))
    if is_biff8 and merged:
        worksheet += biff(
            0xE5, struct.pack("<H", len(merged)) + b"".join(struct.pack("<HHHH", *each) for each in merged)
        )
    worksheet += biff(0x0A)
    name = b"\x05\0Hosts" if is_biff8 else b"\x05Hosts"
    code_page = biff(0x42, struct.pack("<H", 1200 if is_biff8 else 1252))
    start = begin(0x05) + code_page
    offset = len(start) + len(biff(0x85, bytes(6) + name)) + len(biff(0x0A))
    stream = start + biff(0x85, struct.pack("<IH", offset, 0) + name) + biff(0x0A) + worksheet
    path.write_bytes(compound_file("Workbook" if is_biff8 else "Book", stream))


def compound_file(name: str, stream: bytes) -> bytes:
    """Return an OLE file with one stream: a sector of the allocation table, one of the directory, then the stream."""
    stream = stream.ljust(4096, b"\0")
    sectors = -(-len(stream) // 512)
    end, free = 0xFFFFFFFE, 0xFFFFFFFF
    table = [0xFFFFFFFD, end, *(number + 3 for number in range(sectors - 1)), end]
    assert len(table) <= 128, "the stream needs a second sector of the allocation table"

    def entry(name: str, kind: int, child: int, first: int, size: int) -> bytes:
        text = name.encode("utf-16-le")
        head = text.ljust(64, b"\0") + struct.pack("<HBB", len(text) + 2, kind, 1)
        return head + struct.pack("<III", free, free, child) + bytes(36) + struct.pack("<IQ", first, size)

    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0) + struct.pack("<109I", 0, *[free] * 108)
    directory = entry("Root Entry", 5, 1, end, 0) + entry(name, 2, free, 2, len(stream)) + bytes(256)
    numbers = struct.pack("<128I", *table, *[free] * (128 - len(table)))
    return head + numbers + directory + stream.ljust(sectors * 512, b"\0")
