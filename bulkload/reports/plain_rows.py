"""Write plain rows of a worksheet whole, many times as fast as XlsxWriter writes their cells one by one.

In: a worksheet of a workbook in `constant_memory` mode, the formats of its cells, and rows of texts and results.
Out: the rows that need no care, as exactly the bytes that XlsxWriter writes for them; others are left to the caller.

This relies on parts of XlsxWriter that are not public. `is_supported` writes sample rows in both ways: if a part is
missing or the bytes differ, all rows have to be written cell by cell.
"""

from __future__ import annotations

import io
from collections.abc import Container, Sequence
from functools import cache
from typing import Any

MOST_CHARACTERS = 16_000  # of a plain row; each of its texts fits in an Excel cell
_MOST_PATTERNS = 500  # in memory; there is one for each set of empty cells
_ROW = "\0"  # the number of the row in a pattern; no plain text contains this character


class PlainRows:
    """The plain rows of one worksheet whose cells have these formats. Use it only if `is_supported`.

    The columns of texts come first. An empty text is a blank cell, as `write_blank` writes it; a result is a cell with
    a text or a number, even if the text is empty.
    """

    def __init__(self, worksheet: Any, text_formats: Sequence[Any], result_formats: Sequence[Any]) -> None:
        self._worksheet = worksheet
        self._text_formats = text_formats
        self._result_formats = result_formats
        self._patterns: dict[tuple[bool, ...], str] = {}

    def write(self, row: int, texts: Sequence[str], results: Sequence[str | int]) -> bool:
        """Write a row, counted from 0, below all others; returns False, and writes nothing, if it is not plain."""
        if not is_plain((*texts, *map(str, results))):
            return False
        self._worksheet._write_single_row(row)  # the cells of the row before, if it was written cell by cell
        self._worksheet.dim_rowmax = row
        shape = (*map(bool, texts), *[isinstance(result, int) for result in results])
        pattern = self._patterns.get(shape)
        if pattern is None:
            if len(self._patterns) >= _MOST_PATTERNS:
                self._patterns.clear()
            pattern = self._patterns[shape] = self._pattern(texts, results)
        self._worksheet.fh.write((pattern % (*texts, *results)).replace(_ROW, str(row + 1)))
        return True

    def _pattern(self, texts: Sequence[str], results: Sequence[str | int]) -> str:
        """The XML of rows of this shape, with a placeholder for each value."""
        from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

        cells = []
        for column, cell_format in enumerate((*self._text_formats, *self._result_formats)):
            start = f'<c r="{xl_col_to_name(column)}{_ROW}" s="{cell_format._get_xf_index()}"'
            if column < len(texts) and not texts[column]:
                cells.append(f"{start}/>%.0s")  # this placeholder takes the empty text and writes nothing
            elif column >= len(texts) and isinstance(results[column - len(texts)], int):
                cells.append(f"{start}><v>%.16G</v></c>")
            else:
                cells.append(f'{start} t="inlineStr"><is><t>%s</t></is></c>')
        return f'<row r="{_ROW}">{"".join(cells)}</row>'


def is_plain(texts: Sequence[str]) -> bool:
    """True if no text needs an escape, a mark for its blanks, or more than one line; in doubt, False."""
    joined = f"|{'|'.join(texts)}|"
    return (
        len(joined) <= MOST_CHARACTERS
        and joined.isprintable()  # so the only white space is the blank
        and not any(special in joined for special in ("| ", " |", "&", "<", ">", "_x"))
    )


@cache
def is_supported() -> bool:
    """True if XlsxWriter writes the same bytes, whether some rows of a worksheet are written whole or none."""
    try:
        return _sample(rows_written_whole=(2, 3, 5, 6)) == _sample(rows_written_whole=())
    except Exception:  # another version of XlsxWriter can fail in any way
        return False


def _sample(*, rows_written_whole: Container[int]) -> tuple[object, ...]:
    """Write rows to a worksheet without a workbook: what is in its file, and how large it is."""
    from xlsxwriter.format import Format  # type: ignore[import-untyped]
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

    worksheet = Worksheet()
    indices: dict[object, int] = {}
    worksheet.constant_memory, worksheet.fh = True, io.StringIO()
    plain, bold = Format({"num_format": "@"}, indices, {}), Format({"bold": True}, indices, {})
    rows = PlainRows(worksheet, (plain, plain), (bold, plain, plain))
    for row in range(7):
        if row in rows_written_whole and rows.write(row, ("", "%s 'a' \"b\""), ("\U0001f4ec", 1_234_567, "")):
            continue
        worksheet.write_blank(row, 0, None, plain)
        worksheet.write_string(row, 1, "%s 'a' \"b\"", plain)
        worksheet.write_string(row, 2, "\U0001f4ec", bold)
        worksheet.write_number(row, 3, 1_234_567, plain)
        worksheet.write_string(row, 4, "", plain)
    worksheet._write_single_row()
    extent = (worksheet.dim_rowmin, worksheet.dim_rowmax, worksheet.dim_colmin, worksheet.dim_colmax)
    return worksheet.fh.getvalue(), extent
