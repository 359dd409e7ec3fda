"""Store the account's monitors in SQLite: the only SQL of the sandbox.

In: monitors as JSON objects without ID. Out: JSON texts with ID. Changes made in one iteration of the event loop share
one commit; `committed` returns when they are committed and visible to every other request. IDs are never reused, even
after a delete and a restart.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload.sandbox.account_options import SandboxError

BATCH = 500  # monitors read at a time
SCHEMA_VERSION = 1  # in PRAGMA user_version

_TABLES = """
CREATE TABLE IF NOT EXISTS monitors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    visible_at REAL NOT NULL,  -- seconds since 1970
    document TEXT NOT NULL     -- the monitor as it is read, without its id
);
CREATE INDEX IF NOT EXISTS monitors_by_name ON monitors (type, name);
CREATE INDEX IF NOT EXISTS monitors_by_plan ON monitors (plan);
CREATE INDEX IF NOT EXISTS monitors_by_visible_at ON monitors (visible_at);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMonitor:
    """One monitor in the state."""

    id: int
    type: str
    visible_at: float
    document: str  # JSON, with the id

    def fields(self) -> dict[str, object]:
        """The fields of the monitor."""
        fields: dict[str, object] = json.loads(self.document)
        return fields


class SandboxState:
    """The monitors of one account, in a file or (None) in memory."""

    def __init__(self, path: Path | None, *, first_id: int) -> None:
        self._commit_due: asyncio.Future[None] | None = None
        try:
            self._db = _open(path, first_id)
        except (sqlite3.Error, OSError) as error:
            raise SandboxError(f"The state file {path} cannot be used: {error}.") from error

    def insert(self, monitor_type: str, fields: Mapping[str, object], visible_at: float) -> int:
        """Add a monitor; returns its ID. Monitors become visible in order of creation, even if `visible_at` differs."""
        self._begin()
        (latest,) = self._db.execute("SELECT max(visible_at) FROM monitors").fetchone()
        cursor = self._db.execute(
            "INSERT INTO monitors (type, name, plan, visible_at, document) VALUES (?, ?, ?, ?, ?)",
            (monitor_type, *_columns(fields), max(visible_at, latest or 0.0), _document(fields)),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def replace(self, monitor_id: int, fields: Mapping[str, object]) -> None:
        """Replace the fields of a monitor."""
        self._begin()
        self._db.execute(
            "UPDATE monitors SET name = ?, plan = ?, document = ? WHERE id = ?",
            (*_columns(fields), _document(fields), monitor_id),
        )

    def delete(self, monitor_id: int) -> None:
        """Delete a monitor."""
        self._begin()
        self._db.execute("DELETE FROM monitors WHERE id = ?", (monitor_id,))

    def get(self, monitor_id: int) -> StoredMonitor | None:
        """One monitor, visible or not; None if it does not exist."""
        row = self._db.execute(
            "SELECT id, type, visible_at, document FROM monitors WHERE id = ?", (monitor_id,)
        ).fetchone()
        return _stored(row) if row else None

    def count(self, types: Sequence[str], visible_by: float) -> int:
        """The number of visible monitors of these types."""
        (count,) = self._db.execute(
            f"SELECT count(*) FROM monitors WHERE visible_at <= ? AND type IN ({_placeholders(types)})",
            (visible_by, *types),
        ).fetchone()
        return int(count)

    def batches(
        self, types: Sequence[str], visible_by: float, *, limit: int, offset: int = 0
    ) -> Iterator[list[StoredMonitor]]:
        """The visible monitors of these types in order of ID, in batches."""
        last_id, remaining = 0, limit
        while remaining > 0:
            rows = self._db.execute(
                "SELECT id, type, visible_at, document FROM monitors"
                f" WHERE id > ? AND visible_at <= ? AND type IN ({_placeholders(types)})"
                " ORDER BY id LIMIT ? OFFSET ?",
                (last_id, visible_by, *types, min(remaining, BATCH), offset),
            ).fetchall()
            if not rows:
                return
            yield [_stored(row) for row in rows]
            last_id, remaining, offset = rows[-1][0], remaining - len(rows), 0

    def plan_has_room(self, plan: str, capacity: int) -> bool:
        """True if fewer than `capacity` monitors use the plan."""
        (used,) = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM monitors WHERE plan = ? LIMIT ?)", (plan, capacity)
        ).fetchone()
        return bool(used < capacity)

    def name_is_taken(self, monitor_type: str, name: str, *, but: int = 0) -> bool:
        """True if a monitor of the type, other than `but`, has the name."""
        return bool(
            self._db.execute(
                "SELECT 1 FROM monitors WHERE type = ? AND name = ? AND id <> ? LIMIT 1", (monitor_type, name, but)
            ).fetchone()
        )

    async def committed(self) -> None:
        """Wait until all changes made so far are committed."""
        if self._commit_due is None:
            loop = asyncio.get_running_loop()
            self._commit_due = loop.create_future()
            loop.call_soon(self._commit_for_waiters, self._commit_due)
        # Shielded: many requests wait for this future, and cancelling one of them must not cancel it
        await asyncio.shield(self._commit_due)

    def commit(self) -> None:
        """Commit all changes made so far, now."""
        self._db.commit()

    def close(self) -> None:
        """Commit and close."""
        self._db.commit()
        self._db.close()

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def _commit_for_waiters(self, due: asyncio.Future[None]) -> None:
        self._commit_due = None
        try:
            self._db.commit()
        except sqlite3.Error as error:
            self._db.rollback()
            due.set_exception(error)
        else:
            due.set_result(None)


def _open(path: Path | None, first_id: int) -> sqlite3.Connection:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    # Tests read the account from their own thread; SQLite serialises the calls
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != SCHEMA_VERSION and tables:
            raise SandboxError(f"{path} is not a state file of this version of the sandbox.")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute(
            "INSERT INTO sqlite_sequence (name, seq)"
            " SELECT 'monitors', ? WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'monitors')",
            (first_id - 1,),
        )
    except BaseException:
        db.close()
        raise
    return db


def _columns(fields: Mapping[str, object]) -> tuple[str, str]:
    return str(fields["name"]), str(fields["billing_plancode"])


def _document(fields: Mapping[str, object]) -> str:
    return json.dumps({key: value for key, value in fields.items() if key != "id"})


def _stored(row: tuple[int, str, float, str]) -> StoredMonitor:
    monitor_id, monitor_type, visible_at, document = row
    # The ID is not known before the row is written, so it is added when the row is read
    return StoredMonitor(
        id=monitor_id,
        type=monitor_type,
        visible_at=visible_at,
        document=f'{{"id": {monitor_id}, {document.removeprefix("{")}',
    )


def _placeholders(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
