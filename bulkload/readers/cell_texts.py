"""Turn the cells of a worksheet into text, with an issue for each whose value is not known or not exact.

In: the values that calamine reads, and the cells that it does not read. Out: the text of each cell as a person would
type it, and the findings of the row.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from functools import lru_cache

from bulkload.model import Issue, NumberText
from bulkload.monitors.header import column_letters
from bulkload.readers.sheet_scan import UnreadCell
from bulkload.readers.table import MAX_COLUMNS

GROUPED_FROM = 1000  # typed with a comma, digits may have become a number with thousands separators
_EXACT_FROM = 1e15  # Excel keeps 15 digits of a number; larger numbers may have lost some

Value = int | float | str | bool | datetime.time | datetime.date | datetime.datetime | datetime.timedelta


def cell_texts(values: Sequence[Value]) -> tuple[list[str], list[tuple[int | None, Issue]]]:
    """Return the text of each value of a row, and the findings."""
    try:
        return [value if type(value) is str else _exact_text(value) for value in values], []
    except _InexactNumber:
        texts = list(map(cell_text, values))
    findings: list[tuple[int | None, Issue]] = []
    for index, (value, text) in enumerate(zip(values, texts, strict=True)):
        if is_inexact(value):
            message = (
                f"The number {text} has more digits than a spreadsheet keeps (15), so some may be lost; "
                "format the cell as text and enter it again."
            )
            findings.append((index, Issue(code="cell.precision", message=message, value=text)))
    return texts, findings


class _InexactNumber(Exception):
    """A row has a number that may have lost digits."""


@lru_cache(maxsize=4096, typed=True)
def _exact_text(value: Value) -> str:
    if is_inexact(value):
        raise _InexactNumber
    return cell_text(value)


def is_inexact(value: Value) -> bool:
    """True for a number that may have lost digits."""
    return isinstance(value, (float, int)) and not -_EXACT_FROM < _shown_number(value) < _EXACT_FROM


def _shown_number(value: float) -> float:
    """Round to the 15 digits that spreadsheet programs show: 29.999999999999996 is shown as 30."""
    return float(f"{value:.15g}") if isinstance(value, float) else value


def cell_text(value: Value) -> str:
    """Return a value as a person would type it."""
    if isinstance(value, float):
        shown = _shown_number(value)
        if shown.is_integer() and not is_inexact(value):
            return str(int(shown)) if shown < GROUPED_FROM else NumberText(int(shown))
        return repr(shown).removesuffix(".0").upper()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(int(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat()
    return str(value)


def fill_unread(
    texts: list[str], findings: list[tuple[int | None, Issue]], cells: Iterable[UnreadCell], first_column: int
) -> None:
    """Add the unread cells of one row to its texts, and an issue for each whose value is not known."""
    for cell in cells:
        index = cell.column - first_column
        if index >= MAX_COLUMNS:
            continue
        if index < 0:
            place = column_letters(cell.column)
            message = f"The row has content to the left of the first column, in column {place}, that cannot be read."
            findings.append((None, Issue(code="cell.unreadable", message=message, value=cell.text)))
            continue
        texts.extend([""] * (index + 1 - len(texts)))
        texts[index] = texts[index] or cell.text
        if cell.problem == "error":
            message = f"The cell shows the error {cell.text}; a value is required."
            findings.append((index, Issue(code="cell.error", message=message, value=cell.text)))
        elif cell.problem == "formula":
            message = (
                "The formula in this cell has no stored value; open and save the file in a spreadsheet program, "
                "or enter the value itself."
            )
            findings.append((index, Issue(code="cell.formula", message=message)))
        elif cell.problem == "unreadable":
            message = "The cell is stored in a form that cannot be read; enter the value again."
            findings.append((index, Issue(code="cell.unreadable", message=message, value=cell.text)))
