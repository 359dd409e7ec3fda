"""Runs that overlap or repeat: concurrent runs, the same rows in another file, order or spelling, edited files."""

from __future__ import annotations

import csv
import json
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from tests.torture.program import ProcessResult, Workspace, open_workspace
from tests.torture.scenario import HEADER, SPELLINGS, Scenario, ScenarioRow

ROWS = 12
SCENARIO = Scenario(
    rows=tuple(ScenarioRow(monitor=number) for number in range(ROWS)), concurrency=2, grace=0.4, after=1.0
)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "hosts.csv").write_text(SCENARIO.csv(), "utf-8")
    with open_workspace(tmp_path, SCENARIO.environment) as opened_workspace:
        yield opened_workspace


def _creates(workspace: Workspace) -> int:
    workspace.read_log()
    return sum(entry["operation"] == "create" for entry in workspace.requests)


def _counts(workspace: Workspace, file: str, *options: str, code: ExitCode = ExitCode.DONE) -> dict[str, int]:
    result = workspace.run("run", file, "--json", *options)
    assert result.exit_code == code, result
    counts: dict[str, int] = result.json()["counts"]
    return counts


def _kill_during_run(workspace: Workspace, *arguments: str) -> None:
    """Start a run, and kill it after some creates, while another waits for its response."""
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="stall-after", at=(5,)),)))
    process = workspace.start(*arguments)
    assert process.wait_until(lambda: any(entry["fault"] == "stall-after" for entry in workspace.requests))
    process.send_signal(signal.SIGKILL)
    assert process.wait().was_killed
    workspace.sandbox.set_faults(Faults())


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# ── concurrent runs ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("second", [("run", "hosts.csv"), ("resume",), ("plan", "hosts.csv")])
def test_a_second_process_is_refused_immediately_and_sends_nothing(second: Sequence[str], workspace: Workspace) -> None:
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="stall-before", on=("list",)),)))
    first = workspace.start("run", "hosts.csv", BULKLOAD_REQUEST_TIMEOUT="100")
    assert first.wait_until(lambda: any(entry["fault"] == "stall-before" for entry in workspace.requests))
    request_count = len(workspace.requests)
    refused = workspace.run(*second)
    assert refused.exit_code == ExitCode.LOCKED, refused
    assert "Another run" in refused.stderr
    assert len(workspace.requests) == request_count
    first.send_signal(signal.SIGKILL)
    assert first.wait().was_killed
    workspace.sandbox.set_faults(Faults())
    assert workspace.run("run", "hosts.csv").exit_code == ExitCode.DONE, "a killed process keeps no lock"


@pytest.mark.parametrize("repetition", range(3))
def test_two_runs_that_start_together_create_each_monitor_once(repetition: int, workspace: Workspace) -> None:
    """One of them creates the store; the other is refused, or runs after it and finds all monitors."""
    processes = [workspace.start("run", "hosts.csv", "--results", f"{repetition}-{name}.jsonl") for name in ("a", "b")]
    codes = sorted(process.wait().exit_code for process in processes)
    assert codes in ([ExitCode.DONE, ExitCode.LOCKED], [ExitCode.DONE, ExitCode.DONE]), codes
    assert len(workspace.sandbox.monitors()) == ROWS


# ── the same rows again ───────────────────────────────────────────────────────────────────────────────────────


def test_the_same_file_under_another_name_creates_nothing(workspace: Workspace) -> None:
    assert _counts(workspace, "hosts.csv") == {"created": ROWS}
    (workspace.folder / "hosts.csv").rename(workspace.folder / "copy of hosts.txt")
    assert _counts(workspace, "copy of hosts.txt") == {"exists": ROWS}
    assert _creates(workspace) == ROWS


def test_the_same_file_under_another_name_after_a_crash_creates_the_rest(workspace: Workspace) -> None:
    _kill_during_run(workspace, "run", "hosts.csv")
    (workspace.folder / "hosts.csv").rename(workspace.folder / "other.csv")
    _counts(workspace, "other.csv")
    assert len(workspace.sandbox.monitors()) == ROWS


@pytest.mark.parametrize("crash", [False, True], ids=["finished", "crashed"])
def test_rows_in_another_order_create_nothing_twice_and_keep_their_ids(crash: bool, workspace: Workspace) -> None:
    if crash:
        _kill_during_run(workspace, "run", "hosts.csv")
    else:
        _counts(workspace, "hosts.csv")
    rows = list(SCENARIO.rows)
    random.Random(7).shuffle(rows)
    (workspace.folder / "hosts.csv").write_text(Scenario(rows=tuple(rows)).csv(), "utf-8")
    _counts(workspace, "hosts.csv", "--results", "again.jsonl")
    names = {str(monitor["id"]): monitor["name"] for monitor in workspace.sandbox.monitors()}
    assert len(names) == ROWS
    assert all(names[row["monitor_id"]] == row["row"]["name"] for row in _rows(workspace.folder / "again.jsonl"))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_monitors_in_another_spelling_create_nothing(spelling: str, workspace: Workspace) -> None:
    """Upper case, a trailing dot, an explicit default port, spaces around the name."""
    assert _counts(workspace, "hosts.csv") == {"created": ROWS}
    rows = tuple(ScenarioRow(monitor=number, spelling=spelling) for number in range(ROWS))  # type: ignore[arg-type]
    (workspace.folder / "other.csv").write_text(Scenario(rows=rows).csv(), "utf-8")
    assert _counts(workspace, "other.csv") == {"exists": ROWS}
    assert _creates(workspace) == ROWS


