"""The history: every call has its own line, and what a run is named by."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import bulkload
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import running
from bulkload.store.database import STORE_NAME
from bulkload.store.old_runs import delete_rows
from bulkload.store.runs import Store
from tests.support.command_line import CommandLine, imap
from tests.support.waiting import wait_until

SLOW = Faults(rules=(Rule(fault="stall-after", on=("create",), at=(2,)),))


def calls(cli: CommandLine, *options: str) -> list[Any]:
    """The calls of all runs, the newest run first, with their runs' IDs."""
    listed = cli("runs", "--json", *options).json
    return [call | {"run_id": run["run_id"], "input": run["input"]} for run in listed for call in run["calls"]]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bulkload", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_call_that_failed_stays_failed_when_the_next_one_succeeds(cli: CommandLine) -> None:
    with running(faults=Faults(rules=(Rule(fault="error-before", on=("list",), status=500),))) as sandbox:
        cli.use_account(sandbox.base_url)
        cli.write_csv("hosts.csv", [imap("a"), imap("b")])
        assert cli("run", "hosts.csv").exit_code == 3
        sandbox.set_faults(Faults())
        assert cli("resume", "last").exit_code == 0
        second, first = calls(cli)
        assert (first["by"], first["exit_code"], first["counts"]) == ("run", 3, {"not_attempted": 2})
        assert first["outcome"] == f"stopped: {first['stopped']}"
        assert (second["by"], second["exit_code"], second["outcome"]) == ("resume", 0, "done")
        assert (second["counts"], second["results"]) == ({"created": 2}, ["output/hosts-results.xlsx"])
        assert first["began"] <= first["ended"] <= second["began"] <= second["ended"]
        assert calls(cli, "--failed") == [first]
        (line,) = [line for line in cli("runs", "--failed").stdout.splitlines() if "hosts.csv" in line]
        assert line.split()[0] == first["run_id"]


def test_a_killed_call_is_named_and_a_running_one_is_told_from_it(cli: CommandLine) -> None:
    with running(faults=SLOW) as sandbox:
        cli.use_account(sandbox.base_url)
        cli.write_csv("hosts.csv", [imap("a"), imap("b")])
        with start("run", "hosts.csv", "--concurrency", "1") as process:
            wait_until(lambda: sandbox.counts().get("create", 0) >= 2, process)
            assert [call["outcome"] for call in calls(cli)] == ["running"]
            assert calls(cli, "--failed") == []
            locked = cli("run", "hosts.csv")
            assert (locked.exit_code, f"bulkload run, process {process.pid}, begun" in locked.stderr) == (5, True)
            process.kill()
        assert [(call["ended"], call["outcome"]) for call in calls(cli)] == [(None, "killed (no end was recorded)")]
        sandbox.set_faults(Faults())
        time.sleep(1.0)  # BULKLOAD_SETTLE_AFTER: the row in doubt can be decided
        resumed = cli("resume")
        assert (resumed.exit_code, "Resuming run" in resumed.stderr) == (0, True)
        assert [call["outcome"] for call in calls(cli)] == ["done", "killed (no end was recorded)"]
        assert [call["exit_code"] for call in calls(cli, "--failed")] == [None]


def test_every_door_is_named(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        (cli.folder / "in").mkdir()
        cli.write_csv("in/nightly.csv", [imap("a")])
        assert cli("inbox", "in", "--output", "output").exit_code == 0
        file = cli.write_csv("hosts.csv", [imap("b")])
        account = bulkload.Account(username="sandbox@example.com", password="sandbox", base_url=sandbox.base_url)
        bulkload.run(file, account=account)
        assert cli("undo", "last", "--yes").exit_code == 0
        cli.write_csv("broken.csv", [{"colour": "red"}])
        assert cli("run", "broken.csv").exit_code == 2
        found = [(call["by"], Path(call["input"]).name, call["exit_code"]) for call in calls(cli, "--since", "1h")]
        assert found == [
            ("undo", "hosts.csv", 0),
            ("python", "hosts.csv", 0),
            ("inbox", "nightly.csv", 0),
            ("run", "broken.csv", 2),
        ]


def test_since_selects_by_the_beginning_of_a_call(cli: CommandLine) -> None:
    cli.write_csv("hosts.csv", [imap("a")])
    for _ in range(2):
        assert cli("run", "hosts.csv", "--sandbox").exit_code == 0
    with closing(sqlite3.connect(cli.folder / "output" / STORE_NAME)) as database, database:
        database.execute("UPDATE calls SET began = began - 3 * 86400, ended = ended - 3 * 86400 WHERE call = 1")
    assert [len(calls(cli, "--since", since)) for since in ("2d", "80h", "1900-01-01", "2999-01-01")] == [1, 2, 2, 0]
    assert len(calls(cli, "--since", datetime.now().strftime("%Y-%m-%d"))) == 1
    nothing = cli("runs", "--since", "2999-01-01")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "No such runs in output.\n")
    wrong = cli("runs", "--since", "yesterday")
    assert (wrong.exit_code, "2026-03-14" in wrong.stderr) == (2, True)


