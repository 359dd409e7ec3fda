"""With `--watch`, the inbox takes files as they arrive, and ends cleanly after a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from bulkload.store.runs import Store
from tests.support.command_line import CommandLine, imap
from tests.support.listener import Listener
from tests.support.waiting import TIMEOUT, wait_until

PROGRAM = "import sys; from bulkload.cli.main import main; sys.exit(main(sys.argv[1:]))"
NO_EVENTS = """
import errno, watchfiles
def watch(*_, **__):
    raise OSError(errno.ENOSPC, "OS file watch limit reached")
    yield
watchfiles.watch = watch
"""
SHORT_INTERVALS = "import bulkload.inbox.watch as watch; watch.CHECK_INTERVAL = 0.2; watch.RETRY_INTERVAL = 0.2\n"


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0.1")
    (cli.folder / "box").mkdir()
    return cli


@pytest.fixture
def listener(cli: CommandLine, listener: Listener) -> Listener:
    cli.monkeypatch.setenv("BULKLOAD_PING", listener.address)
    return listener


@contextmanager
def watching(cli: CommandLine, listener: Listener, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """The program, after its first visit."""
    command = [sys.executable, "-c", before + PROGRAM, "inbox", "box", "--watch"]
    with subprocess.Popen(command, cwd=cli.folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: len(listener.requests) >= 2, process)
            yield process
        finally:
            process.kill()


def is_reported_done(cli: CommandLine, listener: Listener, name: str = "a") -> bool:
    """True if the file is in `done` and a ping, the last step of a visit, reported it once."""
    reports = sum(f"{name}.csv: 1 created." in request.body for request in listener.requests)
    return reports == 1 and bool(list(cli.folder.rglob(f"done/*/{name}.csv")))


def terminate(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=TIMEOUT)
    return process.returncode, stderr


def test_files_are_taken_as_they_arrive_and_a_signal_between_visits_is_a_success(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    with watching(cli, listener) as process:
        for name in "abc":
            cli.write_csv(f"box/{name}.csv", [imap(name, hostname=f"{name}.example.com")])
            wait_until(lambda name=name: is_reported_done(cli, listener, name), process)  # type: ignore[misc]
        code, stderr = terminate(process)
    assert code == 0
    assert stderr == "".join(f"bulkload: {name}.csv: 1 created.\n" for name in "abc")
    assert len(sandbox.monitors()) == 3


def test_its_own_files_do_not_trigger_a_visit(cli: CommandLine, sandbox: Sandbox, listener: Listener) -> None:
    """The store is in the folder, and changes with every visit."""
    with watching(cli, listener) as process:
        cli.write_csv("box/a.csv", [imap("a")])
        wait_until(lambda: len(listener.requests) >= 4, process)
        time.sleep(3)  # longer than events are collected; there is nothing to wait for, because nothing must happen
        assert len(listener.requests) == 4
        assert terminate(process)[0] == 0


def test_a_signal_during_a_run_ends_it_gracefully(cli: CommandLine, sandbox: Sandbox, listener: Listener) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="slow", seconds=1.0),)))
    with watching(cli, listener) as process:
        cli.write_csv("box/a.csv", [imap(f"m{number}", hostname=f"m{number}.example.com") for number in range(40)])
        wait_until(lambda: len(sandbox.monitors()) > 2, process)
        code, stderr = terminate(process)
    assert code == 143
    assert "a.csv will be resumed" in stderr
    assert 2 < len(sandbox.monitors()) < 40
    sandbox.set_faults(Faults())
    assert cli("inbox", "box").exit_code == 0
    assert len(sandbox.monitors()) == 40


def test_without_file_events_the_folder_is_checked_at_intervals(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    with watching(cli, listener, NO_EVENTS + SHORT_INTERVALS) as process:
        cli.write_csv("box/a.csv", [imap("a")])
        wait_until(lambda: bool(sandbox.monitors()), process)
        wait_until(lambda: is_reported_done(cli, listener), process)
        code, stderr = terminate(process)
    assert code == 0
    assert "file events cannot be used" in stderr


def test_a_file_that_waits_for_the_api_is_retried_automatically(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", on=("login",), times=2),)))
    with watching(cli, listener, SHORT_INTERVALS) as process:
        cli.write_csv("box/a.csv", [imap("a")])
        wait_until(lambda: is_reported_done(cli, listener), process)
        code, stderr = terminate(process)
    assert code == 0
    assert stderr.count("refuses the login") == 2
    assert stderr.endswith("bulkload: a.csv: 1 created.\n")


def test_a_file_that_cannot_be_read_does_not_delay_the_next_one(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    with watching(cli, listener) as process:
        (cli.folder / "box" / "letter.pdf").write_bytes(b"%PDF-1.7\n")
        wait_until(lambda: any("letter.pdf failed" in request.body for request in listener.requests), process)
        cli.write_csv("box/a.csv", [imap("a")])
        wait_until(lambda: is_reported_done(cli, listener), process)
        assert terminate(process)[0] == 0


def test_a_file_that_is_open_is_reported_once(cli: CommandLine, sandbox: Sandbox, listener: Listener) -> None:
    cli.write_csv("box/open.xlsx", [imap("z")])
    (cli.folder / "box" / "~$open.xlsx").write_text("lock")
    with watching(cli, listener, SHORT_INTERVALS) as process:
        wait_until(lambda: len(listener.requests) >= 6, process)
        stderr = terminate(process)[1]
    assert stderr.count("open.xlsx is open in a spreadsheet program") == 1


def test_a_locked_store_is_retried(cli: CommandLine, sandbox: Sandbox, listener: Listener) -> None:
    cli.write_csv("box/a.csv", [imap("a")])
    command = [sys.executable, "-c", SHORT_INTERVALS + PROGRAM, "inbox", "box", "--watch"]
    with Store(cli.folder / "box") as store:
        store.lock()
        process = subprocess.Popen(command, cwd=cli.folder, stderr=subprocess.PIPE, text=True)
        time.sleep(2)
        assert process.poll() is None
        assert sandbox.requests() == []
    with process:
        wait_until(lambda: is_reported_done(cli, listener), process)
        assert terminate(process)[0] == 0


def test_a_missing_folder_ends_it_immediately(cli: CommandLine) -> None:
    result = cli("inbox", "bix", "--watch")
    assert (result.exit_code, result.stderr) == (2, "bulkload: There is no folder bix.\n")


def test_a_missing_password_ends_it_immediately(cli: CommandLine) -> None:
    for name in ("USERNAME", "PASSWORD"):
        cli.monkeypatch.delenv(f"ALERTSITE_{name}", raising=False)
    result = cli("inbox", "box", "--watch")
    assert (result.exit_code, "Set ALERTSITE_USERNAME and ALERTSITE_PASSWORD" in result.stderr) == (2, True)


def test_a_folder_that_is_removed_ends_it_with_an_error(cli: CommandLine, sandbox: Sandbox, listener: Listener) -> None:
    with watching(
        cli, listener, NO_EVENTS + SHORT_INTERVALS.replace("RETRY_INTERVAL = 0.2", "RETRY_INTERVAL = 600")
    ) as p:
        (cli.folder / "box").rename(cli.folder / "gone")
        _, stderr = p.communicate(timeout=TIMEOUT)
    assert p.returncode == 2
    assert "There is no folder box." in stderr


def test_bad_rows_do_not_end_it(cli: CommandLine, sandbox: Sandbox, listener: Listener) -> None:
    with watching(cli, listener) as process:
        cli.write_csv("box/bad.csv", [imap("b", port="0")])
        wait_until(lambda: any("bad.csv needs attention" in request.body for request in listener.requests), process)
        cli.write_csv("box/a.csv", [imap("a")])
        wait_until(lambda: is_reported_done(cli, listener), process)
        assert terminate(process)[0] == 0
