"""The server or the terminal ends midway, in order or not: nothing is lost, nothing is created twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.paths import ROOT
from tests.support.served import Serve, Served
from tests.support.waiting import TIMEOUT, wait_until
from tests.support.web_client import Answer, Visitor, csv_of

SLOW = Faults(rules=(Rule(fault="slow", seconds=0.15),))
ROWS = 40


@pytest.fixture
def server(serve: Serve) -> Served:
    return serve(BULKLOAD_CONCURRENCY="2")


def has_ended(answer: Answer) -> bool:
    return "Results<" in answer.text


def names(account: Sandbox) -> list[str]:
    return sorted(str(monitor["name"]) for monitor in account.monitors())


def children(process: subprocess.Popen[Any]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def begin_slowly(visitor: Visitor, account: Sandbox, rows: int = ROWS) -> str:
    """Begin a run, and return its address when some of its monitors exist."""
    draft = visitor.draft(csv_of(rows))
    form = visitor.compared(draft).html.form("/start")
    account.set_faults(SLOW)
    job = visitor.press(form, ("first", "all")).location
    wait_until(lambda: len(account.monitors()) >= 2)
    visitor.until(job, lambda answer: "Creating monitors" in answer.text)
    return visitor.get(job).location


def resume_to_the_end(visitor: Visitor, run: str, account: Sandbox) -> None:
    """Resume a run on its page, again while it is too early to know about a row; then each row is created, and once."""

    def is_done() -> bool:
        job = visitor.press(visitor.get(run).html.form("/resume")).location
        shown = visitor.until(job, has_ended).shown
        assert "to fix" not in shown
        return f"All {ROWS} rows are done." in shown

    wait_until(is_done)
    assert names(account) == sorted(f"m{n}" for n in range(ROWS))


@contextmanager
def terminal(server: Served, account: Sandbox, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`bulkload` with these arguments, in the folder of a server."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ALERTSITE_", "BULKLOAD_"))}
    settings = {
        **{"ALERTSITE_BASE_URL": account.base_url, "ALERTSITE_USERNAME": account.options.user},
        **{"ALERTSITE_PASSWORD": account.options.password, "BULKLOAD_RATE": "unlimited", "BULKLOAD_CONCURRENCY": "2"},
        **{"BULKLOAD_SETTLE_GRACE": "0.2", "BULKLOAD_SETTLE_AFTER": "1", "BULKLOAD_SETTLE_TIMEOUT": "0.5"},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bulkload", *arguments],
        cwd=server.folder,
        env={**inherited, **settings, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT)


def in_terminal(server: Served, account: Sandbox, *arguments: str) -> bytes:
    """The output of a command that ends with exit code 0."""
    with terminal(server, account, *arguments) as process:
        output, errors = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, errors.decode()
    return output


def test_a_run_whose_server_is_killed_stops_in_order_and_is_resumed_once(
    serve: Serve, server: Served, account: Sandbox
) -> None:
    run = begin_slowly(Visitor(server.address), account)
    (worker,) = children(server.process)
    server.kill()
    wait_until(lambda: not is_alive(worker))
    created = names(account)
    assert 2 <= len(created) < ROWS

    visitor = Visitor(serve(BULKLOAD_CONCURRENCY="2").address)
    assert names(account) == created
    page = visitor.get(run)
    assert "Stopped early." in page.shown
    assert f"{len(created)} created" in page.shown  # it stopped in order: no request is in doubt
    assert "unknown" not in page.shown
    assert "Stopped early" in visitor.get("/runs").shown
    account.set_faults(Faults())
    resume_to_the_end(visitor, run, account)


def test_a_run_whose_server_and_worker_are_killed_is_shown_as_not_finished_and_resumed_once(
    serve: Serve, server: Served, account: Sandbox
) -> None:
    run = begin_slowly(Visitor(server.address), account)
    (worker,) = children(server.process)
    os.kill(worker, signal.SIGSTOP)  # or it could see that its server has ended, and stop in order
    server.kill()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not is_alive(worker))

    visitor = Visitor(serve(BULKLOAD_CONCURRENCY="2").address)
    assert "This run is not finished" in visitor.get(run).shown
    assert "Not finished." in visitor.get("/runs").shown
    assert visitor.get(f"{run}/results.csv").status == 200
    account.set_faults(Faults())
    resume_to_the_end(visitor, run, account)


def test_a_server_that_is_told_to_end_ends_with_0_and_its_run_is_resumed(
    serve: Serve, server: Served, account: Sandbox
) -> None:
    visitor = Visitor(server.address)
    run = begin_slowly(visitor, account)
    (worker,) = children(server.process)
    server.stop()  # checks the exit code
    assert not is_alive(worker)
    account.set_faults(Faults())
    visitor = Visitor(serve().address)
    page = visitor.get(run)
    assert "Stopped early." in page.shown
    assert "unknown" not in page.shown
    resume_to_the_end(visitor, run, account)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_file_that_is_being_read_is_read_again_after_a_restart(
    serve: Serve, server: Served, number: signal.Signals
) -> None:
    visitor = Visitor(server.address)
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(visitor.upload, csv_of(100_000), "large.csv")
        page = Visitor(server.address).until("/", lambda answer: "large.csv" in answer.text)
        server.process.send_signal(number)
        assert server.process.wait(TIMEOUT) == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        upload.exception()
    draft = next(link for link in page.html.links() if link.startswith("/drafts/"))
    visitor = Visitor(serve().address)
    read = visitor.until(draft, lambda answer: "Reading the file" not in answer.text)
    assert "100,000 rows are ready" in read.shown
    assert len(list((server.folder / "output" / "uploads").iterdir())) == 1


def test_an_edit_that_was_not_checked_before_the_server_was_killed_is_checked_at_its_start(
    serve: Serve, server: Served
) -> None:
    visitor = Visitor(server.address)
    draft = visitor.draft(csv_of(20_000))
    with (
        closing(sqlite3.connect(server.folder / "output" / "bulkload.sqlite3")) as store,
        ThreadPoolExecutor(1) as pool,
    ):
        bad_hosts = {"column": "2", "value": "not a host", "scope": "all"}
        sent = pool.submit(visitor.post, f"{draft}/fill", bad_hosts)
        wait_until(lambda: bool(store.execute("SELECT 1 FROM draft_edits").fetchall()))
        server.kill()
        sent.exception()
        unchecked = store.execute("SELECT count(*) FROM draft_rows WHERE state = 'ready'").fetchone()[0]
    assert unchecked > 0
    page = Visitor(serve().address).get(draft)
    assert "No row is ready yet." in page.shown
    assert "20,000 ×" in page.shown


def test_what_was_uploaded_but_became_no_draft_is_removed_at_the_next_start(serve: Serve, server: Served) -> None:
    draft = Visitor(server.address).draft(csv_of(1))
    server.kill()
    uploads = server.folder / "output" / "uploads"
    (kept,) = uploads.iterdir()
    for name in (f"{'0' * 32}.csv", f"{'1' * 32}.csv.part", "notes.txt"):
        (uploads / name).write_bytes(b"x")
    visitor = Visitor(serve().address)
    assert sorted(path.name for path in uploads.iterdir()) == sorted([kept.name, "notes.txt"])
    assert "1 row is ready" in visitor.get(draft).shown


def test_a_run_of_the_page_goes_on_in_the_terminal(server: Served, account: Sandbox) -> None:
    visitor = Visitor(server.address)
    run = begin_slowly(visitor, account)
    run_id = run.rpartition("/")[2]
    assert visitor.post(f"{run}/stop").status == 303
    visitor.until(run, has_ended)
    assert len(account.monitors()) < ROWS
    account.set_faults(Faults())
    (listed,) = json.loads(in_terminal(server, account, "runs", "--json"))
    assert (listed["run_id"], listed["input"]) == (run_id, "hosts.csv")
    in_terminal(server, account, "resume", run_id, "--quiet")
    in_terminal(server, account, "report", run_id, "--results", "again.csv", "--quiet")
    assert (server.folder / "again.csv").read_text("utf-8-sig").count("created") == ROWS
    assert f"All {ROWS} rows are done." in visitor.get(run).shown
    assert names(account) == sorted(f"m{n}" for n in range(ROWS))


def test_a_run_of_the_terminal_goes_on_in_the_page(server: Served, account: Sandbox) -> None:
    (server.folder / "hosts.csv").write_bytes(csv_of(ROWS))
    account.set_faults(SLOW)
    with terminal(server, account, "run", "hosts.csv", "--quiet") as process:
        wait_until(lambda: len(account.monitors()) >= 2, process)
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)
    account.set_faults(Faults())
    visitor = Visitor(server.address)
    history = visitor.get("/runs")
    run = next(link for link in history.html.links() if link.startswith("/runs/") and not link.endswith("undo"))
    resume_to_the_end(visitor, run, account)
    job = visitor.follow(f"{run}/undo")
    undo = visitor.until(f"{run}/undo", lambda answer: "Undo: delete" in answer.text) if "Undo" not in job.text else job
    ended = visitor.press(undo.html.form("/undo"))
    visitor.until(ended.location, has_ended)
    assert names(account) == []


def test_the_page_waits_for_a_run_of_the_terminal(server: Served, account: Sandbox) -> None:
    visitor = Visitor(server.address)
    draft = visitor.draft(csv_of(3, "page"))
    form = visitor.compared(draft).html.form("/start")
    (server.folder / "hosts.csv").write_bytes(csv_of(ROWS))
    account.set_faults(SLOW)
    with terminal(server, account, "run", "hosts.csv", "--quiet") as process:
        wait_until(lambda: len(account.monitors()) >= 1, process)
        job = visitor.press(form, ("first", "all")).location
        waiting = visitor.until(job, lambda answer: "Waiting for" in answer.text)
        assert "Waiting for another bulkload that uses this folder" in waiting.shown
        assert [name for name in names(account) if name.startswith("page")] == []
        account.set_faults(Faults())
        process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
    ended = visitor.until(job, has_ended)
    assert "All 3 rows are done." in ended.shown
    assert names(account) == sorted([*(f"m{n}" for n in range(ROWS)), "page0", "page1", "page2"])
