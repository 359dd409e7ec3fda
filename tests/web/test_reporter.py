"""The progress of a job shows what a person who waits wants to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.sandbox import Faults, Rule
from bulkload.settings import Options
from bulkload.stages.observer import Phase, session_status
from bulkload.web.jobs import JobState
from bulkload.web.messages import Progress
from bulkload.web.reporter import Reporter
from tests.support.web_jobs import SLOW, ended, open_jobs, site_in, until, until_true


def progress_where(condition: Callable[[Progress], object]) -> Callable[[JobState], object]:
    return lambda state: state.progress is not None and condition(state.progress)


async def test_rows_are_counted_and_the_time_left_is_estimated(tmp_path: Path) -> None:
    with site_in(tmp_path, SLOW) as site:
        path = site.write(30)
        with path.open("a") as stream:
            stream.write("imap,bad,mail.example.com:99999,UBM - A/A\n")
        async with open_jobs() as jobs:
            job = jobs.submit(site.task("run", path=path))
            state = await until(
                jobs, job, progress_where(lambda progress: progress.done >= 3 and progress.seconds_left is not None)
            )
            assert (progress := state.progress) is not None
            assert (progress.run, progress.phase, progress.total) == (state.run, "creating", 30)
            assert (sum(progress.counts.values()), progress.counts["invalid"]) == (31, 1)
            assert "unknown" not in progress.counts  # a row that is just being sent is not in doubt
            assert progress.rate > 0
            assert progress.seconds_left is not None
            assert progress.seconds_left > 0
            assert (progress.paused_until, progress.pause_reason, progress.stopping) == (None, "", False)
            await jobs.stop(job)


async def test_the_first_rows_are_the_whole_of_a_trial(tmp_path: Path) -> None:
    with site_in(tmp_path, SLOW) as site:
        async with open_jobs() as jobs:
            job = jobs.submit(site.task("run", path=site.write(30), first=5))
            state = await until(jobs, job, progress_where(lambda progress: progress.total))
            assert state.progress is not None
            assert state.progress.total == 5
            assert (await ended(jobs, job)).counts["created"] == 5


async def test_a_pause_that_the_api_asks_for_is_shown_with_its_end(tmp_path: Path) -> None:
    faults = Faults(rules=(Rule(fault="throttle", on=("create",), at=(2,), seconds=30),))
    with site_in(tmp_path, faults) as site:
        async with open_jobs() as jobs:
            job = jobs.submit(site.task("run", path=site.write(4)))
            state = await until(jobs, job, progress_where(lambda progress: progress.paused_until))
            assert (progress := state.progress) is not None
            assert progress.paused_until is not None
            assert time.time() < progress.paused_until <= time.time() + 31
            assert (progress.pause_reason, progress.rate) == ("the API asked for a pause", 0.0)
            await jobs.stop(job)  # does not wait for the end of the pause
            end = await ended(jobs, job)
            assert (end.is_interrupted, dict(end.counts)) == (True, {"created": 1, "not_attempted": 3})


async def test_a_lowered_rate_is_shown(tmp_path: Path) -> None:
    faults = Faults(rate_limit=8, retry_after="none")
    with site_in(tmp_path, faults) as site:
        async with open_jobs() as jobs:
            job = jobs.submit(site.task("run", path=site.write(200), options={"concurrency": 4}))
            state = await until(jobs, job, progress_where(lambda progress: progress.pause_reason))
            assert state.progress is not None
            assert "refused requests as too many" in state.progress.pause_reason
            await jobs.stop(job)


async def test_rows_in_doubt_and_refused_rows_are_shown(tmp_path: Path) -> None:
    rules = (Rule(fault="error-before", names=("m1",)), Rule(fault="echo-refusal", names=("m2",)))
    with site_in(tmp_path, Faults(rules=rules)) as site:
        async with open_jobs() as jobs:
            task = site.task("run", path=site.write(4), options={"settle_after": 600, "settle_timeout": 60})
            job = jobs.submit(task)
            state = await until(
                jobs, job, progress_where(lambda progress: progress.in_doubt and len(progress.last_errors) == 2)
            )
            assert (progress := state.progress) is not None
            assert [error.row for error in progress.last_errors] == [3, 4]
            assert progress.in_doubt == 1
            assert progress.doubt_until is not None
            assert 0 < progress.doubt_until - time.time() < 601
            await jobs.stop(job)
            await until(jobs, job, lambda state: state.ended)


async def test_an_undo_shows_how_many_monitors_are_deleted(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        async with open_jobs() as jobs:
            run = (await ended(jobs, jobs.submit(site.task("run", path=site.write(12))))).run
            site.sandbox.set_faults(Faults(rules=(Rule(fault="slow", on=("delete",), seconds=0.25),)))
            job = jobs.submit(site.task("undo", run=run))
            state = await until(jobs, job, progress_where(lambda progress: progress.done))
            assert state.progress is not None
            assert (state.progress.phase, state.progress.total, state.progress.run) == ("deleting", 12, run)
            await jobs.stop(job)
            end = await ended(jobs, job)
            assert (end.is_interrupted, end.stopped) == (True, "Stopped on request.")
            assert 0 < end.counts["removed"] == 12 - len(site.names())
            site.sandbox.set_faults(Faults())
            again = await ended(jobs, jobs.submit(site.task("undo", run=run)))
            assert (again.exit_code, site.names()) == (0, [])


async def test_the_phase_says_when_it_is_the_login_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkload.web.reporter.INTERVAL", 0.01)
    events: list[dict[str, Any]] = []
    with site_in(tmp_path) as site, Reporter(events.append, Options(output=tmp_path), None) as reporter:
        password = site.account.password.get_secret_value()
        async with Api(site.sandbox.base_url, Pace(None), username=site.account.username, password=password) as api:
            reporter.on_phase(Phase.LISTING)
            reporter.on_session(lambda: session_status(api, is_stopping=False), lambda reason: None)
            await until_true(lambda: events and events[-1]["phase"] == "logging in")
            await api.list_mail_monitors()
            await until_true(lambda: events[-1]["phase"] == "listing the account")
        await asyncio.sleep(0)


def test_nothing_is_sent_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulkload.web.reporter.INTERVAL", 0.001)
    events: list[dict[str, Any]] = []
    readings = 0

    class Counted(Reporter):
        def _progress(self, *, fresh: bool) -> Progress:
            nonlocal readings
            readings += 1
            return super()._progress(fresh=fresh)

    with Counted(events.append, Options(output=tmp_path), None) as reporter:
        reporter.on_phase(Phase.READING)
        while readings < 20:
            time.sleep(0.001)
    assert [event["phase"] for event in events] == ["reading the rows"]
