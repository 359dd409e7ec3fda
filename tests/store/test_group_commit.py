"""Marks are durable before a row is sent, a group is one transaction, and errors reach every worker."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bulkload.errors import StoreError
from bulkload.model import State, Status
from bulkload.store.database import STORE_NAME
from bulkload.store.group_commit import RESULT_SECONDS, GroupCommit
from bulkload.store.row_records import RowChange
from bulkload.store.runs import Store
from tests.support.stores import stored_run

MOMENT = "boot|1.0000|1.0000"


def _states(folder: Path) -> list[str]:
    """The committed states, read by another connection."""
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return [state for (state,) in database.execute("SELECT state FROM rows ORDER BY position")]


@contextmanager
def _statements(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []
    store.db.set_trace_callback(seen.append)
    yield seen
    store.db.set_trace_callback(None)


def _break(store: Store) -> None:
    """Make SQLite refuse every write from now on."""
    store.db.execute("PRAGMA query_only = ON")


def test_marks_are_on_disk_before_a_row_is_sent(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=4) as (store, run, context):
        first, *others = context.rows.pending(-1, 9)
        commits = GroupCommit(context.rows)
        commits.mark(others[:2])
        assert _states(tmp_path) == ["pending", "sending", "sending", "pending"]
        commits.mark([first])
        assert _states(tmp_path) == ["sending", "sending", "sending", "pending"]
        assert [row.attempts for row in store.report_rows(run)] == [1, 1, 1, 0]


def test_a_row_to_update_stays_pending_and_its_attempt_counts(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        context.rows.apply([RowChange(position=1, state=State.PENDING, monitor_id="7", patch="{}", error="interval")])
        GroupCommit(context.rows).mark(context.rows.pending(0, 1))
        assert _states(tmp_path) == ["pending", "pending", "pending"]
        assert [row.attempts for row in store.report_rows(run)] == [0, 1, 0]
        assert [row.note for row in context.rows.pending(0, 1)] == ["interval"]


def test_a_row_that_is_no_longer_to_be_sent_is_never_marked(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        rows = context.rows.pending(-1, 9)
        context.rows.apply([RowChange(position=1, state=Status.EXISTS, monitor_id="7")])
        with pytest.raises(StoreError, match="no longer to be sent"):
            GroupCommit(context.rows).mark(rows)
        assert _states(tmp_path) == ["pending", "exists", "pending"]


async def test_marks_share_a_commit_with_the_results_before_them(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=50) as (store, _, context), _statements(store) as seen:
        commits = GroupCommit(context.rows)
        rows = context.rows.pending(-1, 40)
        commits.record(RowChange(position=49, state=Status.REJECTED))
        commits.mark(rows)
        assert seen.count("COMMIT") == 1
    assert _states(tmp_path).count("sending") == 40
    assert _states(tmp_path)[49] == "rejected"


async def test_a_result_is_written_although_no_worker_waits_for_it(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        GroupCommit(context.rows).record(RowChange(position=0, state=Status.REJECTED))
        assert _states(tmp_path)[0] == "pending"
        async with asyncio.timeout(60):
            while _states(tmp_path)[0] == "pending":
                await asyncio.sleep(RESULT_SECONDS)
        assert _states(tmp_path)[0] == "rejected"


async def test_a_flush_writes_immediately(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        commits.record(RowChange(position=2, state=Status.REJECTED))
        commits.flush()
        assert _states(tmp_path) == ["pending", "pending", "rejected"]


async def test_changes_of_one_row_are_applied_in_order(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        commits.record(RowChange(position=0, state=State.DOUBT, at=MOMENT))
        commits.record(RowChange(position=0, state=Status.CREATED, monitor_id="7"))
        commits.flush()
        assert _states(tmp_path)[0] == "created"


async def test_an_error_of_the_store_reaches_all_later_workers(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=10) as (store, _, context):
        commits = GroupCommit(context.rows)
        *others, last = context.rows.pending(-1, 10)
        commits.mark([last])
        _break(store)
        with pytest.raises(StoreError):
            commits.mark(others)
        with pytest.raises(StoreError):
            commits.record(RowChange(position=9, state=Status.REJECTED))
        with pytest.raises(StoreError):
            commits.flush()
        with pytest.raises(StoreError):
            commits.mark(others[:1])
    assert _states(tmp_path) == ["pending"] * 9 + ["sending"], "what was durable stays, and nothing else is written"


async def test_a_refused_change_is_passed_to_the_callback(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        refused: list[RowChange] = []
        commits = GroupCommit(context.rows, refused.append)
        for position in (0, 1):
            commits.record(RowChange(position=position, state=Status.CREATED, monitor_id="7", at=MOMENT))
        commits.flush()
        assert [(change.position, change.state) for change in refused] == [(1, State.DOUBT)]


async def test_a_repeated_monitor_id_is_refused_at_once(tmp_path: Path) -> None:
    """Even if the first monitor with it is written already."""
    with stored_run(tmp_path) as (_, _, context):
        refused: list[RowChange] = []
        commits = GroupCommit(context.rows, refused.append)
        commits.record(RowChange(position=0, state=Status.CREATED, monitor_id="7", at=MOMENT))
        commits.flush()
        commits.record(RowChange(position=1, state=Status.CREATED, monitor_id="7", at=MOMENT))
        assert [change.position for change in refused] == [1]
        assert _states(tmp_path) == ["created", "doubt", "pending"]


class Stopped(BaseException):
    """An exception that is neither an error of the store nor of the program."""


@pytest.mark.parametrize("trouble", ["text that cannot be encoded", "an error of the program", "another exception"])
async def test_after_any_error_no_row_is_marked(tmp_path: Path, trouble: str) -> None:
    """Later workers get the error, and nothing of the group is in the store."""

    def fail(change: RowChange) -> None:
        raise ZeroDivisionError if trouble == "an error of the program" else Stopped

    with stored_run(tmp_path, rows=10) as (_, run, context):
        commits = GroupCommit(context.rows, fail)
        rows = context.rows.pending(-1, 2)
        if trouble == "text that cannot be encoded":
            commits.record(RowChange(position=5, state=State.PENDING, error="\ud83d"))
        else:
            context.record.note_existing(run.number, ["7"])  # so it is refused and passed to `fail`
            commits.record(RowChange(position=5, state=Status.CREATED, monitor_id="7", at=MOMENT))
        with pytest.raises(Stopped if trouble == "another exception" else StoreError):
            commits.mark(rows)
        with pytest.raises(StoreError, match="The run store"):
            commits.flush()
        with pytest.raises(StoreError):
            commits.record(RowChange(position=8, state=Status.REJECTED))
        with pytest.raises(StoreError):
            commits.mark(rows)
    if trouble == "text that cannot be encoded":
        assert _states(tmp_path) == ["pending"] * 10
