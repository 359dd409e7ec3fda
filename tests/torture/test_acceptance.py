"""Whole runs under difficult conditions: failed responses, kills, strict rate limits, invalid credentials."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from tests.torture.program import Workspace, open_workspace

ALL = bool(os.environ.get("BULKLOAD_ALL_TESTS"))
SETTINGS = {
    "BULKLOAD_SETTLE_GRACE": "0.8",
    "BULKLOAD_SETTLE_AFTER": "2.0",
    "BULKLOAD_SETTLE_TIMEOUT": "30",
    "BULKLOAD_REQUEST_TIMEOUT": "1",
}
AFTER_COMMIT = ("error-after", "reset-after", "stall-after", "late")  # 5 % of creates each
BEFORE_COMMIT = ("error-before", "reset-before")  # 5 % of creates each
TYPES = ("imap", "pop", "smtp", "round-trip")


def _hosts(rows: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("type", "name", "hostname", "billing_plancode", "smtp_hostname", "pop3_hostname", "email"))
    for number, monitor_type in zip(range(rows), itertools.cycle(TYPES), strict=False):
        servers = (
            ("smtp.example.com", "pop.example.com", "probe@example.com")
            if monitor_type == "round-trip"
            else ("", "", "")
        )
        host = "" if monitor_type == "round-trip" else f"mx{number}.example.com"
        writer.writerow((monitor_type, f"host {number}", host, "UBM - A/A", *servers))
    return text.getvalue()


def _failing_creates(seed: int) -> Faults:
    # a rule applies only if none before it did, so later rules need a higher probability for the same share
    rules = []
    for index, fault in enumerate((*AFTER_COMMIT, *BEFORE_COMMIT)):
        probability = 0.05 / (1 - 0.05 * index)
        seconds = 0.1 if fault == "late" else None
        # the third attempt of a row succeeds, since a row fails after three
        rules.append(Rule(fault=fault, on=("create",), probability=probability, attempts=2, seconds=seconds))
    return Faults(seed=seed, rules=tuple(rules))


def _results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _check(workspace: Workspace, rows: int, results: Iterable[dict[str, Any]]) -> None:
    """There is exactly one monitor for each row, and each row has the ID of its own monitor."""
    monitors = workspace.sandbox.monitors()
    names = {str(monitor["id"]): monitor["name"] for monitor in monitors}
    assert sorted(names.values(), key=str) == sorted((f"host {number}" for number in range(rows)), key=str)
    names_of_rows = [names[row["monitor_id"]] for row in results]
    assert names_of_rows == [f"host {number}" for number in range(rows)]


@pytest.mark.parametrize("seed", range(4 if ALL else 1))
def test_500_rows_of_which_30_percent_get_a_failed_response(seed: int, tmp_path: Path) -> None:
    """20 % after the create takes effect, 10 % before: 500 monitors, correct IDs, exit code 0."""
    (tmp_path / "hosts.csv").write_text(_hosts(500), "utf-8")
    with open_workspace(tmp_path, SETTINGS, faults=_failing_creates(seed)) as workspace:
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", "--json")
        assert result.exit_code == ExitCode.DONE, result
        faults = [entry["fault"] for entry in workspace.requests if entry["operation"] == "create" and entry["fault"]]
        assert {*AFTER_COMMIT, *BEFORE_COMMIT} == set(faults)
        assert len(faults) > 100
        _check(workspace, 500, _results(tmp_path / "results.jsonl"))


@pytest.mark.parametrize("seed", range(3 if ALL else 1))
def test_a_run_that_is_killed_repeatedly_and_run_again_finishes(seed: int, tmp_path: Path) -> None:
    """SIGKILL at random moments, sent to `python -m bulkload`, with failed responses."""
    rows, kills = (200, 12) if ALL else (80, 5)
    generator = random.Random(seed)
    (tmp_path / "hosts.csv").write_text(_hosts(rows), "utf-8")
    with open_workspace(tmp_path, SETTINGS, faults=_failing_creates(seed)) as workspace:
        for attempt in range(kills):
            command = ["resume"] if attempt and generator.random() < 0.4 else ["run", "hosts.csv"]
            with (tmp_path / "output.txt").open("w") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "bulkload", *command, "--rate", "200"],
                    cwd=tmp_path,
                    env={**workspace.environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                    stdout=output,
                    stderr=output,
                )
                _wait_for_requests(workspace, process, len(workspace.requests) + generator.randrange(60))
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert "Traceback" not in (tmp_path / "output.txt").read_text("utf-8")
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", "--json")
        assert result.exit_code == ExitCode.DONE, result
        _check(workspace, rows, _results(tmp_path / "results.jsonl"))


def _wait_for_requests(workspace: Workspace, process: subprocess.Popen[bytes], count: int) -> None:
    while len(workspace.requests) < count and process.poll() is None:
        workspace.wait_for_log(0.5)


@pytest.mark.parametrize(("rate", "rows"), [(20, 60), (200, 700)] if ALL else [(20, 30), (200, 300)])
def test_a_run_stays_within_a_strict_rate_limit(rate: int, rows: int, tmp_path: Path, record_property: Any) -> None:
    """No 429 at exactly the rate that the server enforces.

    Other programs on the machine can delay requests, so one attempt of five has to succeed; a wrong pace would fail in
    all of them.
    """
    throttled = []
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        (folder / "hosts.csv").write_text(_hosts(rows), "utf-8")
        with open_workspace(
            folder, {**SETTINGS, "BULKLOAD_RATE": str(rate)}, faults=Faults(rate_limit=rate)
        ) as workspace:
            result = workspace.run("run", "hosts.csv", "--json")
            assert result.exit_code == ExitCode.DONE, result
            assert len(workspace.sandbox.monitors()) == rows
            starts = [entry["at"] for entry in workspace.requests]
            actual_rate = (len(starts) - 1) / (starts[-1] - starts[0])
            record_property("share of the rate", round(actual_rate / rate, 4))
            throttled.append(result.json()["requests"]["throttled"])
        if not throttled[-1]:
            return
    raise AssertionError(f"429s in every attempt: {throttled}")


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({"ALERTSITE_PASSWORD": "dead"}, {}),
        ({"ALERTSITE_TOKEN": "dead", "ALERTSITE_PASSWORD": "", "ALERTSITE_USERNAME": ""}, {}),
        ({}, {"role": "read-only"}),
        ({}, {"role": "report-only"}),
    ],
    ids=["password", "token", "read-only", "report-only"],
)
def test_a_run_that_may_not_create_monitors_stops_after_at_most_5_requests(
    environment: dict[str, str], options: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 3, all rows not_attempted, results written."""
    (tmp_path / "hosts.csv").write_text(_hosts(100), "utf-8")
    with open_workspace(tmp_path, {**SETTINGS, **environment}, options=options) as workspace:
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", "--json")
        assert result.exit_code == ExitCode.STOPPED, result
        assert len(workspace.requests) <= 5
        assert workspace.sandbox.monitors() == []
        rows = _results(tmp_path / "results.jsonl")
        assert [row["status"] for row in rows] == ["not_attempted"] * 100
        assert [row["next_step"] for row in rows] == ["run again"] * 100
        assert result.json()["counts"] == {"not_attempted": 100}
