"""Runs of an unchanged input share the rows of an earlier run instead of storing a copy.

In: what the reading of an input depends on, as one text. Out: a run with the rows of an earlier run as they were read:
all pending but for invalid and duplicate ones. It gets a copy of them unless all of them exist as before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bulkload.store.row_records import PendingRow, RowToMatch
from bulkload.store.rows import RunRows
from bulkload.store.sharing import can_be_shared, copy_rows

if TYPE_CHECKING:
    from bulkload.store.runs import Run, Store


def begin_with_same_rows(
    store: Store,
    reading: str,
    *,
    account_id: int,
    input_path: str,
    settings: Mapping[str, str],
    arrival: int | None,
) -> Run | None:
    """Begin a run with the rows of the newest run that was read so; None if there is none, or they were changed."""
    with store.errors():
        earlier = store.db.execute(
            "SELECT run, header, details_as_read, coalesce(same_rows_as, run) AS source FROM runs"
            " WHERE reading = ? AND account = ? AND command = 'run' ORDER BY run DESC LIMIT 1",
            (reading, account_id),
        ).fetchone()
        if earlier is None or not can_be_shared(store.db, earlier["source"]):
            return None
    run = store.begin(
        "run",
        input_path,
        json.loads(earlier["header"]),
        account_id=account_id,
        details=json.loads(earlier["details_as_read"]),
        settings=settings,
        arrival=arrival,
    )
    with store.transaction():
        store.db.execute("UPDATE runs SET same_rows_as = ? WHERE run = ?", (earlier["source"], run.number))
    store.mark_read_whole(run, reading)
    return store.run(run.id)


class SharedRows(RunRows):
    """The rows that a run shares, to be matched as if they were pending and its own."""

    def __init__(self, store: Store, run: Run, account_id: int, source: int) -> None:
        super().__init__(store, run, account_id)
        self._source = source
        self.before: dict[int, tuple[str, str]] = {}  # of the rows that were fetched: position → monitor and message

    def pending(self, after: int, limit: int) -> list[PendingRow]:
        """The next rows that are neither invalid nor duplicates, in order, after a position."""
        with self._store.errors():
            return [
                PendingRow(*row)
                for row in self._db.execute(
                    "SELECT position, type, body, NULL, '' FROM rows WHERE run = ? AND position > ?"
                    " AND key IS NOT NULL ORDER BY position LIMIT ?",
                    (self._source, after, limit),
                )
            ]

    def pending_with(self, key: bytes) -> RowToMatch | None:
        """The row with an identity key."""
        return next(self._fetch("0", "key = ? AND run = ?", key, self._source), None)

    def naming(self, monitor_id: str, key: bytes | None) -> list[RowToMatch]:
        """Rows that give the ID of this monitor; `key` is its identity key in the account."""
        condition = "names = ? AND run = ? AND key IS NOT NULL"
        return list(self._fetch("key IS NOT ?", condition, key, monitor_id, self._source))

    def row_with_key(self, key: bytes) -> tuple[int, str | None] | None:
        """Position and monitor ID of the row with an identity key; None if there is none."""
        with self._store.errors():
            sql = "SELECT position, monitor_id FROM rows WHERE key = ? AND run = ?"
            row = self._db.execute(sql, (key, self._source)).fetchone()
        return tuple(row) if row else None

    def gives_ids(self) -> bool:
        """True if a row gives the ID of its monitor."""
        return self._exists("SELECT 1 FROM rows WHERE run = ? AND names IS NOT NULL LIMIT 1", self._source)

    def count_to_match(self) -> int:
        """The number of rows that are neither invalid nor duplicates."""
        with self._store.errors():
            sql = "SELECT count(*) FROM rows WHERE run = ? AND key IS NOT NULL"
            return int(self._db.execute(sql, (self._source,)).fetchone()[0])

    def keep_shared(self) -> None:
        """Record that all rows exist as before, so that they can stay shared."""
        with self._store.transaction():
            self._db.execute("UPDATE runs SET all_exist = 1 WHERE run = ?", (self.run.number,))
            self._db.execute("DELETE FROM row_counts WHERE run = ?", (self.run.number,))

    def copy(self) -> None:
        """Give the run its own copy of the rows, because they are to be changed."""
        with self._store.transaction():
            copy_rows(self._db, self.run.number)

    def _fetch(self, other_identity: str, condition: str, *values: object) -> Iterator[RowToMatch]:
        with self._store.errors():
            for position, source_row, type_, body, monitor_id, message, is_other in self._db.execute(
                "SELECT position, source_row, type, body, monitor_id, iif(state = 'exists', error, ''),"
                f" {other_identity} FROM rows WHERE {condition}",
                values,
            ):
                self.before[position] = monitor_id, message
                yield RowToMatch(
                    position=position,
                    source_row=source_row,
                    type=type_,
                    body=body,
                    patch=None,
                    attempts=0,
                    note="",
                    other_identity=bool(is_other),
                )
