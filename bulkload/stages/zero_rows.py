"""Rows that hold only 0 or FALSE: formulas and check boxes that were filled down below the last monitor.

In: invalid rows. Out: whether they are blank, one sentence that counts them, and whether they may have been monitors: a
formula shows 0 if the cell that it refers to is empty now.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bulkload.model import RawRow
from bulkload.monitors.invisible import without_invisible

_MAX_LISTED = 5  # ranges of rows
_IS_ZERO = re.compile(r"\s*(?:0+(?:[.,]0*)?|false)?\s*", re.IGNORECASE).fullmatch


def is_zero_row(row: RawRow) -> bool:
    """True if an invalid row has nothing but 0 and FALSE, so that it names no monitor."""
    if any(issue.severity == "error" for issue in row.issues):
        return False
    return all(_IS_ZERO(without_invisible(cell)) for cell in row.cells)


class ZeroRows:
    """The rows that were skipped, as ranges of their numbers."""

    def __init__(self, columns: Sequence[int] = ()) -> None:
        """`columns` are the indexes of those that name a monitor."""
        self._columns = columns
        self._lost = 0
        self._ranges: list[tuple[int, int]] = []
        self._count = 0

    def add(self, row: RawRow) -> None:
        """Note a row; numbers rise."""
        number = row.number
        self._count += 1
        self._lost += any(without_invisible(row.cells[index]).strip() for index in self._columns)
        if self._ranges and self._ranges[-1][1] == number - 1:
            self._ranges[-1] = (self._ranges[-1][0], number)
        else:
            self._ranges.append((number, number))

    @property
    def lost(self) -> str:
        """Why rows may be missing, as part of a sentence; empty if no row has 0 in place of a name or host."""
        if not self._lost:
            return ""
        return f"{self._lost:,} of its rows {'has' if self._lost == 1 else 'have'} 0 in place of a name or host"

    @property
    def note(self) -> str:
        """The sentence for people; empty if there is no such row."""
        if not self._count:
            return ""
        listed = [str(first) if first == last else f"{first}–{last}" for first, last in self._ranges[:_MAX_LISTED]]
        rows = ", ".join(listed) + (" …" if len(self._ranges) > _MAX_LISTED else "")
        if self._count == 1:
            return f"1 row that holds only 0 or FALSE was skipped: row {rows}."
        return f"{self._count:,} rows that hold only 0 or FALSE were skipped: rows {rows}."
