"""Correct a draft: a cell, all cells with the same kind of problem, a column; leave rows out; take an edit back.

In: a draft, and what a person wants changed. Out: how many rows were changed; they are checked again. Every edit can be
taken back, and says what it was. A cell that somebody else has changed in the meantime is not overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.model import RawRow
from bulkload.monitors.header import column_letters
from bulkload.monitors.values import show
from bulkload.operations.draft_check import check_changed
from bulkload.store.draft_rows import DraftRows, RowChange
from bulkload.store.drafts import Draft
from bulkload.store.runs import Store

Kind = tuple[str, str]  # code and header of issues

LONGEST_CELL = 10_000  # characters
BATCH = 1000  # rows fetched at a time


class ChangedMeanwhile(UsageError):
    """Somebody else changed a cell since it was shown."""


class DraftEditor:
    """Makes the edits of one person in one draft."""

    def __init__(self, store: Store, draft: Draft, user: str = "") -> None:
        self._store = store
        self._draft = draft
        self._user = user
        self._rows = DraftRows(store, draft)

    @property
    def header(self) -> tuple[str, ...]:
        """The texts of the draft's columns."""
        return self._draft.header

    @property
    def version(self) -> int:
        """The version of the draft that is edited."""
        return self._draft.version

    def set_cells(self, texts: Mapping[tuple[int, int], str], expected: Mapping[tuple[int, int], str]) -> int:
        """Set cells, by row number and column index; `expected` has the texts that the person saw.

        Raises `ChangedMeanwhile`, and changes nothing, if one of them is different by now.
        """
        rows = {row.number: row for row in self._rows.raw_of({number for number, _ in texts})}
        for (number, column), text in expected.items():
            now = rows[number].cells[column] if number in rows and column < len(rows[number].cells) else text
            if printable(now) != text and now != texts.get((number, column)):
                raise _changed(number, self._name(column), now)
        changes = [
            RowChange(
                number,
                cells=_with(
                    row, {column: text for (row_number, column), text in texts.items() if row_number == number}
                ),
            )
            for number, row in rows.items()
        ]
        places = [f"row {number}, {self._name(column)}" for number, column in texts]
        return self._change(places[0] if len(places) == 1 else f"{len(places):,} cells", changes)

    def check_suggestion(self, number: int, column: int, text: str) -> None:
        """Raise `ChangedMeanwhile` if this text is no longer suggested for a cell, because it was changed."""
        name = self._name(column)
        for row in self._rows.shown([number]):
            suggested = {issue.suggestion for issue in row.issues if issue.column in (name, column_letters(column))}
            if text not in suggested | {row.cells[column]}:
                raise _changed(number, name, row.cells[column])

    def set_kind(self, kind: Kind, text: str | None) -> int:
        """Set all cells with a kind of problem to a text, or to the text that each message suggests."""
        column = self._column_of(kind)
        suggestions = self._rows.suggestions(kind) if text is None else {}
        numbers = list(suggestions) if text is None else self._rows.matching(kind=kind)
        return self._set(numbers, column, (lambda row: suggestions[row.number]) if text is None else lambda row: text)

    def fill(self, column: int, text: str, *, only_empty: bool) -> int:
        """Set a column in all rows, or in those where it is empty."""
        self._name(column)  # raises for a column that does not exist
        numbers = [row.number for row in self._rows.raw() if not only_empty or not row.cells[column].strip()]
        return self._set(numbers, column, lambda row: text)

    def restore(self, number: int, column: int) -> int:
        """Give a cell the text that it has in the file."""
        self._name(column)  # raises for a column that does not exist
        shown = self._rows.shown([number])
        if not shown or shown[0].original is None:
            return 0
        return self._set([number], column, lambda row: shown[0].original[column])  # type: ignore[index]

    def leave_out(self, numbers: Iterable[int], *, kind: Kind | None = None) -> int:
        """Leave rows out of the run, or all rows with a kind of problem."""
        numbers = self._rows.matching(kind=kind, left_out=False) if kind is not None else list(numbers)
        return self._change(_rows_left("left out", numbers), [RowChange(n, left_out=True) for n in numbers])

    def put_back(self, numbers: Iterable[int]) -> int:
        """Have rows that were left out in the run again."""
        numbers = list(numbers)
        return self._change(_rows_left("put back", numbers), [RowChange(n, left_out=False) for n in numbers])

    def accept(self, numbers: Iterable[int], *, kind: Kind | None = None) -> int:
        """Take rows as they are shown, whatever the reader found about whole rows and about their encoding."""
        numbers = self._rows.matching(kind=kind, left_out=False) if kind is not None else list(numbers)
        return self._change(_rows_left("taken as shown", numbers), [RowChange(n, accepted=True) for n in numbers])

    def take_back(self) -> int:
        """Take the last edit back."""
        numbers = self._rows.take_back()
        if numbers:
            check_changed(self._store, self._draft, numbers)
        return len(numbers)

    def _set(self, numbers: Sequence[int], column: int, text_of: Callable[[RawRow], str]) -> int:
        rows = self._rows.raw_of(numbers)
        changes = [RowChange(row.number, cells=_with(row, {column: text_of(row)})) for row in rows]
        where = f"row {rows[0].number}" if len(rows) == 1 else f"{len(rows):,} rows"
        return self._change(f"{self._name(column)} in {where}", changes)

    def _change(self, what: str, changes: Iterable[RowChange]) -> int:
        numbers = self._rows.change(what, changes, self._user)
        if numbers:
            check_changed(self._store, self._draft, numbers)
        return len(numbers)

    def _column_of(self, kind: Kind) -> int:
        for column in range(len(self._draft.header)):
            if kind[1] and kind[1] in (self._draft.header[column], column_letters(column)):
                return column
        raise UsageError("This problem is not one of a column; change the cells one by one.")

    def _name(self, column: int) -> str:
        if not 0 <= column < len(self._draft.header):
            raise UsageError("There is no such column.")
        return self._draft.header[column] or f"column {column_letters(column)}"


def _changed(number: int, name: str, text: str) -> ChangedMeanwhile:
    return ChangedMeanwhile(
        f"Row {number}, {name} is {show(text)} by now: somebody else has changed it. Look at it, and change it again if"
        " you want to."
    )


def _with(row: RawRow, texts: Mapping[int, str]) -> tuple[str, ...]:
    cells = list(row.cells)
    for column, text in texts.items():
        if column >= len(cells):
            raise UsageError("There is no such column.")
        if len(text) > LONGEST_CELL:
            raise UsageError(f"A cell has at most {LONGEST_CELL:,} characters.")
        cells[column] = text
    return tuple(cells)


def _rows_left(what: str, numbers: Sequence[int]) -> str:
    return f"row {numbers[0]} {what}" if len(numbers) == 1 else f"{len(numbers):,} rows {what}"
