"""Nothing stops the night: trouble of one file is reported as that file's, and the other files are run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from bulkload.errors import ExitCode
from bulkload.inbox.processing import MAX_READINGS
from bulkload.inbox.visit import MAX_SENDINGS
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.runs import Store
from tests.inbox.test_notifications import metrics
from tests.inbox.test_visit import drop, inside, names
from tests.support.command_line import CommandLine, imap
from tests.support.listener import Listener
from tests.support.start_code import NO_PRIVILEGES, StartCode
from tests.support.waiting import TIMEOUT, wait_until
from tests.torture.program import ProcessResult, Workspace

LONG = f"{83 * '郵'}.csv"  # 253 bytes


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()
    return cli


class Visit(Protocol):
    """Run one visit in another process."""

    def __call__(self, *options: str, before: str = "") -> ProcessResult: ...


@pytest.fixture
def visit(cli: CommandLine, sandbox: Sandbox) -> Iterator[Visit]:
    """Run one visit in another process, after some code."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)

    def run(*options: str, before: str = "") -> ProcessResult:
        workspace = Workspace(cli.folder, sandbox, dict(os.environ), read_end)
        return workspace.run("inbox", "box", *options, on_start=StartCode(before))

    yield run
    os.close(write_end)
    os.close(read_end)


def put_first(path: Path) -> Path:
    """Make a file the oldest, so that it is run before the others."""
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


# ── files that cannot be read ─────────────────────────────────────────────────────────────────────────────


def test_a_file_without_the_right_to_read_it_fails_and_the_others_are_run(
    cli: CommandLine, sandbox: Sandbox, visit: Visit
) -> None:
    put_first(drop(cli, "secret.csv", ["a"])).chmod(0)
    drop(cli, "good.csv", ["b"])
    result = visit("--metrics", "bulkload.prom", before=NO_PRIVILEGES)
    assert (result.exit_code, names(sandbox)) == (2, ["b"])
    assert "secret.csv failed: the file cannot be read (Permission denied): your user has no right" in result.stderr
    assert inside(cli)["failed"] == ["secret-why.txt", "secret.csv"]
    samples = metrics(cli.folder / "bulkload.prom")
    assert (samples["exit_code"], samples["files:failed"], samples["files:done"]) == (2, 1, 1)


@pytest.mark.parametrize(
    "error", ["PermissionError(13, 'no')", "RuntimeError('x')", "MemoryError()", "RecursionError()"]
)
def test_an_unexpected_error_while_reading_fails_only_this_file(
    cli: CommandLine, sandbox: Sandbox, visit: Visit, error: str
) -> None:
    put_first(drop(cli, "odd.csv", ["a"]))
    drop(cli, "good.csv", ["b"])
    fail = (
        "import sys\n"
        "def hook(event, details):\n"
        "    if event == 'open' and 'working/odd.csv' in str(details[0]):\n"
        f"        raise {error}\n"
        "sys.addaudithook(hook)\n"
    )
    result = visit(before=fail)
    assert (result.exit_code, names(sandbox)) == (2, ["b"])
    assert "odd.csv failed: " in result.stderr
    assert inside(cli)["failed"] == ["odd-why.txt", "odd.csv"]


def test_a_file_that_vanishes_from_working_is_reported(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "gone.csv", ["a"])
    assert cli("inbox", "box", "--set", "interval=often").exit_code == 2
    (cli.folder / "box" / "working" / "gone.csv").unlink()
    drop(cli, "good.csv", ["b"])
    result = cli("inbox", "box")
    assert (result.exit_code, names(sandbox)) == (2, ["b"])
    assert "gone.csv was not run: it was removed before it was read." in result.stderr
    assert cli("inbox", "box").exit_code == 0


# ── processes that are killed ─────────────────────────────────────────────────────────────────────────────

DIE_READING = "import os, bulkload.stages.intake as i; i.open_source = lambda *a, **k: os._exit(9)\n"
DIE_SENDING = "import os, bulkload.stages.plan as p; p.plan = lambda *a, **k: os._exit(9)\n"


def test_a_file_on_which_the_process_was_killed_while_reading_is_set_aside_by_the_next_visit(
    cli: CommandLine, sandbox: Sandbox, visit: Visit
) -> None:
    put_first(drop(cli, "crash.csv", ["a"]))
    drop(cli, "good.csv", ["b"])
    assert visit(before=DIE_READING).exit_code == 9
    assert inside(cli) == {"waiting": ["good.csv"], "working": ["crash.csv"]}
    result = cli("inbox", "box")
    assert (result.exit_code, names(sandbox)) == (2, ["b"])
    assert "crash.csv failed: the process was killed while reading it" in result.stderr
    assert inside(cli) == {"done": ["good-results.xlsx", "good.csv"], "failed": ["crash-why.txt", "crash.csv"]}
    next((cli.folder / "box").rglob("crash.csv")).rename(cli.folder / "box" / "crash.csv")
    assert cli("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a", "b"]


