"""The states of a run's rows; each row is in exactly one `State` or final `Status` and moves in one transaction.

In: `RowChange`s, as requests are sent and answered. Out: rows to work on, to match and to verify. A row becomes
`created` only with a monitor ID that no other row has and that was not in the account before the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from bulkload.model import Issue, State, Status
from bulkload.store.row_records import PendingRow, RowChange, RowToMatch, RowToVerify
from bulkload.store.runs import Run, Store, to_json

IN_DOUBT_ELSEWHERE = (
    "key IN (SELECT doubt.key FROM runs CROSS JOIN rows AS doubt ON doubt.run = runs.run AND doubt.state = 'doubt'"
    " WHERE runs.account = ? AND runs.run <> ?)"
)

WAITS = "An earlier run sent this row, and it is not known yet whether its monitor was created; nothing was sent again."

SELECT_MATCH = "SELECT position, source_row, type, body, patch, attempts, error AS note"


class RunRows:
    """The rows of one run."""

    def __init__(self, store: Store, run: Run, account_id: int) -> None:
        self.run = run
        self._store = store
        self._account_id = account_id
        self._db = store.db

    def pending(self, after: int, limit: int) -> list[PendingRow]:
        """The next rows to work on, in order, after a position."""
        with self._store.errors():
            return [
                PendingRow(*found)
                for found in self._db.execute(
                    "SELECT position, type, iif(monitor_id IS NULL, body, patch), monitor_id, error FROM rows"
                    " WHERE run = ? AND state = 'pending' AND position > ? ORDER BY position LIMIT ?",
                    (self.run.number, after, limit),
                )
            ]

    def in_flight(self) -> list[PendingRow]:
        """Rows of the run whose request has left, or is about to, and is not answered."""
        with self._store.errors():
            return [
                PendingRow(*found)
                for found in self._db.execute(
                    "SELECT position, type, body, NULL, error FROM rows WHERE run = ? AND state = 'sending'",
                    (self.run.number,),
                )
            ]

    def to_verify(self, after: int, limit: int) -> list[RowToVerify]:
        """The next rows that this run created or updated, in order, after a position."""
        with self._store.errors():
            return [
                RowToVerify(**dict(found))
                for found in self._db.execute(
                    "SELECT position, monitor_id, body FROM rows WHERE run = ? AND state IN ('created', 'updated')"
                    " AND position > ? ORDER BY position LIMIT ?",
                    (self.run.number, after, limit),
                )
            ]

    def count(self, state: State) -> int:
        """How many rows of the run are in a state that is not final; quick."""
        with self._store.errors():
            found = self._db.execute(
                f"SELECT count(*) FROM rows WHERE run = ? AND state = '{state}'", (self.run.number,)
            )
            return int(found.fetchone()[0])

    def count_final(self, status: Status) -> int:
        """How many rows of the run have a final status; reads the whole run."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT count(*) FROM rows WHERE run = ? AND state = ?", (self.run.number, status)
            ).fetchone()
            return int(found[0])

    def apply(self, changes: Iterable[RowChange]) -> list[RowChange]:
        """Move rows, all in one durable step.

        A row cannot become `created` with an ID that another row owns or that was in the account before the run: it
        is in doubt instead, and given back. Raises `LockLost` if the store is not this run's alone any more: no row is
        marked then, but what was found out is noted. After another run has taken over the store, that is only which
        monitor a row in doubt got; whatever else happened to a row, the other run knows better.
        """
        changes = list(changes)
        refused = []
        values: list[tuple[object, ...]] = []
        marks = [change for change in changes if change.state is State.SENDING or change.attempt]
        with self._store.transaction(even_lost=True):
            lost = self._store.lost(files=bool(marks))
            if lost is not None:
                changes = [
                    change
                    for change in changes
                    if change not in marks and (not lost.taken_over or self._is_news(change))
                ]
            for change in changes:
                if change.state is Status.CREATED and not self._claim(change):
                    if lost is not None and lost.taken_over:
                        continue  # the row is in doubt, which the other run settles
                    owned = f"the API answered with the ID {change.monitor_id}, which belongs to another monitor"
                    change = change._replace(state=State.DOUBT, monitor_id=None, error=owned)
                    refused.append(change)
                if change.state is Status.REMOVED:
                    self._db.execute(
                        "DELETE FROM monitors WHERE account = ? AND run = ? AND position = ?",
                        (self._account_id, change.run or self.run.number, change.position),
                    )
                if change.state is Status.UPDATED:  # by its ID a monitor may have got another identity
                    self._db.execute(
                        "UPDATE monitors SET key = rows.key FROM rows WHERE rows.run = ? AND rows.position = ?"
                        " AND monitors.account = ? AND monitors.monitor_id = rows.monitor_id AND rows.key IS NOT NULL",
                        (change.run or self.run.number, change.position, self._account_id),
                    )
                values.append(
                    (
                        change.state,
                        change.monitor_id,
                        change.error,
                        to_json(change.error_columns) if change.error_columns else None,
                        change.at,
                        change.patch,
                        change.attempt,
                        change.run or self.run.number,
                        change.position,
                    )
                )
            self._db.executemany(
                "UPDATE rows SET state = ?, monitor_id = coalesce(?, monitor_id), error = ?, error_columns = ?,"
                " at = ?, patch = coalesce(?, patch), attempts = attempts + ? WHERE run = ? AND position = ?",
                values,
            )
        if lost is not None:
            raise lost
        return refused

    def replace_warnings(self, code: str, remarks: Iterable[tuple[int, Issue]]) -> int:
        """Put warnings of one code on rows, by position, in place of all that the run had; returns how many."""
        count = 0
        with self._store.transaction():
            old = self._db.execute(
                "SELECT position, issues FROM rows WHERE run = ? AND instr(issues, ?)",
                (self.run.number, f'"code":"{code}"'),
            ).fetchall()
            for position, issues in old:
                kept = [issue for issue in json.loads(issues) if issue["code"] != code]
                self._set_issues(position, kept)
            for position, issue in remarks:
                found = self._db.execute(
                    "SELECT issues FROM rows WHERE run = ? AND position = ?", (self.run.number, position)
                ).fetchone()
                self._set_issues(position, [*json.loads(found[0] or "[]"), asdict(issue)])
                count += 1
        return count

    def was_updated_before(self, row: RowToMatch, monitor_id: str, field: str) -> bool:
        """True if an earlier run changed this field of a monitor to what a row of the same identity asks for."""
        wanted = json.loads(row.body).get(field)
        with self._store.errors():
            patches = self._db.execute(
                "SELECT old.patch FROM rows AS now JOIN rows AS old ON old.key = now.key AND old.run < now.run"
                " WHERE now.run = ? AND now.position = ? AND old.state = 'updated' AND old.monitor_id = ?",
                (self.run.number, row.position, monitor_id),
            ).fetchall()
        return any(json.loads(patch).get(field) == wanted for (patch,) in patches if patch)

    def row_with_key(self, key: bytes) -> tuple[int, str | None] | None:
        """Position and monitor of the run's row with an identity."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT position, monitor_id FROM rows WHERE key = ? AND run = ?", (key, self.run.number)
            ).fetchone()
        return tuple(found) if found else None

    def hold_back(self) -> int:
        """Let rows wait whose monitor another run left in doubt; returns how many."""
        return self._move(State.PENDING, State.WAITING, IN_DOUBT_ELSEWHERE, WAITS)

    def release(self) -> int:
        """Make waiting rows pending again whose monitor is in doubt no longer; returns how many."""
        return self._move(State.WAITING, State.PENDING, f"NOT {IN_DOUBT_ELSEWHERE}")

    def forget_matches(self) -> None:
        """Forget which monitors pending rows were to change; the account may hold others by now."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET monitor_id = NULL WHERE run = ? AND state = 'pending' AND monitor_id IS NOT NULL",
                (self.run.number,),
            )

    def mark_repeats(self) -> None:
        """Rows that repeat another one and name a monitor that is not there are duplicates after all."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET state = 'duplicate' WHERE run = ?"
                " AND state = 'pending' AND key IS NULL AND monitor_id IS NULL",
                (self.run.number,),
            )

    def naming(self, monitor_id: str, key: bytes | None) -> list[RowToMatch]:
        """Pending rows whose file names this monitor; `key` is the monitor's identity in the account."""
        with self._store.errors():
            return [
                RowToMatch(**dict(found))
                for found in self._db.execute(
                    f"{SELECT_MATCH}, key IS NOT ? AS other_identity FROM rows"
                    " WHERE names = ? AND run = ? AND state = 'pending'",
                    (key, monitor_id, self.run.number),
                )
            ]

    def pending_with(self, key: bytes) -> RowToMatch | None:
        """The pending row with an identity; there is at most one in a run."""
        with self._store.errors():
            found = self._db.execute(
                f"{SELECT_MATCH} FROM rows WHERE key = ? AND run = ? AND state = 'pending'", (key, self.run.number)
            ).fetchone()
        return RowToMatch(**dict(found)) if found else None

    def finished_in_file_count(self) -> int:
        """How many rows the input, a results file, calls finished."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT count(*) FROM rows WHERE run = ? AND finished_in_file", (self.run.number,)
            ).fetchone()
            return int(found[0])

    def finished_in_file(self) -> list[tuple[int, str]]:
        """Rows to be created that the input, a results file, calls finished: position and monitor ID."""
        with self._store.errors():
            return self._db.execute(
                "SELECT position, names FROM rows"
                " WHERE run = ? AND state = 'pending' AND finished_in_file AND monitor_id IS NULL",
                (self.run.number,),
            ).fetchall()

    def _move(self, old: State, new: State, condition: str, error: str = "") -> int:
        with self._store.transaction():
            return self._db.execute(
                f"UPDATE rows SET state = '{new}', error = ? WHERE run = ? AND state = '{old}' AND {condition}",
                (error, self.run.number, self._account_id, self.run.number),
            ).rowcount

    def _set_issues(self, position: int, issues: Sequence[object]) -> None:
        self._db.execute(
            "UPDATE rows SET issues = ? WHERE run = ? AND position = ?",
            (to_json(issues) if issues else None, self.run.number, position),
        )

    def _is_news(self, change: RowChange) -> bool:
        """True if a change says which monitor a row got that is in doubt."""
        return change.state is Status.CREATED and self._found(
            "SELECT 1 FROM rows WHERE run = ? AND position = ? AND state = 'doubt'",
            change.run or self.run.number,
            change.position,
        )

    def _claim(self, change: RowChange) -> bool:
        """Note that a monitor is a row's, if it is not already; False if it is another's."""
        run = change.run or self.run.number
        claimed = self._db.execute(
            "INSERT OR IGNORE INTO monitors (account, monitor_id, key, run, position, at)"
            " SELECT ?1, ?2, key, run, position, ?3 FROM rows WHERE run = ?4 AND position = ?5"
            " AND NOT EXISTS (SELECT 1 FROM earlier WHERE run = ?4 AND monitor_id = ?2)",
            (self._account_id, change.monitor_id, change.at, run, change.position),
        )
        return claimed.rowcount == 1 or self._found(
            "SELECT 1 FROM monitors WHERE account = ? AND monitor_id = ? AND run = ? AND position = ?",
            self._account_id,
            change.monitor_id,
            run,
            change.position,
        )

    def _found(self, sql: str, *values: object) -> bool:
        with self._store.errors():
            return self._db.execute(sql, values).fetchone() is not None
