"""Jobs run one at a time in processes of their own, and nothing is lost or created twice however they end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bulkload.errors import UsageError
from bulkload.sandbox import Faults, Rule
from bulkload.settings import Account
from bulkload.store.runs import Store
from bulkload.web.jobs import InUse, Job, Jobs, JobState, _Worker
from bulkload.web.messages import Ended
from tests.support.command_line import CommandLine
from tests.support.web_jobs import PASSWORD, SLOW, Site, ended, open_jobs, site_in, until, until_true


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("ALERTSITE_PASSWORD", PASSWORD)  # as for the server; the worker must not inherit it
    monkeypatch.setenv("BULKLOAD_RATE", "not a rate")
    with site_in(tmp_path) as site:
        yield site


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path, SLOW) as site:
        yield site


def process_id(job: Job) -> int:
    """The worker's process; the test acts on it from outside, as a user of the machine or the kernel would."""
    assert job._worker is not None
    assert job._worker._process is not None
    return job._worker._process.pid


def settings_of(site: Site, run: str) -> dict[str, str]:
    with Store(site.output) as store:
        return dict(store.info(store.run(run)).settings)


async def test_a_run_creates_each_row_once_and_writes_results_named_after_it(site: Site) -> None:
    async with open_jobs() as jobs:
        task = site.task("run", path=site.write(3), name="../Hosts / Münch*en.csv", user="ann@example.com")
        job = jobs.submit(task)
        end = await ended(jobs, job)
    assert (end.exit_code, end.stopped, dict(end.counts)) == (0, None, {"created": 3})
    assert site.names() == ["m0", "m1", "m2"]
    (results,) = site.output.glob("*-results.xlsx")
    assert results.name == f"Münch_en-{end.run}-results.xlsx"
    settings = settings_of(site, end.run)
    assert (settings["started by"], settings["results"]) == ("ann@example.com", str(results))


async def test_a_few_rows_are_tried_first_and_resuming_sends_the_others(site: Site) -> None:
    async with open_jobs() as jobs:
        tried = await ended(jobs, jobs.submit(site.task("run", path=site.write(5), first=2)))
        assert (dict(tried.counts), site.names()) == ({"created": 2, "not_attempted": 3}, ["m0", "m1"])
        rest = await ended(jobs, jobs.submit(site.task("resume", run=tried.run, user="bob")))
    assert (rest.exit_code, dict(rest.counts), len(site.names())) == (0, {"created": 5}, 5)
    assert settings_of(site, tried.run)["resumed by"] == "bob"


async def test_a_run_that_is_stopped_midway_can_be_resumed(slow_site: Site) -> None:
    async with open_jobs() as jobs:
        job = jobs.submit(slow_site.task("run", path=slow_site.write(20)))
        await until_true(lambda: len(slow_site.names()) >= 2)
        await jobs.stop(job)
        assert job.state.phase == "stopping"
        end = await ended(jobs, job)
        assert (end.is_interrupted, end.stopped, end.run) == (True, "Stopped on request.", job.state.run)
        assert 0 < end.counts["created"] == len(slow_site.names()) < 20
        assert list(slow_site.output.glob("*-results.xlsx")) != []
        slow_site.sandbox.set_faults(Faults())
        again = await ended(jobs, jobs.submit(slow_site.task("resume", run=end.run)))
    assert (again.exit_code, len(slow_site.names()), len(set(slow_site.names()))) == (0, 20, 20)


async def test_a_killed_worker_is_reported_and_its_run_is_resumed_without_a_second_monitor(slow_site: Site) -> None:
    async with open_jobs() as jobs:
        job = jobs.submit(slow_site.task("run", path=slow_site.write(12)))
        await until_true(lambda: len(slow_site.names()) >= 2)
        os.kill(process_id(job), signal.SIGKILL)
        end = await ended(jobs, job)
        assert end.stopped == "The process of this run ended unexpectedly. Nothing is lost: resume it."
        assert end.run
        slow_site.sandbox.set_faults(Faults())
        again = await ended(jobs, jobs.submit(slow_site.task("resume", run=end.run)))
    assert (again.exit_code, len(slow_site.names()), len(set(slow_site.names()))) == (0, 12, 12)


