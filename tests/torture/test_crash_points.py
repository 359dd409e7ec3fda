"""A run recovers after its process is killed before any of its durable steps."""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from bulkload.store.database import STORE_NAME
from tests.torture.crash_points import CrashPoint
from tests.torture.program import open_workspace
from tests.torture.runner import run_scenario
from tests.torture.scenario import Round, Scenario, ScenarioRow

ALL = bool(os.environ.get("BULKLOAD_ALL_TESTS"))
STRIDE = 3 if ALL else 15  # every n-th step is tested; generated scenarios test all
CONCURRENCY = 4  # scenarios at a time
ROWS = (
    ScenarioRow(monitor=0),
    ScenarioRow(monitor=1),
    ScenarioRow(monitor=2, is_invalid=True),
    ScenarioRow(monitor=1, spelling="upper-case"),
    ScenarioRow(monitor=3),
)
WITHOUT_FAULTS = Scenario(rows=ROWS, concurrency=1, grace=0.3, after=0.6, warm_up=False)
WITH_FAULTS = replace(
    WITHOUT_FAULTS,
    after=0.8,
    faults=Faults(
        rules=(
            Rule(fault="reset-after", at=(1,)),
            Rule(fault="error-before", at=(2,)),
            Rule(fault="late", at=(3,), seconds=0.1),
        )
    ),
)
REPORTS = replace(WITHOUT_FAULTS, rows=ROWS[:1], formats=("jsonl", "xlsx", "html", "csv"))


def _steps(scenario: Scenario, folder: Path) -> list[str]:
    """The durable steps of a whole run, in order."""
    (folder / "hosts.csv").write_text(scenario.csv(), "utf-8")
    formats = [word for suffix in scenario.formats for word in ("--results", f"results.{suffix}")]
    with open_workspace(folder, scenario.environment, faults=scenario.faults) as workspace:
        workspace.run("run", "hosts.csv", *formats, on_start=CrashPoint(step=0, trace=folder / "trace"))
    return (folder / "trace").read_text("utf-8").splitlines()


def _kill_at(points: Iterable[tuple[int, ...]], scenario: Scenario, folder: Path) -> None:
    """Run the scenario with processes killed at these steps; scenarios mostly wait, so several run concurrently."""

    def kill_and_check(steps: tuple[int, ...]) -> None:
        subfolder = folder / "-".join(map(str, steps))
        subfolder.mkdir()
        resume = bool(sum(steps) % 2)
        rounds = tuple(Round(step=step, resume=resume and index > 0) for index, step in enumerate(steps))
        run_scenario(replace(scenario, rounds=rounds, finish_by_resume=resume), subfolder)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for future in [pool.submit(kill_and_check, steps) for steps in points]:
            future.result()


@pytest.mark.parametrize("scenario", [WITHOUT_FAULTS, WITH_FAULTS], ids=["without faults", "with faults"])
def test_a_process_killed_at_any_step_recovers(scenario: Scenario, tmp_path: Path) -> None:
    """From creating the store to writing the results."""
    steps = _steps(scenario, tmp_path)
    assert {"BEGIN IMMEDIATE", "COMMIT"} < set(steps)
    assert any("'sending'" in step for step in steps)
    _kill_at(((number,) for number in range(1, len(steps) + 2, STRIDE)), scenario, tmp_path)


def test_a_process_killed_while_it_writes_results_leaves_no_incomplete_file(tmp_path: Path) -> None:
    steps = _steps(REPORTS, tmp_path)
    first_draft = next(number for number, step in enumerate(steps, 1) if "REPLACE INTO results_files" in step)
    end_of_run = max(number for number, step in enumerate(steps[:first_draft], 1) if step == "COMMIT")
    result_steps = [
        n for n, step in enumerate(steps, 1) if n >= end_of_run and not re.search("/.bulkload-[^/]+/tmp", step)
    ]
    assert sum("os.rename" in steps[number - 1] for number in result_steps) == len(REPORTS.formats)
    _kill_at(((number,) for number in result_steps[:: 1 if ALL else 6]), REPORTS, tmp_path)


@pytest.mark.skipif(not ALL, reason="part of the larger set: BULKLOAD_ALL_TESTS=1")
def test_two_processes_killed_one_after_the_other_recover(tmp_path: Path) -> None:
    steps = len(_steps(WITH_FAULTS, tmp_path))
    _kill_at(itertools.product(range(30, steps, 23), range(30, steps, 29)), WITH_FAULTS, tmp_path)


@pytest.mark.parametrize(
    ("fault", "created"),
    [("stall-before", 0), ("stall-after", 1), ("slow", 1), ("late", 0)],
)
def test_a_process_killed_between_a_request_and_its_response_recovers(fault: str, created: int, tmp_path: Path) -> None:
    """The sandbox logs the request; the process is killed while it waits for the response, or shortly after."""
    faults = Faults(rules=(Rule(fault=fault, at=(1,), seconds=0.2),))
    scenario = replace(WITHOUT_FAULTS, after=0.8, rows=ROWS[:1], faults=faults)
    (tmp_path / "hosts.csv").write_text(scenario.csv(), "utf-8")
    with open_workspace(tmp_path, scenario.environment, faults=faults) as workspace:
        process = workspace.start("run", "hosts.csv")
        assert process.wait_until(lambda: any(entry["operation"] == "create" for entry in workspace.requests))
        assert len(workspace.sandbox.monitors()) == created
        process.send_signal(9)
        assert process.wait().was_killed
        again = workspace.run("run", "hosts.csv", "--json")
        assert again.exit_code == ExitCode.DONE, again
        assert len(workspace.sandbox.monitors()) == 1
        committed = [entry for entry in workspace.requests if entry["committed"] and entry["operation"] != "login"]
        assert len(committed) <= 1


def test_a_migration_of_the_store_that_is_killed_is_completed_by_the_next_process(tmp_path: Path) -> None:
    """Before any step, the store has either its old or its new schema."""
    (tmp_path / "hosts.csv").write_text(WITHOUT_FAULTS.csv(), "utf-8")
    with open_workspace(tmp_path, WITHOUT_FAULTS.environment) as workspace:
        for number in range(1, 80):
            output = tmp_path / f"output-{number}"
            crash_point = CrashPoint(step=number)
            result = workspace.run("run", "hosts.csv", "--strict", "--output", output.name, on_start=crash_point)
            if not (output / STORE_NAME).exists():
                continue
            database = sqlite3.connect(output / STORE_NAME)
            tables = database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            version = database.execute("PRAGMA user_version").fetchone()[0]
            database.close()
            assert bool(tables) == bool(version)
            if version:
                break
        assert result.was_killed
        assert number > 10
        assert workspace.run("run", "hosts.csv", "--output", output.name).exit_code == ExitCode.ROWS_LEFT
        assert len(workspace.sandbox.monitors()) == len(WITHOUT_FAULTS.requested)
