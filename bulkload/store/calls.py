"""The calls of the program: who used the store, when, and how it ended.

In: what a call began with and ended with. Out: the history, with a line for each call of a run. A run that is resumed
has several calls, so a call that failed stays failed when the next one succeeds. A call is begun and ended in the
transactions that begin and end its run. A process that was killed leaves a call without an end.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bulkload.model import Status, status_counts_of
from bulkload.store.database import Database
from bulkload.store.lock import is_locked
from bulkload.store.row_counts import state_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the program that worked on a run, or on monitors without a run."""

    run_number: int | None  # None: not about a run
    input: str
    username: str
    base_url: str
    caller: str  # run, resume, inbox, page, python, undo, delete
    began: float  # seconds since 1970
    ended: float | None  # None: it is running, or it was killed
    exit_code: int | None
    stopped: str
    counts: Mapping[Status, int] | None = field(hash=False)  # of the run's rows at its end; None: not known
    results: tuple[str, ...]
    is_running: bool


def begin_call(
    db: sqlite3.Connection, token: str, caller: str, *, run: int | None, account: int | None, input_path: str
) -> None:
    """Record that a call begins; within a transaction. `token` is that of the store's lock."""
    db.execute(
        "INSERT INTO calls (run, account, input, caller, began, token) VALUES (?, ?, ?, ?, ?, ?)",
        (run, account, input_path, caller or "run", time.time(), token),
    )


def end_call(
    db: sqlite3.Connection,
    token: str,
    *,
    run: int | None,
    exit_code: int,
    stopped: str,
    results: Sequence[Path | str] = (),
    counts: Mapping[str, int] | None = None,
) -> None:
    """Record how the newest call of a run that this process began has ended; within a transaction."""
    open_call = db.execute(
        "SELECT max(call) FROM calls WHERE run IS ? AND token = ? AND ended IS NULL", (run, token)
    ).fetchone()[0]
    if open_call is None:
        return
    if run is not None and counts is None:
        counts = state_counts(db, run)
    db.execute(
        "UPDATE calls SET ended = ?, exit_code = ?, stopped = ?, counts = ?, results = ? WHERE call = ?",
        (
            time.time(),
            int(exit_code),
            stopped,
            None if counts is None else json.dumps(counts),
            json.dumps([str(path) for path in results]),
            open_call,
        ),
    )


def calls_of(store: Database, run_number: int | None = None) -> list[Call]:
    """The calls of a run, or all, the newest first."""
    with store.errors():
        rows = store.db.execute(
            "SELECT calls.*, iif(command = 'run', calls.run, NULL) AS of_run, coalesce(base_url, '') AS base_url,"
            " coalesce(username, '') AS username FROM calls LEFT JOIN runs ON runs.run = calls.run"
            " LEFT JOIN accounts ON accounts.id = calls.account WHERE ?1 IS NULL OR calls.run = ?1"
            " ORDER BY began DESC, call DESC",
            (run_number,),
        ).fetchall()
        owner = store.db.execute("SELECT token FROM owner").fetchone()
    unended = {row["token"] for row in rows if row["ended"] is None and row["token"]}
    running = owner[0] if owner is not None and owner[0] in unended and is_locked(store.path) else None
    return [_call(row, running) for row in rows]


def delete_old_calls(store: Database, moment: float) -> None:
    """Delete calls without a run that began before a moment; those of a run are deleted with it."""
    condition = "FROM calls WHERE run IS NULL AND began < ?"
    with store.errors():
        if store.db.execute(f"SELECT 1 {condition} LIMIT 1", (moment,)).fetchone() is None:
            return  # writing nothing would wait for the disk, too
    with store.transaction():
        store.db.execute(f"DELETE {condition}", (moment,))


def _call(row: sqlite3.Row, running: str | None) -> Call:
    return Call(
        run_number=row["of_run"],  # None of a delete, whose run is there only until it has ended
        input=row["input"],
        username=row["username"],
        base_url=row["base_url"],
        caller=row["caller"],
        began=row["began"],
        ended=row["ended"],
        exit_code=row["exit_code"],
        stopped=row["stopped"],
        counts=None if row["counts"] is None else status_counts_of(json.loads(row["counts"])),
        results=tuple(json.loads(row["results"])),
        is_running=row["ended"] is None and running is not None and row["token"] == running,
    )
