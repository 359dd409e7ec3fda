"""The run store: every run and every row, in one SQLite file.

In: runs, and their rows as they are read. Out: the history, and the rows of a report. The states of a run's rows are in
`rows`, what is known about an account in `account_record`, the tables in `schema`.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from bulkload import clock
from bulkload.errors import BulkloadError, UsageError
from bulkload.model import (
    ReportRow,
    RunInfo,
    Status,
    Translated,
    status_counts_of,
)
from bulkload.store.accounts import find_or_add_account, merge_accounts
from bulkload.store.calls import begin_call, end_call
from bulkload.store.database import Database
from bulkload.store.row_counts import keep_counts, state_counts
from bulkload.store.row_records import NewRow
from bulkload.store.sharing import hand_over, table_of
from bulkload.store.stored_rows import INSERT_ROW, SELECT_REPORT, report_row, row_values, to_json

SELECT_RUN = (
    "SELECT runs.*, coalesce(base_url, '') AS base_url, coalesce(username, '') AS username"
    " FROM runs LEFT JOIN accounts ON accounts.id = runs.account"
)

LAST = "last"  # names the newest run, wherever a run is named
CHUNK = 1_000  # rows taken from a reader at a time
BATCH = 20_000  # rows a transaction: with fewer, a long file takes more time per row than a short one


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, as the store knows it."""

    number: int
    id: str
    account_id: int | None  # None: offline
    base_url: str
    username: str
    command: str
    input: str
    header: tuple[str, ...]
    read_whole: bool
    finished: bool
    exit_code: int | None


def new_run_id(started: float) -> str:
    """A new ID for a run; `started` is in seconds since 1970."""
    return f"{clock.utc(started).replace('-', '').replace(':', '')[:15]}-{uuid.uuid4().hex[:4]}"


