"""External failures: full disks, damaged stores, files that cannot be written, clocks that jump.

Each is reported in one sentence, with the right exit code and without a traceback, and loses no records.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from bulkload.store.database import STORE_NAME
from bulkload.store.schema import MIGRATIONS
from tests.torture.program import ProcessResult, Workspace, open_workspace
from tests.torture.scenario import Scenario, ScenarioRow

ALL = bool(os.environ.get("BULKLOAD_ALL_TESTS"))
MAX_PROCESSES = 20  # until a lagging list is complete
ROWS = 40
SCENARIO = Scenario(
    rows=tuple(ScenarioRow(monitor=number) for number in range(ROWS)), concurrency=2, grace=0.6, after=1.4
)
LONG = 400 * 24 * 3600.0  # seconds
COMMANDS = [("run", "hosts.csv"), ("runs",), ("resume",), ("report", "2")]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "hosts.csv").write_text(SCENARIO.csv(), "utf-8")
    with open_workspace(tmp_path, SCENARIO.environment) as opened_workspace:
        yield opened_workspace


def _assert_error(result: ProcessResult, code: ExitCode, *messages: str) -> None:
    """Assert the exit code and parts of the output, and that there is no traceback."""
    assert result.exit_code == code, result
    assert "Traceback" not in result.stderr + result.stdout, result.stderr
    assert "bug in bulkload" not in result.stderr, result.stderr
    for message in messages:
        assert message in result.stderr + result.stdout, result


def _assert_finishes(workspace: Workspace) -> None:
    """Processes without the failure finish the run; a lagging list may stop the first ones."""
    for _ in range(MAX_PROCESSES):
        result = workspace.run("run", "hosts.csv", "--json", "--results", "last.jsonl")
        if result.exit_code != ExitCode.STOPPED:
            break
    assert result.exit_code == ExitCode.DONE, result
    assert len(workspace.sandbox.monitors()) == ROWS
    assert len({monitor["name"] for monitor in workspace.sandbox.monitors()}) == ROWS
    rows = [json.loads(line) for line in (workspace.folder / "last.jsonl").read_text("utf-8").splitlines()]
    names = {str(monitor["id"]): monitor["name"] for monitor in workspace.sandbox.monitors()}
    assert [names[row["monitor_id"]] for row in rows] == [row["row"]["name"] for row in rows]


def _output(workspace: Workspace) -> Path:
    return workspace.folder / "output"


# ── disks ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _SmallFiles:
    """Limits the size of all files of the process; a larger write fails with an error, as on a full disk."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._size))


@pytest.mark.parametrize("kilobytes", [1, 16, 60, 100, 130, 180, 260, 400] if ALL else [16, 130, 180])
def test_a_store_that_cannot_grow_stops_the_run_and_loses_nothing(kilobytes: int, workspace: Workspace) -> None:
    """The limits are reached at different moments, from creating the store to writing the results."""
    result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", on_start=_SmallFiles(kilobytes * 1024))
    if result.exit_code != ExitCode.DONE:
        _assert_error(result, ExitCode.USAGE, "cannot be")
    assert len(workspace.sandbox.monitors()) <= ROWS
    _assert_finishes(workspace)


@contextmanager
def _tmpfs(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    completed = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
    )
    if completed.returncode:
        pytest.skip("needs permission to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kilobytes", [8, 64, 120, 200, 300] if ALL else [64, 200])
def test_a_full_disk_stops_the_run_and_loses_nothing(kilobytes: int, workspace: Workspace) -> None:
    with _tmpfs(_output(workspace), f"size={kilobytes}k"):
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl")
        if result.exit_code != ExitCode.DONE:
            _assert_error(result, ExitCode.USAGE, "cannot be")
        created = len(workspace.sandbox.monitors())
        subprocess.run(["mount", "-o", "remount,size=10m", str(_output(workspace))], check=True)
        assert created <= ROWS
        _assert_finishes(workspace)


