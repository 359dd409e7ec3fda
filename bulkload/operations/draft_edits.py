"""Correct a draft: a cell, all cells with the same kind of problem, a column; leave rows out; take an edit back.

In: a draft, and what a person wants changed. Out: how many rows were changed; they are checked again. Every edit can be
taken back, and says what it was. A cell that somebody else has changed in the meantime is not overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.model import Issue
from bulkload.monitors.columns import map_columns
from bulkload.monitors.header import column_letters
from bulkload.monitors.values import show
from bulkload.operations.draft_check import DUPLICATE, check_changed
from bulkload.store.draft_checks import DraftChecks
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import KindKey, RowChange
from bulkload.store.draft_rows import DraftRows, StoredRow, can_be_accepted
from bulkload.store.drafts import Draft
from bulkload.store.runs import Store

LONGEST_CELL = 10_000  # characters
_FOUND_IN_FILE = ("row.", "cell.")  # prefixes of the codes of what is no matter of a field


class ChangedMeanwhile(UsageError):
    """Somebody else changed a cell since it was shown."""


class DraftEditor:
    """Makes the edits of one person in one draft."""

    def __init__(self, store: Store, draft: Draft, user: str = "") -> None:
        self._store = store
        self._draft = draft
        self._user = user
        self._rows = DraftRows(store, draft)
        self._fixed = fixed_columns(draft)

    @property
    def version(self) -> int:
        """The version of the draft that is edited."""
        return self._draft.version

    def set_cells(self, texts: Mapping[tuple[int, int], str], expected: Mapping[tuple[int, int], str]) -> int:
        """Set cells, by row number and column index; `expected` has the texts that the person saw.

        Raises `ChangedMeanwhile`, and changes nothing, if one of them is different by now.
        """
        cells = {row.number: _cells(row) for row in self._rows.stored_of({number for number, _ in texts})}
        for (number, column), text in texts.items():
            self._check_text(column, text)
            if number not in cells:
                raise UsageError(f"There is no row {number}.")
            now, seen = cells[number][column], expected.get((number, column))
            if seen is not None and seen != printable(now) != text:
                raise _changed(number, self._name(column), now)
        for (number, column), text in texts.items():
            cells[number][column] = text
        places = [f"row {number}, {self._name(column)}" for number, column in texts]
        what = places[0] if len(places) == 1 else f"{len(places):,} cells"
        return self._change(what, [RowChange(number, cells=tuple(row)) for number, row in cells.items()])

    def check_suggestion(self, number: int, column: int, text: str) -> None:
        """Raise `ChangedMeanwhile` if this text is no longer suggested for a cell, because it was changed."""
        name = self._name(column)
        for row in DraftPages(self._store, self._draft).shown([number]):
            suggested = {issue.suggestion for issue in row.issues if issue.index == column}
            if text not in suggested | {row.cells[column]}:
                raise _changed(number, name, row.cells[column])

    def set_kind(self, kind: KindKey, text: str | None) -> int:
        """Set all cells with a kind of problem to a text, or to the text that each message suggests."""
        if not kind[1].isdecimal():
            raise UsageError("This problem is not one of a column; change the cells one by one.")
        column = int(kind[1])
        if text is None:
            suggestions = DraftChecks(self._store, self._draft).suggestions(kind)
            return self._set(self._rows.stored_of(suggestions), column, lambda row: suggestions[row.number])
        numbers = DraftPages(self._store, self._draft).numbers(kind=kind)
        return self._set(self._rows.stored_of(numbers), column, lambda row: text)

    def fill(self, column: int, text: str, *, only_empty: bool) -> int:
        """Set a column in all rows that are not left out, or in those of them where it is empty."""
        self._check_text(column, text)
        rows = (row for row in self._rows.stored() if not only_empty or not _cells(row)[column].strip())
        return self._set(rows, column, lambda row: text)

    def restore(self, number: int, column: int) -> int:
        """Give a cell the text that it has in the file."""
        self._check_text(column, "")
        rows = self._rows.stored_of([number])
        return self._set(rows, column, lambda row: str(json.loads(row.original or row.cells)[column]))

    def leave_out(self, numbers: Iterable[int], *, kind: KindKey | None = None) -> int:
        """Leave rows out of the run, or all rows with a kind of problem."""
        numbers = self._numbers(numbers, kind)
        return self._change(_what(numbers, "left out"), [RowChange(number, left_out=True) for number in numbers])

    def put_back(self, numbers: Iterable[int]) -> int:
        """Have rows that were left out in the run again."""
        numbers = list(numbers)
        return self._change(_what(numbers, "put back"), [RowChange(number, left_out=False) for number in numbers])

    def accept(self, numbers: Iterable[int], *, kind: KindKey | None = None) -> int:
        """Take rows as they are shown, whatever the reader found about whole rows and about their encoding."""
        numbers = self._numbers(numbers, kind)
        return self._change(_what(numbers, "taken as shown"), [RowChange(number, accepted=True) for number in numbers])

    def take_back(self) -> int:
        """Take the last edit back."""
        return self._check(self._rows.take_back())

    def _set(self, rows: Iterable[StoredRow], column: int, text_of: Callable[[StoredRow], str]) -> int:
        """Set a column in rows; those that are left out stay as they are."""
        count, first = 0, 0

        def changes() -> Iterable[RowChange]:
            nonlocal count, first
            for row in rows:
                text, cells = text_of(row), _cells(row)
                self._check_text(column, text)
                if row.left_out or cells[column] == text:
                    continue
                cells[column] = text
                count, first = count + 1, first or row.number
                yield RowChange(row.number, cells=tuple(cells))

        def what() -> str:
            return f"{self._name(column)} in " + (f"row {first}" if count == 1 else f"{count:,} rows")

        return self._change(what, changes())

    def _change(self, what: str | Callable[[], str], changes: Iterable[RowChange]) -> int:
        return self._check(self._rows.change(what, changes, self._user))

    def _check(self, changed: list[int]) -> int:
        if changed:
            check_changed(self._store, self._draft, changed)
        return len(changed)

    def _numbers(self, numbers: Iterable[int], kind: KindKey | None) -> list[int]:
        return list(numbers) if kind is None else DraftPages(self._store, self._draft).numbers(kind=kind)

    def _check_text(self, column: int, text: str) -> None:
        """Raise `UsageError` if a column cannot have this text."""
        if not 0 <= column < len(self._draft.header):
            raise UsageError("There is no such column.")
        if column in self._fixed:
            raise UsageError(f"{self._name(column)} says what an earlier run did, so it cannot be changed.")
        if len(text) > LONGEST_CELL:
            raise UsageError(f"A cell has at most {LONGEST_CELL:,} characters.")

    def _name(self, column: int) -> str:
        return self._draft.header[column] or f"column {column_letters(column)}"


def _changed(number: int, name: str, text: str) -> ChangedMeanwhile:
    return ChangedMeanwhile(
        f"Row {number}, {name} is {show(text)} by now: somebody else has changed it. Look at it, and change it again if"
        " you want to."
    )


def fixed_columns(draft: Draft) -> frozenset[int]:
    """The columns of a results file that nobody can change: what an earlier run did with a row is a fact.

    The ID that a row gives can be corrected; the check and the account say whether it is one.
    """
    if draft.fields is None:
        return frozenset()
    mapping = map_columns(draft.header, draft.fields, given=tuple(draft.defaults))
    return frozenset(index for name, index in mapping.result_columns.items() if name != "monitor_id")


def can_accept(issues: Iterable[Issue], cells: Sequence[str]) -> bool:
    """True if one of these issues of a row is an error that `DraftEditor.accept` settles."""
    return any(
        issue.severity == "error"
        and issue.code.startswith(_FOUND_IN_FILE)
        and issue.code != DUPLICATE
        and can_be_accepted(issue, cells)
        for issue in issues
    )


def _what(numbers: Sequence[int], what: str) -> str:
    return f"row {numbers[0]} {what}" if len(numbers) == 1 else f"{len(numbers):,} rows {what}"


def _cells(row: StoredRow) -> list[str]:
    cells: list[str] = json.loads(row.cells)
    return cells
