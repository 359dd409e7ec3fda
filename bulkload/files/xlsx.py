"""Write a cell of an xlsx workbook as text, whatever the text looks like.

In: an XlsxWriter worksheet, a row, a column and a text. Out: a cell that no program reads as a formula, number or link.
"""

from __future__ import annotations

from typing import Any

from bulkload.files.printable import encodable

WORKSHEET_ROWS = 1_048_576  # that an Excel worksheet holds, with the header
CELL_UNITS = 32_767  # UTF-16 code units that an Excel cell holds; a character takes one or two


def write_text(worksheet: Any, row: int, column: int, text: str, cell_format: Any) -> None:
    """Write one cell, with row and column counted from 0. The text must fit: see `truncate_to_cell`."""
    text = encodable(text)
    if text.startswith("<r>") and text.endswith("</r>"):
        # XlsxWriter would read this as its own markup; in fragments it is plain text
        worksheet.write_rich_string(row, column, text[0], text[1], text[2:], cell_format)
    else:
        worksheet.write_string(row, column, text, cell_format)


def truncate_to_cell(text: str) -> str:
    """Return the text cut to `CELL_UNITS`, never in the middle of a character."""
    # A character takes at most two units, so only long text needs counting
    if 2 * len(text) <= CELL_UNITS:
        return text
    units = encodable(text).encode("utf-16-le")
    return text if len(units) <= 2 * CELL_UNITS else units[: 2 * CELL_UNITS].decode("utf-16-le", "ignore")