def test_the_table_fits_a_narrow_terminal(cli: CommandLine) -> None:
    cli.write_csv("a-file-with-quite-a-long-name-for-a-table.csv", [imap("a"), imap(""), imap("b")])
    cli("run", "a-file-with-quite-a-long-name-for-a-table.csv", "--sandbox")
    cli.monkeypatch.setenv("COLUMNS", "80")
    lines = cli("runs").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert re.match(r"\d{8}T\d{6}-[0-9a-f]{4}  \d{4}-\d\d-\d\d \d\d:\d\d  run  ", lines[1])


def test_last_names_the_newest_run_everywhere(cli: CommandLine) -> None:
    cli.write_csv("one.csv", [imap("a")])
    cli.write_csv("two.csv", [imap("b"), imap("")])
    for name in ("one.csv", "two.csv"):
        cli("run", name, "--sandbox")
    newest = cli("runs", "--json").json[0]["run_id"]
    assert cli("show", "last", "--json").json["run_id"] == newest
    assert cli("report", "last", "--results", "r.csv", "--json").json["run_id"] == newest
    assert cli("resume", "last", "--sandbox", "--json").json["run_id"] == newest
    assert cli("undo", "last", "--sandbox", "--dry-run", "--json").json["run_id"] == newest


def test_a_finished_run_sends_nothing_when_it_is_resumed(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        cli.write_csv("hosts.csv", [imap("a"), imap("")])
        assert cli("run", "hosts.csv").exit_code == 1
        sent = sum(sandbox.counts().values())
        result = cli("resume", "last")
        assert (result.exit_code, "Nothing to resume" in result.stderr, "created" in result.stdout) == (1, True, False)
        assert sum(sandbox.counts().values()) == sent
        assert cli("resume", "last", "--json").json["resumed"] is False
        assert len(calls(cli)) == 1


def test_show_lists_bad_rows_and_says_what_to_do_next(cli: CommandLine) -> None:
    cli.write_csv("hosts.csv", [imap("a"), *(imap("", note=str(number)) for number in range(25))])
    cli("run", "hosts.csv", "--sandbox")
    shown = cli("show", "last").stdout
    assert shown.count("  invalid  ") == 20
    assert "… and 5 more; --all shows each." in shown
    assert cli("show", "last", "--all").stdout.count("  invalid  ") == 25
    assert "Next, after you have fixed the rows in it:\n  bulkload run output/hosts-results.xlsx --sandbox\n" in shown
    results = cli.folder / "output" / "hosts-results.xlsx"
    results.unlink()
    shown = cli("show", "last").stdout
    assert "hosts-results.xlsx (no longer there)" in shown
    command = re.search(r"bulkload (report \S+)", shown)
    assert command is not None
    assert cli(*command[1].split()).exit_code == 0
    assert results.is_file()


def test_rows_that_were_deleted_are_never_missing_from_a_file_silently(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        cli.write_csv("hosts.csv", [imap("a"), imap("")])
        cli("run", "hosts.csv", "--results", "results.csv")
        before = (cli.folder / "results.csv").read_bytes()
        with Store(cli.folder / "output") as store:
            store.lock()
            assert delete_rows(store, store.run()), "a row that can be undone is left"
        refused = cli("report", "last", "--results", "results.csv")
        assert (refused.exit_code, "1 rows were deleted" in refused.stderr) == (2, True)
        undone = cli("undo", "last", "--yes")
        assert (undone.exit_code, "not written again" in undone.stderr, sandbox.monitors()) == (0, True, [])
        assert (cli.folder / "results.csv").read_bytes() == before
        assert "rows were deleted" in cli("show", "last").stdout


@pytest.mark.parametrize("words", ["bulkload show ", "bulkload undo 2"])
def test_the_shell_completes_run_ids_and_creates_nothing(cli: CommandLine, words: str) -> None:
    def complete(folder: str) -> list[str]:
        environment = os.environ | {
            "_BULKLOAD_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": "2",
            "BULKLOAD_OUTPUT": folder,
        }
        done = subprocess.run(
            [sys.executable, "-m", "bulkload"], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [line.removeprefix("plain,") for line in done.stdout.splitlines() if line]

    cli.write_csv("hosts.csv", [imap("a")])
    for _ in range(2):
        cli("run", "hosts.csv", "--sandbox")
    ids = [run["run_id"] for run in cli("runs", "--json").json]
    assert [word for word in complete("output") if word != "last"] == ids
    assert complete("nowhere") == []
    assert not (cli.folder / "nowhere").exists()
    (cli.folder / "broken").mkdir()
    (cli.folder / "broken" / STORE_NAME).write_text("not a database")
    assert complete("broken") == []
