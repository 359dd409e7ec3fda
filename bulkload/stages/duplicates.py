"""Rows of one file that mean the same monitor: the first is kept, the others are its duplicates.

In: `NewRow`s in order. Out: the same rows, those that repeat an earlier one marked. The latest identities are in
memory, the others in a temporary database that spills to disk: a million rows need little more than 100,000.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType

from bulkload.errors import StoreError
from bulkload.model import State, Status
from bulkload.store.row_records import NewRow
from bulkload.store.stored_rows import digest

IN_MEMORY = 100_000  # identities; more are moved to the database together, in the order of its index
CACHE = 8 * 1024  # KiB of the database
FILTER_BYTES = 2**21  # with a million identities in the database, 1 in 17 is looked up there without need


class DuplicateFinder:
    """Remembers which monitors the rows of one file mean. Use as a context manager."""

    def __init__(self) -> None:
        self._recent: dict[bytes, tuple[int, str | None]] = {}  # identity → row, and the monitor ID that it gives
        self._filter = bytearray()  # a bit for each value of `_place`: whether such an identity is in the database
        self._db = sqlite3.connect("", isolation_level=None)  # no name: temporary, and gone with the connection
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{CACHE}")
        self._db.execute("CREATE TABLE identities (key BLOB PRIMARY KEY, row INTEGER, monitor_id TEXT) WITHOUT ROWID")
        self._db.execute("CREATE TABLE given_ids (monitor_id TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def __enter__(self) -> DuplicateFinder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def mark(self, row: NewRow) -> NewRow:
        """Return the row unchanged, or marked as the duplicate of an earlier one.

        One row of a file has an identity. A row that repeats it and gives another monitor's ID may mean that monitor.
        """
        if row.key is None:
            return row
        try:
            earlier = self._with_same_id(row) or self._with_same_identity(row)
            duplicate = earlier is not None and (
                row.given_monitor_id is None or earlier[1] in (None, row.given_monitor_id)
            )
            if row.given_monitor_id is not None and not duplicate:
                self._db.execute(
                    "INSERT OR IGNORE INTO given_ids VALUES (?, ?)", (row.given_monitor_id, row.source_row)
                )
        except sqlite3.Error as error:
            raise StoreError(f"There is no room for temporary files: {error}.") from error
        if earlier is None or row.state is not State.PENDING:
            return row
        message = f"Repeats row {earlier[0]}."
        if duplicate:
            return row._replace(state=Status.DUPLICATE, key=None, error=message)
        return row._replace(key=None, error=message)

    def _with_same_id(self, row: NewRow) -> tuple[int, str | None] | None:
        """The earlier row that gives the same monitor ID."""
        if row.given_monitor_id is None:
            return None
        found = self._db.execute("SELECT row FROM given_ids WHERE monitor_id = ?", (row.given_monitor_id,)).fetchone()
        return (found[0], row.given_monitor_id) if found else None

    def _with_same_identity(self, row: NewRow) -> tuple[int, str | None] | None:
        """The earlier row that has the same identity; if there is none, this row is noted as the first."""
        key = digest(str(row.key))
        first = self._recent.get(key) or self._in_database(key)
        if first is None:
            if len(self._recent) == IN_MEMORY:
                self._move_to_database()
            self._recent[key] = row.source_row, row.given_monitor_id
        return first

    def _in_database(self, key: bytes) -> tuple[int, str | None] | None:
        if not self._filter:
            return None
        byte, bit = _place(key)
        if not self._filter[byte] & bit:
            return None
        found: tuple[int, str | None] | None = self._db.execute(
            "SELECT row, monitor_id FROM identities WHERE key = ?", (key,)
        ).fetchone()
        return found

    def _move_to_database(self) -> None:
        self._filter = self._filter or bytearray(FILTER_BYTES)
        for byte, bit in map(_place, self._recent):
            self._filter[byte] |= bit
        self._db.executemany(
            "INSERT INTO identities VALUES (?, ?, ?)", ((key, *self._recent[key]) for key in sorted(self._recent))
        )
        self._recent.clear()


def _place(key: bytes) -> tuple[int, int]:
    """The place of an identity in the filter: a byte, and a bit in it."""
    return int.from_bytes(key[:4]) % FILTER_BYTES, 1 << (key[4] & 7)
