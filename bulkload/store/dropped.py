"""Monitors that an earlier version of a recurring file had and the present one has not.

In: a file of an inbox, and the runs of its earlier versions. Out: the monitors that these had, which of them any file
of the folder still means, and what was requested for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bulkload.store.arrivals import Arrival
from bulkload.store.runs import Run, Store

_EARLIER_RUNS = (
    "SELECT runs.run FROM runs JOIN arrivals USING (arrival) WHERE folder = :folder AND sheet = :sheet"
    " AND account = :account AND runs.run < :run"
)
_LATEST_RUNS = (
    "SELECT max(runs.run) FROM runs JOIN arrivals USING (arrival)"
    " WHERE folder = ? AND account = ? AND read_whole GROUP BY sheet"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedMonitor:
    """A monitor that an earlier version of a recurring file had and this one has not."""

    monitor_id: str
    key: bytes | None
    type: str
    name: str
    hostname: str
    port: str
    fate: str  # "theirs": not created by runs of this folder; "ours": created by them; "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The row that created a monitor."""

    run: int
    position: int
    type: str
    requested: tuple[str, ...]  # JSON: bodies that it may have without having been edited


class DroppedMonitors:
    """The monitors dropped from the recurring files of one folder. The store is locked."""

    def __init__(self, store: Store, folder: str) -> None:
        """`folder` is the folder as `Arrivals` knows it."""
        self._store = store
        self._db = store.db
        self._folder = folder

    def known_before(self, arrival: Arrival, run: Run) -> Iterator[tuple[str, bytes | None, bool]]:
        """Monitors that earlier versions of a file had: ID, identity key, and whether they were created for it.

        That is everything created for it and not undone, and whatever its last version before this one had.
        """
        values = {"folder": self._folder, "sheet": arrival.recurring_name, "account": run.account_id, "run": run.number}
        with self._store.errors():
            yield from (
                (monitor_id, key, True)
                for monitor_id, key in self._db.execute(
                    "SELECT monitor_id, key FROM monitors"
                    f" WHERE account = :account AND run IN ({_EARLIER_RUNS}) ORDER BY rowid",
                    values,
                )
            )
            yield from (
                (monitor_id, key, False)
                for monitor_id, key in self._db.execute(
                    "SELECT rows.monitor_id, rows.key FROM rows"
                    f" WHERE run = (SELECT max(run) FROM ({_EARLIER_RUNS} AND read_whole))"
                    " AND rows.monitor_id IS NOT NULL AND state IN ('created', 'updated', 'exists')",
                    values,
                )
            )

    def count_created(self, arrival: Arrival, run: Run) -> int:
        """How many monitors of the account were created by earlier versions: those that a row has, and the dropped."""
        values = {"folder": self._folder, "sheet": arrival.recurring_name, "account": run.account_id, "run": run.number}
        with self._store.errors():
            found = self._db.execute(
                f"SELECT count(*) FROM monitors WHERE account = :account AND run IN ({_EARLIER_RUNS})"
                " AND monitor_id IN (SELECT monitor_id FROM rows WHERE run = :run"
                " UNION ALL SELECT monitor_id FROM gone WHERE run = :run)",
                values,
            )
            return int(found.fetchone()[0])

    def is_meant(self, run_number: int, monitor_id: str, keys: Iterable[bytes | None]) -> bool:
        """True if a row of a run means a monitor, by its ID or its identity."""
        with self._store.errors():
            if self._db.execute("SELECT 1 FROM rows WHERE names = ? AND run = ?", (monitor_id, run_number)).fetchone():
                return True
            return any(
                self._db.execute("SELECT 1 FROM rows WHERE key = ? AND run = ?", (key, run_number)).fetchone()
                for key in keys
                if key is not None
            )

    def matched(self, run_number: int) -> set[str]:
        """IDs of the monitors that rows of a run have."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT monitor_id FROM rows WHERE run = ? AND monitor_id IS NOT NULL"
                " AND state IN ('pending', 'created', 'updated', 'exists')",
                (run_number,),
            )
            return {monitor_id for (monitor_id,) in found}

    def still_wanted(self, run: Run, dropped: Sequence[DroppedMonitor]) -> set[str]:
        """IDs of those that the newest version of any file of the folder means."""
        with self._store.errors():
            latest = [
                run_number
                for (run_number,) in self._db.execute(_LATEST_RUNS, (self._folder, run.account_id)).fetchall()
            ]
            created = dict(
                self._db.execute("SELECT monitor_id, key FROM monitors WHERE account = ?", (run.account_id,))
            )
        matched = set().union(*map(self.matched, latest))
        return {
            monitor.monitor_id
            for monitor in dropped
            if monitor.monitor_id in matched
            or any(
                self.is_meant(run_number, monitor.monitor_id, (monitor.key, created.get(monitor.monitor_id)))
                for run_number in latest
            )
        }

    def replace(self, run: Run, dropped: Iterable[DroppedMonitor]) -> None:
        """Store what a run's file has dropped, in place of what was stored before."""
        with self._store.transaction():
            self._db.execute("DELETE FROM gone WHERE run = ?", (run.number,))
            self._db.executemany(
                "INSERT OR IGNORE INTO gone (run, monitor_id, key, type, name, hostname, port, fate)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (run.number, each.monitor_id, each.key, each.type, each.name, each.hostname, each.port, each.fate)
                    for each in dropped
                ),
            )

    def of(self, run: Run, fate: str | None = None) -> Iterator[DroppedMonitor]:
        """What a run's file has dropped; all of it, or those with one fate."""
        with self._store.errors():
            for monitor in self._db.execute(
                "SELECT monitor_id, key, type, name, hostname, port, fate FROM gone"
                " WHERE run = ?1 AND (?2 IS NULL OR fate = ?2) ORDER BY monitor_id",
                (run.number, fate),
            ):
                yield DroppedMonitor(**dict(monitor))

    def count(self, run: Run, fate: str | None = None) -> int:
        """How many monitors a run's file has dropped."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT count(*) FROM gone WHERE run = ?1 AND (?2 IS NULL OR fate = ?2)", (run.number, fate)
            )
            return int(found.fetchone()[0])

    def origin(self, arrival: Arrival, run: Run, monitor: DroppedMonitor) -> Origin | None:
        """The row that created a monitor, with the bodies that it and the last version of the file requested."""
        values = {"folder": self._folder, "sheet": arrival.recurring_name, "account": run.account_id, "run": run.number}
        with self._store.errors():
            created = self._db.execute(
                "SELECT rows.run, position, type, body, rows.key FROM monitors JOIN rows USING (run, position)"
                " WHERE account = ? AND monitors.monitor_id = ?",
                (run.account_id, monitor.monitor_id),
            ).fetchone()
            if created is None:
                return None
            last = self._db.execute(
                f"SELECT body FROM rows WHERE key IN (:made, :now) AND run IN ({_EARLIER_RUNS})"
                " AND body IS NOT NULL ORDER BY run DESC LIMIT 1",
                values | {"made": created["key"], "now": monitor.key},
            ).fetchone()
        bodies = dict.fromkeys([created["body"], *([last["body"]] if last else [])])
        return Origin(run=created["run"], position=created["position"], type=created["type"], requested=tuple(bodies))

    def set_fate(self, run: Run, monitor_id: str, fate: str) -> None:
        """Store what happened to a monitor that a run's file has dropped."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE gone SET fate = ? WHERE run = ? AND monitor_id = ?", (fate, run.number, monitor_id)
            )