def test_an_international_name_and_its_ascii_form_are_the_same_host(workspace: Workspace) -> None:
    def write(name: str, host: str) -> None:
        rows = [HEADER, ("imap", "m", host, "", "UBM - A/A", "15", "", "", "")]
        with (workspace.folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)

    write("one.csv", "mail.bücher.example")
    write("two.csv", "MAIL.XN--BCHER-KVA.example.")
    write("three.csv", "mail.BU\u0308CHER.example:143")
    assert _counts(workspace, "one.csv") == {"created": 1}
    assert _counts(workspace, "two.csv") == {"exists": 1}
    assert _counts(workspace, "three.csv") == {"exists": 1}


# ── results as input ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_results_file_as_input_sends_only_unfinished_rows(suffix: str, workspace: Workspace) -> None:
    """Rejected and unsent rows are sent, finished and invalid ones are not."""
    rows = (*SCENARIO.rows, ScenarioRow(monitor=3), ScenarioRow(monitor=ROWS, is_invalid=True))
    (workspace.folder / "hosts.csv").write_text(Scenario(rows=rows).csv(), "utf-8")
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="plan-full", names=("m4", "m9")),)))
    first = _counts(workspace, "hosts.csv", "--results", f"one.{suffix}", code=ExitCode.ROWS_LEFT)
    assert first == {"created": ROWS - 2, "invalid": 1, "duplicate": 1, "rejected": 2}
    before = _creates(workspace)
    workspace.sandbox.set_faults(Faults())
    second = _counts(workspace, f"one.{suffix}", "--results", f"two.{suffix}", code=ExitCode.ROWS_LEFT)
    assert second == {"created": 2, "exists": ROWS - 2, "invalid": 1, "duplicate": 1}
    assert _creates(workspace) == before + 2
    third = _counts(workspace, f"two.{suffix}", code=ExitCode.ROWS_LEFT)
    assert third == {"exists": ROWS, "invalid": 1, "duplicate": 1}
    assert _creates(workspace) == before + 2


def test_the_results_of_a_partial_run_are_a_valid_input_file(workspace: Workspace) -> None:
    assert _counts(workspace, "hosts.csv", "--first", "5", "--results", "one.csv", code=ExitCode.ROWS_LEFT) == {
        "created": 5,
        "not_attempted": ROWS - 5,
    }
    assert _counts(workspace, "one.csv", "--output", "elsewhere") == {"exists": 5, "created": ROWS - 5}
    assert _creates(workspace) == ROWS


# ── files that change between runs ──────────────────────────────────────────────────────────────────────────────


def _edit_file(workspace: Workspace) -> None:
    rows = tuple(ScenarioRow(monitor=number) for number in range(100, 104))
    (workspace.folder / "hosts.csv").write_text(Scenario(rows=rows).csv(), "utf-8")


def _resume(workspace: Workspace) -> ProcessResult:
    result = workspace.run("resume", "--json", "--results", "resumed.jsonl")
    assert result.exit_code == ExitCode.DONE, result
    rows = _rows(workspace.folder / "resumed.jsonl")
    assert [row["row"]["name"] for row in rows] == [f"m{number}" for number in range(ROWS)]
    names = Counter(monitor["name"] for monitor in workspace.sandbox.monitors())
    assert names == Counter(f"m{number}" for number in range(ROWS))
    return result


def test_a_file_edited_between_crash_and_resume_is_reported_and_changes_nothing(workspace: Workspace) -> None:
    """The run continues with the rows it has read, and reports that the file has changed."""
    _kill_during_run(workspace, "run", "hosts.csv")
    _edit_file(workspace)
    result = _resume(workspace)
    assert "hosts.csv" in result.stderr
    assert "changed" in result.stderr


def test_a_deleted_file_does_not_prevent_the_resume(workspace: Workspace) -> None:
    _kill_during_run(workspace, "run", "hosts.csv")
    (workspace.folder / "hosts.csv").unlink()
    _resume(workspace)


def test_an_unchanged_file_is_not_reported(workspace: Workspace) -> None:
    """Even if it was saved again."""
    _kill_during_run(workspace, "run", "hosts.csv")
    path = workspace.folder / "hosts.csv"
    path.write_bytes(path.read_bytes())
    assert "changed" not in _resume(workspace).stderr


def test_an_edited_file_starts_a_new_run_with_its_own_rows(workspace: Workspace) -> None:
    _kill_during_run(workspace, "run", "hosts.csv")
    _edit_file(workspace)
    assert _counts(workspace, "hosts.csv") == {"created": 4}
    resumed = workspace.run("resume", "--json")
    assert resumed.exit_code == ExitCode.DONE, resumed
    names = Counter(monitor["name"] for monitor in workspace.sandbox.monitors())
    assert names == Counter(f"m{number}" for number in (*range(ROWS), *range(100, 104)))
