"""Stream the state of a job to a browser, as server-sent events.

In: a job, and a function that renders its state. Out: `progress` events with HTML, and one `ended` event. A stream ends
with its job, which ends with the server at the latest, when there is another page to see, and when the browser leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from aiohttp import web

from bulkload.web.jobs import Job, Jobs, JobState

MAX_STREAMS = 100
RETRY_AFTER = 10  # seconds until a browser that got no stream may ask again
RECONNECT = 2000  # milliseconds until a browser opens a stream again that broke
KEEP_ALIVE = 15.0  # seconds between comments, so that proxies do not close a silent stream
LOOK_UP = 1.0  # seconds between looks whether the browser is still there
MAX_WRITE = 30.0  # seconds that a browser may take to accept an event

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would collect the events
}

Render = Callable[[JobState], Awaitable[str]]


def has_ended(state: JobState) -> bool:
    """True if a job does nothing more."""
    return state.ended is not None


async def stream(
    request: web.Request, jobs: Jobs, job: Job, render: Render, is_last: Callable[[JobState], bool] = has_ended
) -> web.StreamResponse:
    """Answer a request with the states of a job, as they change, up to the last one that the page shows."""
    if jobs.readers >= MAX_STREAMS:
        headers = {"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"}
        return web.Response(status=503, text="Too many pages are watching.\n", headers=headers)
    async with contextlib.aclosing(jobs.changes(job)) as states:
        state = await anext(states)
        response = web.StreamResponse(headers=HEADERS)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await response.prepare(request)
            await _write(response, f"retry: {RECONNECT}\n\n")
            last = ""
            while not is_last(state):
                if (html := await render(state)) != last:
                    await _write(response, event("progress", html))
                    last = html
                if (change := await _next(states, request, response)) is None:
                    return response
                state = change
            await _write(response, event("ended", await render(state)))
    return response


async def _next(
    states: AsyncGenerator[JobState, None], request: web.Request, response: web.StreamResponse
) -> JobState | None:
    """The next state; None if the browser has left. Sends comments while there is none."""
    coming = asyncio.ensure_future(anext(states))
    silent_since = time.monotonic()
    try:
        while not (await asyncio.wait({coming}, timeout=LOOK_UP))[0]:
            if request.transport is None or request.transport.is_closing():
                return None
            if time.monotonic() - silent_since >= KEEP_ALIVE:
                await _write(response, ": waiting\n\n")
                silent_since = time.monotonic()
        return coming.result()
    finally:
        if coming.cancel():
            await asyncio.wait({coming})


async def _write(response: web.StreamResponse, text: str) -> None:
    """Send a text; raises `TimeoutError` if the browser does not take it."""
    async with asyncio.timeout(MAX_WRITE):
        await response.write(text.encode())


def event(name: str, text: str) -> str:
    """One event; a text of several lines has them all."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join([f"event: {name}\n", *(f"data: {line}\n" for line in lines), "\n"])
