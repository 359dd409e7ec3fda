"""Rows of one file that mean the same monitor: the first is kept, the others are its duplicates.

In: `NewRow`s in order. Out: the same rows, those that repeat an earlier one marked. What was seen first stays in
memory, all else lies in a temporary database that spills to disk: a million rows need no more memory than 100,000.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType

from bulkload.errors import StoreError
from bulkload.model import State, Status
from bulkload.store.runs import NewRow, digest

IN_MEMORY = 100_000  # identities
CACHE = 8 * 1024  # KiB of the database


class Twins:
    """What the rows of one file have been about so far. Use as a context manager."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[int, str | None]] = {}  # identity → row and the monitor's ID that it names
        self._db = sqlite3.connect("", isolation_level=None)  # no name: temporary, and gone with the connection
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{CACHE}")
        self._db.execute("CREATE TABLE standing (key BLOB PRIMARY KEY, row INTEGER, names TEXT) WITHOUT ROWID")
        self._db.execute("CREATE TABLE naming (names TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def __enter__(self) -> Twins:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def told_apart(self, row: NewRow) -> NewRow:
        """The row as it is, or as the duplicate of an earlier one.

        One row of a file stands for an identity. A row that repeats it and names another monitor's ID may stand for
        that monitor.
        """
        if row.key is None:
            return row
        try:
            twin = self._namesake(row) or self._double(row)
            duplicate = twin is not None and (row.names is None or twin[1] in (None, row.names))
            if row.names is not None and not duplicate:
                self._db.execute("INSERT OR IGNORE INTO naming VALUES (?, ?)", (row.names, row.source_row))
        except sqlite3.Error as error:
            raise StoreError(f"There is no room for temporary files: {error}.") from error
        if twin is None or row.state is not State.PENDING:
            return row
        words = f"Repeats row {twin[0]}."
        if duplicate:
            return row._replace(state=Status.DUPLICATE, key=None, error=words)
        return row._replace(key=None, error=words)

    def _namesake(self, row: NewRow) -> tuple[int, str | None] | None:
        """The earlier row that names the same monitor's ID."""
        if row.names is None:
            return None
        found = self._db.execute("SELECT row FROM naming WHERE names = ?", (row.names,)).fetchone()
        return (found[0], row.names) if found else None

    def _double(self, row: NewRow) -> tuple[int, str | None] | None:
        """The earlier row that stands for the same identity; without one, this row does from now on."""
        key = digest(str(row.key))
        if (first := self._first.get(key)) is not None:
            return first
        if len(self._first) < IN_MEMORY:
            self._first[key] = row.source_row, row.names
            return None
        entered = self._db.execute("INSERT OR IGNORE INTO standing VALUES (?, ?, ?)", (key, row.source_row, row.names))
        if entered.rowcount:
            return None
        found: tuple[int, str | None] = self._db.execute(
            "SELECT row, names FROM standing WHERE key = ?", (key,)
        ).fetchone()
        return found
