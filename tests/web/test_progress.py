"""Browsers get the states of a job as server-sent events, until it ends or they leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bulkload.store.runs import Store
from bulkload.web.jobs import Job, Jobs, JobState
from bulkload.web.progress import event, stream
from tests.support.web_jobs import SLOW, Site, ended, open_jobs, site_in, until, until_true


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path, SLOW) as site:
        yield site


async def render(state: JobState) -> str:
    done = state.progress.done if state.progress else 0
    return f"<p>{state.phase}</p>\n<p>{state.waiting_for}</p>\r\n<p>{done}</p>"


@asynccontextmanager
async def served(jobs: Jobs, job: Job) -> AsyncIterator[str]:
    """A server whose every path is the stream of this job; its address."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await stream(request, jobs, job, render)

    app = web.Application()
    app.router.add_get("/{any:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_a_stream_shows_every_step_and_ends_with_the_job(site: Site) -> None:
    async with open_jobs() as jobs:
        job = jobs.submit(site.task("run", path=site.write(4)))
        async with served(jobs, job) as address, aiohttp.ClientSession() as client, client.get(address) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert response.headers["Cache-Control"] == "no-store"
            text = await response.text()  # it ends by itself
        first, *events, rest = text.split("\n\n")
        assert (first, rest) == ("retry: 2000", "")
        *names, last = [each.partition("\n")[0] for each in events]
        assert (set(names), last) == ({"event: progress"}, "event: ended")
        assert len(events) == len(set(events)) > 1
        assert events[-1].splitlines()[1:] == ["data: <p>ended</p>", "data: <p></p>", "data: <p>4</p>"]
        async with served(jobs, job) as address, aiohttp.ClientSession() as client, client.get(address) as response:
            assert (await response.text()).split("\n\n")[1] == events[-1]


async def test_streams_are_limited_and_a_browser_that_leaves_makes_room(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkload.web.progress.MAX_STREAMS", 2)
    monkeypatch.setattr("bulkload.web.progress.LOOK_UP", 0.02)
    monkeypatch.setattr("bulkload.web.progress.KEEP_ALIVE", 0.05)
    with Store(site.output) as store:
        store.lock()  # so that the job waits, and no event shows that the browser has left
        async with open_jobs() as jobs:
            job = jobs.submit(site.task("run", path=site.write(1)))
            await until(jobs, job, lambda state: state.waiting_for)
            async with served(jobs, job) as address, aiohttp.ClientSession() as client:
                first, second = await client.get(address), await client.get(address)
                async with client.get(address) as third:
                    assert (third.status, third.headers["Retry-After"]) == (503, "10")
                await second.content.readuntil(b": waiting\n\n")  # the connection is kept alive
                first.close()
                await until_true(lambda: jobs.readers == 1)
                async with client.get(address) as third:
                    assert third.status == 200
                second.close()
                await until_true(lambda: jobs.readers == 0)
            await jobs.stop(job)
            await ended(jobs, job)


async def test_streams_end_with_the_server(site: Site) -> None:
    jobs = Jobs()
    job = jobs.submit(site.task("run", path=site.write(20)))
    async with served(jobs, job) as address, aiohttp.ClientSession() as client, client.get(address) as response:
        await until_true(lambda: len(site.names()) >= 2)
        _, text = await asyncio.gather(jobs.close(), response.text())
    assert "<p>stopping</p>" in text
    assert "event: ended" in text


def test_no_text_can_end_an_event_early() -> None:
    assert event("progress", "a\n\nevent: ended\r\rdata: x\u2028y") == (
        "event: progress\ndata: a\ndata: \ndata: event: ended\ndata: \ndata: data: x\u2028y\n\n"
    )
