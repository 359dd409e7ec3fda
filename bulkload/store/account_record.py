"""What the store knows about an account: created and earlier monitors, and how the account displays them.

In: monitor IDs and identity keys. Out: which monitors this program created, and for which row. A monitor ID is in the
table `monitors` once, so no two rows can have the same monitor; the table `earlier` has the monitors that existed
before a run's first create, so none of them can be that run's own.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from bulkload.store.row_records import CreatedMonitor, RowInDoubt
from bulkload.store.runs import Store


class AccountRecord:
    """The record of one account, over all its runs.

    "Created" means created by this program, and neither undone nor proven to be deleted since.
    """

    def __init__(self, store: Store, account_id: int) -> None:
        self._store = store
        self._account_id = account_id
        self._db = store.db

    # ── monitors that this program created ────────────────────────────────────────────────────────────────

    def is_created(self, monitor_id: str) -> bool:
        """True if this program created a monitor."""
        return self._exists("SELECT 1 FROM monitors WHERE account = ? AND monitor_id = ?", self._account_id, monitor_id)

    def was_written_to(self) -> bool:
        """True if this program has sent a create or an update to the account, as far as the store remembers."""
        return self._exists("SELECT 1 FROM monitors WHERE account = ? LIMIT 1", self._account_id) or self._exists(
            "SELECT 1 FROM runs CROSS JOIN rows ON rows.run = runs.run WHERE account = ? AND attempts > 0 LIMIT 1",
            self._account_id,
        )

    def was_created_by(self, run_number: int, monitor_id: str) -> bool:
        """True if a row of this run created a monitor."""
        sql = "SELECT 1 FROM monitors WHERE account = ? AND monitor_id = ? AND run = ?"
        return self._exists(sql, self._account_id, monitor_id, run_number)

    def created_by(self, run_number: int, after: int, limit: int) -> list[CreatedMonitor]:
        """The next monitors that a run created, in the order of its rows, after a position."""
        with self._store.errors():
            return [
                CreatedMonitor(**dict(monitor))
                for monitor in self._db.execute(
                    "SELECT rows.position, source_row, monitors.monitor_id, type, body FROM monitors CROSS JOIN rows"
                    " ON rows.run = monitors.run AND rows.position = monitors.position WHERE monitors.run = ?"
                    " AND account = ? AND monitors.position > ? ORDER BY monitors.position LIMIT ?",
                    (run_number, self._account_id, after, limit),
                )
            ]

    def count_created_by(self, run_number: int) -> int:
        """The number of monitors that a run created."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT count(*) FROM monitors WHERE run = ? AND account = ?", (run_number, self._account_id)
            ).fetchone()
            return int(row[0])

    def created_keys(self) -> dict[str, bytes]:
        """The identity key of each created monitor, by ID."""
        with self._store.errors():
            return dict(self._db.execute("SELECT monitor_id, key FROM monitors WHERE account = ?", (self._account_id,)))

    def newest_created(self) -> Iterator[tuple[str, bytes, str]]:
        """ID, key and request moment of the created monitors, the newest first.

        Monitors that were found in a list are left out, because the moment of their request is unknown.
        """
        with self._store.errors():
            yield from self._db.execute(
                "SELECT monitor_id, key, at FROM monitors NOT INDEXED WHERE account = ? AND at IS NOT NULL"
                " ORDER BY rowid DESC",  # with an index, SQLite would sort all before returning the first
                (self._account_id,),
            )

    def unlisted(self, listed: Container[str]) -> Iterator[tuple[str, bytes, str | None]]:
        """ID, key and request moment (None: found in a list) of created monitors that a list omits, newest first."""
        with self._store.errors():
            for monitor_id, key, at in self._db.execute(
                "SELECT monitor_id, key, at FROM monitors NOT INDEXED WHERE account = ? ORDER BY rowid DESC",
                (self._account_id,),
            ):
                if monitor_id not in listed:
                    yield monitor_id, key, at

    def forget(self, monitor_id: str) -> None:
        """Remove a monitor that is proven to be deleted."""
        with self._store.transaction():
            self._db.execute(
                "DELETE FROM monitors WHERE account = ? AND monitor_id = ?", (self._account_id, monitor_id)
            )

    def forget_all_except(self, monitor_ids: Container[str]) -> None:
        """Remove all monitors except these; the user confirms that the others were deleted."""
        with self._store.transaction():
            created = self._db.execute(
                "SELECT monitor_id FROM monitors WHERE account = ?", (self._account_id,)
            ).fetchall()
            deleted = [(self._account_id, monitor_id) for (monitor_id,) in created if monitor_id not in monitor_ids]
            self._db.executemany("DELETE FROM monitors WHERE account = ? AND monitor_id = ?", deleted)

    def requested(self, key: bytes) -> tuple[str, str] | None:
        """Type and body (JSON) that rows with an identity key request; None if the store has no such row."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT type, body FROM rows WHERE key = ? AND body IS NOT NULL LIMIT 1", (key,)
            ).fetchone()
        return (row["type"], row["body"]) if row else None

    # ── monitors that existed before a run ────────────────────────────────────────────────────────────────

    def note_existing(self, run_number: int, monitor_ids: Iterable[str]) -> None:
        """Record the monitors that existed before a run's first create; only the first call for a run has an effect."""
        with self._store.transaction():
            first = self._db.execute("UPDATE runs SET listed = 1 WHERE run = ? AND listed = 0", (run_number,))
            if first.rowcount:
                self._db.executemany(
                    "INSERT OR IGNORE INTO earlier (run, monitor_id) VALUES (?, ?)",
                    ((run_number, monitor_id) for monitor_id in monitor_ids),
                )

    def existed_before(self, run_number: int, monitor_id: str) -> bool:
        """True if a monitor existed before the run's first create."""
        return self._exists("SELECT 1 FROM earlier WHERE run = ? AND monitor_id = ?", run_number, monitor_id)

    # ── rows in doubt ─────────────────────────────────────────────────────────────────────────────────────

    def rows_in_doubt(self) -> list[RowInDoubt]:
        """Rows in doubt of all runs in the account, the oldest first."""
        with self._store.errors():
            return [
                RowInDoubt(**dict(row))
                for row in self._db.execute(
                    "SELECT runs.run, position, key, attempts, at, error, type, body FROM runs CROSS JOIN rows"
                    " ON rows.run = runs.run AND state = 'doubt' WHERE account = ? ORDER BY runs.run, position",
                    (self._account_id,),
                )
            ]

    # ── how the account displays monitors ─────────────────────────────────────────────────────────────────

    def display_profile(self) -> str | None:
        """The display profile that was learned, as JSON; None if there is none yet."""
        with self._store.errors():
            row = self._db.execute("SELECT showing FROM accounts WHERE id = ?", (self._account_id,)).fetchone()
        return str(row["showing"]) if row["showing"] is not None else None

    def keep_display_profile(self, profile: str) -> None:
        """Store the display profile, as JSON."""
        with self._store.transaction():
            self._db.execute("UPDATE accounts SET showing = ? WHERE id = ?", (profile, self._account_id))

    def lookalikes(self) -> dict[bytes, str]:
        """Monitors that were matched only because the account may display them altered: identity key to monitor ID."""
        with self._store.errors():
            return dict(
                self._db.execute("SELECT key, monitor_id FROM lookalikes WHERE account = ?", (self._account_id,))
            )

    def keep_lookalikes(self, run_number: int, matches: Iterable[tuple[int, str]]) -> None:
        """Store these matches of a run's rows, as position and monitor ID, so that the next run matches the same."""
        with self._store.transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO lookalikes (account, key, monitor_id)"
                " SELECT ?, key, ? FROM rows WHERE run = ? AND position = ? AND key IS NOT NULL",
                ((self._account_id, monitor_id, run_number, position) for position, monitor_id in matches),
            )

    def _exists(self, sql: str, *values: object) -> bool:
        with self._store.errors():
            return self._db.execute(sql, values).fetchone() is not None
