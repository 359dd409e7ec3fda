"""The pages of jobs: one that waits or works, and where its user goes when it has ended.

In: a job. Out: its progress, as a page and as a stream of events; a redirect to its result.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from bulkload.files.printable import printable
from bulkload.web.access import access_of
from bulkload.web.jobs import Job, JobState
from bulkload.web.pages.progress_view import progress_html, progress_view
from bulkload.web.progress import has_ended, stream
from bulkload.web.responses import RequestError
from bulkload.web.site import frame_of, go_to, page, site_of
from bulkload.web.wording import on_page

SHORT = 1.0  # seconds in which a job often ends, so that no page of its own is shown
UNTIL_RESULT = "until=result"  # of the page of a job, which is left as soon as there is more to see
_TITLES = {
    "plan": "Comparing with the account",
    "run": "Creating monitors",
    "resume": "Creating monitors",
    "undo_preview": "What would be deleted",
    "undo": "Deleting monitors",
}


def job_of(request: web.Request) -> Job:
    """The job that the address names."""
    job = site_of(request).jobs.get(request.match_info["job"])
    if job is None:
        raise RequestError(
            "This job ended some time ago, or the server was started again since. What was given and created is on the"
            " start page.",
            404,
        )
    return job


async def show(request: web.Request) -> web.Response:
    """Show the progress of a job; when it has ended or has a page of its run, go there."""
    job = job_of(request)
    await _wait_shortly(request, job)
    state = job.state
    if _has_result(state):
        return after(request, state)
    is_plan = state.kind in ("plan", "run")
    frame = frame_of(request, _TITLES[state.kind], section="start" if is_plan else "runs", refresh_seconds=2)
    return page(
        request,
        "job.html",
        frame,
        name=printable(state.name),
        progress=progress_view(state),
        events_href=f"/jobs/{state.id}/events?{UNTIL_RESULT}",
        plan_href=f"/drafts/{state.draft}/start" if state.kind == "plan" else "",
        back_href=f"/drafts/{state.draft}" if state.draft else f"/runs/{state.run}",
        back_label="Back to the rows" if state.draft else "Back to the run",
    )


def after(request: web.Request, state: JobState) -> web.Response:
    """Send the user to the result of a job."""
    stopped = (state.ended.stopped or "") if state.ended is not None else ""
    match state.kind:
        case "plan":
            return go_to(request, f"/drafts/{state.draft}/start", on_page(stopped), is_problem=bool(stopped))
        case "undo_preview" if state.ended is not None and not stopped:
            return go_to(request, f"/runs/{state.run}/undo?job={state.id}")
        case "run" if not state.run:
            return go_to(request, f"/drafts/{state.draft}/start", on_page(stopped), is_problem=True)
    shown = on_page(stopped) if state.kind in ("undo", "undo_preview") else ""
    return go_to(request, f"/runs/{state.run}", shown, is_problem=bool(shown))


async def events(request: web.Request) -> web.StreamResponse:
    """Stream the progress of a job, to its end or until its run has a page of its own."""
    job, token = job_of(request), access_of(request).form_token

    async def rendered(state: JobState) -> str:
        return progress_html(state, token)

    is_last = _has_result if request.query_string == UNTIL_RESULT else has_ended
    return await stream(request, site_of(request).jobs, job, rendered, is_last)


async def stop(request: web.Request) -> web.Response:
    """Ask a job to stop in order; asked again, without delay."""
    job = job_of(request)
    await site_of(request).jobs.stop(job)
    is_run = job.state.kind in ("run", "resume")
    text = "It is stopping. Nothing is lost: you can resume the run." if is_run else "It is stopping."
    return go_to(request, f"/jobs/{job.id}", text)


def _has_result(state: JobState) -> bool:
    """True if a job has ended, or has the page of its run."""
    return has_ended(state) or (bool(state.run) and state.kind in ("run", "resume", "undo"))


async def _wait_shortly(request: web.Request, job: Job) -> None:
    """Wait until a job has ended or has begun its run, but not for long."""

    async def until_something_to_show() -> None:
        async for state in site_of(request).jobs.changes(job):
            if _has_result(state):
                return

    task = asyncio.ensure_future(until_something_to_show())
    await asyncio.wait({task}, timeout=SHORT)
    task.cancel()
