"""What a check and the account say about the rows of a draft.

In: results of checks and of comparisons with the account. Out: the rows that may repeat each other, and those that were
changed and not checked since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bulkload.store.draft_records import IGNORED, LEFT_OUT, READY, CheckedRow, KindKey, PlannedRow, issue_record
from bulkload.store.draft_rows import RANK_UNCHECKED
from bulkload.store.drafts import NO_PLAN, Draft, Drafts, DraftState
from bulkload.store.runs import Store, to_json

_RANK_BAD, _RANK_WARNING, _RANK_GOOD, _RANK_OUT = range(4)  # the order in which rows are shown


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
        found: set[int] = set()
        keys: set[str] = set()
        ids: set[str] = set()
        conditions, values = (
            ["WHERE draft = ?1 AND number IN (SELECT value FROM json_each(?2))"],
            [to_json(sorted(numbers))],
        )
        while True:
            with self._store.errors():
                # the indexes are named, because without statistics, SQLite would read all rows of the draft
                select = "SELECT number, own_key, given_id FROM draft_rows"
                rows = self._db.execute(
                    " UNION ".join(f"{select} {condition}" for condition in conditions), (self._draft.number, *values)
                ).fetchall()
            found.update(row["number"] for row in rows)
            new_keys = {row["own_key"] for row in rows if row["own_key"] is not None} - keys
            new_ids = {row["given_id"] for row in rows if row["given_id"] is not None} - ids
            if len(found) > most:
                return None
            if not (new_keys or new_ids):
                return found
            keys |= new_keys
            ids |= new_ids
            conditions = [
                "INDEXED BY draft_rows_key WHERE draft = ?1 AND own_key IN (SELECT value FROM json_each(?2))",
                "INDEXED BY draft_rows_given WHERE draft = ?1 AND given_id IN (SELECT value FROM json_each(?3))",
            ]
            values = [to_json(sorted(new_keys)), to_json(sorted(new_ids))]

    def suggestions(self, kind: KindKey) -> dict[int, str]:
        """The suggested text for each row with a kind of issue, where one is known."""
        with self._store.errors():
            return dict(
                self._db.execute(
                    "SELECT number, suggestion FROM draft_issues WHERE draft = ? AND code = ? AND header = ?"
                    " AND suggestion <> '' ORDER BY number, place DESC",
                    (self._draft.number, *kind),
                ).fetchall()
            )

    def forget_planned(self) -> None:
        """Forget what the account has for the rows."""
        with self._store.transaction():
            self._db.execute(f"UPDATE draft_rows SET {NO_PLAN} WHERE draft = ?", (self._draft.number,))

    def save_planned(self, rows: Iterable[PlannedRow]) -> None:
        """Record what the account has for rows, unless the draft was changed since it was compared."""
        draft = self._draft
        values = [(row.status, row.monitor_id, row.error, draft.number, row.number, draft.version) for row in rows]
        with self._store.transaction():
            self._db.executemany(
                "UPDATE draft_rows SET planned = ?1, planned_id = ?2, planned_error = ?3 WHERE draft = ?4"
                " AND number = ?5 AND (SELECT version FROM drafts WHERE draft = ?4) = ?6",
                values,
            )


def _rank(row: CheckedRow) -> int:
    if row.state in (IGNORED, LEFT_OUT):
        return _RANK_OUT
    if row.state != READY:
        return _RANK_BAD
    return _RANK_WARNING if row.issues else _RANK_GOOD
