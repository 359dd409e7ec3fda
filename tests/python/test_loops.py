"""The functions work in a running loop, in threads and in processes; a stop is orderly and loses nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

import bulkload as bl
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.python.conftest import hosts
from tests.support.paths import ROOT
from tests.support.waiting import TIMEOUT

MANY = [f"m{number}" for number in range(30)]


async def test_a_call_in_a_running_loop(account: bl.Account, frame: pd.DataFrame) -> None:
    assert bl.run(frame, account=account).counts == {"created": 3}


async def test_the_coroutines_return_the_same(server: Sandbox, account: bl.Account, frame: pd.DataFrame) -> None:
    assert (await bl.aio.check(frame)).counts == bl.check(frame).counts
    assert (await bl.aio.plan(frame, account=account)).counts == {"will create": 3}
    first = await bl.aio.run(frame, account=account, first=2, label="loop")
    resumed = await bl.aio.resume(account=account)
    assert (first.counts["created"], resumed.counts) == (2, {"created": 3})
    pd.testing.assert_frame_equal(
        (await bl.aio.export(account=account)).frame.drop(columns="run_id"),
        bl.export(account=account).frame.drop(columns="run_id"),
    )
    assert (await bl.aio.compare(frame, frame.iloc[1:])).equals(bl.compare(frame, frame.iloc[1:]))
    assert (await bl.aio.undo(first.run_id, account=account)).removals == {"deleted": 3}
    assert (await bl.aio.undo(first.run_id, account=account, dry_run=False)).ok
    assert server.monitors() == []
    with pytest.raises(bl.RowsFailed):
        await bl.aio.run(hosts("a", port=0), account=account, raise_for_rows=True)
    with pytest.raises(bl.UsageError):
        await bl.aio.run(frame)


async def test_a_coroutine_does_not_block_the_loop(server: Sandbox, account: bl.Account) -> None:
    server.set_faults(Faults(rules=(Rule(fault="slow", on=("create",), seconds=1.0),)))
    task = asyncio.create_task(bl.aio.run(hosts("a"), account=account))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert task.result().ok
    assert turns > 2


async def test_a_cancelled_task_ends_in_order_and_is_resumed(server: Sandbox, account: bl.Account) -> None:
    started = asyncio.Event()

    def progress(counts: Mapping[str, int]) -> None:
        started.set()

    frame = hosts(*MANY)
    task = asyncio.create_task(bl.aio.run(frame, account=account, rate=20, progress=progress))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as error:
        await task
    assert any("bulkload.resume(" in note for note in error.value.__notes__)
    created = len(server.monitors())
    history = bl.runs()
    assert (history["exit_code"].iloc[0], history["created"].iloc[0], history["rows"].iloc[0]) == (130, created, 30)
    assert created < 30
    assert (await bl.aio.resume(account=account)).counts == {"created": 30}
    assert len(server.monitors()) == 30


def test_an_error_of_the_callable_stops_the_run_in_order(server: Sandbox, account: bl.Account) -> None:
    def progress(counts: Mapping[str, int]) -> None:
        if counts["done"] > 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bl.run(hosts(*MANY), account=account, rate=20, progress=progress)
    assert bl.runs()["created"].iloc[0] == len(server.monitors()) < 30
    assert bl.resume(account=account).ok


def test_an_error_of_the_callable_at_the_end_does_not_lose_the_result(account: bl.Account, frame: pd.DataFrame) -> None:
    def progress(counts: Mapping[str, int]) -> None:
        if counts["done"] == counts["total"]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as error:
        bl.run(frame, account=account, progress=progress)
    assert error.value.result.counts == {"created": 3}  # type: ignore[attr-defined]
    assert bl.runs()["exit_code"].iloc[0] in (0, 130)


def test_the_callable_is_called_with_counts_in_the_thread_of_the_caller(
    account: bl.Account, frame: pd.DataFrame
) -> None:
    calls: list[tuple[Mapping[str, int], threading.Thread]] = []
    bl.run(frame, account=account, progress=lambda counts: calls.append((counts, threading.current_thread())))
    assert calls[-1][0] == {"done": 3, "total": 3}
    assert {thread for _, thread in calls} == {threading.current_thread()}
    done = [counts["done"] for counts, _ in calls]
    assert done == sorted(set(done))


def test_a_bar_is_shown_if_asked(account: bl.Account, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    bl.run(frame, account=account, progress=True)
    shown = capsys.readouterr()
    assert "3/3" in shown.err
    assert shown.out == ""
    bl.run(frame, account=account, progress=True)  # nothing to send
    assert capsys.readouterr().err == ""


def test_threads_with_stores_of_their_own(server: Sandbox, account: bl.Account) -> None:
    def run(number: int) -> bl.Result:
        return bl.run(hosts(f"m{number}"), account=account, store=f"store{number}")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(8)))
    assert all(result.ok for result in results)
    assert len(server.monitors()) == 8


def test_of_two_threads_with_one_store_one_is_told_to_come_later(server: Sandbox, account: bl.Account) -> None:
    is_running = threading.Event()

    def first() -> bl.Result:
        return bl.run(hosts("a"), account=account, progress=lambda counts: is_running.set())

    server.set_faults(Faults(rules=(Rule(fault="slow", on=("create",), seconds=2.0),)))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert is_running.wait(TIMEOUT)
        with pytest.raises(bl.Locked):
            bl.run(hosts("b"), account=account)
        assert running.result(TIMEOUT).ok


def run_in_process(account: bl.Account, frame: pd.DataFrame, store: str) -> bl.Result:
    return bl.run(frame, account=account, store=store)


def test_a_pool_of_processes(server: Sandbox, account: bl.Account) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        jobs = [pool.submit(run_in_process, account, hosts(f"m{n}", "bad", port=[993, 0]), f"s{n}") for n in range(2)]
        results = [job.result(TIMEOUT) for job in jobs]
        assert [result.counts for result in results] == [{"created": 1, "invalid": 1}] * 2
        assert [list(result.failed.index) for result in results] == [["BAD"]] * 2
        failing = pool.submit(run_in_process, bl.Account(), hosts("a"), "s0")
        with pytest.raises(bl.UsageError, match="The account needs"):
            failing.result(TIMEOUT)
    assert len(server.monitors()) == 2


INTERRUPTED = """
import os, sys
import bulkload as bl
rows = [{"type": "imap", "name": f"m{n}", "hostname": "mx1.example.com", "billing_plancode": "X"} for n in range(30)]
def progress(counts):
    if counts["done"] > 1:
        print("running", flush=True)
account = bl.Account(username=sys.argv[2], password=sys.argv[3], base_url=sys.argv[1])
bl.run(rows, account=account, rate=20, progress=progress)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_ctrl_c_ends_a_run_in_order(server: Sandbox, account: bl.Account, folder: Path) -> None:
    options = server.options
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, server.base_url, options.user, options.password],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait(TIMEOUT)
    assert "KeyboardInterrupt" in errors
    assert "bulkload.resume('" in errors
    created = len(server.monitors())
    assert bl.runs()["created"].iloc[0] == created < 30
    assert bl.resume(account=account).counts == {"created": 30}
    assert len(server.monitors()) == 30