async def test_a_worker_stops_in_order_when_the_server_is_gone(slow_site: Site) -> None:
    async with open_jobs() as jobs:
        job = jobs.submit(slow_site.task("run", path=slow_site.write(20)))
        await until_true(lambda: len(slow_site.names()) >= 2)
        assert job._worker is not None
        assert job._worker._process is not None
        assert job._worker._process.stdin is not None
        job._worker._process.stdin.close()
        end = await ended(jobs, job)
    assert end.is_interrupted
    assert 0 < end.counts["created"] == len(slow_site.names()) < 20
    assert end.counts.keys() == {"created", "not_attempted"}


async def test_closing_stops_the_running_job_in_order_and_removes_those_that_wait(slow_site: Site) -> None:
    jobs = Jobs()
    job = jobs.submit(slow_site.task("run", path=slow_site.write(20)))
    waiting = jobs.submit(slow_site.task("plan", path=slow_site.write(1, "b.csv")))
    await until_true(lambda: len(slow_site.names()) >= 2)
    pid = process_id(job)
    await jobs.close()
    assert job.state.ended is not None
    assert waiting.state.ended is not None
    assert (job.state.ended.is_interrupted, "unknown" in job.state.ended.counts) == (True, False)
    assert waiting.state.ended.stopped == "The server was stopped before anything was sent."
    with pytest.raises(ProcessLookupError):  # it is not even a zombie
        os.kill(pid, 0)
    with pytest.raises(UsageError, match="stopping"):
        jobs.submit(slow_site.task("plan", path=slow_site.write(1, "c.csv")))


async def test_the_second_stop_does_not_wait_for_requests(tmp_path: Path) -> None:
    with site_in(tmp_path, Faults(rules=(Rule(fault="stall-after", names=("m1",)),))) as site:
        async with open_jobs() as jobs:
            job = jobs.submit(site.task("run", path=site.write(4)))
            await until_true(lambda: "m1" in site.names())
            await jobs.stop(job)
            await jobs.stop(job)
            end = await ended(jobs, job)
            assert (end.is_interrupted, end.counts["created"]) == (True, 1)
            site.sandbox.set_faults(Faults())
            again = await ended(jobs, jobs.submit(site.task("resume", run=end.run)))
        assert (again.exit_code, site.names()) == (0, ["m0", "m1", "m2", "m3"])


async def test_a_worker_waits_for_another_process_that_has_locked_the_store(site: Site) -> None:
    async with open_jobs() as jobs:
        with Store(site.output) as store:
            store.lock()
            job = jobs.submit(site.task("run", path=site.write(2)))
            state = await until(jobs, job, lambda state: state.waiting_for)
            assert state.phase == "waiting"
            assert state.waiting_for.startswith("another bulkload that uses this folder")
        assert (await ended(jobs, job)).exit_code == 0
    assert site.names() == ["m0", "m1"]


async def test_a_job_that_waits_for_another_process_can_be_stopped(site: Site) -> None:
    async with open_jobs() as jobs:
        with Store(site.output) as store:
            store.lock()
            job = jobs.submit(site.task("run", path=site.write(2)))
            await until(jobs, job, lambda state: state.waiting_for)
            await jobs.stop(job)
            end = await ended(jobs, job)
    assert (end.is_interrupted, end.stopped) == (True, "Stopped on request, before anything was sent.")
    assert site.names() == []


async def test_jobs_run_one_after_the_other_in_their_order(slow_site: Site) -> None:
    order: list[str] = []

    async def note(jobs: Jobs, job: Job) -> None:
        await until(jobs, job, lambda state: state.run)
        order.append(job.state.name)
        assert [other for other in jobs.active() if other.state.phase == "running"] == [job]
        await ended(jobs, job)

    async with open_jobs() as jobs:
        made = [
            jobs.submit(slow_site.task("run", path=slow_site.write(2, f"{name}.csv", name), name=f"{name}.csv"))
            for name in ("one", "two", "three", "four")
        ]
        await until(jobs, made[1], lambda state: state.waiting_for == "the run of one.csv")
        await jobs.stop(made[2])
        await asyncio.gather(*(note(jobs, job) for job in made if job is not made[2]))
        assert order == ["one.csv", "two.csv", "four.csv"]
        assert len(slow_site.names()) == 6
        assert (made[2].state.ended, jobs.active()) != (None, [])
        assert jobs.active() == []


