"""The files of an inbox and their runs.

In: files as they are taken, read and moved to their destination. Out: files that have not reached it yet. A file is
identified by its number; the versions of a recurring file share a name without dates.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload import clock
from bulkload.errors import UsageError
from bulkload.store.results_files import note_moved
from bulkload.store.runs import Run, Store

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that the inbox took."""

    number: int
    name: str  # while it waited
    recurring_name: str  # without dates: the same for each version of a recurring file
    working_name: str  # in the subfolder `working`
    arrived: float  # seconds since 1970
    destination: str | None  # its last path, relative to the folder; None: not decided yet


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierReadings:
    """The readings of a file that started and did not end, because the process ended."""

    count: int
    was_killed: bool  # without a restart of the machine since the last one started, as far as that is known


def path_in_inbox(store: Store, run: Run) -> Path | None:
    """Where the file of a run is, relative to its inbox; None if it did not come from an inbox."""
    with store.errors():
        row = store.db.execute(
            "SELECT coalesce(place, 'working/' || working) FROM runs JOIN arrivals USING (arrival) WHERE run = ?",
            (run.number,),
        ).fetchone()
    return None if row is None else Path(row[0])


def file_in_inbox(store: Store, run: Run) -> Path | None:
    """Where the file of a run is now; None if it did not come from an inbox."""
    with store.errors():
        row = store.db.execute(
            "SELECT folder FROM runs JOIN arrivals USING (arrival) WHERE run = ?", (run.number,)
        ).fetchone()
    path = path_in_inbox(store, run)
    if row is None or path is None:
        return None
    return Path(os.path.normpath(store.path.parent / row[0] / path))


