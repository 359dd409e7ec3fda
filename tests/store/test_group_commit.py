"""Marks are durable before anybody goes on, a group is one transaction, and a failing store reaches everybody."""

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
    """What is committed, seen from outside."""
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return [state for (state,) in database.execute("SELECT state FROM rows ORDER BY position")]


@contextmanager
def _statements(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []
    store.db.set_trace_callback(seen.append)
    yield seen
    store.db.set_trace_callback(None)


def _break(store: Store) -> None:
    """Let every write from now on fail, in SQLite itself."""
    store.db.execute("PRAGMA query_only = ON")


async def test_a_mark_is_on_disk_when_its_worker_goes_on(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        await commits.mark(_mark(1))
        assert _states(tmp_path) == ["pending", "sending", "pending"]


async def test_marks_and_results_of_one_moment_share_one_commit(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=50) as (store, _, context), _statements(store) as seen:
        commits = GroupCommit(context.rows)

        async def answered() -> None:
            commits.record(RowChange(position=49, state=Status.REJECTED))

        await asyncio.gather(answered(), *(commits.mark(_mark(position)) for position in range(40)))
        assert seen.count("COMMIT") == 1
    assert _states(tmp_path).count("sending") == 40
    assert _states(tmp_path)[49] == "rejected"


async def test_a_result_is_on_disk_without_anybody_waiting_for_it(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        GroupCommit(context.rows).record(RowChange(position=0, state=Status.REJECTED))
        assert _states(tmp_path)[0] == "pending"
        async with asyncio.timeout(60):
            while _states(tmp_path)[0] == "pending":
                await asyncio.sleep(GROUP_SECONDS)
        assert _states(tmp_path)[0] == "rejected"


async def test_a_flush_writes_at_once_and_frees_those_who_wait(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        waiting = asyncio.create_task(commits.mark(_mark(0)))
        await asyncio.sleep(0)
        commits.record(RowChange(position=2, state=Status.REJECTED))
        commits.flush()
        assert _states(tmp_path) == ["sending", "pending", "rejected"]
        await asyncio.wait_for(waiting, 60)


async def test_changes_of_one_row_are_made_in_their_order(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        commits.record(_mark(0))
        commits.record(RowChange(position=0, state=State.DOUBT, at=MOMENT))
        commits.record(RowChange(position=0, state=Status.CREATED, monitor_id="7"))
        commits.flush()
        assert _states(tmp_path)[0] == "created"


async def test_a_store_that_fails_reaches_everybody_who_waits_and_everybody_later(tmp_path: Path) -> None:
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
    assert _states(tmp_path) == ["pending"] * 9 + ["sending"], "what was durable stays, what was not is not half there"


async def test_a_worker_that_is_cancelled_while_it_waits_takes_nobody_with_it(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        commits = GroupCommit(context.rows)
        tasks = [asyncio.create_task(commits.mark(_mark(position))) for position in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        await commits.mark(_mark(2))
        assert _states(tmp_path)[2] == "sending"
        assert results[1] is None, "the other's mark is durable, and it may go on"


async def test_a_refused_claim_is_told(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        told: list[RowChange] = []
        commits = GroupCommit(context.rows, told.append)
        for position in (0, 1):
            commits.record(RowChange(position=position, state=Status.CREATED, monitor_id="7", at=MOMENT))
        commits.flush()
        assert [(change.position, change.state) for change in told] == [(1, State.DOUBT)]


class Stopped(BaseException):
    """Neither an error of the store nor one of the program."""


@pytest.mark.parametrize("trouble", ["a text that no encoding holds", "an error of the program", "something worse"])
async def test_whatever_goes_wrong_nobody_waits_for_ever(tmp_path: Path, trouble: str) -> None:
    """Those who wait get the failure, everybody later too, and nothing of the group is in the store."""

    def fail(change: RowChange) -> None:
        raise ZeroDivisionError if trouble == "an error of the program" else Stopped

    with stored_run(tmp_path, rows=10) as (_, _, context):
        commits = GroupCommit(context.rows, fail)
        async with asyncio.timeout(30):
            waiting = [asyncio.create_task(commits.mark(_mark(position))) for position in range(2)]
            if trouble == "a text that no encoding holds":
                commits.record(RowChange(position=5, state=State.PENDING, error="\ud83d"))
            else:
                for position in (5, 6):  # the second one is refused, which is told to `fail`
                    commits.record(RowChange(position=position, state=Status.CREATED, monitor_id="7", at=MOMENT))
            await asyncio.sleep(0)
            if trouble == "something worse":
                with pytest.raises(Stopped):
                    commits.flush()
            found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in found] == [StoreError, StoreError]
        with pytest.raises(StoreError, match="The run store"):
            commits.flush()
        with pytest.raises(StoreError):
            commits.record(_mark(8))
    if trouble == "a text that no encoding holds":
        assert _states(tmp_path) == ["pending"] * 10