async def test_two_clicks_start_one_run(site: Site) -> None:
    async with open_jobs() as jobs:
        task = site.task("run", path=site.write(2))
        job = jobs.submit(task)
        assert jobs.submit(task) is job
        found = (jobs.of_draft(task.draft), jobs.get(job.id), jobs.of_draft("another"), jobs.of_draft(""))
        assert found == (job, job, None, None)
        end = await ended(jobs, job)
        assert jobs.of_run(end.run) is job
        again = jobs.submit(site.task("resume", run=end.run))
        assert again is not job
        assert jobs.submit(site.task("resume", run=end.run)) is again
        with pytest.raises(InUse, match="is under way") as caught:
            jobs.submit(site.task("undo", run=end.run))
        assert caught.value.job is again
        assert jobs.of_run(end.run) is again
        await ended(jobs, again)
    assert site.sandbox.counts()["create"] == 2


async def test_a_plan_predicts_and_leaves_no_run(site: Site) -> None:
    path = site.write(3)
    async with open_jobs() as jobs:
        end = await ended(jobs, jobs.submit(site.task("plan", path=path)))
    assert (end.exit_code, dict(end.counts), end.run) == (0, {"will create": 3}, "")
    assert site.names() == []
    with Store(site.output) as store:
        assert store.runs() == []


async def test_an_undo_is_previewed_and_carried_out(site: Site) -> None:
    async with open_jobs() as jobs:
        run = (await ended(jobs, jobs.submit(site.task("run", path=site.write(3))))).run
        edited = next(monitor for monitor in site.sandbox.monitors() if monitor["name"] == "m1")
        await asyncio.to_thread(edit, site, edited)
        preview = await ended(jobs, jobs.submit(site.task("undo_preview", run=run)))
        assert (preview.exit_code, dict(preview.removals), len(site.names())) == (0, {"deleted": 2, "edited": 1}, 3)
        assert [(line.row, line.name, line.result) for line in preview.planned] == [
            (2, "m0", "deleted"),
            (3, "m1", "edited"),
            (4, "m2", "deleted"),
        ]
        assert "other.example.com" in preview.planned[1].reason
        undone = await ended(jobs, jobs.submit(site.task("undo", run=run, user="ann")))
    assert (dict(undone.removals), site.names()) == ({"deleted": 2, "edited": 1}, ["m1"])
    settings = settings_of(site, run)
    assert settings["undone by"] == "ann"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: 2 monitors deleted, 1 kept", settings["undone"])