class Store(Database):
    """The run store in one folder. Use as a context manager; call `lock` before any change."""

    def account_id(self, base_url: str, username: str) -> int:
        """The ID of an account in the store, which is added if it is new; see `accounts` for its spellings.

        Raises `UsageError` if it may be a known account: one of the two has no user name.
        """
        with self.transaction():
            return find_or_add_account(self.db, base_url, username)

    def begin(
        self,
        command: str,
        input_path: str,
        header: Sequence[str],
        *,
        account_id: int | None,
        details: Mapping[str, str],
        settings: Mapping[str, str],
        arrival: int | None = None,
        translated: Translated | None = None,
    ) -> Run:
        """Store a new run, without rows; `arrival` is the number of its file in an inbox."""
        started = time.time()
        with self.transaction():
            while self._has_run(run_id := new_run_id(started)):  # one of many that began in the same second
                pass
            self.db.execute(
                "INSERT INTO runs"
                " (id, account, command, input, header, details, settings, started, arrival, translated)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run_id,
                    account_id,
                    command,
                    input_path,
                    to_json(header),
                    to_json(details),
                    to_json(settings),
                    started,
                    arrival,
                    to_json(asdict(translated)) if translated else None,
                ),
            )
            if command == "run":
                self._begin_call(self.db.execute("SELECT run FROM runs WHERE id = ?", (run_id,)).fetchone()[0])
        return self.run(run_id)

    def add(self, run: Run, first: int, rows: Iterable[NewRow]) -> int:
        """Add rows in order, from position `first` on; returns the position after the last.

        The rows of a transaction are taken before it begins, so that a slow reader blocks no other process.
        """
        remaining, values = iter(rows), list[tuple[object, ...]]()
        while chunk := list(islice(remaining, CHUNK)):  # outside of `errors`: the reader's errors are not the store's
            with self.errors():
                values += [row_values(run.number, position, row) for position, row in enumerate(chunk, first)]
            first += len(chunk)
            if len(values) >= BATCH:
                self._insert(values)
                values.clear()
        self._insert(values)
        return first

    def mark_read_whole(self, run: Run, reading: str | None = None) -> None:
        """Record that the whole input is in the store; the file is no longer needed.

        `reading` is what the rows depend on, by which `shared_rows` recognises an unchanged input.
        """
        with self.transaction():
            self.db.execute(
                "UPDATE runs SET read_whole = 1, reading = ?, details_as_read = details WHERE run = ?",
                (reading, run.number),
            )
            keep_counts(self.db)

    def note_setting(self, run: Run, name: str, value: str) -> None:
        """Add a setting to the report of a run."""
        with self.transaction():
            (settings,) = self.db.execute("SELECT settings FROM runs WHERE run = ?", (run.number,)).fetchone()
            changed = to_json(json.loads(settings) | {name: value})
            self.db.execute("UPDATE runs SET settings = ? WHERE run = ?", (changed, run.number))

    def note_detail(self, run: Run, name: str, value: str) -> None:
        """Add a detail about how the input was read to the report of a run."""
        with self.transaction():
            (details,) = self.db.execute("SELECT details FROM runs WHERE run = ?", (run.number,)).fetchone()
            changed = to_json(json.loads(details) | {name: value})
            self.db.execute("UPDATE runs SET details = ? WHERE run = ?", (changed, run.number))

    def reopen(self, run: Run) -> None:
        """Make rows that were given up pending again, for another session of the run, which is a call of its own."""
        with self.transaction():
            self._begin_call(run.number)
            self.db.execute(
                "UPDATE rows SET state = 'pending', attempts = 0, error = ''"
                " WHERE run = ? AND state IN ('failed', 'unknown')",
                (run.number,),
            )
            self.db.execute(  # a monitor in doubt may exist by now, and must not count as existing before the run
                "UPDATE runs SET listed = 0 WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM earlier WHERE run = ?1)"
                " AND NOT EXISTS (SELECT 1 FROM rows WHERE run = ?1 AND (state = 'doubt' OR state = 'sending'))",
                (run.number,),
            )

    def begin_call(self, run: Run) -> None:
        """Record that a call begins to work on a run."""
        with self.transaction():
            self._begin_call(run.number)

    def end_call(
        self, run: Run, exit_code: int, stopped: BulkloadError | None = None, results: Sequence[Path] = ()
    ) -> None:
        """Record how a call ended that does not end its run."""
        with self.transaction():
            self._end_call(run, exit_code, stopped, results)

    def amend_call(self, run: Run, exit_code: int, stopped: str) -> None:
        """Record that the last call of a run ended worse than its rows: with this exit code, because of this."""
        with self.transaction():
            self.db.execute(
                "UPDATE calls SET exit_code = ?1, stopped = iif(stopped = '', ?2, stopped) WHERE exit_code < ?1"
                " AND call = (SELECT max(call) FROM calls WHERE run = ?3 AND token = ?4 AND ended IS NOT NULL)",
                (int(exit_code), stopped, run.number, self.token),
            )

    def note_call(self, input_path: str, exit_code: int, stopped: str) -> None:
        """Record a call of this process that did not become a run."""
        with self.transaction():
            begin_call(self.db, self.token, self.caller, run=None, account=None, input_path=input_path)
            end_call(self.db, self.token, run=None, exit_code=exit_code, stopped=stopped)

    def was_noted(self, input_path: str, stopped: str, *, since: float) -> bool:
        """True if a call that did not become a run was recorded with this reason since a moment."""
        with self.errors():
            return (
                self.db.execute(
                    "SELECT 1 FROM calls WHERE run IS NULL AND input = ? AND stopped = ? AND began >= ?",
                    (input_path, stopped, since),
                ).fetchone()
                is not None
            )

    def end(
        self,
        run: Run,
        exit_code: int,
        stopped: BulkloadError | None,
        seconds: float,
        requests: Mapping[str, int],
        results: Sequence[Path] = (),
    ) -> None:
        """Record how a run, or another session of it, ended, and its call."""
        with self.transaction():
            self.db.execute(
                "UPDATE runs SET finished = ?, exit_code = ?, stopped = ?, seconds = seconds + ?,"
                " sent = sent + ?, throttled = throttled + ?, retried = retried + ? WHERE run = ?",
                (
                    time.time(),
                    exit_code,
                    str(stopped or ""),
                    seconds,
                    *(requests.get(name, 0) for name in ("sent", "throttled", "retried")),
                    run.number,
                ),
            )
            self.db.execute(
                "DELETE FROM earlier WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM rows WHERE run = ?1 AND"
                " (state = 'pending' OR state = 'sending' OR state = 'doubt' OR state = 'waiting'))",
                (run.number,),
            )
            keep_counts(self.db)
            self._end_call(run, exit_code, stopped, results)

    def keep_counts(self) -> None:
        """Keep the counts of runs whose rows have changed, at the end of a session that does not `end` a run."""
        with self.transaction():
            keep_counts(self.db)

    def forget(self, run: Run, *, keep_calls: bool = False) -> None:
        """Delete a run from the store; with `keep_calls`, its calls stay in the history, without a run."""
        with self.transaction():
            if keep_calls:
                self.db.execute("UPDATE calls SET run = NULL WHERE run = ?", (run.number,))
            self._forget(run.number)

    def run(self, run_id: str | None = None) -> Run:
        """A run by its ID or an unambiguous prefix of it, or by `last`; without an ID, the newest."""
        if run_id == LAST:
            return self._last()
        if run_id is not None and not run_id.strip():
            raise UsageError("The run ID is empty; bulkload runs lists all runs.")  # it is a prefix of every ID
        with self.errors():
            rows = self.db.execute(
                f"{SELECT_RUN} WHERE substr(runs.id, 1, length(?1)) = ?1 ORDER BY run DESC LIMIT 2", (run_id or "",)
            ).fetchall()
        if not rows:
            raise UsageError(f"There is no run {run_id}." if run_id else "There are no runs yet.")
        if run_id and len(rows) > 1 and rows[0]["id"] != run_id:
            raise UsageError(f"{run_id} is the beginning of several run IDs; give more characters of it.")
        return _run(rows[0])

    def _last(self) -> Run:
        with self.errors():
            row = self.db.execute(f"{SELECT_RUN} WHERE command = 'run' ORDER BY run DESC LIMIT 1").fetchone()
        if row is None:
            raise UsageError("There are no runs yet.")
        return _run(row)

    def runs(self, limit: int = -1, offset: int = 0) -> list[Run]:
        """All runs, or some, the newest first."""
        with self.errors():
            rows = self.db.execute(f"{SELECT_RUN} ORDER BY run DESC LIMIT ? OFFSET ?", (limit, offset))
            return [_run(row) for row in rows]

    def count_runs(self) -> int:
        """The number of all runs."""
        with self.errors():
            return int(self.db.execute("SELECT count(*) FROM runs").fetchone()[0])

    def info(self, run: Run) -> RunInfo:
        """The facts about a whole run, for its report."""
        with self.errors():
            row = self.db.execute("SELECT * FROM runs WHERE run = ?", (run.number,)).fetchone()
        return RunInfo(
            run_id=run.id,
            input=run.input,
            header=run.header,
            account=run.username,
            base_url=run.base_url,
            started=clock.utc(row["started"]),
            finished=clock.utc(row["finished"]) if row["finished"] is not None else "",
            seconds=row["seconds"],
            counts=self.counts(run),
            details=json.loads(row["details"]),
            settings=json.loads(row["settings"]),
            requests={name: row[name] for name in ("sent", "throttled", "retried")},
            stopped=row["stopped"],
            translated=Translated(**json.loads(row["translated"])) if row["translated"] else None,
        )

    def settings(self, run: Run) -> dict[str, str]:
        """The settings of a run; unlike `info`, this never reads the rows."""
        with self.errors():
            (settings,) = self.db.execute("SELECT settings FROM runs WHERE run = ?", (run.number,)).fetchone()
        return dict(json.loads(settings))

    def counts(self, run: Run) -> dict[Status, int]:
        """The number of rows by status, in the order of `Status`."""
        return status_counts_of(self.state_counts(run))

    def state_counts(self, run: Run) -> dict[str, int]:
        """The number of rows by `State` or final `Status`; reads the rows if they have changed."""
        with self.errors():
            return state_counts(self.db, run.number)

    def last_errors(self, run: Run, limit: int) -> list[tuple[int, str]]:
        """The last rows that could not be created or are in doubt, in order: row in the file and error."""
        with self.errors():
            rows = self.db.execute(
                "SELECT source_row, error FROM rows WHERE run = ? AND state IN ('rejected', 'failed', 'unknown',"
                " 'doubt') AND error <> '' ORDER BY position DESC LIMIT ?",
                (run.number, limit),
            ).fetchall()
        return [(row["source_row"], row["error"]) for row in reversed(rows)]

    def last_doubt(self, run: Run) -> float | None:
        """When the last request in doubt was sent at the latest, in seconds since 1970; None without any."""
        with self.errors():
            rows = self.db.execute("SELECT at FROM rows WHERE run = ? AND state = 'doubt'", (run.number,)).fetchall()
        return max((clock.wall(at) for (at,) in rows if at), default=None)

    def report_rows(self, run: Run) -> Iterator[ReportRow]:
        """The rows of a run in input order."""
        with self.errors():
            table = table_of(self.db, run.number)
            for row in self.db.execute(f"{SELECT_REPORT} {table} WHERE run = ? ORDER BY position", (run.number,)):
                yield report_row(*row)

    def _insert(self, values: Sequence[tuple[object, ...]]) -> None:
        with self.transaction():
            self.db.executemany(INSERT_ROW, values)

    def _begin_call(self, run_number: int) -> None:
        account, input_path = self.db.execute("SELECT account, input FROM runs WHERE run = ?", (run_number,)).fetchone()
        begin_call(self.db, self.token, self.caller, run=run_number, account=account, input_path=input_path)

    def _end_call(self, run: Run, exit_code: int, stopped: BulkloadError | None, results: Sequence[Path]) -> None:
        end_call(
            self.db,
            self.token,
            run=run.number,
            exit_code=exit_code,
            stopped=str(stopped or ""),
            results=results,
        )

    def _has_run(self, run_id: str) -> bool:
        return self.db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is not None

    def _repair(self, now: str) -> None:
        """Put requests that were in flight in doubt, delete interrupted plans and merge duplicate accounts.

        When an interrupted request was sent is unknown, but it was not later than now. Neither was any request in
        doubt, even if the clock that recorded it was ahead.
        """
        self.db.execute(
            "UPDATE rows SET state = 'doubt', at = ?, error = 'the run ended before the answer came'"
            " WHERE state = 'sending' AND run IN (SELECT run FROM runs)",
            (now,),
        )
        doubts = self.db.execute(
            "SELECT run, position, at FROM rows WHERE state = 'doubt' AND run IN (SELECT run FROM runs)"
        )
        ahead = [(now, run, position) for run, position, at in doubts if clock.is_later(at, now)]
        self.db.executemany("UPDATE rows SET at = ? WHERE run = ? AND position = ?", ahead)
        self.db.execute("UPDATE calls SET run = NULL WHERE run IN (SELECT run FROM runs WHERE command = 'delete')")
        for (run_number,) in self.db.execute("SELECT run FROM runs WHERE command <> 'run'").fetchall():
            self._forget(run_number)  # a plan that was interrupted
        merge_accounts(self.db)

    def _forget(self, run_number: int) -> None:
        hand_over(self.db, run_number)
        for table in ("rows", "row_counts", "earlier", "gone", "calls", "runs"):
            self.db.execute(f"DELETE FROM {table} WHERE run = ?", (run_number,))


def _run(row: sqlite3.Row) -> Run:
    return Run(
        number=row["run"],
        id=row["id"],
        account_id=row["account"],
        base_url=row["base_url"],
        username=row["username"],
        command=row["command"],
        input=row["input"],
        header=tuple(json.loads(row["header"])),
        read_whole=bool(row["read_whole"]),
        finished=row["finished"] is not None,
        exit_code=row["exit_code"],
    )
