"""The states of a run's rows, and which monitor belongs to which row: the book that makes "never twice" provable.

In: what was sent and what was answered. Out: rows to work on and rows in doubt. A row is in exactly one `State` or
final `Status` and moves in one transaction. `monitors` is what this program made in an account and did not undo; a
monitor ID enters it once, so no two rows can claim the same monitor. `earlier` is what the account held before the
run's first create; nothing in it can be the run's own.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from bulkload.model import Issue, State, Status
from bulkload.monitors.display_profile import Showing
from bulkload.monitors.identity import Identity, identity_in
from bulkload.store.runs import Run, Store, to_json

IN_DOUBT_ELSEWHERE = (
    "key IN (SELECT doubt.key FROM runs CROSS JOIN rows AS doubt ON doubt.run = runs.run AND doubt.state = 'doubt'"
    " WHERE runs.account = ? AND runs.run <> ?)"
)

WAITS = "An earlier run sent this row, and it is not known yet whether its monitor was created; nothing was sent again."

SELECT_MATCH = "SELECT position, source_row, type, body, patch, attempts, error AS note"


class Task(NamedTuple):
    """A row to work on."""

    position: int
    type: str
    body: str  # JSON
    monitor_id: str | None  # set: this monitor gets the body as a patch; None: create
    note: str  # what the patch changes, for the report

    @property
    def identity(self) -> Identity:
        """What a create asks for."""
        return identity_in(self.type, self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A pending row that means a monitor of the account."""

    position: int
    source_row: int
    type: str
    body: str  # JSON
    patch: str | None  # JSON: what an earlier session wanted to change
    attempts: int
    note: str
    other_identity: bool = False  # the file names the monitor's ID, but type, name, host or port are others


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A row whose request left and whose outcome is not known."""

    run: int
    position: int
    key: bytes
    attempts: int
    at: str  # the latest moment its request can have left
    error: str
    type: str
    body: str  # JSON

    @property
    def identity(self) -> Identity:
        """What was asked for."""
        return identity_in(self.type, self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A monitor that a row of the run made, and what was asked for."""

    position: int
    source_row: int
    monitor_id: str
    type: str
    body: str  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A row that the account is believed to store as it was asked for."""

    position: int
    monitor_id: str
    body: str  # JSON


class Change(NamedTuple):
    """What happened to a row."""

    position: int
    state: State | Status
    run: int | None = None  # None: the ledger's own run
    monitor_id: str | None = None  # None: stays
    error: str = ""
    error_columns: tuple[str, ...] = ()
    at: str | None = None  # doubt: when its request left at the latest; created: when it left, None: found by looking
    patch: str | None = None  # JSON: what is to be changed about the monitor; None: stays
    attempt: bool = False  # one more request leaves


class Ledger:
    """The book of one run."""

    def __init__(self, store: Store, run: Run, account: int) -> None:
        self.run = run
        self._store = store
        self._account = account
        self._db = store.db

    def pending(self, after: int, limit: int) -> list[Task]:
        """The next rows to work on, in order, after a position."""
        with self._store.errors():
            return [
                Task(*found)
                for found in self._db.execute(
                    "SELECT position, type, iif(monitor_id IS NULL, body, patch), monitor_id, error FROM rows"
                    " WHERE run = ? AND state = 'pending' AND position > ? ORDER BY position LIMIT ?",
                    (self.run.number, after, limit),
                )
            ]

    def on_their_way(self) -> list[Task]:
        """Rows of the run whose request has left, or is about to, and is not answered."""
        with self._store.errors():
            return [
                Task(*found)
                for found in self._db.execute(
                    "SELECT position, type, body, NULL, error FROM rows WHERE run = ? AND state = 'sending'",
                    (self.run.number,),
                )
            ]

    def stored(self, after: int, limit: int) -> list[Stored]:
        """The next rows that this run created or updated, in order, after a position."""
        with self._store.errors():
            return [
                Stored(**dict(found))
                for found in self._db.execute(
                    "SELECT position, monitor_id, body FROM rows WHERE run = ? AND state IN ('created', 'updated')"
                    " AND position > ? ORDER BY position LIMIT ?",
                    (self.run.number, after, limit),
                )
            ]

    def count(self, state: State) -> int:
        """How many rows of the run are in a state that is not final; quick."""
        with self._store.errors():
            found = self._db.execute(
                f"SELECT count(*) FROM rows WHERE run = ? AND state = '{state}'", (self.run.number,)
            )
            return int(found.fetchone()[0])

    def count_final(self, status: Status) -> int:
        """How many rows of the run have a final status; reads the whole run."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT count(*) FROM rows WHERE run = ? AND state = ?", (self.run.number, status)
            ).fetchone()
            return int(found[0])

    def apply(self, changes: Iterable[Change]) -> list[Change]:
        """Move rows, all in one durable step.

        A row cannot become `created` with an ID that another row owns or that was in the account before the run: it
        is in doubt instead, and given back. Raises `LockLost` if the store is not this run's alone any more: no row is
        marked then, but what was found out is noted. After another run has taken over the store, that is only which
        monitor a row in doubt got; whatever else happened to a row, the other run knows better.
        """
        changes = list(changes)
        refused = []
        values: list[tuple[object, ...]] = []
        marks = [change for change in changes if change.state is State.SENDING or change.attempt]
        with self._store.transaction(even_lost=True):
            lost = self._store.lost(files=bool(marks))
            if lost is not None:
                changes = [
                    change
                    for change in changes
                    if change not in marks and (not lost.taken_over or self._is_news(change))
                ]
            for change in changes:
                if change.state is Status.CREATED and not self._claim(change):
                    if lost is not None and lost.taken_over:
                        continue  # the row is in doubt, which the other run settles
                    owned = f"the API answered with the ID {change.monitor_id}, which belongs to another monitor"
                    change = change._replace(state=State.DOUBT, monitor_id=None, error=owned)
                    refused.append(change)
                if change.state is Status.REMOVED:
                    self._db.execute(
                        "DELETE FROM monitors WHERE account = ? AND run = ? AND position = ?",
                        (self._account, change.run or self.run.number, change.position),
                    )
                if change.state is Status.UPDATED:  # by its ID a monitor may have got another identity
                    self._db.execute(
                        "UPDATE monitors SET key = rows.key FROM rows WHERE rows.run = ? AND rows.position = ?"
                        " AND monitors.account = ? AND monitors.monitor_id = rows.monitor_id AND rows.key IS NOT NULL",
                        (change.run or self.run.number, change.position, self._account),
                    )
                values.append(
                    (
                        change.state,
                        change.monitor_id,
                        change.error,
                        to_json(change.error_columns) if change.error_columns else None,
                        change.at,
                        change.patch,
                        change.attempt,
                        change.run or self.run.number,
                        change.position,
                    )
                )
            self._db.executemany(
                "UPDATE rows SET state = ?, monitor_id = coalesce(?, monitor_id), error = ?, error_columns = ?,"
                " at = ?, patch = coalesce(?, patch), attempts = attempts + ? WHERE run = ? AND position = ?",
                values,
            )
        if lost is not None:
            raise lost
        return refused

    def remark(self, code: str, remarks: Iterable[tuple[int, Issue]]) -> int:
        """Put warnings of one code on rows, by position, in place of all that the run had; returns how many."""
        count = 0
        with self._store.transaction():
            old = self._db.execute(
                "SELECT position, issues FROM rows WHERE run = ? AND instr(issues, ?)",
                (self.run.number, f'"code":"{code}"'),
            ).fetchall()
            for position, issues in old:
                kept = [issue for issue in json.loads(issues) if issue["code"] != code]
                self._set_issues(position, kept)
            for position, issue in remarks:
                found = self._db.execute(
                    "SELECT issues FROM rows WHERE run = ? AND position = ?", (self.run.number, position)
                ).fetchone()
                self._set_issues(position, [*json.loads(found[0] or "[]"), asdict(issue)])
                count += 1
        return count

    # ── what is in the account ────────────────────────────────────────────────────────────────────────────

    def note_earlier(self, monitor_ids: Iterable[str]) -> None:
        """Note what was in the account before the run's first create; only the first call for a run counts."""
        with self._store.transaction():
            first = self._db.execute("UPDATE runs SET listed = 1 WHERE run = ? AND listed = 0", (self.run.number,))
            if first.rowcount:
                self._db.executemany(
                    "INSERT OR IGNORE INTO earlier (run, monitor_id) VALUES (?, ?)",
                    ((self.run.number, monitor_id) for monitor_id in monitor_ids),
                )

    def was_earlier(self, monitor_id: str, run: int | None = None) -> bool:
        """True if a monitor was in the account before the run's first create."""
        return self._found("SELECT 1 FROM earlier WHERE run = ? AND monitor_id = ?", run or self.run.number, monitor_id)

    def is_made(self, monitor_id: str) -> bool:
        """True if a row of this program made a monitor and did not undo it."""
        return self._found("SELECT 1 FROM monitors WHERE account = ? AND monitor_id = ?", self._account, monitor_id)

    def is_own(self, monitor_id: str) -> bool:
        """True if a row of this very run made a monitor and did not undo it."""
        sql = "SELECT 1 FROM monitors WHERE account = ? AND monitor_id = ? AND run = ?"
        return self._found(sql, self._account, monitor_id, self.run.number)

    def made_here(self, after: int, limit: int) -> list[Made]:
        """The next monitors that the run made and did not undo, in the order of its rows, after a position."""
        with self._store.errors():
            return [
                Made(**dict(found))
                for found in self._db.execute(
                    "SELECT rows.position, source_row, monitors.monitor_id, type, body FROM monitors CROSS JOIN rows"
                    " ON rows.run = monitors.run AND rows.position = monitors.position WHERE monitors.run = ?"
                    " AND account = ? AND monitors.position > ? ORDER BY monitors.position LIMIT ?",
                    (self.run.number, self._account, after, limit),
                )
            ]

    def made_here_count(self) -> int:
        """How many monitors the run made and did not undo."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT count(*) FROM monitors WHERE run = ? AND account = ?", (self.run.number, self._account)
            )
            return int(found.fetchone()[0])

    def made_count(self) -> int:
        """How many monitors this program made in the account and did not undo."""
        with self._store.errors():
            found = self._db.execute("SELECT count(*) FROM monitors WHERE account = ?", (self._account,))
            return int(found.fetchone()[0])

    def made_keys(self) -> dict[str, bytes]:
        """The identity that each monitor got which this program made and did not undo, by ID."""
        with self._store.errors():
            return dict(self._db.execute("SELECT monitor_id, key FROM monitors WHERE account = ?", (self._account,)))

    def asked_for(self, key: bytes) -> Identity | None:
        """What rows with an identity ask for; None if no row is left that had it."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT type, body FROM rows WHERE key = ? AND body IS NOT NULL LIMIT 1", (key,)
            ).fetchone()
        return identity_in(*found) if found else None

    def showing(self) -> Showing:
        """What has been learned about how the account shows its monitors."""
        with self._store.errors():
            found = self._db.execute("SELECT showing FROM accounts WHERE id = ?", (self._account,)).fetchone()
        return Showing.from_json(found[0])

    def keep_showing(self, showing: Showing) -> None:
        """Keep what was learned."""
        with self._store.transaction():
            self._db.execute("UPDATE accounts SET showing = ? WHERE id = ?", (showing.to_json(), self._account))

    def was_patched(self, row: Match, monitor_id: str, field: str) -> bool:
        """True if an earlier run changed this field of a monitor to what a row of the same identity asks for."""
        wanted = json.loads(row.body).get(field)
        with self._store.errors():
            patches = self._db.execute(
                "SELECT old.patch FROM rows AS now JOIN rows AS old ON old.key = now.key AND old.run < now.run"
                " WHERE now.run = ? AND now.position = ? AND old.state = 'updated' AND old.monitor_id = ?",
                (self.run.number, row.position, monitor_id),
            ).fetchall()
        return any(json.loads(patch).get(field) == wanted for (patch,) in patches if patch)

    def lookalikes(self) -> dict[bytes, str]:
        """Which monitor an identity was taken for, because the account may show it otherwise than it was sent."""
        with self._store.errors():
            return dict(self._db.execute("SELECT key, monitor_id FROM lookalikes WHERE account = ?", (self._account,)))

    def keep_lookalikes(self, found: Iterable[tuple[int, str]]) -> None:
        """Keep which monitors rows of the run (by position) were taken for, so that the next run says the same."""
        with self._store.transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO lookalikes (account, key, monitor_id)"
                " SELECT ?, key, ? FROM rows WHERE run = ? AND position = ? AND key IS NOT NULL",
                ((self._account, monitor_id, self.run.number, position) for position, monitor_id in found),
            )

    def with_identity(self, key: bytes) -> tuple[int, str | None] | None:
        """Position and monitor of the run's row with an identity."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT position, monitor_id FROM rows WHERE key = ? AND run = ?", (key, self.run.number)
            ).fetchone()
        return tuple(found) if found else None

    def made(self) -> Iterator[tuple[str, bytes, str]]:
        """ID, key and moment of the monitors that this program made and did not undo, the newest first.

        Without those that were found by looking: when they left is not known, but the list shows them.
        """
        with self._store.errors():
            yield from self._db.execute(
                "SELECT monitor_id, key, at FROM monitors NOT INDEXED WHERE account = ? AND at IS NOT NULL"
                " ORDER BY rowid DESC",  # by an index, all would be sorted before the first is given
                (self._account,),
            )

    def made_unlisted(self, listed: Container[str]) -> Iterator[tuple[str, bytes, str | None]]:
        """ID, key and moment (None: found by looking) of what this program made and a list lacks, the newest first."""
        with self._store.errors():
            for monitor_id, key, at in self._db.execute(
                "SELECT monitor_id, key, at FROM monitors NOT INDEXED WHERE account = ? ORDER BY rowid DESC",
                (self._account,),
            ):
                if monitor_id not in listed:
                    yield monitor_id, key, at

    def forget(self, monitor_id: str) -> None:
        """Strike out a monitor that is proven to be gone."""
        with self._store.transaction():
            self._db.execute("DELETE FROM monitors WHERE account = ? AND monitor_id = ?", (self._account, monitor_id))

    def forget_all_but(self, monitor_ids: Container[str]) -> None:
        """Strike out monitors that are not in the account any more: the user says so."""
        with self._store.transaction():
            made = self._db.execute("SELECT monitor_id FROM monitors WHERE account = ?", (self._account,)).fetchall()
            gone = [(self._account, monitor_id) for (monitor_id,) in made if monitor_id not in monitor_ids]
            self._db.executemany("DELETE FROM monitors WHERE account = ? AND monitor_id = ?", gone)

    def doubts(self) -> list[Doubt]:
        """Rows in doubt of all runs in the account, the oldest first."""
        with self._store.errors():
            return [
                Doubt(**dict(found))
                for found in self._db.execute(
                    "SELECT runs.run, position, key, attempts, at, error, type, body FROM runs CROSS JOIN rows"
                    " ON rows.run = runs.run AND state = 'doubt' WHERE account = ? ORDER BY runs.run, position",
                    (self._account,),
                )
            ]

    def hold_back(self) -> int:
        """Let rows wait whose monitor another run left in doubt; returns how many."""
        return self._move(State.PENDING, State.WAITING, IN_DOUBT_ELSEWHERE, WAITS)

    def release(self) -> int:
        """Make waiting rows pending again whose monitor is in doubt no longer; returns how many."""
        return self._move(State.WAITING, State.PENDING, f"NOT {IN_DOUBT_ELSEWHERE}")

    def unmatch(self) -> None:
        """Forget which monitors pending rows were to change; the account may hold others by now."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET monitor_id = NULL WHERE run = ? AND state = 'pending' AND monitor_id IS NOT NULL",
                (self.run.number,),
            )

    def refuse_repeats(self) -> None:
        """Rows that repeat another one and name a monitor that is not there are duplicates after all."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET state = 'duplicate' WHERE run = ?"
                " AND state = 'pending' AND key IS NULL AND monitor_id IS NULL",
                (self.run.number,),
            )

    def naming(self, monitor_id: str, key: bytes | None) -> list[Match]:
        """Pending rows whose file names this monitor; `key` is the monitor's identity in the account."""
        with self._store.errors():
            return [
                Match(**dict(found))
                for found in self._db.execute(
                    f"{SELECT_MATCH}, key IS NOT ? AS other_identity FROM rows"
                    " WHERE names = ? AND run = ? AND state = 'pending'",
                    (key, monitor_id, self.run.number),
                )
            ]

    def pending_with(self, key: bytes) -> Match | None:
        """The pending row with an identity; there is at most one in a run."""
        with self._store.errors():
            found = self._db.execute(
                f"{SELECT_MATCH} FROM rows WHERE key = ? AND run = ? AND state = 'pending'", (key, self.run.number)
            ).fetchone()
        return Match(**dict(found)) if found else None

    def finished_in_file_count(self) -> int:
        """How many rows the input, a results file, calls finished."""
        with self._store.errors():
            found = self._db.execute(
                "SELECT count(*) FROM rows WHERE run = ? AND finished_in_file", (self.run.number,)
            ).fetchone()
            return int(found[0])

    def finished_in_file(self) -> list[tuple[int, str]]:
        """Rows to be created that the input, a results file, calls finished: position and monitor ID."""
        with self._store.errors():
            return self._db.execute(
                "SELECT position, names FROM rows"
                " WHERE run = ? AND state = 'pending' AND finished_in_file AND monitor_id IS NULL",
                (self.run.number,),
            ).fetchall()

    def _move(self, old: State, new: State, condition: str, error: str = "") -> int:
        with self._store.transaction():
            return self._db.execute(
                f"UPDATE rows SET state = '{new}', error = ? WHERE run = ? AND state = '{old}' AND {condition}",
                (error, self.run.number, self._account, self.run.number),
            ).rowcount

    def _set_issues(self, position: int, issues: Sequence[object]) -> None:
        self._db.execute(
            "UPDATE rows SET issues = ? WHERE run = ? AND position = ?",
            (to_json(issues) if issues else None, self.run.number, position),
        )

    def _is_news(self, change: Change) -> bool:
        """True if a change says which monitor a row got that is in doubt."""
        return change.state is Status.CREATED and self._found(
            "SELECT 1 FROM rows WHERE run = ? AND position = ? AND state = 'doubt'",
            change.run or self.run.number,
            change.position,
        )

    def _claim(self, change: Change) -> bool:
        """Note that a monitor is a row's, if it is not already; False if it is another's."""
        run = change.run or self.run.number
        claimed = self._db.execute(
            "INSERT OR IGNORE INTO monitors (account, monitor_id, key, run, position, at)"
            " SELECT ?1, ?2, key, run, position, ?3 FROM rows WHERE run = ?4 AND position = ?5"
            " AND NOT EXISTS (SELECT 1 FROM earlier WHERE run = ?4 AND monitor_id = ?2)",
            (self._account, change.monitor_id, change.at, run, change.position),
        )
        return claimed.rowcount == 1 or self._found(
            "SELECT 1 FROM monitors WHERE account = ? AND monitor_id = ? AND run = ? AND position = ?",
            self._account,
            change.monitor_id,
            run,
            change.position,
        )

    def _found(self, sql: str, *values: object) -> bool:
        with self._store.errors():
            return self._db.execute(sql, values).fetchone() is not None