def api(site: Site, method: str, path: str, body: object, token: str = "") -> Any:
    """Send a request, as another user of the account would."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = json.dumps(body).encode()
    request = urllib.request.Request(site.sandbox.base_url + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read() or b"null")


def log_in(site: Site) -> str:
    user = {"username": site.account.username, "password": PASSWORD}
    return str(api(site, "POST", "/access-tokens", user)["access_token"])


def edit(site: Site, monitor: Mapping[str, object]) -> None:
    path = f"/monitors/{monitor['type']}/{monitor['id']}"
    api(site, "PATCH", path, {"hostname": "other.example.com"}, log_in(site))


async def test_errors_end_the_job_with_their_message(site: Site) -> None:
    path = site.folder / "bad.csv"
    path.write_text("nonsense\nx\n", encoding="utf-8")
    async with open_jobs() as jobs:
        unclear = await ended(jobs, jobs.submit(site.task("run", path=path)))
        missing = await ended(jobs, jobs.submit(site.task("resume", run="20990101T000000-ffff")))
        site.account = site.account.model_copy(update={"password": SecretStr("wrong password")})
        refused = await ended(jobs, jobs.submit(site.task("plan", path=site.write(1))))
    assert (unclear.exit_code, unclear.run) == (2, "")
    assert unclear.stopped == "The draft's columns are not chosen yet."
    assert (missing.exit_code, missing.stopped) == (2, "There is no run 20990101T000000-ffff.")
    assert refused.exit_code == 3
    assert "refuses the login" in str(refused.stopped)
    assert "wrong password" not in str(refused)


async def test_secrets_are_in_no_event_and_not_in_the_process_list(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[bytes] = []
    follow = _Worker._follow

    async def recorded(worker: _Worker, stdout: asyncio.StreamReader) -> None:
        copy = asyncio.StreamReader()
        while line := await stdout.readline():
            events.append(line)
            copy.feed_data(line)
        copy.feed_eof()
        await follow(worker, copy)

    monkeypatch.setattr(_Worker, "_follow", recorded)
    site.sandbox.set_faults(SLOW)
    async with open_jobs() as jobs:
        job = jobs.submit(site.task("run", path=site.write(3), options={"log_level": "debug"}))
        await until_true(lambda: site.names())
        process = Path(f"/proc/{process_id(job)}")
        exposed = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        end = await ended(jobs, job)
        token = await asyncio.to_thread(log_in, site)
        site.account = Account(base_url=site.account.base_url, username=site.account.username, token=SecretStr(token))
        with_token = await ended(jobs, jobs.submit(site.task("resume", run=end.run)))
    assert b"bulkload.web.worker" in exposed
    assert PASSWORD.encode() not in exposed
    assert b"ALERTSITE_" not in exposed
    assert (end.exit_code, with_token.exit_code) == (0, 0)
    output = b"".join(events)
    assert output.count(b'"log"') > 3  # the debug log is part of it
    assert PASSWORD.encode() not in output
    assert token.encode() not in output


async def test_two_readers_see_the_same_job_each_at_its_own_speed(slow_site: Site) -> None:
    async def read(jobs: Jobs, job: Job, pause: float) -> list[JobState]:
        seen = []
        async with aclosing(jobs.changes(job)) as states:
            async for state in states:
                seen.append(state)
                await asyncio.sleep(pause)
        return seen

    async with open_jobs() as jobs:
        job = jobs.submit(slow_site.task("run", path=slow_site.write(6)))
        fast, slow = await asyncio.gather(read(jobs, job, 0), read(jobs, job, 0.7))
        assert fast[-1] is slow[-1] is job.state
        assert fast[-1].ended is not None
        assert len(slow) <= len(fast)
        assert all(slow[index] is not slow[index + 1] for index in range(len(slow) - 1))
        assert await read(jobs, job, 0) == [job.state]
        assert jobs.readers == 0


async def test_ended_jobs_are_forgotten_in_their_order(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulkload.web.jobs.MAX_ENDED", 2)
    monkeypatch.setattr("bulkload.web.jobs.MAX_WAITING", 3)
    async with open_jobs() as jobs:
        path = site.write(1)
        made = [jobs.submit(site.task("plan", path=path)) for _ in range(4)]
        with pytest.raises(UsageError, match="3 jobs are waiting"):
            jobs.submit(site.task("plan", path=path))
        for job in made[::-1]:
            await jobs.stop(job)
            await ended(jobs, job)
        last = jobs.submit(site.task("plan", path=path))
        assert [jobs.get(job.id) for job in [*made, last]] == [None, None, *made[2:], last]
        await ended(jobs, last)


async def test_closing_does_not_hurry_a_run_that_is_stopping(tmp_path: Path) -> None:
    """Its request in flight finishes, so that no row is left in doubt."""
    with site_in(tmp_path, Faults(rules=(Rule(fault="slow", seconds=1.0),))) as site:
        jobs = Jobs()
        job = jobs.submit(site.task("run", path=site.write(5)))
        await until_true(lambda: len(site.names()) >= 2)
        await jobs.stop(job)
        await jobs.close()
        assert job.state.ended is not None
        assert job.state.ended.counts["created"] == len(site.names())
        assert "unknown" not in job.state.ended.counts


async def test_a_worker_finds_no_module_in_the_current_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be started in a folder of other people's files."""
    (site.folder / "asyncio.py").write_text("raise SystemExit('wrong module')\n")
    monkeypatch.chdir(site.folder)
    async with open_jobs() as jobs:
        end = await ended(jobs, jobs.submit(site.task("plan", path=site.write(1))))
    assert end.exit_code == 0


def test_a_run_of_the_page_can_be_resumed_and_undone_in_the_terminal(site: Site, cli: CommandLine) -> None:
    async def try_one() -> Ended:
        async with open_jobs() as jobs:
            return await ended(jobs, jobs.submit(site.task("run", path=site.write(4), first=1)))

    run = asyncio.run(try_one()).run
    cli.use_account(site.sandbox.base_url, site.account.username, PASSWORD)
    output = ("--output", site.output, "--rate", "unlimited")
    resumed = cli("resume", run, "--json", *output)
    assert (resumed.exit_code, resumed.json["counts"]) == (0, {"created": 4})
    assert [Path(path).name for path in resumed.json["results"]] == [f"hosts-{run}-results.xlsx"]
    undone = cli("undo", run, "--yes", *output)
    assert (undone.exit_code, site.names()) == (0, [])
