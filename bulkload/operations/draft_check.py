"""Check the rows of a draft: all of them, or only those that a change concerns.

In: a draft whose columns are chosen. Out: what is wrong with each row, in the store. The rows pass the same check as
those of a run. What it says of a row depends on the row itself, on its neighbours if one of them ends early, and on the
rows that may mean the same monitor; so these are checked again, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice

from bulkload.errors import BulkloadError, UsageError
from bulkload.model import Issue, RawRow, State, Status
from bulkload.monitors.columns import map_columns
from bulkload.stages.duplicates import DuplicateFinder
from bulkload.stages.intake import check_rows
from bulkload.store.draft_checks import DraftChecks
from bulkload.store.draft_records import IGNORED, LEFT_OUT, READY, CheckedRow
from bulkload.store.draft_rows import DraftRows, stream
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.row_records import NewRow
from bulkload.store.runs import Store

DUPLICATE = "row.duplicate"  # code of the issue of a row that repeats an earlier one
BATCH = 1000  # rows a transaction
MOST_AT_ONCE = 5_000  # rows that are checked apart from the others; more are quicker checked all together

OnRows = Callable[[str, int], None]  # gets what was done, "read" or "checked", and to how many rows so far


def ignore_rows(done: str, rows: int) -> None:
    """Nobody wants to know."""


def check_draft(store: Store, draft: Draft, on_rows: OnRows = ignore_rows) -> None:
    """Check all rows of a draft."""
    drafts, checks = Drafts(store), DraftChecks(store, draft)
    if draft.fields is None:
        raise UsageError("The draft's columns are not chosen yet.")
    new_rows = _check(draft, DraftRows(store, draft).raw())
    checks.begin()
    try:
        with DuplicateFinder() as duplicates:
            checked = (_checked_row(row, duplicates.mark(row)) for row in new_rows)
            count = 0
            while batch := list(islice(checked, BATCH)):
                checks.save(batch)
                count += len(batch)
                on_rows("checked", count)
    except BulkloadError:
        drafts.set_columns(draft, draft.fields, draft.defaults)  # from there, a person can have them checked again
        raise
    drafts.set_checked(draft)


def check_changed(store: Store, draft: Draft, numbers: Iterable[int]) -> None:
    """Check the rows with these numbers again, and those that the change concerns besides."""
    draft = Drafts(store).get(draft.id)  # the change has given it a new version
    rows, checks = DraftRows(store, draft), DraftChecks(store, draft)
    changed = {*numbers, *checks.unchecked()}
    if len(changed) > MOST_AT_ONCE:
        return check_draft(store, draft)
    changed |= rows.beside_short(changed)[1]
    if (same_before := checks.connected(changed, MOST_AT_ONCE)) is None:
        return check_draft(store, draft)
    checks.save(_checked_rows(rows, changed, None))  # each on its own: now it is known what they mean
    if (same := checks.connected(same_before, MOST_AT_ONCE)) is None:
        return check_draft(store, draft)
    with DuplicateFinder() as duplicates:
        checks.save(_checked_rows(rows, same, duplicates))
    return None


def check_interrupted(store: Store) -> None:
    """Check what earlier processes had not checked when they ended."""
    for draft in Drafts(store).list():
        if draft.state is DraftState.CHECKING:
            check_draft(store, draft)
        elif draft.state is DraftState.CHECKED and DraftChecks(store, draft).unchecked():
            check_changed(store, draft, ())


def _checked_rows(rows: DraftRows, numbers: Collection[int], duplicates: DuplicateFinder | None) -> list[CheckedRow]:
    """What the check says about some rows, in order; without `duplicates`, about each on its own."""
    checked = {
        row.source_row: _checked_row(row, row if duplicates is None else duplicates.mark(row))
        for row in _new_rows(rows, numbers)
    }
    others = rows.stored_of(number for number in numbers if number not in checked)
    no_rows = (CheckedRow(row.number, LEFT_OUT if row.left_out else IGNORED) for row in others)
    return [*checked.values(), *no_rows]


def _new_rows(rows: DraftRows, numbers: Collection[int]) -> Iterator[NewRow]:
    """Check some rows, in order; those whose neighbours matter are checked together with these."""
    beside, _ = rows.beside_short(numbers)
    alone = _check(rows.draft, stream(rows.stored_of(number for number in numbers if number not in beside)))
    together = chain.from_iterable(
        (row for row in _check(rows.draft, stream(rows.with_neighbours(number))) if row.source_row == number)
        for number in sorted(beside)
    )
    return heapq.merge(alone, together, key=lambda row: row.source_row)


def _check(draft: Draft, rows: Iterable[RawRow]) -> Iterator[NewRow]:
    """Check rows; whether they repeat each other is not looked at."""
    mapping = map_columns(draft.header, draft.fields or (), given=tuple(draft.defaults))
    return check_rows(rows, mapping, defaults=draft.defaults)


def _checked_row(row: NewRow, marked: NewRow) -> CheckedRow:
    """What is stored about a row; `marked` is the row after it was compared with the others."""
    issues = row.issues
    if marked.error and marked.error != row.error:
        is_duplicate = marked.state is Status.DUPLICATE
        repeats = Issue(code=DUPLICATE, message=marked.error, severity="error" if is_duplicate else "warning")
        issues = (repeats, *issues)
    return CheckedRow(
        number=row.source_row,
        state=READY if marked.state is State.PENDING else marked.state,
        error=row.error if not issues else "",
        issues=issues,
        key=row.key,
        given_id=row.given_monitor_id,
    )