def test_a_file_that_was_read_when_the_machine_was_restarted_is_read_again(
    cli: CommandLine, sandbox: Sandbox, visit: Visit
) -> None:
    drop(cli, "long.csv", ["a"])
    for _ in range(MAX_READINGS - 1):
        assert visit(before=DIE_READING).exit_code == 9
        with sqlite3.connect(cli.folder / "box" / "bulkload.sqlite3") as db:
            db.execute("UPDATE arrivals SET reading = 'another boot|' || substr(reading, instr(reading, '|') + 1)")
        db.close()
    assert cli("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a"]


def test_a_file_at_which_every_restart_of_the_machine_happens_is_set_aside(
    cli: CommandLine, sandbox: Sandbox, visit: Visit
) -> None:
    drop(cli, "panic.csv", ["a"])
    for _ in range(MAX_READINGS):
        assert visit(before=DIE_READING).exit_code == 9
        with sqlite3.connect(cli.folder / "box" / "bulkload.sqlite3") as db:
            db.execute("UPDATE arrivals SET reading = 'another boot|' || substr(reading, instr(reading, '|') + 1)")
        db.close()
    result = cli("inbox", "box")
    assert (result.exit_code, names(sandbox)) == (2, [])
    assert f"the process ended {MAX_READINGS} times while reading it" in result.stderr


def test_a_file_on_which_the_process_is_killed_while_sending_is_resumed_and_in_the_end_after_the_others(
    cli: CommandLine, sandbox: Sandbox, visit: Visit
) -> None:
    put_first(drop(cli, "deadly.csv", ["a"]))
    for _ in range(MAX_SENDINGS):
        assert visit(before=DIE_SENDING).exit_code == 9
    drop(cli, "good.csv", ["b"])
    once = DIE_SENDING.replace("p.plan = lambda *a, **k: os._exit(9)", "good = p.plan\n") + (
        "p.plan = lambda c, *a: os._exit(9) if c.run.input == 'deadly.csv' else good(c, *a)\n"
    )
    assert visit(before=once).exit_code == 9
    assert names(sandbox) == ["b"]
    assert cli("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a", "b"]


# ── rows that the API cannot take ─────────────────────────────────────────────────────────────────────────


def test_a_file_that_stops_its_run_every_night_holds_the_others_back_only_once(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    """In the first night, it looks as if the API were down; in the second, the other files show that it is not."""
    poison = [f"p{number}" for number in range(60)]
    put_first(drop(cli, "poison.csv", poison))
    drop(cli, "good.csv", ["a"])
    sandbox.set_faults(Faults(rules=(Rule(fault="error-before", names=tuple(poison)),)))
    assert cli("inbox", "box").exit_code == 3
    assert names(sandbox) == []
    result = cli("inbox", "box")
    assert (result.exit_code, names(sandbox)) == (3, ["a"])
    assert "poison.csv will be resumed" in result.stderr
    sandbox.set_faults(Faults())
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "0")
    assert cli("inbox", "box").exit_code == 0
    assert len(names(sandbox)) == len(set(names(sandbox))) == 61


# ── files that cannot be moved ────────────────────────────────────────────────────────────────────────────


def test_a_file_that_may_not_be_moved_is_reported_every_night_and_the_others_are_run(
    cli: CommandLine, sandbox: Sandbox, visit: Visit
) -> None:
    box = cli.folder / "box"
    if os.geteuid() == 0:
        os.chown(put_first(drop(cli, "theirs.csv", ["a"])), 12345, -1)
        os.chown(box, 12345, -1)
        box.chmod(0o1777)
    else:
        pytest.skip("needs root to make files of two users")
    for night, name in enumerate("bc", 1):
        drop(cli, f"{name}.csv", [name])
        result = visit("--metrics", "bulkload.prom", before=NO_PRIVILEGES)
        assert (result.exit_code, len(names(sandbox))) == (2, night)
        assert "theirs.csv was not run: theirs.csv cannot be moved: operation not permitted." in result.stderr
        assert metrics(cli.folder / "bulkload.prom")["files:waiting"] == 1
        assert inside(cli)["waiting"] == ["theirs.csv"]


