"""Marks are durable before a worker continues, a group is one transaction, and errors reach every worker."""

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
from bulkload.store.group_commit import GROUP_SECONDS, GroupCommit
from bulkload.store.row_records import RowChange
from bulkload.store.runs import Store
from tests.support.stores import stored_run

MOMENT = "boot|1.0000|1.0000"


def _mark(position: int) -> RowChange:
    return RowChange(position=position, state=State.SENDING, attempt=True)


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


async def test_a_mark_is_on_disk_before_its_worker_continues(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        await commits.mark(_mark(1))
        assert _states(tmp_path) == ["pending", "sending", "pending"]


async def test_simultaneous_marks_and_results_share_one_commit(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=50) as (store, _, context), _statements(store) as seen:
        commits = GroupCommit(context.rows)

        async def answered() -> None:
            commits.record(RowChange(position=49, state=Status.REJECTED))

        await asyncio.gather(answered(), *(commits.mark(_mark(position)) for position in range(40)))
        assert seen.count("COMMIT") == 1
    assert _states(tmp_path).count("sending") == 40
    assert _states(tmp_path)[49] == "rejected"


async def test_a_result_is_written_although_no_worker_waits_for_it(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        GroupCommit(context.rows).record(RowChange(position=0, state=Status.REJECTED))
        assert _states(tmp_path)[0] == "pending"
        async with asyncio.timeout(60):
            while _states(tmp_path)[0] == "pending":
                await asyncio.sleep(GROUP_SECONDS)
        assert _states(tmp_path)[0] == "rejected"


async def test_a_flush_writes_immediately_and_releases_waiting_workers(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        waiting = asyncio.create_task(commits.mark(_mark(0)))
        await asyncio.sleep(0)
        commits.record(RowChange(position=2, state=Status.REJECTED))
        commits.flush()
        assert _states(tmp_path) == ["sending", "pending", "rejected"]
        await asyncio.wait_for(waiting, 60)


async def test_changes_of_one_row_are_applied_in_order(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        commits.record(_mark(0))
        commits.record(RowChange(position=0, state=State.DOUBT, at=MOMENT))
        commits.record(RowChange(position=0, state=Status.CREATED, monitor_id="7"))
        commits.flush()
        assert _states(tmp_path)[0] == "created"


async def test_an_error_of_the_store_reaches_all_waiting_and_later_workers(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=10) as (store, _, context):
        commits = GroupCommit(context.rows)
        await commits.mark(_mark(9))
        _break(store)
        results = await asyncio.gather(
            *(commits.mark(_mark(position)) for position in range(8)), return_exceptions=True
        )
        assert {type(result) for result in results} == {StoreError}
        with pytest.raises(StoreError):
            commits.record(_mark(8))
        with pytest.raises(StoreError):
            commits.flush()
        with pytest.raises(StoreError):
            await commits.mark(_mark(8))
    assert _states(tmp_path) == ["pending"] * 9 + ["sending"], "what was durable stays, and nothing else is written"


async def test_a_cancelled_worker_does_not_affect_the_others(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        tasks = [asyncio.create_task(commits.mark(_mark(position))) for position in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        await commits.mark(_mark(2))
        assert _states(tmp_path)[2] == "sending"
        assert results[1] is None, "the mark of the other worker is durable"


async def test_a_refused_change_is_passed_to_the_callback(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        refused: list[RowChange] = []
        commits = GroupCommit(context.rows, refused.append)
        for position in (0, 1):
            commits.record(RowChange(position=position, state=Status.CREATED, monitor_id="7", at=MOMENT))
        commits.flush()
        assert [(change.position, change.state) for change in refused] == [(1, State.DOUBT)]


class Stopped(BaseException):
    """An exception that is neither an error of the store nor of the program."""


@pytest.mark.parametrize("trouble", ["text that cannot be encoded", "an error of the program", "another exception"])
async def test_after_any_error_no_worker_waits_forever(tmp_path: Path, trouble: str) -> None:
    """Waiting and later workers get the error, and nothing of the group is in the store."""

    def fail(change: RowChange) -> None:
        raise ZeroDivisionError if trouble == "an error of the program" else Stopped

    with stored_run(tmp_path, rows=10) as (_, _, context):
        commits = GroupCommit(context.rows, fail)
        async with asyncio.timeout(30):
            waiting = [asyncio.create_task(commits.mark(_mark(position))) for position in range(2)]
            if trouble == "text that cannot be encoded":
                commits.record(RowChange(position=5, state=State.PENDING, error="\ud83d"))
            else:
                for position in (5, 6):  # the second is refused and passed to `fail`
                    commits.record(RowChange(position=position, state=Status.CREATED, monitor_id="7", at=MOMENT))
            await asyncio.sleep(0)
            if trouble == "another exception":
                with pytest.raises(Stopped):
                    commits.flush()
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [StoreError, StoreError]
        with pytest.raises(StoreError, match="The run store"):
            commits.flush()
        with pytest.raises(StoreError):
            commits.record(_mark(8))
    if trouble == "text that cannot be encoded":
        assert _states(tmp_path) == ["pending"] * 10
