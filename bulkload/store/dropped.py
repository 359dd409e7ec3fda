"""Monitors that are in an earlier version of a recurring file, but no longer in the current one.

In: a file of an inbox, and the runs of its earlier versions. Out: the monitors of the earlier versions, which of them
are still in a file of the folder, and what was requested for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bulkload.model import NOT_WHOLE
from bulkload.store.arrivals import Arrival
from bulkload.store.runs import Run, Store
from bulkload.store.sharing import table_of

DroppedState = Literal["ours", "theirs", "deleted"]  # as the column `fate` stores it
"""Ours: created by runs of this file, and not deleted; theirs: not created by them."""

_EARLIER_RUNS = (
    "SELECT runs.run FROM runs JOIN arrivals USING (arrival) WHERE folder = :folder AND sheet = :sheet"
    " AND account = :account AND runs.run < :run"
)
_VERSIONS = (
    "SELECT runs.run, sheet, translated, details FROM runs JOIN arrivals USING (arrival)"
    " WHERE folder = ? AND account = ? AND read_whole ORDER BY runs.run DESC"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedMonitor:
    """A monitor that is no longer in a recurring file."""

    monitor_id: str
    key: bytes | None
    type: str
    name: str
    hostname: str
    port: str
    state: DroppedState


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The row that created a monitor."""

    run: int
    position: int
    type: str
    bodies: tuple[str, ...]  # JSON: requested by the versions of the file; with any of them, it was not edited