def test_a_file_whose_destination_cannot_be_created_is_run_once_and_reported_every_night(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    (cli.folder / "box" / "done").write_text("in the way")
    drop(cli, "mail.csv", ["a"])
    drop(cli, "bad.csv", [imap("b", port="0")])
    for _ in range(2):
        result = cli("inbox", "box")
        assert (result.exit_code, names(sandbox)) == (2, ["a"])
        assert "mail.csv will be resumed" in result.stderr
        assert "mail.csv cannot be moved: " in result.stderr
    assert "bad.csv" in inside(cli)["failed"]
    (cli.folder / "box" / "done").unlink()
    sandbox.forget_requests()
    assert cli("inbox", "box").exit_code == 0
    assert inside(cli)["done"] == ["mail-results.xlsx", "mail.csv"]
    assert sandbox.requests() == []


def test_results_that_cannot_be_written_are_noticed_before_anything_is_sent(cli: CommandLine, sandbox: Sandbox) -> None:
    put_first(drop(cli, "mail.csv", ["a"]))
    drop(cli, "good.csv", ["b"])
    results = cli.folder / "box" / "working" / "mail-results.xlsx"
    results.mkdir(parents=True)
    (cli.folder / "box" / "working" / "mail.csv").write_bytes((cli.folder / "box" / "mail.csv").read_bytes())
    (cli.folder / "box" / "mail.csv").unlink()
    result = cli("inbox", "box")
    assert (result.exit_code, names(sandbox)) == (2, ["b"])
    assert "mail-results.xlsx cannot be written: a folder has that name" in result.stderr
    results.rmdir()
    assert cli("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a", "b"]


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_names_of_maximum_length_are_run_and_stay_different(cli: CommandLine, sandbox: Sandbox) -> None:
    """Derived names are limited by bytes; files that differ only at the end are different recurring files."""
    other = f"{LONG[:-5]}便.csv"
    drop(cli, LONG, ["a"])
    drop(cli, other, ["b"])
    for _ in range(2):
        result = cli("inbox", "box", "--prune", "--prune-limit", "100%", "--json")
        assert (result.exit_code, names(sandbox)) == (0, ["a", "b"])
        assert [file["gone"] for file in result.json["files"]] == [0, 0]
        drop(cli, LONG, ["a"])
        drop(cli, other, ["b"])
    done = inside(cli)["done"]
    assert len(done) == 8
    assert all(len(os.fsencode(name)) <= 255 for name in done)
    assert sum(name.endswith("-results.xlsx") for name in done) == 4


def test_a_name_of_maximum_length_with_a_date_is_a_recurring_file(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, f"{80 * '郵'}2026-11-01.csv"[-255:], ["a", "b"])
    cli("inbox", "box")
    drop(cli, f"{80 * '郵'}2026-11-02.csv"[-255:], ["a"])
    (file,) = cli("inbox", "box", "--json").json["files"]
    assert file["gone"] == 1


def test_a_file_of_maximum_length_that_fails_has_a_reason_beside_it(cli: CommandLine, sandbox: Sandbox) -> None:
    (cli.folder / "box" / LONG).write_bytes(b"%PDF-1.7\n")
    assert cli("inbox", "box").exit_code == 2
    assert [name.endswith("-why.txt") for name in inside(cli)["failed"]] == [True, False]


# ── the visit itself ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("damage", "code"), [("garbage", ExitCode.USAGE), ("locked", ExitCode.LOCKED)])
def test_an_unusable_store_is_in_the_metrics_and_told_by_a_ping(
    cli: CommandLine, sandbox: Sandbox, listener: Listener, damage: str, code: ExitCode
) -> None:
    cli.monkeypatch.setattr("bulkload.store.schema.BUSY_TIMEOUT", 0.1)
    drop(cli, "mail.csv", ["a"])
    with Store(cli.folder / "box"):
        pass
    path = cli.folder / "box" / "bulkload.sqlite3"
    if damage == "garbage":
        path.write_bytes(os.urandom(8192))
    database = sqlite3.connect(path, isolation_level=None)
    if damage == "locked":
        database.execute("BEGIN EXCLUSIVE")
    result = cli("inbox", "box", "--metrics", "bulkload.prom", "--ping", listener.address)
    database.close()
    assert (result.exit_code, names(sandbox), inside(cli)) == (code, [], {"waiting": ["mail.csv"]})
    assert metrics(cli.folder / "bulkload.prom")["exit_code"] == code
    assert [request.path for request in listener.take_requests()][-1].endswith("/fail")


def test_a_store_that_breaks_during_a_visit_ends_it_with_a_report(
    cli: CommandLine, sandbox: Sandbox, visit: Visit, listener: Listener
) -> None:
    drop(cli, "mail.csv", ["a"])
    drop(cli, "more.csv", ["b"])
    lose_store = (
        "import bulkload.inbox.processing as p\n"
        "from pathlib import Path\n"
        "def carry_out(self, *a): self._store.db.close(); return good(self, *a)\n"
        "good, p.FileProcessor._carry_out = p.FileProcessor._carry_out, carry_out\n"
    )
    result = visit("--metrics", "bulkload.prom", "--ping", listener.address, before=lose_store)
    assert (result.exit_code, names(sandbox)) == (2, [])
    assert "The run store box/bulkload.sqlite3 cannot be used" in result.stderr
    assert metrics(cli.folder / "bulkload.prom")["exit_code"] == 2
    assert [request.path for request in listener.take_requests()] == ["/start", "/fail"]


@pytest.mark.parametrize("event", ["bulkload.operations.pipeline", "bulkload.inbox.retention"])
def test_an_unexpected_exception_is_in_the_metrics_and_told_by_a_ping(
    cli: CommandLine, sandbox: Sandbox, visit: Visit, listener: Listener, event: str
) -> None:
    drop(cli, "mail.csv", ["a"])
    fail = "import bulkload.inbox.visit as v\ndef fail(*a, **k): raise RuntimeError('unexpected')\n" + (
        "v.find_waiting = fail\n" if "pipeline" in event else "v.delete_old = fail\n"
    )
    result = visit("--metrics", "bulkload.prom", "--ping", listener.address, before=fail)
    assert result.exit_code == 1
    assert "This is a bug in bulkload: RuntimeError: unexpected." in result.stderr
    assert "Traceback" not in result.stderr
    assert metrics(cli.folder / "bulkload.prom")["exit_code"] == 1
    start, end = listener.take_requests()
    assert (start.path, end.path) == ("/start", "/fail")
    assert ("mail.csv: 1 created" in end.body) == ("retention" in event)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_outside_of_a_session_is_in_the_metrics_and_told_by_a_ping(
    cli: CommandLine, sandbox: Sandbox, listener: Listener, number: int
) -> None:
    """While it waits for a file to be written, for example."""
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "600")
    drop(cli, "mail.csv", ["a"])
    command = [sys.executable, "-m", "bulkload", "inbox", "box", "--metrics", "m.prom", "--ping", listener.address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=cli.folder, text=True) as process:
        wait_until(lambda: bool(listener.requests), process)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, metrics(cli.folder / "m.prom")["exit_code"]) == (128 + number, 128 + number)
    assert ("Terminated." if number == signal.SIGTERM else "Interrupted.") in stderr
    assert [request.path for request in listener.take_requests()] == ["/start", "/fail"]
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    assert cli("inbox", "box").exit_code == 0


