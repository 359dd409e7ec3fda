"""Delete removes the monitors that a file names by their IDs, and no others, and can be repeated."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import CommandLine, api_request, imap
from tests.support.waiting import wait_until


def results_of(cli: CommandLine, sandbox: Sandbox, names: str) -> str:
    """Create one monitor per letter; returns the run's ID. The results are in results.csv."""
    cli.use_account(sandbox.base_url)
    cli.write_csv("hosts.csv", [imap(name, interval=15) for name in names])
    return str(cli("run", "hosts.csv", "--results", "results.csv", "--json").json["run_id"])


def names(sandbox: Sandbox) -> list[Any]:
    return sorted(str(monitor["name"]) for monitor in sandbox.monitors())


def keep_rows(cli: CommandLine, source: str, target: str, kept: str) -> None:
    cli.write_csv(target, [row for row in cli.read_results(source) if row["name"] in kept])


def test_the_monitors_of_the_rows_are_deleted_and_count_as_undone(cli: CommandLine) -> None:
    with running() as sandbox:
        run = results_of(cli, sandbox, "abc")
        keep_rows(cli, "results.csv", "old.csv", "ac")
        shown = cli("delete", "old.csv", "--dry-run")
        assert (shown.exit_code, shown.stdout.count("delete  row"), names(sandbox)) == (0, 2, ["a", "b", "c"])
        result = cli("delete", "old.csv", "--yes", "--json", "--results", "deleted.csv")
        assert (result.exit_code, result.json["delete"]["deleted"], names(sandbox)) == (0, 2, ["b"])
        assert [row["status"] for row in cli.read_results("deleted.csv")] == ["removed", "removed"]
        listed = cli("runs", "--json").json[0]
        assert (listed["run_id"], listed["counts"]) == (run, {"created": 1, "removed": 2})
        again = cli("delete", "old.csv", "--yes", "--json")
        assert (again.exit_code, again.json["delete"]["gone"]) == (0, 2)
        assert cli.run(cli.folder / "hosts.csv")[0].exit_code == 0, "the account's list counts as reliable"
        assert names(sandbox) == ["a", "b", "c"]


def test_all_monitors_of_an_account_can_be_deleted_and_created_again(cli: CommandLine) -> None:
    with running() as sandbox:
        results_of(cli, sandbox, "abc")
        assert cli("delete", "results.csv", "--yes", "--results", "deleted.csv").exit_code == 0
        assert names(sandbox) == []
        rows = cli.read_results("deleted.csv")
        assert all("empty this row's monitor_id and run this file" in row["error"] for row in rows)
        cli.write_csv("again.csv", [row | {"monitor_id": ""} for row in rows])
        result, rows = cli.run(cli.folder / "again.csv")
        assert (result.exit_code, {row["status"] for row in rows}, names(sandbox)) == (0, {"created"}, ["a", "b", "c"])


def test_a_monitor_that_differs_from_its_row_is_kept_unless_asked_for(cli: CommandLine) -> None:
    with running() as sandbox:
        results_of(cli, sandbox, "abc")
        api_request(sandbox, "PATCH", sandbox.monitors()[1], interval=60)
        result = cli("delete", "results.csv", "--yes", "--json", "--results", "deleted.csv")
        assert (result.exit_code, names(sandbox)) == (1, ["b"])
        assert [row["status"] for row in cli.read_results("deleted.csv")] == ["removed", "exists", "removed"]
        assert "interval" in cli.read_results("deleted.csv")[1]["error"]
        assert cli("delete", "results.csv", "--yes", "--include-edited").exit_code == 0
        assert names(sandbox) == []


def test_an_id_of_another_monitor_deletes_nothing(cli: CommandLine) -> None:
    """The row's own fields say which monitor is meant."""
    with running() as sandbox:
        results_of(cli, sandbox, "ab")
        first, second = cli.read_results("results.csv")
        cli.write_csv("wrong.csv", [first | {"monitor_id": second["monitor_id"]}])
        assert cli("delete", "wrong.csv", "--yes").exit_code == 1
        assert names(sandbox) == ["a", "b"]


