"""Writing a cell of a workbook as text, whatever the text looks like.

In: a sheet of XlsxWriter, a place and a text. Out: a cell that no program takes for a formula, a number or a link.
"""

from __future__ import annotations

from typing import Any

from bulkload.files.printable import encodable

CELL_UNITS = 32_767  # UTF-16 code units that Excel keeps in a cell


def write_text(sheet: Any, row: int, column: int, text: str, look: Any) -> None:
    """Write one cell; the text must fit in it."""
    text = encodable(text)
    if text.startswith("<r>") and text.endswith("</r>"):
        # XlsxWriter would take this for markup of its own; given in pieces it is text
        sheet.write_rich_string(row, column, text[0], text[1], text[2:], look)
    else:
        sheet.write_string(row, column, text, look)


def fitting(text: str) -> str:
    """Cut what is too long for a cell, never in the middle of a character."""
    # Twice the length bounds the units, so that only long text is counted
    if 2 * len(text) <= CELL_UNITS:
        return text
    units = encodable(text).encode("utf-16-le")
    return text if len(units) <= 2 * CELL_UNITS else units[: 2 * CELL_UNITS].decode("utf-16-le", "ignore")