class DroppedMonitors:
    """The monitors that were dropped from the recurring files of one folder; the store must be locked."""

    def __init__(self, store: Store, folder: str) -> None:
        """`folder` is `Arrivals.folder`."""
        self._store = store
        self._db = store.db
        self._folder = folder

    def known_before(self, arrival: Arrival, run: Run) -> Iterator[tuple[str, bytes | None, bool]]:
        """Monitors of earlier versions of a file: ID, identity key, and whether runs of the file created them.

        These are all monitors that were created for it and not undone, and all monitors of its previous version.
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
            (last,) = self._db.execute(f"SELECT max(run) FROM ({_EARLIER_RUNS} AND read_whole)", values).fetchone()
            yield from (
                (monitor_id, key, False)
                for monitor_id, key in self._db.execute(
                    f"SELECT monitor_id, key FROM {table_of(self._db, last)}"
                    " WHERE run = ? AND monitor_id IS NOT NULL AND state IN ('created', 'updated', 'exists')",
                    (last,),
                )
            )

    def count_created(self, arrival: Arrival, run: Run) -> int:
        """The number of monitors created by earlier versions of a file that the run has matched or dropped."""
        values = {"folder": self._folder, "sheet": arrival.recurring_name, "account": run.account_id, "run": run.number}
        with self._store.errors():
            created = self._db.execute(
                f"SELECT count(*) FROM monitors WHERE account = :account AND run IN ({_EARLIER_RUNS})"
                f" AND monitor_id IN (SELECT monitor_id FROM {table_of(self._db, run.number)} WHERE run = :run"
                " UNION ALL SELECT monitor_id FROM gone WHERE run = :run)",
                values,
            )
            return int(created.fetchone()[0])

    def is_in_run(self, run_number: int, monitor_id: str, keys: Iterable[bytes | None]) -> bool:
        """True if a row of a run identifies a monitor by its ID or by one of these identity keys."""
        with self._store.errors():
            table = table_of(self._db, run_number)
            if self._db.execute(
                f"SELECT 1 FROM {table} WHERE names = ? AND run = ?", (monitor_id, run_number)
            ).fetchone():
                return True
            return any(
                self._db.execute(f"SELECT 1 FROM {table} WHERE key = ? AND run = ?", (key, run_number)).fetchone()
                for key in keys
                if key is not None
            )

    def matched(self, run_number: int) -> set[str]:
        """IDs of the monitors to which rows of a run were matched."""
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT monitor_id FROM {table_of(self._db, run_number)} WHERE run = ? AND monitor_id IS NOT NULL"
                " AND state IN ('pending', 'created', 'updated', 'exists')",
                (run_number,),
            )
            return {monitor_id for (monitor_id,) in rows}

    def still_wanted(self, run: Run, dropped: Sequence[DroppedMonitor]) -> set[str]:
        """IDs of those that are in the newest version of any file of the folder."""
        latest = self._latest_runs(run)
        with self._store.errors():
            created = dict(
                self._db.execute("SELECT monitor_id, key FROM monitors WHERE account = ?", (run.account_id,))
            )
        matched = set().union(*map(self.matched, latest))
        return {
            monitor.monitor_id
            for monitor in dropped
            if monitor.monitor_id in matched
            or any(
                self.is_in_run(run_number, monitor.monitor_id, (monitor.key, created.get(monitor.monitor_id)))
                for run_number in latest
            )
        }

    def _latest_runs(self, run: Run) -> list[int]:
        """The runs of the newest version of each file of the folder.

        If the newest version of another file is not whole, it may lack what an earlier version had: the versions
        before it count too, back to one that is whole.
        """
        with self._store.errors():
            versions = self._db.execute(_VERSIONS, (self._folder, run.account_id)).fetchall()
        own_name = next((name for number, name, *_ in versions if number == run.number), None)
        latest: list[int] = []
        finished: set[str] = set()
        for number, name, translated, details in versions:
            if name in finished:
                continue
            latest.append(number)
            is_whole = NOT_WHOLE not in json.loads(details) and not (translated and json.loads(translated)["errors"])
            if name == own_name or is_whole:
                finished.add(name)
        return latest

    def replace(self, run: Run, dropped: Iterable[DroppedMonitor]) -> None:
        """Replace the dropped monitors of a run."""
        with self._store.transaction():
            self._db.execute("DELETE FROM gone WHERE run = ?", (run.number,))
            self._db.executemany(
                "INSERT OR IGNORE INTO gone (run, monitor_id, key, type, name, hostname, port, fate)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        run.number,
                        monitor.monitor_id,
                        monitor.key,
                        monitor.type,
                        monitor.name,
                        monitor.hostname,
                        monitor.port,
                        monitor.state,
                    )
                    for monitor in dropped
                ),
            )

    def of(self, run: Run, state: DroppedState | None = None) -> Iterator[DroppedMonitor]:
        """The dropped monitors of a run, all or those in one state, ordered by ID."""
        with self._store.errors():
            for monitor in self._db.execute(
                "SELECT monitor_id, key, type, name, hostname, port, fate AS state FROM gone"
                " WHERE run = ?1 AND (?2 IS NULL OR fate = ?2) ORDER BY monitor_id",
                (run.number, state),
            ):
                yield DroppedMonitor(**dict(monitor))

    def count(self, run: Run, state: DroppedState | None = None) -> int:
        """The number of dropped monitors of a run, of all or of those in one state."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT count(*) FROM gone WHERE run = ?1 AND (?2 IS NULL OR fate = ?2)", (run.number, state)
            ).fetchone()
            return int(row[0])

    def origin(self, arrival: Arrival, run: Run, monitor: DroppedMonitor) -> Origin | None:
        """The row that created a monitor, with the bodies that it and the last version of the file requested.

        None if the monitor is not recorded as created.
        """
        values = {"folder": self._folder, "sheet": arrival.recurring_name, "account": run.account_id, "run": run.number}
        with self._store.errors():
            created = self._db.execute(
                "SELECT rows.run, position, type, body, rows.key FROM monitors JOIN rows USING (run, position)"
                " WHERE account = ? AND monitors.monitor_id = ?",
                (run.account_id, monitor.monitor_id),
            ).fetchone()
            if created is None:
                return None
            requests = " UNION ALL ".join(
                f"SELECT run, body FROM {table} WHERE key IN (:created_key, :listed_key)"
                f" AND run IN ({_EARLIER_RUNS}) AND body IS NOT NULL"
                for table in ("rows", "shared_rows")
            )
            latest = self._db.execute(
                f"SELECT body FROM ({requests}) ORDER BY run DESC LIMIT 1",
                values | {"created_key": created["key"], "listed_key": monitor.key},
            ).fetchone()
        bodies = dict.fromkeys([created["body"], *([latest["body"]] if latest else [])])
        return Origin(run=created["run"], position=created["position"], type=created["type"], bodies=tuple(bodies))

    def set_state(self, run: Run, monitor_id: str, state: DroppedState) -> None:
        """Change the state of a dropped monitor of a run."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE gone SET fate = ? WHERE run = ? AND monitor_id = ?", (state, run.number, monitor_id)
            )