def test_rows_without_an_id_are_left_alone_and_an_id_that_is_not_there_is_named(cli: CommandLine) -> None:
    with running() as sandbox:
        results_of(cli, sandbox, "ab")
        rows = cli.read_results("results.csv")
        extra = [rows[0], rows[1] | {"monitor_id": ""}, rows[1] | {"name": "z", "monitor_id": "424242"}]
        cli.write_csv("mixed.csv", [rows[0], *extra])
        result = cli("delete", "mixed.csv", "--yes", "--results", "deleted.csv")
        assert result.exit_code == 0
        assert "1 row without a monitor_id: left alone" in result.stdout
        assert "not found  row 5: 424242" in result.stdout
        assert "1 deleted, 1 not found, 0 kept." in result.stdout
        assert sandbox.counts()["delete"] == 1, "a repeated ID is deleted once"
        assert names(sandbox) == ["b"]


def test_without_an_answer_nothing_is_deleted(cli: CommandLine) -> None:
    with running() as sandbox:
        results_of(cli, sandbox, "a")
        command = [sys.executable, "-m", "bulkload", "delete", "results.csv"]
        silent = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert (silent.returncode, "add --yes" in silent.stderr) == (2, True)
        assert cli("delete", "results.csv", "--json").exit_code == 2
        assert cli("delete", "hosts.csv", "--yes").exit_code == 2, "no row has an ID"
        assert cli("delete", "results.csv", "--yes", "--results", "results.csv").exit_code == 2
        assert names(sandbox) == ["a"]


@pytest.mark.parametrize("number", [1, 3])
def test_a_killed_delete_can_be_repeated(cli: CommandLine, number: int) -> None:
    """In the end, all monitors are deleted, and the history names both calls."""
    no_response = Rule(fault="stall-after", on=("delete",), at=tuple(range(number, 9)))
    with running() as sandbox:
        results_of(cli, sandbox, "abcdef")
        sandbox.set_faults(Faults(rules=(no_response,)))
        command = [sys.executable, "-m", "bulkload", "delete", "results.csv", "--yes", "--concurrency", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_until(lambda: sandbox.counts().get("delete", 0) >= number, process)
            assert "running" in cli("runs").stdout.splitlines()[1]
            process.kill()
        assert "killed" in cli("runs").stdout.splitlines()[1]
        sandbox.set_faults(Faults())
        assert 0 < len(names(sandbox)) < 6
        assert cli("delete", "results.csv", "--yes").exit_code == 0
        assert names(sandbox) == []
        lines = [line for line in cli("runs").stdout.splitlines() if "delete" in line]
        assert ["killed" in line for line in lines] == [False, True]
        assert cli.run(cli.folder / "hosts.csv")[0].exit_code == 0


def test_undo_of_some_rows(cli: CommandLine) -> None:
    with running() as sandbox:
        run = results_of(cli, sandbox, "abcde")
        unknown = cli("undo", run, "--rows", "3,17-18", "--yes")
        assert (unknown.exit_code, "no row 17, 18" in unknown.stderr, len(names(sandbox))) == (2, True, 5)
        for wrong in ("x", "3-", "5-3", ""):
            assert cli("undo", run, "--rows", f"{wrong},", "--yes").exit_code == 2
        assert cli("undo", "last", "--rows", "3,5-6", "--yes").exit_code == 0
        assert names(sandbox) == ["a", "c"]
        again = cli("undo", run, "--rows", "3", "--yes")
        assert (again.exit_code, "nothing to delete" in again.stdout) == (0, True)


def test_undo_of_a_run_that_created_nothing_does_not_ask(cli: CommandLine) -> None:
    with running() as sandbox:
        results_of(cli, sandbox, "a")
        second = cli("run", "hosts.csv", "--json").json["run_id"]
        result = cli("undo", "last")
        assert (result.exit_code, result.stdout) == (0, f"Run {second} created nothing; nothing to delete.\n")
