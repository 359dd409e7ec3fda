"""A transaction is committed or rolled back, even if a signal interrupts it between any two of its steps."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bulkload.errors import StoreError
from bulkload.model import State, Status
from bulkload.store.database import STORE_NAME
from bulkload.store.group_commit import GroupCommit
from bulkload.store.row_records import NewRow, RowChange
from tests.support.stores import new_row, stored_run


class _InterruptedConnection:
    """A connection that sends a signal to the process right after a certain statement."""

    def __init__(self, database: sqlite3.Connection, statement: str, signal_number: int) -> None:
        self._database = database
        self._statement = statement
        self._signal_number = signal_number

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        cursor = self._database.execute(sql, *values)
        if sql.startswith(self._statement):
            self._statement = "no statement starts like this"
            os.kill(os.getpid(), self._signal_number)
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@contextmanager
def _signals_that_raise() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(143)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("signal_number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
@pytest.mark.parametrize("statement", ["BEGIN", "SELECT token", "UPDATE", "COMMIT"])
def test_a_signal_between_two_steps_of_a_transaction_leaves_none_open(
    statement: str, signal_number: int, raised: type[BaseException], tmp_path: Path
) -> None:
    with stored_run(tmp_path) as (store, run, _), _signals_that_raise():
        database = store.db
        store.db = _InterruptedConnection(database, statement, signal_number)  # type: ignore[assignment]
        with pytest.raises(raised):
            store.reopen(run)
        assert not database.in_transaction
        store.note_setting(run, "a", "b")
        with closing(sqlite3.connect(tmp_path / STORE_NAME, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")  # no lock is left


@contextmanager
def _interrupt_at(step: int) -> Iterator[Callable[[], bool]]:
    """Raise `KeyboardInterrupt` before the n-th line or call of the store; yields whether it was reached."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith(("runs.py", "database.py", "transaction.py", "contextlib.py")):
            return None
        if event in ("call", "line"):
            count += 1
            if count == step:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    gc.disable()  # or the destructor of an object of another test, such as a lock, could run and be interrupted here
    sys.settrace(trace)
    try:
        yield lambda: count >= step
    finally:
        sys.settrace(before)
        gc.enable()


def test_after_a_signal_at_any_step_the_next_transaction_works(tmp_path: Path) -> None:
    """Also while the exception is still propagating, as in a `finally`."""
    with stored_run(tmp_path) as (store, run, _):
        for step in range(1, 1000):
            with _interrupt_at(step) as reached:
                try:
                    try:
                        store.reopen(run)
                    finally:
                        sys.settrace(None)
                        store.note_setting(run, "step", str(step))
                except KeyboardInterrupt:
                    pass
            assert store.info(run).settings["step"] == str(step)
            if not reached():
                break
        assert 20 < step < 900


def test_a_nested_transaction_is_an_error(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, _):

        def nested() -> None:
            with store.transaction():
                store.db.execute("UPDATE runs SET stopped = 'outer' WHERE run = ?", (run.number,))
                store.note_setting(run, "inner", "1")

        with pytest.raises(StoreError):
            nested()
        assert store.info(run).stopped == ""


# ── text that cannot be stored ────────────────────────────────────────────────────────────────────────────────

LONE_SURROGATE = "half a character: \ud83d"


@pytest.mark.parametrize(
    "new",
    [
        NewRow(source_row=2, cells=(LONE_SURROGATE,), state=State.PENDING),
        NewRow(source_row=2, cells=("a",), state=State.PENDING, key=LONE_SURROGATE),
        NewRow(source_row=2, cells=("a",), state=State.PENDING, error=LONE_SURROGATE),
    ],
)
def test_a_row_with_text_that_cannot_be_stored_raises_a_store_error(new: NewRow, tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, _):
        with pytest.raises(StoreError, match="surrogates not allowed"):
            store.add(run, 3, [new_row(3), new])
        assert len(list(store.report_rows(run))) == 3


@pytest.mark.parametrize(
    "change",
    [
        RowChange(position=0, state=Status.REJECTED, error=LONE_SURROGATE),
        RowChange(position=0, state=Status.REJECTED, error_columns=(LONE_SURROGATE,)),
        RowChange(position=0, state=Status.CREATED, monitor_id=LONE_SURROGATE),
    ],
)
async def test_a_change_with_text_that_cannot_be_stored_blocks_no_worker(change: RowChange, tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        commits = GroupCommit(context.rows)
        commits.record(change)
        with pytest.raises(StoreError, match="surrogates not allowed"):
            commits.mark(context.rows.pending(0, 1))
        assert {row.status for row in store.report_rows(run)} == {Status.NOT_ATTEMPTED}
