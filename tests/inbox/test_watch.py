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
from tests.support.command_line import Desk, imap
from tests.support.listener import Listener
from tests.support.waiting import PATIENCE, wait_until

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
def desk(desk: Desk) -> Desk:
    desk.environment.setenv("BULKLOAD_UNCHANGED_FOR", "0.1")
    (desk.folder / "box").mkdir()
    return desk


@pytest.fixture
def listener(desk: Desk, listener: Listener) -> Listener:
    desk.environment.setenv("BULKLOAD_PING", listener.address)
    return listener


@contextmanager
def watching(desk: Desk, listener: Listener, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """The program, after its first visit."""
    command = [sys.executable, "-c", before + PROGRAM, "inbox", "box", "--watch"]
    with subprocess.Popen(command, cwd=desk.folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: len(listener.requests) >= 2, process)
            yield process
        finally:
            process.kill()


def is_reported_done(desk: Desk, listener: Listener, name: str = "a") -> bool:
    """True if the file is in `done` and a ping, the last step of a visit, reported it once."""
    reports = sum(f"{name}.csv: 1 created." in request.body for request in listener.requests)
    return reports == 1 and bool(list(desk.folder.rglob(f"done/*/{name}.csv")))


def terminate(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    return process.returncode, stderr


def test_files_are_taken_as_they_arrive_and_a_signal_between_visits_is_a_success(
    desk: Desk, sandbox: Sandbox, listener: Listener
) -> None:
    with watching(desk, listener) as process:
        for name in "abc":
            desk.sheet(f"box/{name}.csv", [imap(name, hostname=f"{name}.example.com")])
            wait_until(lambda name=name: is_reported_done(desk, listener, name), process)  # type: ignore[misc]
        code, stderr = terminate(process)
    assert code == 0
    assert stderr == "".join(f"bulkload: {name}.csv: 1 created.\n" for name in "abc")
    assert len(sandbox.monitors()) == 3


def test_its_own_files_do_not_trigger_a_visit(desk: Desk, sandbox: Sandbox, listener: Listener) -> None:
    """The store is in the folder, and changes with every visit."""
    with watching(desk, listener) as process:
        desk.sheet("box/a.csv", [imap("a")])
        wait_until(lambda: len(listener.requests) >= 4, process)
        time.sleep(3)  # longer than events are collected; there is nothing to wait for, because nothing must happen
        assert len(listener.requests) == 4
        assert terminate(process)[0] == 0


def test_a_signal_during_a_run_ends_it_gracefully(desk: Desk, sandbox: Sandbox, listener: Listener) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="slow", seconds=1.0),)))
    with watching(desk, listener) as process:
        desk.sheet("box/a.csv", [imap(f"m{number}", hostname=f"m{number}.example.com") for number in range(40)])
        wait_until(lambda: len(sandbox.monitors()) > 2, process)
        code, stderr = terminate(process)
    assert code == 143
    assert "a.csv will be resumed" in stderr
    assert 2 < len(sandbox.monitors()) < 40
    sandbox.set_faults(Faults())
    assert desk("inbox", "box").exit_code == 0
    assert len(sandbox.monitors()) == 40


def test_without_file_events_the_folder_is_checked_at_intervals(
    desk: Desk, sandbox: Sandbox, listener: Listener
) -> None:
    with watching(desk, listener, NO_EVENTS + SHORT_INTERVALS) as process:
        desk.sheet("box/a.csv", [imap("a")])
        wait_until(lambda: bool(sandbox.monitors()), process)
        wait_until(lambda: is_reported_done(desk, listener), process)
        code, stderr = terminate(process)
    assert code == 0
    assert "file events cannot be used" in stderr


def test_a_file_that_waits_for_the_api_is_retried_automatically(
    desk: Desk, sandbox: Sandbox, listener: Listener
) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", on=("login",), times=2),)))
    with watching(desk, listener, SHORT_INTERVALS) as process:
        desk.sheet("box/a.csv", [imap("a")])
        wait_until(lambda: is_reported_done(desk, listener), process)
        code, stderr = terminate(process)
    assert code == 0
    assert stderr.count("refuses the login") == 2
    assert stderr.endswith("bulkload: a.csv: 1 created.\n")


def test_a_locked_store_is_retried(desk: Desk, sandbox: Sandbox, listener: Listener) -> None:
    desk.sheet("box/a.csv", [imap("a")])
    command = [sys.executable, "-c", SHORT_INTERVALS + PROGRAM, "inbox", "box", "--watch"]
    with Store(desk.folder / "box") as store:
        store.lock()
        process = subprocess.Popen(command, cwd=desk.folder, stderr=subprocess.PIPE, text=True)
        time.sleep(2)
        assert process.poll() is None
        assert sandbox.requests() == []
    with process:
        wait_until(lambda: is_reported_done(desk, listener), process)
        assert terminate(process)[0] == 0


def test_a_missing_folder_ends_it_immediately(desk: Desk) -> None:
    ended = desk("inbox", "bix", "--watch")
    assert (ended.exit_code, ended.stderr) == (2, "bulkload: There is no folder bix.\n")
