"""What a terminal shows while requests pause, and while rows are in doubt."""

from __future__ import annotations

import re

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import running
from tests.support.command_line import CommandLine, imap
from tests.support.terminal import Terminal

ROWS = [imap(f"m{number}") for number in range(4)]
DOUBT = Faults(rules=(Rule(fault="drop-before", on=("create",), at=(3,)),))


def test_the_wait_for_a_row_in_doubt_is_explained(cli: CommandLine) -> None:
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "3600")
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_GRACE", "3600")
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_TIMEOUT", "2")
    with running(faults=DOUBT) as sandbox:
        cli.use_account(sandbox.base_url)
        with Terminal("run", cli.write_csv("hosts.csv", ROWS), columns=120) as terminal:
            terminal.wait_for("Waiting up to 2 s to see whether 1 row was created. Ctrl-C is safe")
            terminal.wait_for(", waiting ")
            assert terminal.exit_code() == 1
            end = " ".join(" ".join(terminal.lines()).split())
        assert re.search(
            r"It is not known whether 1 row was created\. Another run after \d\d:\d\d:\d\d \w+ can find out", end
        )
        assert re.search(r": bulkload resume \S+$", end)
        assert len(sandbox.monitors()) == 3


def test_ctrl_c_while_waiting_is_safe(cli: CommandLine) -> None:
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "3600")
    with running(faults=DOUBT) as sandbox:
        cli.use_account(sandbox.base_url)
        with Terminal("run", cli.write_csv("hosts.csv", ROWS), "--wait", columns=120) as terminal:
            terminal.wait_for("Waiting to see whether 1 row was created. Ctrl-C is safe")
            terminal.send("\x03")
            assert terminal.exit_code() == 130
            assert "To continue, run: bulkload resume" in terminal.output
        cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "0")
        assert cli("resume", "last").exit_code == 0
        assert sorted(str(monitor["name"]) for monitor in sandbox.monitors()) == [row["name"] for row in ROWS]


def test_pauses_and_retries_are_in_the_bar(cli: CommandLine) -> None:
    throttled = Rule(fault="throttle", on=("create",), at=(2,), seconds=3)
    with running(faults=Faults(rules=(throttled,))) as sandbox:
        cli.use_account(sandbox.base_url)
        with Terminal("run", cli.write_csv("hosts.csv", ROWS), "--rate", "2/s", columns=120) as terminal:
            assert terminal.exit_code() == 0
        assert re.search(r"pause of [123] s \(429\)", terminal.output)
        assert "1 retry" in terminal.output
        assert len(sandbox.monitors()) == len(ROWS)


def test_nothing_is_shown_without_a_terminal(cli: CommandLine) -> None:
    with running(faults=DOUBT) as sandbox:
        cli.use_account(sandbox.base_url)
        result = cli("run", cli.write_csv("hosts.csv", ROWS))
        assert "Sending" not in result.stderr
        assert "Waiting" not in result.stderr


def test_the_inbox_on_a_terminal_runs_every_file(cli: CommandLine) -> None:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        for name in "abc":
            cli.write_csv(f"box/{name}.csv", [imap(name)])
        with Terminal("inbox", "box") as terminal:
            assert terminal.exit_code() == 0, terminal.output
        assert sorted(str(monitor["name"]) for monitor in sandbox.monitors()) == ["a", "b", "c"]