def test_an_output_folder_that_cannot_be_written_is_reported_before_any_request(workspace: Workspace) -> None:
    with _tmpfs(_output(workspace), "size=1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(_output(workspace))], check=True)
        _assert_error(workspace.run("run", "hosts.csv"), ExitCode.USAGE, "output")
        assert workspace.requests == []
    _assert_finishes(workspace)


def test_an_output_folder_that_became_read_only_is_reported_and_keeps_the_old_runs(workspace: Workspace) -> None:
    with _tmpfs(_output(workspace), "size=2m"):
        assert workspace.run("run", "hosts.csv", "--first", "5").exit_code == ExitCode.ROWS_LEFT
        subprocess.run(["mount", "-o", "remount,ro", str(_output(workspace))], check=True)
        before = len(workspace.sandbox.monitors())
        _assert_error(workspace.run("run", "hosts.csv"), ExitCode.USAGE, "output")
        assert len(workspace.sandbox.monitors()) == before
        subprocess.run(["mount", "-o", "remount,rw", str(_output(workspace))], check=True)
        _assert_finishes(workspace)


def test_a_file_in_place_of_the_output_folder_is_reported_before_any_request(workspace: Workspace) -> None:
    _output(workspace).write_text("a file")
    _assert_error(workspace.run("run", "hosts.csv"), ExitCode.USAGE, "output")
    assert workspace.requests == []


# ── stores ────────────────────────────────────────────────────────────────────────────────────────────────────


def _damage(workspace: Workspace, damage: str) -> None:
    store = _output(workspace) / STORE_NAME
    content = store.read_bytes()
    match damage:
        case "garbage":
            store.write_bytes(os.urandom(len(content)))
        case "text":
            store.write_text("This is no database.\n" * 200)
        case "cut":
            store.write_bytes(content[: len(content) // 2])
        case "header cut":
            store.write_bytes(content[:50])
        case "hole":
            store.write_bytes(content[:4096] + bytes(len(content) - 8192) + content[-4096:])
        case "folder":
            store.unlink()
            store.mkdir()
        case "other database":
            store.unlink()
            with closing(sqlite3.connect(store)) as database:
                database.execute("CREATE TABLE rows (something)")
                database.commit()
        case "newer":
            with closing(sqlite3.connect(store)) as database:
                database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


@pytest.mark.parametrize(
    "damage", ["garbage", "text", "cut", "header cut", "hole", "folder", "other database", "newer"]
)
@pytest.mark.parametrize("command", COMMANDS if ALL else COMMANDS[:1])
def test_a_damaged_or_newer_store_is_reported_and_nothing_is_sent(
    damage: str, command: tuple[str, ...], workspace: Workspace
) -> None:
    assert workspace.run("run", "hosts.csv", "--first", "5").exit_code == ExitCode.ROWS_LEFT
    for leftover in _output(workspace).glob(f"{STORE_NAME}-*"):
        leftover.unlink()
    _damage(workspace, damage)
    before, store = len(workspace.sandbox.monitors()), (_output(workspace) / STORE_NAME)
    content = store.read_bytes() if store.is_file() else b""
    result = workspace.run(*command)
    _assert_error(result, ExitCode.USAGE, STORE_NAME)
    assert len(workspace.sandbox.monitors()) == before
    if damage in ("garbage", "text", "cut", "header cut"):
        assert store.read_bytes() == content, "a damaged store is not changed, so it can be recovered"
    if damage == "newer":
        assert "newer" in result.stderr


# ── results ───────────────────────────────────────────────────────────────────────────────────────────────────


class _LosesFolder:
    """Puts a file in place of a folder when the process begins to plan; before that, it could be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self) -> None:
        def on_event(event: str, details: tuple[object, ...]) -> None:
            if event == "import" and details[0] == "bulkload.stages.plan" and self._folder.is_dir():
                self._folder.rmdir()
                self._folder.write_text("a file")

        sys.addaudithook(on_event)


@pytest.mark.parametrize("results", ["taken/results.csv", "pipe.csv", f"{252 * 'x'}.csv", f"{84 * '結'}.csv"])
def test_results_that_cannot_be_written_are_reported_before_anything_is_sent(
    results: str, workspace: Workspace
) -> None:
    (workspace.folder / "taken").write_text("a file")
    os.mkfifo(workspace.folder / "pipe.csv")
    result = workspace.run("run", "hosts.csv", "--results", "good.jsonl", "--results", results)
    _assert_error(result, ExitCode.USAGE, f"{results} cannot be written: ")
    assert workspace.requests == []
    _assert_finishes(workspace)


@pytest.mark.parametrize("suffix", ["xlsx", "csv", "jsonl", "html"])
def test_results_that_cannot_be_written_do_not_undo_the_run(suffix: str, workspace: Workspace) -> None:
    """The folder is lost during the run; the run is in the store, and `report` writes its results elsewhere."""
    lost = _LosesFolder(workspace.folder / "taken")
    result = workspace.run("run", "hosts.csv", "--results", f"taken/results.{suffix}", on_start=lost)
    _assert_error(result, ExitCode.USAGE, "bulkload report")
    assert len(workspace.sandbox.monitors()) == ROWS
    run_id = json.loads(workspace.run("runs", "--json").stdout)[0]["run_id"]
    assert workspace.run("report", run_id, "--results", "again.jsonl").exit_code == ExitCode.DONE
    assert (workspace.folder / "again.jsonl").read_text("utf-8").count('"created"') == ROWS


def test_a_results_file_that_cannot_be_written_does_not_affect_the_others(workspace: Workspace) -> None:
    lost = _LosesFolder(workspace.folder / "taken")
    result = workspace.run(
        "run", "hosts.csv", "--results", "taken/results.csv", "--results", "good.jsonl", on_start=lost
    )
    _assert_error(result, ExitCode.USAGE, "taken/results.csv")
    assert (workspace.folder / "good.jsonl").read_text("utf-8").count('"created"') == ROWS


def test_a_store_on_a_full_disk_does_not_affect_results_on_another(workspace: Workspace) -> None:
    with _tmpfs(_output(workspace), "size=330k"):
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl")
        _assert_error(result, ExitCode.USAGE, "cannot be used")
        rows = [json.loads(line) for line in (workspace.folder / "results.jsonl").read_text("utf-8").splitlines()]
        assert len(rows) == ROWS
        names = {str(monitor["id"]): monitor["name"] for monitor in workspace.sandbox.monitors()}
        assert all(names[row["monitor_id"]] == row["row"]["name"] for row in rows if row["monitor_id"])


def test_results_that_cannot_be_replaced_stay_complete(workspace: Workspace) -> None:
    """For example, another program has opened the file: the old results remain, and the message says what to do."""
    results = workspace.folder / "results.csv"
    assert workspace.run("run", "hosts.csv", "--first", "1", "--results", "results.csv").exit_code == ExitCode.ROWS_LEFT
    old = results.read_bytes()
    try:
        if subprocess.run(["chattr", "+i", str(results)], capture_output=True, check=False).returncode:
            pytest.skip("needs permission to make a file immutable with chattr")
        result = workspace.run("run", "hosts.csv", "--results", "results.csv")
    finally:
        subprocess.run(["chattr", "-i", str(results)], capture_output=True, check=False)
    _assert_error(result, ExitCode.USAGE, "results.csv", "bulkload report")
    assert results.read_bytes() == old
    assert len(workspace.sandbox.monitors()) == ROWS


# ── clocks ────────────────────────────────────────────────────────────────────────────────────────────────────


def _move_clock(workspace: Workspace, shift: float, *, reboot: bool) -> None:
    """Shift all times in the store, as if the clock had been wrong; `reboot`: also as if recorded before a reboot."""
    with closing(sqlite3.connect(_output(workspace) / STORE_NAME)) as database:
        database.execute("UPDATE runs SET started = started + ?, finished = finished + ?", (shift, shift))
        for table, key in (("rows", "position"), ("monitors", "rowid")):
            records = database.execute(f"SELECT {key}, at FROM {table} WHERE at IS NOT NULL").fetchall()
            for record_id, at in records:
                boot, monotonic, wall = at.split("|")
                shifted = f"{boot}{'-earlier' if reboot else ''}|{monotonic}|{float(wall) + shift}"
                database.execute(f"UPDATE {table} SET at = ? WHERE {key} = ?", (shifted, record_id))
        database.commit()


SHIFTS = pytest.mark.parametrize("shift", [-LONG, -3600.0, 3600.0, LONG], ids=lambda shift: f"{shift:+.0f}s")
REBOOTS = pytest.mark.parametrize("reboot", [False, True], ids=["same-boot", "rebooted"])


@SHIFTS
@REBOOTS
def test_a_clock_that_jumped_while_a_create_was_in_doubt_creates_nothing_twice(
    shift: float, reboot: bool, workspace: Workspace
) -> None:
    lag = 0.0 if reboot else 0.5  # a list does not lag for as long as a machine takes to start
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="reset-after", at=(7,)),), visible_after=lag))
    result = workspace.run("run", "hosts.csv", "--first", "7", BULKLOAD_SETTLE_TIMEOUT="0", BULKLOAD_CONCURRENCY="1")
    assert result.exit_code == ExitCode.ROWS_LEFT
    _move_clock(workspace, shift, reboot=reboot)
    workspace.run("run", "hosts.csv", "--json", BULKLOAD_CONCURRENCY="1")
    _assert_finishes(workspace)


@SHIFTS
@REBOOTS
def test_monitors_created_with_a_wrong_clock_are_not_compared_with_later_ones(
    shift: float, reboot: bool, workspace: Workspace
) -> None:
    """A monitor with a time in the future does not count as created after the create in doubt."""
    assert workspace.run("run", "hosts.csv", "--first", "6").exit_code == ExitCode.ROWS_LEFT
    _move_clock(workspace, shift, reboot=reboot)
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="reset-after", at=(1,)),), visible_after=0.5))
    workspace.run("run", "hosts.csv", "--first", "1", BULKLOAD_CONCURRENCY="1")
    assert len({monitor["name"] for monitor in workspace.sandbox.monitors()}) == len(workspace.sandbox.monitors())
    workspace.sandbox.set_faults(Faults())
    _assert_finishes(workspace)


@REBOOTS
def test_a_create_in_doubt_with_a_time_in_the_future_is_settled(reboot: bool, workspace: Workspace) -> None:
    """It never took effect; the start of the next process is the latest time at which it can have been sent."""
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="error-before", names=("m0",)),)))
    assert (
        workspace.run("run", "hosts.csv", "--first", "1", BULKLOAD_SETTLE_TIMEOUT="0").exit_code == ExitCode.ROWS_LEFT
    )
    _move_clock(workspace, LONG, reboot=reboot)
    workspace.sandbox.set_faults(Faults())
    _assert_finishes(workspace)
