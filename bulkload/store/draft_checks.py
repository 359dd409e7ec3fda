"""What a check and the account say about the rows of a draft.

In: results of checks and of comparisons with the account. Out: the rows that may repeat each other, and those that were
changed and not checked since.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from bulkload.store.draft_records import IGNORED, LEFT_OUT, READY, CheckedRow, KindKey, PlannedRow, issue_record
from bulkload.store.draft_rows import RANK_UNCHECKED
from bulkload.store.drafts import NO_PLAN, Draft, Drafts, DraftState
from bulkload.store.runs import Store
from bulkload.store.stored_rows import to_json

_RANK_BAD, _RANK_WARNING, _RANK_GOOD, _RANK_OUT = range(4)  # the order in which rows are shown

_SAME = "SELECT number, own_key, given_id FROM draft_rows {} WHERE draft = ? AND {} IN (SELECT value FROM json_each(?))"
_BY_NUMBER = _SAME.format("", "number")
_BY_MONITOR = {  # without statistics, SQLite would rather read the whole draft
    "own_key": _SAME.format("INDEXED BY draft_rows_key", "own_key"),
    "given_id": _SAME.format("INDEXED BY draft_rows_given", "given_id"),
}


class DraftChecks:
    """The results for the rows of one draft."""

    def __init__(self, store: Store, draft: Draft) -> None:
        self._draft = draft
        self._store = store
        self._db = store.db

    def begin(self) -> None:
        """Forget what checks said, before all rows are checked; until that is done, the draft cannot be run."""
        number = self._draft.number
        with self._store.transaction():
            Drafts(self._store).require(self._draft)
            self._db.execute("UPDATE drafts SET state = ? WHERE draft = ?", (DraftState.CHECKING, number))
            self._db.execute("DELETE FROM draft_issues WHERE draft = ?", (number,))
            self._db.execute(
                "UPDATE draft_rows SET state = iif(left_out, ?, ?), rank = ?, error = '', own_key = NULL,"
                f" given_id = NULL, {NO_PLAN} WHERE draft = ?",
                (LEFT_OUT, IGNORED, _RANK_OUT, number),
            )

    def save(self, rows: Sequence[CheckedRow]) -> None:
        """Record what a check says about rows; what the account has for them is forgotten.

        Raises `DraftChanged` if the draft was deleted.
        """
        number = self._draft.number
        with self._store.transaction():
            Drafts(self._store).require(self._draft)
            self._db.executemany(
                "DELETE FROM draft_issues WHERE draft = ? AND number = ?", [(number, row.number) for row in rows]
            )
            self._db.executemany(
                f"UPDATE draft_rows SET state = ?, rank = ?, error = ?, own_key = ?, given_id = ?, {NO_PLAN}"
                " WHERE draft = ? AND number = ?",
                [(row.state, _rank(row), row.error, row.key, row.given_id, number, row.number) for row in rows],
            )
            self._db.executemany(
                "INSERT INTO draft_issues (draft, number, place, code, header, severity, suggestion, issue)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(number, row.number, place, issue.code, "" if issue.index is None else str(issue.index)),
                        *(issue.severity, issue.suggestion, to_json(issue_record(issue))),
                    )
                    for row in rows
                    for place, issue in enumerate(row.issues)
                ],
            )

    def unchecked(self) -> list[int]:
        """The numbers of rows that were changed and not checked since, because the process was interrupted."""
        with self._store.errors():
            rows = self._db.execute(
                "SELECT number FROM draft_rows WHERE draft = ? AND rank = ?", (self._draft.number, RANK_UNCHECKED)
            )
            return [number for (number,) in rows]

    def connected(self, numbers: Iterable[int], most: int) -> set[int] | None:
        """Rows that may repeat some rows, or rows that may repeat those, and so on; None if they are more than `most`.

        Two rows may repeat each other if they mean the same monitor, or give the ID of the same monitor.
        """
        found, known = set[int](), {"own_key": set[str](), "given_id": set[str]()}
        rows = self._select(_BY_NUMBER, numbers)
        while rows:
            found.update(row["number"] for row in rows)
            if len(found) > most:
                return None
            same: list[sqlite3.Row] = []
            for column, query in _BY_MONITOR.items():
                new = {row[column] for row in rows if row[column] is not None} - known[column]
                known[column] |= new
                same += self._select(query, new) if new else ()
            rows = same
        return found

    def suggestions(self, kind: KindKey) -> dict[int, str]:
        """The suggested text for each row with a kind of issue, where one is known."""
        with self._store.errors():
            return dict(
                self._db.execute(
                    "SELECT number, suggestion FROM draft_issues INDEXED BY draft_issues_kind"
                    " WHERE draft = ? AND code = ? AND header = ? AND suggestion <> '' ORDER BY number, place DESC",
                    (self._draft.number, *kind),
                ).fetchall()
            )

    def forget_planned(self) -> None:
        """Forget what the account has for the rows."""
        with self._store.transaction():
            Drafts(self._store).require(self._draft)
            self._db.execute(f"UPDATE draft_rows SET {NO_PLAN} WHERE draft = ?", (self._draft.number,))

    def save_planned(self, rows: Iterable[PlannedRow]) -> None:
        """Record what the account has for rows, unless the draft was changed since it was compared."""
        draft = self._draft
        values = [
            (row.status, row.monitor_id, row.error, draft.number, row.number, draft.id, draft.version) for row in rows
        ]
        with self._store.transaction():
            self._db.executemany(
                "UPDATE draft_rows SET planned = ?1, planned_id = ?2, planned_error = ?3 WHERE draft = ?4"
                " AND number = ?5 AND (SELECT version FROM drafts WHERE id = ?6) = ?7",
                values,
            )

    def _select(self, query: str, values: Iterable[object]) -> list[sqlite3.Row]:
        with self._store.errors():
            return self._db.execute(query, (self._draft.number, to_json(list(values)))).fetchall()


def _rank(row: CheckedRow) -> int:
    if row.state in (IGNORED, LEFT_OUT):
        return _RANK_OUT
    if row.state != READY:
        return _RANK_BAD
    return _RANK_WARNING if row.issues else _RANK_GOOD
