"""The run store: every run and every row, in one SQLite file.

In: runs and their rows as they are read. Out: the history and the rows of a report. What happens to rows in between is
in `rows`, what is known about an account in `account_record`; the tables are in `schema`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import pydantic_core

from bulkload import clock
from bulkload.errors import BulkloadError, LockLost, StoreError, UsageError
from bulkload.model import ACCOUNT_ISSUE, Issue, ReportRow, RunInfo, Status, Translated, in_order, status_of
from bulkload.store.accounts import canonical
from bulkload.store.lock import Hold, identity
from bulkload.store.row_records import NewRow
from bulkload.store.schema import connect
from bulkload.store.transaction import Transaction

STORE_NAME = "bulkload.sqlite3"

SELECT_RUN = (
    "SELECT runs.*, coalesce(base_url, '') AS base_url, coalesce(username, '') AS username"
    " FROM runs LEFT JOIN accounts ON accounts.id = runs.account"
)


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
    """An ID for a run that began then."""
    return f"{clock.utc(started).replace('-', '').replace(':', '')[:15]}-{uuid.uuid4().hex[:4]}"


def digest(key: str) -> bytes:
    """A monitor's identity, short enough to be indexed."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


class Store:
    """The run store in one folder. Use as a context manager; `lock` before anything is changed."""

    def __init__(self, folder: Path, *, must_exist: bool = False) -> None:
        self.path = folder / STORE_NAME
        self._hold: Hold | None = None
        self._owned = False  # this process has written its name into the store
        with self.errors():
            if must_exist and not self.path.is_file():
                raise UsageError(f"There are no runs in {folder}: it has no {STORE_NAME}.")
            folder.mkdir(parents=True, exist_ok=True)
            self.db = connect(self.path)
        self._opened = identity(self.path)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.db.close()
        finally:
            if self._hold is not None:
                self._hold.release()

    def lock(self) -> None:
        """Take the store for this process, or raise `Locked`; requests that a dead process left become doubts.

        When such a request left is not known; it cannot have been later than now, whatever clock noted it.
        """
        with self.errors():
            self._hold = Hold(self.path, self._opened)
        now = clock.moment()
        with self.transaction():
            self.db.execute("DELETE FROM owner")
            self.db.execute("INSERT INTO owner (token) VALUES (?)", (self._hold.token,))
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
            for (number,) in self.db.execute("SELECT run FROM runs WHERE command <> 'run'").fetchall():
                self._forget(number)  # a plan that died
            self._unite_accounts()
        self._owned = True

    def lost(self, *, files: bool = True) -> LockLost | None:
        """Why the store is not this process's alone any more; None: it is, or was never locked.

        `files`: look also whether lock and store are still the files in the folder. Inside of a transaction the answer
        holds until its end, as far as other runs go.
        """
        if self._hold is None or not self._owned:
            return None
        with self.errors():
            owner = self.db.execute("SELECT token FROM owner").fetchone()
        if owner is None or owner[0] != self._hold.token:
            return LockLost(
                f"Another run has taken over the run store {self.path}, so this one creates nothing more. When the"
                " other one has ended, continue with bulkload resume.",
                taken_over=True,
            )
        what = self._hold.lost() if files else None
        if what is None:
            return None
        return LockLost(
            f"{what} during the run, so the run creates nothing more. Do not change the folder during a run; if the"
            " store still exists, continue with bulkload resume."
        )

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────

    def account_id(self, base_url: str, username: str) -> int:
        """The ID of an account in the store; the base URL and the user name identify it, however they are spelled.

        Raises `UsageError` if no user name is given, or none was before, so that it may be a known account.
        """
        with self.transaction():
            meant = canonical(base_url, username)
            for number, *names in self.db.execute("SELECT id, base_url, username FROM accounts ORDER BY id").fetchall():
                address, user = canonical(*names)
                if (address, user) == meant:
                    return int(number)
                if address == meant[0] and "" in (user, meant[1]) and self._has_sent(number):
                    raise UsageError(
                        f"This folder has runs at {base_url} {f'of {names[1]}' if user else 'without a user name'}, and"
                        " it cannot be told whether this is the same account. Log in with the same user name"
                        " (ALERTSITE_USERNAME, also beside a token), or use another folder (--output)."
                    )
            added = self.db.execute("INSERT INTO accounts (base_url, username) VALUES (?, ?)", (base_url, username))
            assert added.lastrowid is not None
            return added.lastrowid

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
        """Note a new run; its rows follow by `add`. `arrival` is the number of its file in an inbox."""
        started = time.time()
        run_id = new_run_id(started)
        with self.transaction():
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
        return self.run(run_id)

    def add(self, run: Run, first: int, rows: Iterable[NewRow]) -> int:
        """Add rows in order, from position `first` on; returns the position after the last."""
        new = list(rows)  # what goes wrong while they are read is no trouble of the store
        with self.errors():
            values = [
                (
                    run.number,
                    position,
                    row.source_row,
                    to_json(row.cells),
                    row.state,
                    row.type,
                    digest(row.key) if row.key is not None else None,
                    row.body,
                    row.given_monitor_id,
                    row.finished_in_file,
                    row.monitor_id,
                    row.error,
                    to_json(row.error_columns) if row.error_columns else None,
                    to_json([asdict(issue) for issue in row.issues]) if row.issues else None,
                )
                for position, row in enumerate(new, first)
            ]
        with self.transaction():
            self.db.executemany(
                "INSERT INTO rows (run, position, source_row, cells, state, type, key, body, names, finished_in_file,"
                " monitor_id, error, error_columns, issues) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        return first + len(values)

    def read_whole(self, run: Run) -> None:
        """Note that the whole input is in the store, so that the file is not needed any more."""
        with self.transaction():
            self.db.execute("UPDATE runs SET read_whole = 1 WHERE run = ?", (run.number,))

    def note_setting(self, run: Run, name: str, value: str) -> None:
        """Add a setting to the report of a run."""
        with self.transaction():
            (settings,) = self.db.execute("SELECT settings FROM runs WHERE run = ?", (run.number,)).fetchone()
            changed = to_json(json.loads(settings) | {name: value})
            self.db.execute("UPDATE runs SET settings = ? WHERE run = ?", (changed, run.number))

    def note_detail(self, run: Run, name: str, value: str) -> None:
        """Add a detail about how its input was read to the report of a run."""
        with self.transaction():
            (details,) = self.db.execute("SELECT details FROM runs WHERE run = ?", (run.number,)).fetchone()
            changed = to_json(json.loads(details) | {name: value})
            self.db.execute("UPDATE runs SET details = ? WHERE run = ?", (changed, run.number))

    def reopen(self, run: Run) -> None:
        """Make the rows pending again that were given up, for another session of the run."""
        with self.transaction():
            self.db.execute(
                "UPDATE rows SET state = 'pending', attempts = 0, error = ''"
                " WHERE run = ? AND state IN ('failed', 'unknown')",
                (run.number,),
            )
            self.db.execute(  # what is in doubt may be in the account by now, so it must not count as there before
                "UPDATE runs SET listed = 0 WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM earlier WHERE run = ?1)"
                " AND NOT EXISTS (SELECT 1 FROM rows WHERE run = ?1 AND (state = 'doubt' OR state = 'sending'))",
                (run.number,),
            )

    def end(
        self, run: Run, exit_code: int, stopped: BulkloadError | None, seconds: float, requests: Mapping[str, int]
    ) -> None:
        """Note how a run, or one more session of it, ended."""
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

    def forget(self, run: Run) -> None:
        """Take a run out of the store, as if it had never been noted; for plans."""
        with self.transaction():
            self._forget(run.number)

    def run(self, run_id: str | None = None) -> Run:
        """A run by its ID or the unmistakable beginning of one; without an ID, the newest."""
        if run_id is not None and not run_id.strip():
            raise UsageError("The run ID is empty; bulkload runs lists all runs.")  # it would begin any ID
        with self.errors():
            found = self.db.execute(
                f"{SELECT_RUN} WHERE substr(runs.id, 1, length(?1)) = ?1 ORDER BY run DESC LIMIT 2", (run_id or "",)
            ).fetchall()
        if not found:
            raise UsageError(f"There is no run {run_id}." if run_id else "There are no runs yet.")
        if run_id and len(found) > 1 and found[0]["id"] != run_id:
            raise UsageError(f"{run_id} is the beginning of several run IDs; give more of it.")
        return _run(found[0])

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        with self.errors():
            return [_run(found) for found in self.db.execute(f"{SELECT_RUN} ORDER BY run DESC")]

    def info(self, run: Run) -> RunInfo:
        """What a report says about a run as a whole."""
        with self.errors():
            found = self.db.execute("SELECT * FROM runs WHERE run = ?", (run.number,)).fetchone()
        return RunInfo(
            run_id=run.id,
            input=run.input,
            header=run.header,
            account=run.username,
            base_url=run.base_url,
            started=clock.utc(found["started"]),
            finished=clock.utc(found["finished"]) if found["finished"] is not None else "",
            seconds=found["seconds"],
            counts=self.counts(run),
            details=json.loads(found["details"]),
            settings=json.loads(found["settings"]),
            requests={name: found[name] for name in ("sent", "throttled", "retried")},
            stopped=found["stopped"],
            translated=Translated(**json.loads(found["translated"])) if found["translated"] else None,
        )

    def counts(self, run: Run) -> dict[Status, int]:
        """How many rows have which status, in the order of `Status`."""
        found: dict[Status, int] = {}
        with self.errors():
            rows = self.db.execute("SELECT state, count(*) FROM rows WHERE run = ? GROUP BY state", (run.number,))
            for state, n in rows:
                status = status_of(state)
                found[status] = found.get(status, 0) + n
        return in_order(found)

    def report_rows(self, run: Run) -> Iterator[ReportRow]:
        """The rows of a run in input order."""
        with self.errors():
            for cells, state, source_row, monitor_id, error, columns, noted, attempts, named in self.db.execute(
                "SELECT cells, state, source_row, monitor_id, error, error_columns, issues, attempts, names"
                " FROM rows WHERE run = ? ORDER BY position",
                (run.number,),
            ):
                issues = tuple(Issue(**issue) for issue in json.loads(noted)) if noted else ()
                yield ReportRow(
                    source_row=source_row,
                    cells=tuple(pydantic_core.from_json(cells)),
                    status=status_of(state),
                    monitor_id=monitor_id or "",
                    error=_told(error, issues) if noted else error,
                    error_columns=(*(json.loads(columns) if columns else ()), *_columns_of(issues)),
                    attempts=attempts,
                    issues=issues,
                    named=named or "",
                )

    def transaction(self, *, even_lost: bool = False) -> AbstractContextManager[None]:
        """Everything inside becomes durable at its end, or nothing does.

        Raises `LockLost` at its begin if another run has taken over the store since it was locked; with `even_lost`
        only `lost` says so.
        """
        return Transaction(self, even_lost)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Give SQLite's troubles a name and a sentence."""
        try:
            yield
        except (sqlite3.Error, UnicodeEncodeError, pydantic_core.PydanticSerializationError) as error:
            raise StoreError(f"The run store {self.path} cannot be used: {error}.") from error
        except OSError as error:
            raise StoreError(f"The run store {self.path} cannot be used: {error.strerror}.") from error

    def _has_sent(self, account_id: int) -> bool:
        """True if a monitor was made in an account, or may have been."""
        sent = self.db.execute(
            "SELECT 1 FROM monitors WHERE account = ?1 UNION ALL"
            " SELECT 1 FROM runs CROSS JOIN rows ON rows.run = runs.run AND (state = 'doubt' OR state = 'sending')"
            " WHERE account = ?1 LIMIT 1",
            (account_id,),
        )
        return sent.fetchone() is not None

    def _unite_accounts(self) -> None:
        """Make one account of those that an older version took for several because they were spelled differently.

        A run of any of them is then a run of the first, and so is what is noted in any other table.
        """
        first: dict[tuple[str, str], int] = {}
        for number, *names in self.db.execute("SELECT id, base_url, username FROM accounts ORDER BY id").fetchall():
            kept = first.setdefault(canonical(*names), number)
            if kept == number:
                continue
            for table, column in self.db.execute(
                'SELECT tables.name, keys."from" FROM sqlite_schema AS tables'
                " JOIN pragma_foreign_key_list(tables.name) AS keys"
                " WHERE tables.type = 'table' AND keys.\"table\" = 'accounts'"
            ).fetchall():
                self.db.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {column} = ?", (kept, number))
                self.db.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))  # what the first knows already
            self.db.execute("DELETE FROM accounts WHERE id = ?", (number,))

    def _forget(self, number: int) -> None:
        for table in ("rows", "earlier", "gone", "runs"):
            self.db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))


def _run(found: sqlite3.Row) -> Run:
    return Run(
        number=found["run"],
        id=found["id"],
        account_id=found["account"],
        base_url=found["base_url"],
        username=found["username"],
        command=found["command"],
        input=found["input"],
        header=tuple(json.loads(found["header"])),
        read_whole=bool(found["read_whole"]),
        finished=found["finished"] is not None,
        exit_code=found["exit_code"],
    )


def _columns_of(issues: Iterable[Issue]) -> tuple[str, ...]:
    """The columns that the account has something else for."""
    return tuple(issue.column for issue in issues if issue.code.startswith(ACCOUNT_ISSUE) and issue.column)


def _told(error: str, issues: Iterable[Issue]) -> str:
    """The error that people read: with what the account showed about the row."""
    shown = [issue.message for issue in issues if issue.code.startswith(ACCOUNT_ISSUE)]
    full_stop = "." if shown and error and not error.endswith((".", "!", "?")) else ""
    return " ".join([error + full_stop, *shown]).strip()


def to_json(value: object) -> str:
    """Compact JSON, as the store keeps it; every row passes here twice, so it is done by pydantic's Rust core."""
    return pydantic_core.to_json(value, inf_nan_mode="constants").decode()