class Arrivals:
    """The files of one folder; the store must be locked."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._db = store.db
        # Relative to the store, so that folder and store can be moved together
        self.folder = os.path.relpath(folder.resolve(), store.path.parent.resolve())
        try:
            self.folder.encode()
        except UnicodeEncodeError:
            escaped = os.fsencode(self.folder).decode(errors="backslashreplace")
            raise UsageError(f"The name of the folder {escaped} is not valid UTF-8; rename it.") from None

    # ── files ─────────────────────────────────────────────────────────────────────────────────────────────

    def unfinished(self) -> list[Arrival]:
        """Files that have not reached their destination yet, in the order in which they were taken."""
        with self._store.errors():
            return [
                _arrival(row)
                for row in self._db.execute(
                    "SELECT * FROM arrivals WHERE folder = ? AND closed IS NULL ORDER BY arrival",
                    (self.folder,),
                )
            ]

    def add(self, name: str, recurring_name: str, working_name: str) -> Arrival:
        """Record a file that was taken."""
        with self._store.transaction():
            return self._insert(name, recurring_name, working_name)

    def add_again(self, arrival: Arrival, working_name: str) -> Arrival:
        """Record that a file changed after it was run, so that it is taken once more, as a new version of itself."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE arrivals SET closed = coalesce(closed, ?), content = NULL WHERE arrival = ?",
                (time.time(), arrival.number),
            )
            return self._insert(arrival.name, arrival.recurring_name, working_name)

    def _insert(self, name: str, recurring_name: str, working_name: str) -> Arrival:
        now = time.time()
        number = self._db.execute(
            "INSERT INTO arrivals (folder, name, sheet, working, arrived) VALUES (?, ?, ?, ?, ?)",
            (self.folder, name, recurring_name, working_name, now),
        ).lastrowid
        assert number is not None
        return Arrival(
            number=number,
            name=name,
            recurring_name=recurring_name,
            working_name=working_name,
            arrived=now,
            destination=None,
        )

    def delete(self, arrival: Arrival) -> None:
        """Delete the record of a file."""
        with self._store.transaction():
            self._db.execute("DELETE FROM arrivals WHERE arrival = ?", (arrival.number,))

    def start_reading(self, arrival: Arrival, content: str) -> EarlierReadings:
        """Record that reading starts, and the state of the file's content; returns how earlier readings ended."""
        now = clock.moment()
        with self._store.transaction():
            (count, since) = self._db.execute(
                "SELECT readings, reading FROM arrivals WHERE arrival = ?", (arrival.number,)
            ).fetchone()
            self._db.execute(
                "UPDATE arrivals SET readings = readings + 1, reading = ?, content = ? WHERE arrival = ?",
                (now, content, arrival.number),
            )
        return EarlierReadings(count=count, was_killed=since is not None and clock.is_same_boot(since, now))

    def end_reading(self, arrival: Arrival) -> None:
        """Record that reading ended, with or without an error."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET readings = 0, reading = NULL WHERE arrival = ?", (arrival.number,))

    def content_of(self, arrival: Arrival) -> str | None:
        """The state of a file's content when it was last read; None if it was not, or is not to be compared."""
        with self._store.errors():
            row = self._db.execute("SELECT content FROM arrivals WHERE arrival = ?", (arrival.number,)).fetchone()
        return None if row is None else row[0]

    def forget_content(self, arrival: Arrival) -> None:
        """Do not compare the content of a file any more."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET content = NULL WHERE arrival = ?", (arrival.number,))

    def start_sending(self, arrival: Arrival) -> None:
        """Record that the rows of a file are sent."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET sendings = sendings + 1 WHERE arrival = ?", (arrival.number,))

    def end_sending(self, arrival: Arrival) -> None:
        """Record that sending ended, with or without an error."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET sendings = 0 WHERE arrival = ?", (arrival.number,))

    def unended_sendings(self, arrival: Arrival) -> int:
        """How often in a row sending started and did not end, because the process was killed."""
        with self._store.errors():
            row = self._db.execute("SELECT sendings FROM arrivals WHERE arrival = ?", (arrival.number,)).fetchone()
        return 0 if row is None else int(row[0])

    def set_destination(self, arrival: Arrival, destination: str) -> None:
        """Record the destination of a file, before it is moved there."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET place = ? WHERE arrival = ?", (destination, arrival.number))

    def mark_results_moved(self, old: Path, new: Path) -> None:
        """Record that the results of a file were moved with it."""
        note_moved(self._store, old, new)

    def mark_moved(self, arrival: Arrival) -> None:
        """Record that a file and its companion files are at their destination."""
        with self._store.transaction():
            self._db.execute("UPDATE arrivals SET closed = ? WHERE arrival = ?", (time.time(), arrival.number))

    def run_of(self, arrival: Arrival) -> Run | None:
        """The run of a file; None if it was not read yet."""
        with self._store.errors():
            row = self._db.execute("SELECT id FROM runs WHERE arrival = ?", (arrival.number,)).fetchone()
        return self._store.run(row[0]) if row else None

    def has_sent(self, run: Run) -> bool:
        """True if a request was sent for a row of a run; if not, its file can be read again as a new one."""
        with self._store.errors():
            sent = self._db.execute(
                "SELECT 1 FROM rows WHERE run = ? AND (attempts > 0 OR state NOT IN"
                " ('pending', 'waiting', 'invalid', 'duplicate', 'exists', 'removed')) LIMIT 1",
                (run.number,),
            )
            return sent.fetchone() is not None

    def is_superseded(self, arrival: Arrival) -> bool:
        """True if a newer version of a recurring file was read, so that this one no longer counts."""
        with self._store.errors():
            newer = self._db.execute(
                "SELECT 1 FROM arrivals JOIN runs USING (arrival)"
                " WHERE folder = ? AND sheet = ? AND arrival > ? AND read_whole LIMIT 1",
                (self.folder, arrival.recurring_name, arrival.number),
            )
            return newer.fetchone() is not None

    def names_of_earlier_versions(self, arrival: Arrival) -> list[str]:
        """The names of the versions of a recurring file that were read before this one, the newest first."""
        with self._store.errors():
            return [
                name
                for (name,) in self._db.execute(
                    "SELECT name FROM arrivals JOIN runs USING (arrival)"
                    " WHERE folder = ? AND sheet = ? AND arrival < ? AND read_whole ORDER BY arrival DESC",
                    (self.folder, arrival.recurring_name, arrival.number),
                )
            ]

    def record_incomplete(self, names: Sequence[str]) -> dict[str, float]:
        """Record which files are still being written; returns since when they are, in seconds since 1970."""
        now = time.time()
        with self._store.transaction():
            known = dict(self._db.execute("SELECT name, since FROM unsettled WHERE folder = ?", (self.folder,)))
            since_when = {name: float(known.get(name, now)) for name in names}
            self._db.execute("DELETE FROM unsettled WHERE folder = ?", (self.folder,))
            self._db.executemany(
                "INSERT INTO unsettled (folder, name, since) VALUES (?, ?, ?)",
                ((self.folder, name, since) for name, since in since_when.items()),
            )
        return since_when

    def moved_since(self, moment: float) -> list[Arrival]:
        """Files that reached their destination after a time, in seconds since 1970, and whose content was recorded."""
        with self._store.errors():
            return [
                _arrival(row)
                for row in self._db.execute(
                    "SELECT * FROM arrivals WHERE folder = ? AND closed > ? AND place IS NOT NULL"
                    " AND content IS NOT NULL ORDER BY arrival",
                    (self.folder, moment),
                )
            ]

    # ── retention ─────────────────────────────────────────────────────────────────────────────────────────

    def moved_before(self, moment: float) -> list[tuple[Arrival, bool]]:
        """Files that reached their destination before a time, and whether a newer version has.

        The time is in seconds since 1970.
        """
        with self._store.errors():
            return [
                (_arrival(row), bool(row["has_newer"]))
                for row in self._db.execute(
                    "SELECT *, EXISTS"
                    " (SELECT 1 FROM arrivals AS newer WHERE newer.folder = old.folder AND newer.sheet = old.sheet"
                    " AND newer.arrival > old.arrival AND newer.closed IS NOT NULL) AS has_newer"
                    " FROM arrivals AS old WHERE folder = ? AND closed < ?",
                    (self.folder, moment),
                )
            ]


def _arrival(row: sqlite3.Row) -> Arrival:
    return Arrival(
        number=row["arrival"],
        name=row["name"],
        recurring_name=row["sheet"],
        working_name=row["working"],
        arrived=row["arrived"],
        destination=row["place"],
    )
