"""What the program asks on a terminal, and that it never asks without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import CommandLine, imap
from tests.support.terminal import Terminal
from tests.support.waiting import TIMEOUT

MANY = 26


@contextmanager
def new_account(cli: CommandLine, rows: int) -> Iterator[tuple[Sandbox, Path]]:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        yield sandbox, cli.write_csv("hosts.csv", [imap(f"m{number}") for number in range(rows)])


def test_yes_creates_and_the_next_run_does_not_ask(cli: CommandLine) -> None:
    with new_account(cli, MANY) as (sandbox, file):
        with Terminal("run", file) as terminal:
            terminal.wait_for("Continue? [y/N]")
            assert f"creates {MANY} monitors in sandbox@example.com at {sandbox.base_url}" in terminal.output
            assert sandbox.counts().get("create", 0) == 0
            terminal.send("y\n")
            assert terminal.exit_code() == 0
        assert len(sandbox.monitors()) == MANY
        more = cli.write_csv("more.csv", [imap(f"n{number}") for number in range(MANY)])
        with Terminal("run", more) as terminal:
            assert terminal.exit_code() == 0
            assert "Continue?" not in terminal.output
        assert len(sandbox.monitors()) == 2 * MANY


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])
def test_any_other_answer_creates_nothing_and_the_run_can_be_resumed(cli: CommandLine, answer: str) -> None:
    with new_account(cli, MANY) as (sandbox, file):
        with Terminal("run", file) as terminal:
            terminal.wait_for("Continue? [y/N]")
            terminal.send(answer)
            assert terminal.exit_code() == 2
            assert "To continue, run: bulkload resume" in terminal.output
        assert sandbox.counts().get("create", 0) == 0
        assert cli("runs", "--json").json[0]["counts"] == {"not_attempted": MANY}
        assert cli("resume", "last").exit_code == 0, "without a terminal it does not ask"
        assert len(sandbox.monitors()) == MANY


def test_ctrl_c_at_the_question_ends_the_run(cli: CommandLine) -> None:
    with new_account(cli, MANY) as (sandbox, file):
        with Terminal("run", file) as terminal:
            terminal.wait_for("Continue? [y/N]")
            terminal.send("\x03")
            assert terminal.exit_code() == 130
        assert sandbox.counts().get("create", 0) == 0
        assert cli("runs", "--json").json[0]["calls"][0]["outcome"] == "interrupted"


@pytest.mark.parametrize("what", ["--json", "--quiet", "--log-format=json", "BULKLOAD_YES"])
def test_it_does_not_ask_with_these_options_and_this_variable(cli: CommandLine, what: str) -> None:
    with new_account(cli, MANY) as (sandbox, file):
        if not what.startswith("--"):
            cli.monkeypatch.setenv(what, "1")
        with Terminal("run", file, *([what] if what.startswith("--") else [])) as terminal:
            assert terminal.exit_code() == 0
        assert len(sandbox.monitors()) == MANY


def test_few_monitors_are_created_without_a_question(cli: CommandLine) -> None:
    """Only what is created counts: rows with errors and existing monitors do not."""
    with new_account(cli, MANY - 1) as (sandbox, file):
        with file.open("a", encoding="utf-8") as stream:
            stream.write("imap,,mx1.example.com,UBM - A/A\n" * 5)
        with Terminal("run", file) as terminal:
            assert terminal.exit_code() == 1
        assert len(sandbox.monitors()) == MANY - 1


def test_a_missing_password_is_asked_for_and_not_shown(cli: CommandLine) -> None:
    with new_account(cli, 1) as (sandbox, file):
        cli.monkeypatch.delenv("ALERTSITE_PASSWORD")
        with Terminal("run", file) as terminal:
            terminal.wait_for("Password of sandbox@example.com")
            terminal.send("sandbox\n")
            assert terminal.exit_code() == 0
        assert len(sandbox.monitors()) == 1
        with Terminal("plan", file) as terminal:
            terminal.wait_for("Password of")
            terminal.send("s3cret-and-wrong\n")
            assert terminal.exit_code() == 3
            assert "s3cret" not in terminal.output
        store = b"".join(path.read_bytes() for path in (cli.folder / "output").iterdir() if path.is_file())
        assert b"s3cret" not in store


def test_ctrl_c_at_the_password_ends_the_command(cli: CommandLine) -> None:
    with new_account(cli, 1) as (sandbox, file):
        cli.monkeypatch.delenv("ALERTSITE_PASSWORD")
        with Terminal("run", file) as terminal:
            terminal.wait_for("Password of")
            terminal.send("\x03")
            assert terminal.exit_code() == 128 + signal.SIGINT
        assert sandbox.counts().get("login", 0) == 0


def test_without_a_terminal_a_missing_password_is_an_error(cli: CommandLine) -> None:
    with new_account(cli, MANY) as (sandbox, file):
        environment = os.environ | {"ALERTSITE_PASSWORD": ""}
        command = [sys.executable, "-m", "bulkload", "run", str(file)]
        run = subprocess.run(
            command, env=environment, input="sandbox\n", capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        assert (run.returncode, "ALERTSITE_PASSWORD" in run.stderr) == (2, True)
        environment["ALERTSITE_PASSWORD"] = "sandbox"
        run = subprocess.run(
            command, env=environment, input="n\n", capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        assert (run.returncode, len(sandbox.monitors())) == (0, MANY)
