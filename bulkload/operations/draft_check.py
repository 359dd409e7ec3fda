"""Check the rows of a draft: all of them, or only those that a change concerns.

In: a draft whose columns are chosen. Out: what is wrong with each row, in the store. The rows pass the same check as
those of a run; a row that repeats an earlier one is found again whenever one of the two changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from bulkload.errors import UsageError
from bulkload.model import Issue, RawRow, State, Status
from bulkload.monitors.columns import map_columns
from bulkload.monitors.header import ColumnMapping
from bulkload.stages.duplicates import DuplicateFinder
from bulkload.stages.intake import check_rows
from bulkload.store.draft_rows import IGNORED, LEFT_OUT, READY, CheckedRow, DraftRows
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.row_records import NewRow
from bulkload.store.runs import Store

BATCH = 1000  # rows a transaction
OnRows = Callable[[str, int], None]  # gets what was done, "read" or "checked", and to how many rows so far
NO_COLUMNS = ColumnMapping(header=(), fields=(), is_results=False, result_columns={}, user_columns=())


def ignore_rows(done: str, rows: int) -> None:
    """Nobody wants to know."""


def checked_by(draft: Draft, rows: Iterable[RawRow]) -> Iterator[NewRow]:
    """Check rows one by one; whether they repeat each other is not looked at.

    Raises `InputError` or `UsageError` at once for what people chose.
    """
    if draft.fields is None:
        raise UsageError("The draft's columns are not chosen yet.")
    mapping = map_columns(draft.header, draft.fields, given=tuple(draft.defaults))
    return check_rows(rows, mapping, defaults=draft.defaults)


def check_draft(store: Store, draft: Draft, on_rows: OnRows = ignore_rows) -> None:
    """Check all rows of a draft."""
    rows = DraftRows(store, draft)
    new_rows = checked_by(draft, rows.raw())
    rows.clear_checked()
    with DuplicateFinder() as duplicates:
        checked = (_checked_row(row, duplicates.mark(row)) for row in new_rows)
        count = 0
        while batch := list(islice(checked, BATCH)):
            rows.save_checked(batch)
            count += len(batch)
            on_rows("checked", count)
    rows.save_checked([CheckedRow(number, LEFT_OUT) for number in rows.matching(left_out=True)])
    Drafts(store).set_checked(draft)


def check_interrupted(store: Store, draft: Draft) -> None:
    """Check the rows again whose change was stored, but not checked before the program ended."""
    if draft.state is DraftState.CHECKED and (numbers := DraftRows(store, draft).unchecked()):
        check_changed(store, draft, numbers)


def check_changed(store: Store, draft: Draft, numbers: Sequence[int]) -> None:
    """Check the rows with these numbers again, and those that repeat them or that they repeated before."""
    rows = DraftRows(store, draft)
    repeated_before = {row.number for row in rows.related(numbers)}
    rows.save_checked(_without_repeats(rows, numbers))
    concerned = {*numbers, *repeated_before, *(row.number for row in rows.related(numbers))}
    with DuplicateFinder() as duplicates:
        new_rows = checked_by(draft, rows.raw_of(concerned))
        rows.save_checked([_checked_row(row, duplicates.mark(row)) for row in new_rows])


def _without_repeats(rows: DraftRows, numbers: Sequence[int]) -> list[CheckedRow]:
    """Check rows on their own; those of them that are left out are only noted."""
    kept = rows.raw_of(numbers)
    checked = [_checked_row(row, row) for row in checked_by(rows.draft, kept)]
    left_out = set(numbers) - {row.number for row in kept}
    no_rows = set(numbers) - left_out - {row.number for row in checked}
    return [
        *checked,
        *(CheckedRow(number, LEFT_OUT) for number in left_out),
        *(CheckedRow(number, IGNORED) for number in no_rows),
    ]


def _checked_row(row: NewRow, marked: NewRow) -> CheckedRow:
    """What is stored about a row; `marked` is the row after it was compared with the others."""
    issues = row.issues
    if marked.error and marked.error != row.error:
        severity = "error" if marked.state is Status.DUPLICATE else "warning"
        issues = (Issue(code="row.duplicate", message=marked.error, severity=severity), *issues)  # type: ignore[arg-type]
    return CheckedRow(
        number=row.source_row,
        state=READY if marked.state is State.PENDING else marked.state,
        error=row.error if not issues else "",
        issues=issues,
        key=row.key,
        given_id=row.given_monitor_id,
    )


def problem_of_default(field: str, text: str) -> str:
    """Why a value for empty cells cannot be used, as a sentence; empty if it can."""
    if not text:
        return ""
    try:
        check_rows((), NO_COLUMNS, defaults={field: text})
    except UsageError as error:
        return str(error)
    return ""
