"""`bulkload sandbox` as people start it: it says how to use it, and its options make the account that they describe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bulkload.errors import ExitCode
from tests.support.command_line import PLAN, CommandLine, imap
from tests.support.waiting import TIMEOUT


@contextmanager
def served(cli: CommandLine, *options: str) -> Iterator[None]:
    """The stand-in in a process of its own; the command line is logged in as it says."""
    command = [sys.executable, "-m", "bulkload", "sandbox", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cli.folder) as process:
        assert process.stdout is not None
        for line in (process.stdout.readline(), process.stdout.readline()):
            for setting in line.removeprefix("export ").split():
                name, _, value = setting.partition("=")
                cli.monkeypatch.setenv(name, value)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(TIMEOUT) == 0


def test_what_it_prints_logs_the_next_command_in_and_the_account_stays_in_its_file(cli: CommandLine) -> None:
    sheet = cli.write_csv("a.csv", [imap("a")])
    for status in ("created", "exists"):
        with served(cli, "--state", "account.sqlite3", "--log", "log.jsonl"):
            assert cli("run", sheet, "--json").json["counts"] == {status: 1}
    entries = [json.loads(line) for line in (cli.folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert [entry["operation"] for entry in entries] == ["login", "list", "create", "login", "list"]


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        (("--plan", "other"), ["the account has no plan"] * 3),
        (("--plan", f"{PLAN}=1", "--plan", "other"), ["", "no free monitor", "no free monitor"]),
        (("--plan", PLAN, "--location", "7"), ["", "", "there is no location 10"]),
        (("--location", "10", "--location", "20"), [""] * 3),
        (("--unique-names",), ["", "another monitor of this type has this name", ""]),
    ],
)
def test_an_account_of_ones_own(cli: CommandLine, options: tuple[str, ...], errors: list[str]) -> None:
    rows = [imap("a"), imap("a", hostname="mx2.example.com"), imap("c", locations="10")]
    with served(cli, *options):
        result, result_rows = cli.run(cli.write_csv("a.csv", rows), "--concurrency", "1")
    assert result.exit_code == (ExitCode.ROWS_LEFT if any(errors) else ExitCode.DONE)
    assert [row["status"] for row in result_rows] == ["rejected" if words else "created" for words in errors]
    assert all(words in row["error"] for words, row in zip(errors, result_rows, strict=True))


def test_a_full_plan_can_be_a_question_of_permission(cli: CommandLine) -> None:
    with served(cli, "--plan", f"{PLAN}=0", "--plan-full", "403"):
        assert cli.run(cli.write_csv("a.csv", [imap("a")]))[0].exit_code == ExitCode.STOPPED


@pytest.mark.parametrize("options", [("--plan", "=3"), ("--plan", "a=many"), ("--fault", "nonsense"), ("--port", "x")])
def test_a_wrong_option_is_refused_in_a_sentence(cli: CommandLine, options: tuple[str, ...]) -> None:
    result = cli("sandbox", *options)
    assert (result.exit_code, result.stdout, bool(result.stderr)) == (2, "", True)
