"""The main job under the conditions that people care about: bad answers, kills, strict limits, dead passwords."""

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
PATIENCE = {
    "BULKLOAD_SETTLE_GRACE": "0.8",
    "BULKLOAD_SETTLE_AFTER": "2.0",
    "BULKLOAD_SETTLE_TIMEOUT": "30",
    "BULKLOAD_REQUEST_TIMEOUT": "1",
}
AFTER_COMMIT = ("error-after", "reset-after", "stall-after", "late")  # 5 % each
BEFORE_COMMIT = ("error-before", "reset-before")  # 5 % each
TYPES = ("imap", "pop", "smtp", "round-trip")


def _hosts(rows: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("type", "name", "hostname", "billing_plancode", "smtp_hostname", "pop3_hostname", "email"))
    for number, kind in zip(range(rows), itertools.cycle(TYPES), strict=False):
        servers = ("smtp.example.com", "pop.example.com", "probe@example.com") if kind == "round-trip" else ("", "", "")
        host = "" if kind == "round-trip" else f"mx{number}.example.com"
        writer.writerow((kind, f"host {number}", host, "UBM - A/A", *servers))
    return text.getvalue()


def _bad_answers(seed: int) -> Faults:
    # a rule is asked only if those before it did not strike, so later ones need a higher chance for the same share
    rules = []
    for struck, fault in enumerate((*AFTER_COMMIT, *BEFORE_COMMIT)):
        chance = 0.05 / (1 - 0.05 * struck)
        seconds = 0.1 if fault == "late" else None
        # the third try of a row is let through, since a row is given up after three
        rules.append(Rule(fault=fault, on=("create",), probability=chance, attempts=2, seconds=seconds))
    return Faults(seed=seed, rules=tuple(rules))


def _results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _check(workspace: Workspace, rows: int, results: Iterable[dict[str, Any]]) -> None:
    """Exactly one monitor for each row, and every ID with its row."""
    monitors = workspace.sandbox.monitors()
    names = {str(monitor["id"]): monitor["name"] for monitor in monitors}
    assert sorted(names.values(), key=str) == sorted((f"host {number}" for number in range(rows)), key=str)
    found = [names[row["monitor_id"]] for row in results]
    assert found == [f"host {number}" for number in range(rows)]


@pytest.mark.parametrize("seed", range(4 if ALL else 1))
def test_500_rows_of_which_30_percent_are_answered_badly(seed: int, tmp_path: Path) -> None:
    """20 % after the commit, 10 % before it: 500 monitors, every ID with its row, exit 0."""
    (tmp_path / "hosts.csv").write_text(_hosts(500), "utf-8")
    with open_workspace(tmp_path, PATIENCE, faults=_bad_answers(seed)) as workspace:
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", "--json")
        assert result.exit_code == ExitCode.DONE, result
        struck = [entry["fault"] for entry in workspace.requests if entry["operation"] == "create" and entry["fault"]]
        assert {*AFTER_COMMIT, *BEFORE_COMMIT} == set(struck)
        assert len(struck) > 100
        _check(workspace, 500, _results(tmp_path / "results.jsonl"))


@pytest.mark.parametrize("seed", range(3 if ALL else 1))
def test_killed_over_and_over_and_run_again_each_time_comes_to_the_same_end(seed: int, tmp_path: Path) -> None:
    """SIGKILL at random moments, to the program as people start it, with bad answers besides."""
    rows, kills = (200, 12) if ALL else (80, 5)
    chance = random.Random(seed)
    (tmp_path / "hosts.csv").write_text(_hosts(rows), "utf-8")
    with open_workspace(tmp_path, PATIENCE, faults=_bad_answers(seed)) as workspace:
        for turn in range(kills):
            command = ["resume"] if turn and chance.random() < 0.4 else ["run", "hosts.csv"]
            with (tmp_path / "output.txt").open("w") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "bulkload", *command, "--rate", "200"],
                    cwd=tmp_path,
                    env={**workspace.environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                    stdout=output,
                    stderr=output,
                )
                _wait_for_requests(workspace, process, len(workspace.requests) + chance.randrange(60))
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert "Traceback" not in (tmp_path / "output.txt").read_text("utf-8")
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", "--json")
        assert result.exit_code == ExitCode.DONE, result
        _check(workspace, rows, _results(tmp_path / "results.jsonl"))


def _wait_for_requests(workspace: Workspace, process: subprocess.Popen[bytes], number: int) -> None:
    while len(workspace.requests) < number and process.poll() is None:
        workspace.wait_for_log(0.5)


@pytest.mark.parametrize(("rate", "rows"), [(20, 60), (200, 700)] if ALL else [(20, 30), (200, 300)])
def test_a_strict_limit_is_kept(rate: int, rows: int, tmp_path: Path, record_property: Any) -> None:
    """No 429 at exactly the rate that the server enforces.

    Another program on the machine can hold up what left in time, so one try of five has to succeed; a pace that is
    wrong would fail in all.
    """
    tries = []
    for turn in range(5):
        folder = tmp_path / str(turn)
        folder.mkdir()
        (folder / "hosts.csv").write_text(_hosts(rows), "utf-8")
        with open_workspace(
            folder, {**PATIENCE, "BULKLOAD_RATE": str(rate)}, faults=Faults(rate_limit=rate)
        ) as workspace:
            result = workspace.run("run", "hosts.csv", "--json")
            assert result.exit_code == ExitCode.DONE, result
            assert len(workspace.sandbox.monitors()) == rows
            starts = [entry["at"] for entry in workspace.requests]
            speed = (len(starts) - 1) / (starts[-1] - starts[0])
            record_property("share of the ideal speed", round(speed / rate, 4))
            tries.append(result.json()["requests"]["throttled"])
        if not tries[-1]:
            return
    raise AssertionError(f"429s in every try: {tries}")


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
def test_who_may_not_create_finds_out_after_a_handful_of_requests(
    environment: dict[str, str], options: dict[str, str], tmp_path: Path
) -> None:
    """Exit 3, every row not_attempted, results written."""
    (tmp_path / "hosts.csv").write_text(_hosts(100), "utf-8")
    with open_workspace(tmp_path, {**PATIENCE, **environment}, options=options) as workspace:
        result = workspace.run("run", "hosts.csv", "--results", "results.jsonl", "--json")
        assert result.exit_code == ExitCode.STOPPED, result
        assert len(workspace.requests) <= 5
        assert workspace.sandbox.monitors() == []
        rows = _results(tmp_path / "results.jsonl")
        assert [row["status"] for row in rows] == ["not_attempted"] * 100
        assert [row["next_step"] for row in rows] == ["run again"] * 100
        assert result.json()["counts"] == {"not_attempted": 100}
