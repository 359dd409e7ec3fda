"""One run at a time per store, whatever happens to its files and whatever path leads to it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from bulkload.errors import ExitCode, Locked, LockLost, StoreBusy, StoreError
from bulkload.model import State, Status
from bulkload.sandbox import Faults, Rule
from bulkload.store.database import STORE_NAME
from bulkload.store.lock import LOCK_SUFFIX, WAL_SUFFIX
from bulkload.store.row_records import RowChange
from bulkload.store.runs import Store
from tests.support.stores import context_of, stored_run
from tests.support.waiting import wait_until
from tests.torture.program import Process, ProcessResult, Workspace, open_workspace
from tests.torture.scenario import Scenario, ScenarioRow

ROWS = 8
HELD = 3  # the create request that is in flight while something happens
SCENARIO = Scenario(
    rows=tuple(ScenarioRow(monitor=number) for number in range(ROWS)), concurrency=1, grace=0.4, after=1.0
)
SLOW = 1.0  # seconds until the response to that request; by then, the process has been stopped


class _NoFolderLocks:
    """Make the process behave as on a file system that cannot lock folders, as many network file systems."""

    def __call__(self) -> None:
        import fcntl

        flock = fcntl.flock

        def limited(descriptor: int, operation: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EBADF, "Bad file descriptor")
            flock(descriptor, operation)

        fcntl.flock = limited  # type: ignore[assignment]


WITH_AND_WITHOUT = pytest.mark.parametrize("on_start", [None, _NoFolderLocks()], ids=["folder lock", "lock file only"])


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "hosts.csv").write_text(SCENARIO.csv(), "utf-8")
    faults = Faults(rules=(Rule(fault="slow", at=(HELD,), seconds=SLOW),))
    with open_workspace(
        tmp_path, {**SCENARIO.environment, "BULKLOAD_REQUEST_TIMEOUT": "60"}, faults=faults
    ) as opened_workspace:
        yield opened_workspace


def _start_and_stop(workspace: Workspace, *arguments: str, on_start: Callable[[], None] | None = None) -> Process:
    """A stopped process in the middle of a run: one create has taken effect, its response has not arrived."""
    return _stop_in_create(
        workspace.start("run", "hosts.csv", "--results", "first.jsonl", *arguments, on_start=on_start)
    )


def _stop_in_create(first: Process) -> Process:
    monitors = first.workspace.sandbox.monitors
    wait_until(lambda: len(monitors()) == HELD or not first.is_alive)
    first.send_signal(signal.SIGSTOP)
    assert first.is_alive
    assert len(monitors()) == HELD
    return first


def _continue(first: Process) -> ProcessResult:
    first.send_signal(signal.SIGCONT)
    return first.wait()


def _assert_locked(result: ProcessResult, workspace: Workspace) -> None:
    assert result.exit_code == ExitCode.LOCKED, result
    assert "Another run is using" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(workspace.sandbox.monitors()) == HELD


def _assert_stops(first: Process, *messages: str) -> None:
    """The run that lost its store creates nothing more, reports it, and writes the results it has."""
    names = _names(first.workspace)
    result = _continue(first)
    assert result.exit_code == ExitCode.LOCKED, result
    for message in (*messages, "creates nothing more"):
        assert message in result.stdout + result.stderr, result
    assert "Traceback" not in result.stderr, result
    assert "mistake" not in result.stderr, result
    assert _names(first.workspace) == names
    rows = _rows(first.workspace.folder / "first.jsonl")
    assert [row["status"] for row in rows[:HELD]] == ["created"] * HELD
    assert all(names[row["monitor_id"]] == row["row"]["name"] for row in rows[:HELD])


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _names(workspace: Workspace) -> dict[str, str]:
    return {str(monitor["id"]): str(monitor["name"]) for monitor in workspace.sandbox.monitors()}


def _assert_created_once(workspace: Workspace) -> None:
    assert Counter(_names(workspace).values()) == Counter(f"m{number}" for number in range(ROWS))


def _run_to_the_end(workspace: Workspace, *arguments: str) -> None:
    workspace.sandbox.set_faults(Faults())
    result = workspace.run("run", "hosts.csv", *arguments)
    assert result.exit_code == ExitCode.DONE, result
    _assert_created_once(workspace)


# ── the lock file ─────────────────────────────────────────────────────────────────────────────────────────────


def test_after_its_lock_file_is_deleted_the_run_stops_and_no_other_can_start(workspace: Workspace) -> None:
    first = _start_and_stop(workspace)
    (workspace.folder / "output" / (STORE_NAME + LOCK_SUFFIX)).unlink()
    _assert_locked(workspace.run("run", "hosts.csv"), workspace)
    _assert_stops(first, "The lock file", "resume")
    _run_to_the_end(workspace)


def test_after_its_lock_file_is_deleted_the_run_stops_even_without_another_run(workspace: Workspace) -> None:
    first = _start_and_stop(workspace)
    (workspace.folder / "output" / (STORE_NAME + LOCK_SUFFIX)).unlink()
    _assert_stops(first, "The lock file")
    workspace.sandbox.set_faults(Faults())
    assert workspace.run("resume").exit_code == ExitCode.DONE
    _assert_created_once(workspace)


def test_a_file_of_an_inbox_whose_run_lost_its_store_is_resumed_by_the_next_call(workspace: Workspace) -> None:
    box = workspace.folder / "box"
    box.mkdir()
    (workspace.folder / "hosts.csv").rename(box / "hosts.csv")
    first = _stop_in_create(workspace.start("inbox", "box", BULKLOAD_UNCHANGED_FOR="0"))
    (box / (STORE_NAME + LOCK_SUFFIX)).unlink()
    result = _continue(first)
    assert result.exit_code == ExitCode.LOCKED, result
    assert "The lock file" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(workspace.sandbox.monitors()) == HELD
    workspace.sandbox.set_faults(Faults())
    again = workspace.run("inbox", "box", BULKLOAD_UNCHANGED_FOR="0")
    assert again.exit_code == ExitCode.DONE, again
    _assert_created_once(workspace)


def test_where_folders_cannot_be_locked_a_run_stops_when_another_takes_over(workspace: Workspace) -> None:
    """The first run records the result of its last create, and creates nothing more."""
    first = _start_and_stop(workspace, on_start=_NoFolderLocks())
    (workspace.folder / "output" / (STORE_NAME + LOCK_SUFFIX)).unlink()
    second = workspace.run("run", "hosts.csv", "--results", "second.jsonl", on_start=_NoFolderLocks())
    assert second.exit_code == ExitCode.DONE, second
    _assert_stops(first, "Another run has taken over")
    _assert_created_once(workspace)
    names = _names(workspace)
    assert all(names[row["monitor_id"]] == row["row"]["name"] for row in _rows(workspace.folder / "second.jsonl"))
    _run_to_the_end(workspace)


# ── other paths to the store ──────────────────────────────────────────────────────────────────────────────────


@WITH_AND_WITHOUT
def test_a_store_reached_by_a_link_to_the_file_assert_locked(
    on_start: _NoFolderLocks | None, workspace: Workspace
) -> None:
    first = _start_and_stop(workspace, on_start=on_start)
    (workspace.folder / "elsewhere").mkdir()
    (workspace.folder / "elsewhere" / STORE_NAME).symlink_to(workspace.folder / "output" / STORE_NAME)
    _assert_locked(workspace.run("run", "hosts.csv", "--output", "elsewhere", on_start=on_start), workspace)
    assert _continue(first).exit_code == ExitCode.DONE
    _run_to_the_end(workspace, "--output", "elsewhere")


@WITH_AND_WITHOUT
def test_a_run_that_uses_a_link_locks_out_others(on_start: _NoFolderLocks | None, workspace: Workspace) -> None:
    """Also by a link to a store that does not exist yet."""
    (workspace.folder / "elsewhere").mkdir()
    (workspace.folder / "output").mkdir()
    (workspace.folder / "elsewhere" / STORE_NAME).symlink_to(workspace.folder / "output" / STORE_NAME)
    first = _start_and_stop(workspace, "--output", "elsewhere", on_start=on_start)
    _assert_locked(workspace.run("run", "hosts.csv", on_start=on_start), workspace)
    assert _continue(first).exit_code == ExitCode.DONE
    _run_to_the_end(workspace)


@WITH_AND_WITHOUT
def test_a_store_reached_by_a_link_to_the_folder_assert_locked(
    on_start: _NoFolderLocks | None, workspace: Workspace
) -> None:
    first = _start_and_stop(workspace, on_start=on_start)
    (workspace.folder / "elsewhere").symlink_to("output", target_is_directory=True)
    _assert_locked(workspace.run("run", "hosts.csv", "--output", "elsewhere", on_start=on_start), workspace)
    assert _continue(first).exit_code == ExitCode.DONE
    _run_to_the_end(workspace)


def test_a_store_with_a_second_name_is_refused(workspace: Workspace) -> None:
    """SQLite keeps the latest commits in a file named after the path by which a store was opened."""
    first = _start_and_stop(workspace)
    (workspace.folder / "elsewhere").mkdir()
    second_name = workspace.folder / "elsewhere" / STORE_NAME
    second_name.hardlink_to(workspace.folder / "output" / STORE_NAME)
    refused = workspace.run("run", "hosts.csv", "--output", "elsewhere")
    assert refused.exit_code == ExitCode.USAGE, refused
    assert "hard link" in refused.stderr
    assert len(workspace.sandbox.monitors()) == HELD
    assert _continue(first).exit_code == ExitCode.DONE
    _assert_created_once(workspace)
    second_name.unlink()
    _run_to_the_end(workspace)


def test_the_lock_also_works_against_processes_of_an_older_version(tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    older = FileLock(str(tmp_path / STORE_NAME) + LOCK_SUFFIX)
    with Store(tmp_path / "linked") as store:
        with older, pytest.raises(Locked):
            store.lock()
        store.lock()
        with pytest.raises(Timeout):
            older.acquire(timeout=0)
    with older:
        pass


# ── a store that is removed ───────────────────────────────────────────────────────────────────────────────────


def _delete(output: Path) -> None:
    for path in output.glob(f"{STORE_NAME}*"):
        if not path.name.endswith(LOCK_SUFFIX):
            path.unlink()


def _replace(output: Path) -> None:
    """As if a backup was restored."""
    shutil.copy(output / STORE_NAME, output / "copy")
    (output / "copy").replace(output / STORE_NAME)


def _delete_wal(output: Path) -> None:
    (output / (STORE_NAME + WAL_SUFFIX)).unlink()


def _move(output: Path) -> None:
    output.rename(output.with_name("moved"))


@pytest.mark.parametrize("what", [_delete, _replace, _delete_wal, _move])
def test_removing_the_store_stops_the_run(what: Callable[[Path], None], workspace: Workspace) -> None:
    first = _start_and_stop(workspace)
    what(workspace.folder / "output")
    _assert_stops(first, "moved, deleted or replaced")
    _run_to_the_end(workspace, "--output", "another")


@pytest.mark.parametrize("second", [("run", "hosts.csv"), ("run", "hosts.csv", "--output", "moved")])
def test_after_the_folder_is_moved_a_second_run_creates_the_rest_and_nothing_twice(
    second: Sequence[str], workspace: Workspace
) -> None:
    """Its new path is still locked. Its old path is free, and the account shows what was created."""
    first = _start_and_stop(workspace)
    _move(workspace.folder / "output")
    result = workspace.run(*second)
    if "moved" in second:
        _assert_locked(result, workspace)
    else:
        assert result.exit_code == ExitCode.DONE, result
    _assert_stops(first, "The run store", "moved")
    _run_to_the_end(workspace)


def test_a_deleted_store_stays_locked_during_the_run(workspace: Workspace) -> None:
    first = _start_and_stop(workspace)
    _delete(workspace.folder / "output")
    _assert_locked(workspace.run("run", "hosts.csv"), workspace)
    _assert_stops(first, "The run store")
    _run_to_the_end(workspace)


# ── the owner in the store ────────────────────────────────────────────────────────────────────────────────────


def _take_over(folder: Path) -> None:
    """Change the store as another process does when it locks it."""
    with closing(sqlite3.connect(folder / STORE_NAME)) as database, database:
        database.execute("UPDATE owner SET token = 'another'")
        database.execute("UPDATE rows SET state = 'doubt', at = 'boot|5.0|5.0' WHERE state = 'sending'")


def test_after_a_takeover_a_run_stores_only_monitors_of_rows_in_doubt(tmp_path: Path) -> None:
    with stored_run(tmp_path, 4) as (store, run, context):
        context.rows.apply([], sending=[0, 1])
        context.rows.apply([], sending=[3])
        _take_over(tmp_path)
        with closing(sqlite3.connect(tmp_path / STORE_NAME)) as other, other:
            other.execute("UPDATE rows SET state = 'pending' WHERE position = 1")
        with pytest.raises(LockLost, match="taken over") as lost:
            context.rows.apply(
                [
                    RowChange(position=0, state=Status.CREATED, monitor_id="70", at="boot|4.0|4.0"),
                    RowChange(position=1, state=Status.CREATED, monitor_id="71", at="boot|4.0|4.0"),
                    RowChange(position=3, state=State.PENDING),
                ],
                sending=[2],
            )
        assert lost.value.exit_code == ExitCode.LOCKED
        assert lost.value.taken_over
        rows = [(row.status, row.monitor_id, row.attempts) for row in store.report_rows(run)]
        assert rows == [
            (Status.CREATED, "70", 1),
            (Status.NOT_ATTEMPTED, "", 1),
            (Status.NOT_ATTEMPTED, "", 0),
            (Status.UNKNOWN, "", 1),
        ]
        assert context.record.is_created("70")
        assert not context.record.is_created("71")


def test_a_row_that_the_other_run_settles_differently_is_unchanged(tmp_path: Path) -> None:
    """The ID in the late response belongs to another row by then."""
    with stored_run(tmp_path) as (_, _run, context):
        context.rows.apply([], sending=[0])
        _take_over(tmp_path)
        with closing(sqlite3.connect(tmp_path / STORE_NAME)) as other, other:
            other.execute("INSERT INTO monitors VALUES (1, '70', x'00', 9, 0, NULL)")
        with pytest.raises(LockLost):
            context.rows.apply([RowChange(position=0, state=Status.CREATED, monitor_id="70")])
        assert [doubt.at for doubt in context.record.rows_in_doubt()] == ["boot|5.0|5.0"]


def test_two_runs_can_record_the_same_monitor_for_the_same_row(tmp_path: Path) -> None:
    """The first run records it after the second has found it, and before the second records it."""
    with stored_run(tmp_path) as (_, _run, context):
        change = RowChange(position=0, state=Status.CREATED, monitor_id="70")
        assert context.rows.apply([change]) == []
        assert context.rows.apply([change]) == []
        assert context.rows.apply([change._replace(position=1)]) != []


def test_after_a_takeover_a_run_writes_nothing_else_to_the_store(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        _take_over(tmp_path)
        for change in (
            lambda: store.end(run, 0, None, 1.0, {}),
            lambda: store.note_setting(run, "a", "b"),
            lambda: store.reopen(run),
            lambda: context.record.forget("1"),
            context.rows.release,
        ):
            with pytest.raises(LockLost):
                change()
        assert store.run().exit_code is None


def test_without_its_lock_file_a_run_stores_results_but_no_marks(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        context.rows.apply([], sending=[0])
        (tmp_path / (STORE_NAME + LOCK_SUFFIX)).unlink()
        created = RowChange(position=0, state=Status.CREATED, monitor_id="70", at="boot|4.0|4.0")
        with pytest.raises(LockLost, match="lock file"):
            context.rows.apply([created], sending=[1])
        assert [row.status for row in store.report_rows(run)] == [Status.CREATED, *[Status.NOT_ATTEMPTED] * 2]
        store.end(run, ExitCode.LOCKED, None, 1.0, {})
        assert store.run().exit_code == ExitCode.LOCKED


def test_a_store_that_was_never_locked_is_not_checked_for_its_owner(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, run, _context):
        pass
    with Store(tmp_path) as store:
        context_of(store, run, 1).rows.apply([], sending=[0])


def test_a_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.lock()
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        with Store(tmp_path) as store:
            store.lock()
    finally:
        child.communicate(b"\n", timeout=60)


def test_the_lock_is_released_after_success_and_errors(tmp_path: Path) -> None:
    for _ in range(2):
        with Store(tmp_path) as first:
            first.lock()
            with Store(tmp_path) as second, pytest.raises(Locked):
                second.lock()
        (tmp_path / "second name").hardlink_to(tmp_path / STORE_NAME)
        with Store(tmp_path) as store, pytest.raises(StoreError, match="hard link"):
            store.lock()
        (tmp_path / "second name").unlink()


def test_a_process_that_is_stopped_in_the_middle_of_a_write_counts_as_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path):
        pass
    monkeypatch.setattr("bulkload.store.schema.BUSY_TIMEOUT", 0.05)
    with closing(sqlite3.connect(tmp_path / STORE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="Another process is writing into the run store") as caught:
            Store(tmp_path)
        assert caught.value.exit_code == ExitCode.LOCKED
