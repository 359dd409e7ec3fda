"""The files of an inbox and their runs.

In: files as they are taken, read and filed. Out: files that are not filed yet. A file is identified by its number; the
versions of a recurring file share its name without dates.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.store.runs import Run, Store

SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that the inbox took."""

    number: int
    name: str  # as it was called when it waited
    recurring_name: str  # the name without dates: the same for each version of a recurring file
    working: str  # its name in the folder of files at work
    arrived: float  # seconds since 1970
    place: str | None  # where it belongs in the end, relative to the folder; None: not decided yet


class Arrivals:
    """The files of one folder. The store is locked."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._db = store.db
        # Relative to the store, so that both can be moved together
        self.folder = os.path.relpath(folder.resolve(), store.path.parent.resolve())
        try:
            self.folder.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(self.folder).decode(errors="backslashreplace")
            raise UsageError(f"The folder {shown} is not UTF-8, as every name has to be; rename it.") from None

    # ── files ─────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> list[Arrival]:
        """Files that are not filed yet, in the order in which they were taken."""
        with self._store.errors():
            return [
                Arrival(number=number, name=name, recurring_name=sheet, working=working, arrived=arrived, place=place)
                for number, name, sheet, working, arrived, place in self._db.execute(
                    "SELECT arrival, name, sheet, working, arrived, place FROM arrivals"
                    " WHERE folder = ? AND closed IS NULL ORDER BY arrival",
                    (self.folder,),
                )
            ]

    def enter(self, name: str, recurring_name: str, working: str) -> Arrival:
        """Note a file that was taken."""
        now = time.time()
        with self._store.transaction():
            number = self._db.execute(
                "INSERT INTO arrivals (folder, name, sheet, working, arrived) VALUES (?, ?, ?, ?, ?)",
                (self.folder, name, recurring_name, working, now),
            ).lastrowid
        assert number is not None
        return Arrival(
            number=number, name=name, recurring_name=recurring_name, working=working, arrived=now, place=None
        )

    def drop(self, arrival: Arrival) -> None:
        """Forget a file that was taken away before it was read."""
        with self._store.transaction():
            self._db.execute("DELETE FROM arrivals WHERE arrival = ?", (arrival.number,))

    def start_reading(self, arrival: Arrival) -> int:
        """Note that reading begins; returns how often it began and never ended."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET readings = readings + 1 WHERE arrival = ?", (arrival.number,))
            found = self._db.execute("SELECT readings - 1 FROM arrivals WHERE arrival = ?", (arrival.number,))
            return int(found.fetchone()[0])

    def end_reading(self, arrival: Arrival) -> None:
        """Note that reading ended, well or not."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET readings = 0 WHERE arrival = ?", (arrival.number,))

    def decide(self, arrival: Arrival, place: str) -> None:
        """Note where a file belongs in the end."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET place = ? WHERE arrival = ?", (place, arrival.number))

    def close(self, arrival: Arrival) -> None:
        """Note that a file and what lies beside it are where they belong."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET closed = ? WHERE arrival = ?", (time.time(), arrival.number))

    def run_of(self, arrival: Arrival) -> Run | None:
        """The run of a file, if it was read."""
        with self._store.errors():
            found = self._db.execute("SELECT id FROM runs WHERE arrival = ?", (arrival.number,)).fetchone()
        return self._store.run(found[0]) if found else None

    def is_begun(self, run: Run) -> bool:
        """True if anything was sent for a row of a run; if not, it can be read again as if it never had been."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT 1 FROM rows WHERE run = ? AND (attempts > 0 OR state NOT IN"
                " ('pending', 'waiting', 'invalid', 'duplicate', 'exists', 'removed')) LIMIT 1",
                (run.number,),
            )
            return found.fetchone() is not None

    def is_superseded(self, arrival: Arrival) -> bool:
        """True if a newer version of the sheet was read; what it says counts now."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT 1 FROM arrivals JOIN runs USING (arrival)"
                " WHERE folder = ? AND sheet = ? AND arrival > ? AND read_whole LIMIT 1",
                (self.folder, arrival.recurring_name, arrival.number),
            )
            return found.fetchone() is not None

    def still_unsettled(self, names: Sequence[str]) -> dict[str, float]:
        """Record which files are still being written; returns since when, in seconds since 1970."""
        now = time.time()
        with self._store.transaction():
            known = dict(self._db.execute("SELECT name, since FROM unsettled WHERE folder = ?", (self.folder,)))
            found = {name: float(known.get(name, now)) for name in names}
            self._db.execute("DELETE FROM unsettled WHERE folder = ?", (self.folder,))
            self._db.executemany(
                "INSERT INTO unsettled (folder, name, since) VALUES (?, ?, ?)",
                ((self.folder, name, since) for name, since in found.items()),
            )
        return found

    # ── housekeeping ──────────────────────────────────────────────────────────────────────────────────────

    def filed_before(self, moment: float) -> list[tuple[Arrival, bool]]:
        """Files that were filed before a moment, and whether a newer version of the sheet was filed since."""
        with self._store.errors():
            return [
                (
                    Arrival(
                        number=number, name=name, recurring_name=sheet, working=working, arrived=arrived, place=place
                    ),
                    bool(newer),
                )
                for number, name, sheet, working, arrived, place, newer in self._db.execute(
                    "SELECT arrival, name, sheet, working, arrived, place, EXISTS"
                    " (SELECT 1 FROM arrivals AS newer WHERE newer.folder = old.folder AND newer.sheet = old.sheet"
                    " AND newer.arrival > old.arrival AND newer.closed IS NOT NULL)"
                    " FROM arrivals AS old WHERE folder = ? AND closed < ?",
                    (self.folder, moment),
                )
            ]

    def tidy(self, run: Run) -> bool:
        """Take the rows of an old run out of the store that nothing depends on; returns whether any are left.

        What stays: rows in doubt, since they are still to be settled, and rows whose monitor was made and not undone,
        so that it can be.
        """
        with self._store.transaction():
            taken = self._db.execute(
                "DELETE FROM rows WHERE run = ?1 AND state NOT IN ('doubt', 'sending') AND NOT (state = 'created' AND"
                " EXISTS (SELECT 1 FROM monitors WHERE account = ?2 AND monitors.monitor_id = rows.monitor_id))",
                (run.number, run.account_id),
            ).rowcount
            self._db.execute("DELETE FROM gone WHERE run = ?", (run.number,))
            (left,) = self._db.execute("SELECT count(*) FROM rows WHERE run = ?", (run.number,)).fetchone()
        if left and taken:
            self._store.note_detail(run, "tidied", f"{taken} rows were taken out because of their age.")
        return bool(left)