def test_a_run_stopped_by_the_api_keeps_files_to_be_pruned_and_says_so(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "mail.csv", ["a", "b"])
    cli("inbox", "box")
    put_first(drop(cli, "mail.csv", ["a"]))
    drop(cli, "more.csv", ["c"])
    sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", on=("login",), at=(2,)),)))
    result = cli("inbox", "box", "--prune", "--prune-limit", "100%", "--json")
    assert result.exit_code == 3
    assert {file["name"]: file["fate"] for file in result.json["files"]} == {
        "mail.csv": "working",
        "more.csv": "working",
    }
    sandbox.set_faults(Faults())
    assert cli("inbox", "box", "--prune", "--prune-limit", "100%").exit_code == 0
    assert names(sandbox) == ["a", "c"]


def test_a_file_of_another_account_is_not_pruned_and_does_not_end_the_visit(
    cli: CommandLine, sandbox: Sandbox, visit: Visit
) -> None:
    prune = ("inbox", "box", "--prune", "--prune-limit", "100%")
    drop(cli, "mail.csv", ["a", "b"])
    cli("inbox", "box")
    drop(cli, "mail.csv", ["a", "c"])
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("delete",)),)))
    assert cli(*prune).exit_code == 3
    with running() as second:
        cli.use_account(second.base_url)
        drop(cli, "good.csv", ["d"])
        result = cli(*prune)
        assert (result.exit_code, names(second)) == (0, ["d"])
    assert "which is not the account of this call" in result.stderr
    assert names(sandbox) == ["a", "b", "c"]
