"""The states of a run's rows; each row is in exactly one `State` or final `Status` and moves in one transaction.

In: `RowChange`s, as requests are sent and answered. Out: rows to send, to match and to verify. A row becomes `created`
only with a monitor ID that no other row has and that was not in the account before the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from bulkload.errors import StoreError
from bulkload.model import Issue, State, Status
from bulkload.store.row_records import NewRow, PendingRow, RowChange, RowToMatch, RowToVerify
from bulkload.store.runs import Run, Store
from bulkload.store.stored_rows import to_json

IN_DOUBT_ELSEWHERE = (
    "key IN (SELECT doubt.key FROM runs CROSS JOIN rows AS doubt ON doubt.run = runs.run AND doubt.state = 'doubt'"
    " WHERE runs.account = ? AND runs.run <> ?)"
)

HELD_BACK = (
    "An earlier run sent this row, and it is not known yet whether its monitor was created; nothing was sent again."
)

CLAIM = (  # a monitor for the row that created it
    "INSERT OR IGNORE INTO monitors (account, monitor_id, key, run, position, at)"
    " SELECT ?1, ?2, key, run, position, ?3 FROM rows WHERE run = ?4 AND position = ?5"
    " AND NOT EXISTS (SELECT 1 FROM earlier WHERE run = ?4 AND monitor_id = ?2)"
)

WARNINGS_STORED_AT_ONCE = 5_000

SELECT_MATCH = "SELECT position, source_row, type, body, patch, attempts, error AS note"


class RunRows:
    """The rows of one run."""

    def __init__(self, store: Store, run: Run, account_id: int) -> None:
        self.run = run
        self._store = store
        self._account_id = account_id
        self._db = store.db

    def pending(self, after: int, limit: int) -> list[PendingRow]:
        """The next rows to send, in order, after a position."""
        with self._store.errors():
            return [
                PendingRow(*row)
                for row in self._db.execute(
                    "SELECT position, type, iif(monitor_id IS NULL, body, patch), monitor_id, error FROM rows"
                    " WHERE run = ? AND state = 'pending' AND position > ? ORDER BY position LIMIT ?",
                    (self.run.number, after, limit),
                )
            ]

    def planned(self) -> Iterator[tuple[bool, str]]:
        """The rows to send, in order: true if their monitor exists, and the body of the create or of the update."""
        with self._store.errors():
            for exists, body in self._db.execute(
                "SELECT monitor_id IS NOT NULL, iif(monitor_id IS NULL, body, patch) FROM rows"
                " WHERE run = ? AND state = 'pending' ORDER BY position",
                (self.run.number,),
            ):
                yield bool(exists), body

    def as_read(self) -> Iterator[NewRow]:
        """All rows in order, as they were read: without their issues, and whatever became of them."""
        with self._store.errors():
            for source_row, cells, type_, body, given_id in self._db.execute(
                "SELECT source_row, cells, type, body, names FROM rows WHERE run = ? ORDER BY position",
                (self.run.number,),
            ):
                yield NewRow(
                    source_row=source_row,
                    cells=tuple(json.loads(cells)),
                    state=State.PENDING if body is not None else Status.INVALID,
                    type=type_,
                    body=body,
                    given_monitor_id=given_id,
                )

    def has_creates(self) -> bool:
        """True if a row is to be created."""
        return self._exists(
            "SELECT 1 FROM rows WHERE run = ? AND state = 'pending' AND monitor_id IS NULL LIMIT 1", self.run.number
        )

    def count_creates(self) -> int:
        """The number of pending rows without a monitor, which are to be created."""
        with self._store.errors():
            sql = "SELECT count(*) FROM rows WHERE run = ? AND state = 'pending' AND monitor_id IS NULL"
            return int(self._db.execute(sql, (self.run.number,)).fetchone()[0])

    def was_attempted(self) -> bool:
        """True if a pending row was sent before; of a run that is new, none was."""
        return self._exists(
            "SELECT 1 FROM rows WHERE run = ? AND state = 'pending' AND attempts > 0 LIMIT 1", self.run.number
        )

    def in_flight(self) -> list[PendingRow]:
        """Rows of the run whose request was sent, or is about to be, and has no response yet."""
        with self._store.errors():
            return [
                PendingRow(*row)
                for row in self._db.execute(
                    "SELECT position, type, body, NULL, error FROM rows WHERE run = ? AND state = 'sending'",
                    (self.run.number,),
                )
            ]

    def to_verify(self, after: int, limit: int) -> list[RowToVerify]:
        """The next rows that this run created or updated, in order, after a position."""
        with self._store.errors():
            return [
                RowToVerify(**dict(row))
                for row in self._db.execute(
                    "SELECT position, monitor_id, body FROM rows WHERE run = ? AND state IN ('created', 'updated')"
                    " AND position > ? ORDER BY position LIMIT ?",
                    (self.run.number, after, limit),
                )
            ]

    def count(self, state: State) -> int:
        """The number of rows of the run in a state that is not final; fast."""
        with self._store.errors():
            row = self._db.execute(
                f"SELECT count(*) FROM rows WHERE run = ? AND state = '{state}'", (self.run.number,)
            ).fetchone()
            return int(row[0])

    def count_final(self, status: Status) -> int:
        """The number of rows of the run with a final status; reads the whole run."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT count(*) FROM rows WHERE run = ? AND state = ?", (self.run.number, status)
            ).fetchone()
            return int(row[0])

    def apply(self, changes: Iterable[RowChange], *, sending: Sequence[int] = ()) -> list[RowChange]:
        """Change rows, and mark pending rows as being sent, in one transaction; returns the changes that were refused.

        `sending` are the positions of the rows to mark. A row to create becomes `sending`; a row to update stays
        pending, and its attempt tells later sessions that this program made the change.

        A row cannot become `created` with an ID that another row has or that was in the account before the run: it is
        put in doubt instead, and the change is refused. Raises `LockLost` if this process no longer holds the store:
        then no row is marked, but results are stored. If another run has taken over the store, only the monitors of
        rows in doubt are stored; about everything else, the other run has newer information.

        `OR ROLLBACK`, because with `ABORT`, the default, SQLite first copies each changed page to a temporary file.
        """
        changes = list(changes)
        refused: list[RowChange] = []
        with self._store.transaction(allow_lost_lock=True):
            lock_lost = self._store.lock_lost(check_files=bool(sending))
            if lock_lost is not None and lock_lost.taken_over:
                changes = [change for change in changes if self._resolves_doubt(change) and self._claim(change)]
            else:
                changes, refused = self._claim_all(changes)
            self._change_monitors(changes)
            self._db.executemany(
                "UPDATE OR ROLLBACK rows SET state = ?, monitor_id = coalesce(?, monitor_id), error = ?,"
                " error_columns = ?, at = ?, patch = coalesce(?, patch), attempts = attempts - ?"
                " WHERE run = ? AND position = ?",
                [
                    (
                        change.state,
                        change.monitor_id,
                        change.error,
                        to_json(change.error_columns) if change.error_columns else None,
                        change.at,
                        change.patch,
                        change.unsent,
                        change.run or self.run.number,
                        change.position,
                    )
                    for change in changes
                ],
            )
            if sending and lock_lost is None:
                marked = self._db.execute(
                    "UPDATE OR ROLLBACK rows"
                    " SET state = iif(monitor_id IS NULL, 'sending', 'pending'), attempts = attempts + 1"
                    " WHERE run = ? AND position IN (SELECT value FROM json_each(?)) AND state = 'pending'",
                    (self.run.number, to_json(sending)),
                )
                if marked.rowcount != len(sending):
                    raise StoreError("Rows that were about to be sent are no longer to be sent.")
        if lock_lost is not None:
            raise lock_lost
        return refused

    def _claim_all(self, changes: list[RowChange]) -> tuple[list[RowChange], list[RowChange]]:
        """Record the created monitors; returns the changes, some of them with the row in doubt instead, and these."""
        created = [change for change in changes if change.state is Status.CREATED]
        claimed = self._db.executemany(CLAIM, map(self._claim_values, created)).rowcount if created else 0
        if claimed == len(created):
            return changes, []
        refused = []
        for index, change in enumerate(changes):
            if change.state is Status.CREATED and not self._claim(change):
                error = f"the API answered with the ID {change.monitor_id}, which belongs to another monitor"
                changes[index] = change._replace(state=State.DOUBT, monitor_id=None, error=error)
                refused.append(changes[index])
        return changes, refused

    def _change_monitors(self, changes: Iterable[RowChange]) -> None:
        """Forget removed monitors, and store the new identities of updated ones."""
        for change in changes:
            if change.state is Status.REMOVED:
                self._db.execute(
                    "DELETE FROM monitors WHERE account = ? AND run = ? AND position = ?",
                    (self._account_id, change.run or self.run.number, change.position),
                )
            if change.state is Status.UPDATED:  # an update by ID may have changed the identity
                self._db.execute(
                    "UPDATE monitors SET key = rows.key FROM rows WHERE rows.run = ? AND rows.position = ?"
                    " AND monitors.account = ? AND monitors.monitor_id = rows.monitor_id AND rows.key IS NOT NULL",
                    (change.run or self.run.number, change.position, self._account_id),
                )

    def replace_warnings(self, code: str, warnings: Iterable[tuple[int, Issue]]) -> int:
        """Replace all warnings of one code with these, by position of the row; returns how many were set.

        They are taken from the iterable outside of a transaction, so that it can take its time and read the store, and
        stored in parts, so that there can be any number.
        """
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET issues = nullif((SELECT json_group_array(json(value)) FROM"
                " (SELECT value FROM json_each(issues) WHERE json_extract(value, '$.code') <> ?2 ORDER BY key)), '[]')"
                " WHERE run = ?1 AND typeof(issues) = 'text' AND instr(issues, ?3)",
                (self.run.number, code, f'"code":"{code}"'),
            )
        count = 0
        remaining = iter(warnings)
        while part := list(islice(remaining, WARNINGS_STORED_AT_ONCE)):
            with self._store.errors():
                values = [(to_json(issue.record()), self.run.number, position) for position, issue in part]
            with self._store.transaction():
                self._db.executemany(
                    "UPDATE rows SET issues = json_insert(coalesce(issues, '[]'), '$[#]', json(?))"
                    " WHERE run = ? AND position = ?",
                    values,
                )
            count += len(part)
        return count

    def was_updated_before(self, row: RowToMatch, monitor_id: str, field: str) -> bool:
        """True if an earlier run changed this field of a monitor to the value that this row requests."""
        requested = json.loads(row.body).get(field)
        with self._store.errors():
            patches = self._db.execute(
                "SELECT old.patch FROM rows AS now JOIN rows AS old ON old.key = now.key AND old.run < now.run"
                " WHERE now.run = ? AND now.position = ? AND old.state = 'updated' AND old.monitor_id = ?",
                (self.run.number, row.position, monitor_id),
            ).fetchall()
        return any(json.loads(patch).get(field) == requested for (patch,) in patches if patch)

    def row_with_key(self, key: bytes) -> tuple[int, str | None] | None:
        """Position and monitor ID of the run's row with an identity key; None if it has none."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT position, monitor_id FROM rows WHERE key = ? AND run = ?", (key, self.run.number)
            ).fetchone()
        return tuple(row) if row else None

    def hold_back(self) -> int:
        """Hold back pending rows whose monitor is in doubt in another run; returns how many."""
        return self._move(State.PENDING, State.WAITING, IN_DOUBT_ELSEWHERE, HELD_BACK)

    def release(self) -> int:
        """Make rows that were held back pending again if their monitor is no longer in doubt; returns how many."""
        return self._move(State.WAITING, State.PENDING, f"NOT {IN_DOUBT_ELSEWHERE}")

    def forget_matches(self) -> None:
        """Forget which monitors pending rows were to update; the account may have changed since."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET monitor_id = NULL WHERE run = ? AND state = 'pending' AND monitor_id IS NOT NULL",
                (self.run.number,),
            )

    def mark_repeats(self) -> None:
        """Mark rows that repeat another row as duplicates if the monitor whose ID they give does not exist."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET state = 'duplicate' WHERE run = ?"
                " AND state = 'pending' AND key IS NULL AND monitor_id IS NULL",
                (self.run.number,),
            )

    def naming(self, monitor_id: str, key: bytes | None) -> list[RowToMatch]:
        """Pending rows that give the ID of this monitor; `key` is its identity key in the account."""
        with self._store.errors():
            return [
                RowToMatch(**dict(row))
                for row in self._db.execute(
                    f"{SELECT_MATCH}, key IS NOT ? AS other_identity FROM rows"
                    " WHERE names = ? AND run = ? AND state = 'pending'",
                    (key, monitor_id, self.run.number),
                )
            ]

    def gives_ids(self) -> bool:
        """True if a row gives the ID of its monitor; reads the whole run."""
        return self._exists("SELECT 1 FROM rows WHERE run = ? AND names IS NOT NULL LIMIT 1", self.run.number)

    def pending_with(self, key: bytes) -> RowToMatch | None:
        """The pending row with an identity key; a run has at most one."""
        with self._store.errors():
            row = self._db.execute(
                f"{SELECT_MATCH} FROM rows WHERE key = ? AND run = ? AND state = 'pending'", (key, self.run.number)
            ).fetchone()
        return RowToMatch(**dict(row)) if row else None

    def finished_in_file_count(self) -> int:
        """The number of rows that are finished according to the input, if that is a results file."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT count(*) FROM rows WHERE run = ? AND finished_in_file", (self.run.number,)
            ).fetchone()
            return int(row[0])

    def finished_in_file(self) -> list[tuple[int, str]]:
        """Rows to create that are finished according to the input, a results file: position and monitor ID."""
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

    def _resolves_doubt(self, change: RowChange) -> bool:
        """True if a change gives the monitor of a row in doubt."""
        return change.state is Status.CREATED and self._exists(
            "SELECT 1 FROM rows WHERE run = ? AND position = ? AND state = 'doubt'",
            change.run or self.run.number,
            change.position,
        )

    def _claim(self, change: RowChange) -> bool:
        """Record that a row created a monitor, unless it is recorded; False if the monitor cannot be this row's."""
        return self._db.execute(CLAIM, self._claim_values(change)).rowcount == 1 or self._exists(
            "SELECT 1 FROM monitors WHERE account = ? AND monitor_id = ? AND run = ? AND position = ?",
            self._account_id,
            change.monitor_id,
            change.run or self.run.number,
            change.position,
        )

    def _claim_values(self, change: RowChange) -> tuple[object, ...]:
        return self._account_id, change.monitor_id, change.at, change.run or self.run.number, change.position

    def _exists(self, sql: str, *values: object) -> bool:
        with self._store.errors():
            return self._db.execute(sql, values).fetchone() is not None
