"""A run of an unchanged file recovers after its process is killed before any durable step, and so do earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bulkload.errors import ExitCode
from tests.support.command_line import api_request
from tests.support.waiting import wait_until
from tests.torture.crash_points import CrashPoint
from tests.torture.program import Workspace, open_workspace
from tests.torture.test_crash_points import ALL, CONCURRENCY, WITHOUT_FAULTS

STRIDE = 2 if ALL else 41  # every n-th step is tested
FILE = "hosts.csv"
CALL = ("run", FILE, "--results", "results.jsonl")


def _prepare(workspace: Workspace, is_deleted: bool) -> list[Any]:
    """Two runs, the second of which shares the rows of the first; with `is_deleted`, a monitor is deleted then."""
    (workspace.folder / FILE).write_text(WITHOUT_FAULTS.csv(), "utf-8")
    for _ in range(2):
        assert workspace.run(*CALL).exit_code == ExitCode.ROWS_LEFT  # some rows are invalid
    before = _reports(workspace)
    if is_deleted:
        api_request(workspace.sandbox, "DELETE", dict(workspace.sandbox.monitors()[0]))
    return before


def _reports(workspace: Workspace) -> list[Any]:
    """The rows of all runs, the oldest first."""
    reports = []
    for run in reversed(workspace.run("runs", "--json").json()):
        workspace.run("report", run["run_id"], "--results", "report.jsonl")
        reports.append((workspace.folder / "report.jsonl").read_text("utf-8").replace(run["run_id"], ""))
    return reports


def _is_settled(workspace: Workspace) -> bool:
    """Run again if a row is unknown, because its monitor was created so recently that a list may not contain it yet."""
    if '"unknown"' not in _reports(workspace)[-1]:
        return True
    workspace.run(*CALL)
    return False


def _kill_at(steps: Iterable[int], folder: Path, is_deleted: bool, again: tuple[str, ...]) -> None:
    def kill_and_check(step: int) -> None:
        subfolder = folder / str(step)
        subfolder.mkdir()
        with open_workspace(subfolder, WITHOUT_FAULTS.environment) as workspace:
            before = _prepare(workspace, is_deleted)
            names = sorted(str(monitor["name"]) for monitor in workspace.sandbox.monitors())
            workspace.run(*CALL, on_start=CrashPoint(step=step))
            assert _reports(workspace)[:2] == before, f"step {step}"
            result = workspace.run(*again)
            if result.exit_code == ExitCode.USAGE:  # it was killed before there was a run to be resumed
                assert "no run to resume" in result.stderr or "read completely" in result.stderr
                result = workspace.run(*CALL)
            assert result.exit_code == ExitCode.ROWS_LEFT, f"step {step}: {result}"
            wait_until(lambda: _is_settled(workspace))
            *_, last = _reports(workspace)
            rows = [json.loads(line) for line in last.splitlines()]
            assert [row["source_row"] for row in rows] == list(range(2, len(WITHOUT_FAULTS.rows) + 2)), f"step {step}"
            ids = {row["row"]["name"]: row["monitor_id"] for row in rows if row["status"] in ("exists", "created")}
            monitors = {str(monitor["name"]): str(monitor["id"]) for monitor in workspace.sandbox.monitors()}
            assert ids == monitors, f"step {step}"
            assert set(monitors) >= set(names)
            assert len(monitors) == len(WITHOUT_FAULTS.requested) == len(workspace.sandbox.monitors()), f"step {step}"
            assert _reports(workspace)[:2] == before, f"step {step}"

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for future in [pool.submit(kill_and_check, step) for step in steps]:
            future.result()


@pytest.mark.parametrize(("again", "first"), [(CALL, 1), (("resume",), 2)], ids=["run", "resume"])  # each step once
@pytest.mark.parametrize("is_deleted", [False, True], ids=["unchanged", "a monitor is gone"])
def test_a_run_of_an_unchanged_file_killed_at_any_step_recovers(
    is_deleted: bool, again: tuple[str, ...], first: int, tmp_path: Path
) -> None:
    with open_workspace(tmp_path, WITHOUT_FAULTS.environment) as workspace:
        _prepare(workspace, is_deleted)
        workspace.run(*CALL, on_start=CrashPoint(step=0, trace=tmp_path / "trace"))
    steps = (tmp_path / "trace").read_text("utf-8").splitlines()
    assert any("same_rows_as = 1" in step for step in steps)
    assert any("INSERT INTO rows" in step for step in steps) == is_deleted
    assert any("all_exist = 1" in step for step in steps) != is_deleted
    _kill_at(range(first, len(steps) + 2, STRIDE), tmp_path, is_deleted, again)
