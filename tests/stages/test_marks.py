"""Rows are marked as being sent in blocks, only if they may be sent within moments, and no mark outlives its reason."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from bulkload.stages.row_queue import MOST_MARKED
from bulkload.store.database import STORE_NAME
from tests.support.waiting import wait_until
from tests.torture.program import Workspace, open_workspace
from tests.torture.scenario import Scenario, ScenarioRow

ROWS = 300
WORKERS = 4


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    rows = tuple(ScenarioRow(monitor=number) for number in range(ROWS))
    (tmp_path / "hosts.csv").write_text(Scenario(rows=rows).csv(), "utf-8")
    environment = {
        "BULKLOAD_CONCURRENCY": str(WORKERS),
        "BULKLOAD_REQUEST_TIMEOUT": "100",
        "BULKLOAD_SETTLE_GRACE": "0.2",
        "BULKLOAD_SETTLE_AFTER": "1",
        "BULKLOAD_SETTLE_TIMEOUT": "60",
    }
    with open_workspace(tmp_path, environment) as opened_workspace:
        yield opened_workspace


def _states(workspace: Workspace) -> Counter[str]:
    with closing(sqlite3.connect(f"file:{workspace.folder / 'output' / STORE_NAME}?mode=ro", uri=True)) as database:
        return Counter(state for (state,) in database.execute("SELECT state FROM rows"))


def _attempts(workspace: Workspace) -> tuple[int, int]:
    """The attempts in the results, and the number of rows for which a request was sent."""
    rows = [json.loads(line) for line in (workspace.folder / "results.jsonl").read_text("utf-8").splitlines()]
    sent = {entry["name"] for entry in workspace.requests if entry["operation"] == "create"}
    return sum(row["attempts"] for row in rows), len(sent)


def test_in_a_pause_only_rows_that_a_worker_has_stay_marked(workspace: Workspace) -> None:
    """The others would be in doubt for nothing if the process were killed."""
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="throttle", at=(20,), seconds=300.0),)))
    process = workspace.start("run", "hosts.csv", "--results", "results.jsonl")
    assert process.wait_until(lambda: any(entry["fault"] for entry in workspace.requests))
    wait_until(lambda: _states(workspace)["sending"] <= WORKERS)
    process.send_signal(signal.SIGINT)
    assert process.wait().exit_code == ExitCode.INTERRUPTED
    assert _states(workspace)["sending"] == 0
    attempts, sent = _attempts(workspace)
    assert attempts == sent < ROWS, "a row that was only marked was not attempted"
    workspace.sandbox.set_faults(Faults())
    assert workspace.run("resume").exit_code == ExitCode.DONE
    assert len(workspace.sandbox.monitors()) == ROWS


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_a_run_ends_its_marks_are_resolved(end: signal.Signals, workspace: Workspace) -> None:
    """After SIGKILL, rows that were marked and not sent are in doubt, until it is known that they were not created."""
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="slow", seconds=0.5, at=tuple(range(30, 60))),)))
    process = workspace.start("run", "hosts.csv", "--results", "results.jsonl")
    assert process.wait_until(lambda: workspace.sandbox.counts().get("create", 0) >= 30)
    process.send_signal(end)
    process.wait()
    marked = _states(workspace)["sending"]
    if end == signal.SIGKILL:
        assert 0 < marked <= MOST_MARKED + WORKERS
    else:
        assert marked == 0
        attempts, sent = _attempts(workspace)
        assert attempts == sent < ROWS
    workspace.sandbox.set_faults(Faults())
    assert workspace.run("resume").exit_code == ExitCode.DONE
    names = Counter(monitor["name"] for monitor in workspace.sandbox.monitors())
    assert len(names) == names.total() == ROWS


@pytest.mark.parametrize("first", [1, 2, 100, MOST_MARKED + 1])
def test_first_sends_exactly_so_many_rows(first: int, workspace: Workspace) -> None:
    result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", "--first", str(first))
    assert result.exit_code == ExitCode.ROWS_LEFT
    assert len(workspace.sandbox.monitors()) == first
    assert _states(workspace) == {"created": first, "pending": ROWS - first}
    assert _attempts(workspace) == (first, first)


def test_at_a_limited_rate_only_the_next_rows_are_marked(workspace: Workspace) -> None:
    """At 50 per second, 2 starts are within the lead time, and each worker may have one more."""
    seen: list[int] = []
    process = workspace.start("run", "hosts.csv", BULKLOAD_RATE="50")

    def is_half_done() -> bool:
        states = _states(workspace) if (workspace.folder / "output" / STORE_NAME).exists() else Counter[str]()
        seen.append(states["sending"])
        return states["created"] >= 60

    assert process.wait_until(is_half_done)
    process.send_signal(signal.SIGTERM)
    process.wait()
    assert 0 < max(seen) <= 3 + WORKERS
