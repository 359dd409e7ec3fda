"""A transaction of the store is whole or not there, also if a signal strikes between any two of its steps."""

from __future__ import annotations

import asyncio
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


class _Struck:
    """A connection that is struck by a signal when a statement is done, before anything else is."""

    def __init__(self, database: sqlite3.Connection, statement: str, number: int) -> None:
        self._database = database
        self._statement = statement
        self._number = number

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        found = self._database.execute(sql, *values)
        if sql.startswith(self._statement):
            self._statement = "never again"
            os.kill(os.getpid(), self._number)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@contextmanager
def _signals_that_raise() -> Iterator[None]:
    def strike(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(143)

    before = {number: signal.signal(number, strike) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.parametrize("statement", ["BEGIN", "SELECT token", "UPDATE", "COMMIT"])
def test_a_signal_between_two_steps_of_a_transaction_leaves_none_open(
    statement: str, number: int, raised: type[BaseException], tmp_path: Path
) -> None:
    with stored_run(tmp_path) as (store, run, _), _signals_that_raise():
        whole = store.db
        store.db = _Struck(whole, statement, number)  # type: ignore[assignment]
        with pytest.raises(raised):
            store.reopen(run)
        assert not whole.in_transaction
        store.note_setting(run, "a", "b")
        with closing(sqlite3.connect(tmp_path / STORE_NAME, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody is kept out


@contextmanager
def _strike_at(step: int) -> Iterator[Callable[[], bool]]:
    """Raise `KeyboardInterrupt` before the n-th line or call of the store's module; tells whether that was reached."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith(("store.py", "contextlib.py")):
            return None
        if event in ("call", "line"):
            count += 1
            if count == step:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lambda: count >= step
    finally:
        sys.settrace(before)


def test_wherever_a_signal_strikes_the_next_transaction_is_as_ever(tmp_path: Path) -> None:
    """Also while the exception is still on its way, as in a `finally`."""
    with stored_run(tmp_path) as (store, run, _):
        for step in range(1, 1000):
            with _strike_at(step) as reached:
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


def test_a_transaction_in_a_transaction_is_a_mistake_that_does_not_go_unnoticed(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, _):

        def nested() -> None:
            with store.transaction():
                store.db.execute("UPDATE runs SET stopped = 'outer' WHERE run = ?", (run.number,))
                store.note_setting(run, "inner", "1")

        with pytest.raises(StoreError):
            nested()
        assert store.info(run).stopped == ""


# ── text that cannot be stored ────────────────────────────────────────────────────────────────────────────────

LONE = "half a character: \ud83d"


@pytest.mark.parametrize(
    "new",
    [
        NewRow(source_row=2, cells=(LONE,), state=State.PENDING),
        NewRow(source_row=2, cells=("a",), state=State.PENDING, key=LONE),
        NewRow(source_row=2, cells=("a",), state=State.PENDING, error=LONE),
    ],
)
def test_a_row_with_text_that_cannot_be_stored_is_a_trouble_of_the_store(new: NewRow, tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, _):
        with pytest.raises(StoreError, match="surrogates not allowed"):
            store.add(run, 3, [new_row(3), new])
        assert len(list(store.report_rows(run))) == 3


@pytest.mark.parametrize(
    "change",
    [
        RowChange(position=0, state=Status.REJECTED, error=LONE),
        RowChange(position=0, state=Status.REJECTED, error_columns=(LONE,)),
        RowChange(position=0, state=Status.CREATED, monitor_id=LONE),
    ],
)
async def test_a_change_with_text_that_cannot_be_stored_keeps_nobody_waiting(change: RowChange, tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        commits = GroupCommit(context.rows)
        commits.record(change)
        with pytest.raises(StoreError, match="surrogates not allowed"):
            await asyncio.wait_for(commits.mark(RowChange(position=1, state=State.SENDING, attempt=True)), 10)
        assert {found.status for found in store.report_rows(run)} == {Status.NOT_ATTEMPTED}
