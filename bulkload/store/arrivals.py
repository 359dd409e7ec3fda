"""What the store knows of an inbox: its files, their runs, and what is gone from a sheet.

In: files as they are taken, read and filed. Out: files that are not filed yet, and what earlier sheets had. A file is
told apart by its number, a sheet by its name without dates, so that the sheet of every night is one sheet.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.inbox.scan import beside, sheet_of
from bulkload.store.runs import Run, Store, to_json

SECONDS_A_DAY = 86_400.0

_MADE_BY_SHEET = (
    "SELECT runs.run FROM runs JOIN arrivals USING (arrival) WHERE folder = :folder AND sheet = :sheet"
    " AND account = :account AND runs.run < :run"
)
_LATEST = (
    "SELECT max(runs.run) FROM runs JOIN arrivals USING (arrival)"
    " WHERE folder = ? AND account = ? AND read_whole GROUP BY sheet"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that the inbox took."""

    number: int
    name: str  # as it was called when it waited
    working: str  # its name in the folder of files at work
    arrived: float  # seconds since 1970
    place: str | None  # where it belongs in the end, relative to the folder; None: not decided yet

    @property
    def sheet(self) -> str:
        """What the file is called every night."""
        return sheet_of(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A monitor that an earlier version of a sheet had and this one has not."""

    monitor_id: str
    key: bytes | None
    type: str
    name: str
    hostname: str
    port: str
    fate: str  # "theirs": not made by this folder's runs; "ours"; "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a monitor comes from."""

    run: int
    position: int
    type: str
    asked: tuple[str, ...]  # JSON: what it may look like without anybody having edited it


class Book:
    """The book of one folder. The store is locked."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._db = store.db
        # Relative to the store, so that both can be moved together
        self._folder = os.path.relpath(folder.resolve(), store.path.parent.resolve())
        try:
            self._folder.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(self._folder).decode(errors="backslashreplace")
            raise UsageError(f"The folder {shown} is not UTF-8, as every name has to be; rename it.") from None

    # ── files ─────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> list[Arrival]:
        """Files that are not filed yet, in the order in which they were taken."""
        with self._store.errors():
            return [
                Arrival(number=number, name=name, working=working, arrived=arrived, place=place)
                for number, name, working, arrived, place in self._db.execute(
                    "SELECT arrival, name, working, arrived, place FROM arrivals"
                    " WHERE folder = ? AND closed IS NULL ORDER BY arrival",
                    (self._folder,),
                )
            ]

    def reserved(self) -> set[str]:
        """Names in the folder of files at work that are spoken for."""
        return {name for arrival in self.open() for name in (arrival.working, *beside(arrival.working))}

    def enter(self, name: str, working: str) -> Arrival:
        """Note a file that was taken."""
        now = time.time()
        with self._store.transaction():
            number = self._db.execute(
                "INSERT INTO arrivals (folder, name, sheet, working, arrived) VALUES (?, ?, ?, ?, ?)",
                (self._folder, name, sheet_of(name), working, now),
            ).lastrowid
        assert number is not None
        return Arrival(number=number, name=name, working=working, arrived=now, place=None)

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
                (self._folder, arrival.sheet, arrival.number),
            )
            return found.fetchone() is not None

    def still_unsettled(self, names: Sequence[str]) -> dict[str, float]:
        """Note which files somebody still writes; returns since when, in seconds since 1970."""
        now = time.time()
        with self._store.transaction():
            known = dict(self._db.execute("SELECT name, since FROM unsettled WHERE folder = ?", (self._folder,)))
            found = {name: float(known.get(name, now)) for name in names}
            self._db.execute("DELETE FROM unsettled WHERE folder = ?", (self._folder,))
            self._db.executemany(
                "INSERT INTO unsettled (folder, name, since) VALUES (?, ?, ?)",
                ((self._folder, name, since) for name, since in found.items()),
            )
        return found

    # ── what is gone from a sheet ─────────────────────────────────────────────────────────────────────────

    def known_before(self, arrival: Arrival, run: Run) -> Iterator[tuple[str, bytes | None, bool]]:
        """Monitors that the sheet's earlier versions meant: ID, identity, and whether they were made for it.

        That is everything made for it and not undone, and whatever its last version before this one had.
        """
        terms = {"folder": self._folder, "sheet": arrival.sheet, "account": run.account, "run": run.number}
        with self._store.errors():
            yield from (
                (monitor_id, key, True)
                for monitor_id, key in self._db.execute(
                    "SELECT monitor_id, key FROM monitors"
                    f" WHERE account = :account AND run IN ({_MADE_BY_SHEET}) ORDER BY rowid",
                    terms,
                )
            )
            yield from (
                (monitor_id, key, False)
                for monitor_id, key in self._db.execute(
                    "SELECT rows.monitor_id, rows.key FROM rows"
                    f" WHERE run = (SELECT max(run) FROM ({_MADE_BY_SHEET} AND read_whole))"
                    " AND rows.monitor_id IS NOT NULL AND state IN ('created', 'updated', 'exists')",
                    terms,
                )
            )

    def made_count(self, arrival: Arrival, run: Run) -> int:
        """How many monitors the sheet's earlier versions made that the account still has: meant by a row, or gone."""
        terms = {"folder": self._folder, "sheet": arrival.sheet, "account": run.account, "run": run.number}
        with self._store.errors():
            found = self._db.execute(
                f"SELECT count(*) FROM monitors WHERE account = :account AND run IN ({_MADE_BY_SHEET})"
                " AND monitor_id IN (SELECT monitor_id FROM rows WHERE run = :run"
                " UNION ALL SELECT monitor_id FROM gone WHERE run = :run)",
                terms,
            )
            return int(found.fetchone()[0])

    def means(self, run: Run | int, monitor_id: str, keys: Iterable[bytes | None]) -> bool:
        """True if a row of a run means a monitor, by its ID or its identity."""
        number = run if isinstance(run, int) else run.number
        with self._store.errors():
            if self._db.execute("SELECT 1 FROM rows WHERE names = ? AND run = ?", (monitor_id, number)).fetchone():
                return True
            return any(
                self._db.execute("SELECT 1 FROM rows WHERE key = ? AND run = ?", (key, number)).fetchone()
                for key in keys
                if key is not None
            )

    def matched(self, run: Run | int) -> set[str]:
        """Monitors that rows of a run have."""
        number = run if isinstance(run, int) else run.number
        with self._store.errors():
            found = self._db.execute(
                "SELECT monitor_id FROM rows WHERE run = ? AND monitor_id IS NOT NULL"
                " AND state IN ('pending', 'created', 'updated', 'exists')",
                (number,),
            )
            return {monitor_id for (monitor_id,) in found}

    def wanted_by_any(self, run: Run, gone: Sequence[Gone]) -> set[str]:
        """Those of some monitors that the newest version of any sheet of the folder means."""
        with self._store.errors():
            latest = [number for (number,) in self._db.execute(_LATEST, (self._folder, run.account)).fetchall()]
            made = dict(self._db.execute("SELECT monitor_id, key FROM monitors WHERE account = ?", (run.account,)))
        found = set().union(*map(self.matched, latest))
        return {
            one.monitor_id
            for one in gone
            if one.monitor_id in found
            or any(self.means(number, one.monitor_id, (one.key, made.get(one.monitor_id))) for number in latest)
        }

    def note_gone(self, run: Run, found: Iterable[Gone]) -> None:
        """Note what is gone from a run's sheet, instead of what was noted before."""
        with self._store.transaction():
            self._db.execute("DELETE FROM gone WHERE run = ?", (run.number,))
            self._db.executemany(
                "INSERT OR IGNORE INTO gone (run, monitor_id, key, type, name, hostname, port, fate)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (run.number, one.monitor_id, one.key, one.type, one.name, one.hostname, one.port, one.fate)
                    for one in found
                ),
            )

    def gone(self, run: Run, fate: str | None = None) -> Iterator[Gone]:
        """What is gone from a run's sheet; all of it, or what met one fate."""
        with self._store.errors():
            for found in self._db.execute(
                "SELECT monitor_id, key, type, name, hostname, port, fate FROM gone"
                " WHERE run = ?1 AND (?2 IS NULL OR fate = ?2) ORDER BY monitor_id",
                (run.number, fate),
            ):
                yield Gone(**dict(found))

    def gone_count(self, run: Run, fate: str | None = None) -> int:
        """How many monitors are gone from a run's sheet."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT count(*) FROM gone WHERE run = ?1 AND (?2 IS NULL OR fate = ?2)", (run.number, fate)
            )
            return int(found.fetchone()[0])

    def origin(self, arrival: Arrival, run: Run, gone: Gone) -> Origin | None:
        """The row that made a monitor, and what was asked for by it and by the sheet's last version that had it."""
        terms = {"folder": self._folder, "sheet": arrival.sheet, "account": run.account, "run": run.number}
        with self._store.errors():
            made = self._db.execute(
                "SELECT rows.run, position, type, body, rows.key FROM monitors JOIN rows USING (run, position)"
                " WHERE account = ? AND monitors.monitor_id = ?",
                (run.account, gone.monitor_id),
            ).fetchone()
            if made is None:
                return None
            last = self._db.execute(
                f"SELECT body FROM rows WHERE key IN (:made, :now) AND run IN ({_MADE_BY_SHEET})"
                " AND body IS NOT NULL ORDER BY run DESC LIMIT 1",
                terms | {"made": made["key"], "now": gone.key},
            ).fetchone()
        asked = dict.fromkeys([made["body"], *([last["body"]] if last else [])])
        return Origin(run=made["run"], position=made["position"], type=made["type"], asked=tuple(asked))

    def note_fate(self, run: Run, monitor_id: str, fate: str) -> None:
        """Note what became of a monitor that is gone from a run's sheet."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE gone SET fate = ? WHERE run = ? AND monitor_id = ?", (fate, run.number, monitor_id)
            )

    def add_detail(self, run: Run, title: str, text: str) -> None:
        """Let the report of a run say one thing more."""
        with self._store.transaction():
            (details,) = self._db.execute("SELECT details FROM runs WHERE run = ?", (run.number,)).fetchone()
            self._db.execute(
                "UPDATE runs SET details = ? WHERE run = ?", (to_json(json.loads(details) | {title: text}), run.number)
            )

    # ── housekeeping ──────────────────────────────────────────────────────────────────────────────────────

    def filed_before(self, moment: float) -> list[tuple[Arrival, bool]]:
        """Files that were filed before a moment, and whether a newer version of the sheet was filed since."""
        with self._store.errors():
            return [
                (Arrival(number=number, name=name, working=working, arrived=arrived, place=place), bool(newer))
                for number, name, working, arrived, place, newer in self._db.execute(
                    "SELECT arrival, name, working, arrived, place, EXISTS (SELECT 1 FROM arrivals AS newer WHERE"
                    " newer.folder = old.folder AND newer.sheet = old.sheet AND newer.arrival > old.arrival"
                    " AND newer.closed IS NOT NULL) FROM arrivals AS old WHERE folder = ? AND closed < ?",
                    (self._folder, moment),
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
                (run.number, run.account),
            ).rowcount
            self._db.execute("DELETE FROM gone WHERE run = ?", (run.number,))
            (left,) = self._db.execute("SELECT count(*) FROM rows WHERE run = ?", (run.number,)).fetchone()
        if left and taken:
            self.add_detail(run, "tidied", f"{taken} rows were taken out because of their age.")
        return bool(left)
