"""The history, and the page of a run: watch it, filter its rows, download, stop, resume, fix.

In: runs in the store, and the jobs that work on them. Out: pages, files, and new jobs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from bulkload.errors import ExitCode, Interrupted, UsageError
from bulkload.files.printable import printable
from bulkload.model import RunInfo, Status
from bulkload.operations.draft_of_run import draft_of_run, known_draft_of_run
from bulkload.operations.forecast_texts import Fact
from bulkload.operations.pipeline import SANDBOX
from bulkload.operations.undo import UNDONE, UNDONE_BY
from bulkload.reports import formats
from bulkload.reports.summary import TO_FIX, TO_REPEAT, headline, moment, number_of, sections
from bulkload.settings import has_credentials
from bulkload.store.run_pages import RunPages, created_monitors
from bulkload.store.runs import Run, Store
from bulkload.web.access import access_of
from bulkload.web.jobs import InUse, Job, Jobs
from bulkload.web.messages import Kind, Task
from bulkload.web.pages.progress_view import progress_view
from bulkload.web.pages.row_table import TableQuery, run_table
from bulkload.web.pages.texts import bars_of
from bulkload.web.site import download, frame_of, go_to, page, run_named, site_of
from bulkload.web.state import OPTIONS
from bulkload.web.views import Download, RunLine, RunView
from bulkload.web.wording import on_page
from bulkload.web.worker import STARTED_BY

RUNS_OF_PAGE = 30
SOON, REFRESH = 1, 5  # seconds until a page of a run that goes on is loaded again: it has just begun, or it goes on
_DOWNLOADS = (("xlsx", "Excel workbook"), ("csv", "CSV"), ("html", "web page"))
_STOPPED = {  # what the store says after a signal, for people who sent none
    str(Interrupted(ExitCode.INTERRUPTED)): "It was stopped on request.",
    str(Interrupted(ExitCode.TERMINATED)): "The server was stopped, or the process was ended.",
}
_HIDDEN_SETTINGS = (UNDONE, UNDONE_BY)  # shown elsewhere on the page


async def history(request: web.Request) -> web.Response:
    """List all runs, the newest first."""
    site = site_of(request)
    query = replace(TableQuery.of("/runs", request.query), rows=RUNS_OF_PAGE)
    active = active_runs(site.jobs)

    def gather(store: Store) -> tuple[list[RunLine], int]:
        total = store.count_runs()
        return run_lines(store, active, RUNS_OF_PAGE, query.offset(total)), total

    runs, total = await site.store(gather)
    pager = query.pager(total) if total > RUNS_OF_PAGE else None
    return page(request, "runs.html", frame_of(request, "Runs", section="runs"), runs=runs, pager=pager)


async def show(request: web.Request) -> web.Response:
    """Show a run: its progress while a job of this server works on it, then its results."""
    site, run_id = site_of(request), request.match_info["run"]
    job = site.jobs.of_run(run_id)
    active = job if job is not None and job.state.ended is None and job.state.kind != "undo_preview" else None
    query = TableQuery.of(f"/runs/{run_id}", request.query)

    def gather(store: Store) -> dict[str, Any]:
        run = run_named(store, run_id)
        info = store.info(run)
        pages = RunPages(store=store, run=run, status=query.status, search=query.search, is_active=active is not None)
        counts = pages.counts()
        return {
            "run": view_of_run(store, run, info, active),
            "bars": bars_of(counts),
            "table": run_table(pages, counts, query),
            "is_rehearsal": run.base_url == SANDBOX,
        }

    context = await site.store(gather)
    is_rehearsal = bool(context.pop("is_rehearsal"))
    title = "Results" if active is None else "Creating monitors" if active.state.kind != "undo" else "Deleting monitors"
    refresh = None
    if active is not None:
        refresh = REFRESH if active.state.progress is not None else SOON
    frame = frame_of(request, title, section="runs", is_rehearsal=is_rehearsal, refresh_seconds=refresh)
    progress = progress_view(active.state) if active is not None else None
    return page(request, "run.html", frame, progress=progress, **context)


async def results(request: web.Request) -> web.StreamResponse:
    """Send the results of a run as they are now."""
    site, run_id, suffix = site_of(request), request.match_info["run"], request.match_info["format"]
    run = await site.store(lambda store: run_named(store, run_id))

    def write(store: Store, path: Path) -> None:
        formats.write(path, store.info(run), store.report_rows(run), output=store.path.parent)

    name = f"{Path(run.input).stem}-results.{suffix}"
    return await download(request, name, lambda path: site.store.long(write, path))


async def stop(request: web.Request) -> web.Response:
    """Stop the job of a run."""
    site, run_id = site_of(request), request.match_info["run"]
    job = site.jobs.of_run(run_id)
    if job is None or job.state.ended is not None:
        return go_to(request, f"/runs/{run_id}", "The run is not being worked on by this server.")
    await site.jobs.stop(job)
    return go_to(request, f"/runs/{run_id}", "It is stopping. Nothing is lost: you can resume the run.")


async def resume(request: web.Request) -> web.Response:
    """Go on with a run: rows that were not sent, and those that were given up."""
    return await submit_for_run(request, "resume")


async def fix(request: web.Request) -> web.Response:
    """Make a draft of the rows that have to be fixed, unless there is one."""
    site, run_id = site_of(request), request.match_info["run"]
    user = access_of(request).user
    async with site.draft_locks[f"of run {run_id}"]:
        known = await site.store(lambda store: known_draft_of_run(store, run_named(store, run_id)))
        if known is not None:
            return go_to(request, f"/drafts/{known.id}", "These rows are being fixed already: this is that draft.")
        draft = await site.store.long(lambda store: draft_of_run(store, run_named(store, run_id), user))
    return go_to(
        request,
        f"/drafts/{draft.id}",
        "These are the rows of the run that were not created. Correct them, then compare and create them.",
    )


async def submit_for_run(request: web.Request, kind: Kind, *, include_edited: bool = False) -> web.Response:
    """Queue a job for a run. It needs the account that the run belongs to."""
    site, options, run_id = site_of(request), request.app[OPTIONS], request.match_info["run"]
    run = await site.store(lambda store: run_named(store, run_id))
    account = site.account_of(request)
    is_rehearsal = run.base_url == SANDBOX
    if not is_rehearsal:
        if options.sandbox:
            raise UsageError("This server was started with --sandbox, and the run belongs to a real account.")
        if not has_credentials(account):
            return go_to(request, f"/account?next=/runs/{run.id}", f"Log in as {run.username} first.", is_problem=True)
    task = Task(
        kind=kind,
        account=account,
        options=options.model_copy(update={"sandbox": is_rehearsal}),
        run=run.id,
        name=run.input,
        include_edited=include_edited,
        user=access_of(request).user,
    )
    try:
        job = site.jobs.submit(task)
    except InUse as error:
        return go_to(request, f"/jobs/{error.job.id}", str(error), is_problem=True)
    return go_to(request, f"/jobs/{job.id}")


def active_runs(jobs: Jobs) -> frozenset[str]:
    """The runs that a job of this server works on."""
    return frozenset(job.state.run for job in jobs.active() if job.state.run)


def run_lines(store: Store, active: Collection[str], limit: int, offset: int = 0) -> list[RunLine]:
    """Runs in a list, the newest first."""
    lines = []
    for run in store.runs(limit, offset):
        info = store.info(run)
        lines.append(
            RunLine(
                href=f"/runs/{run.id}",
                run_id=run.id,
                name=printable(Path(run.input).name or run.input),
                started=moment(info.started),
                user=printable(info.settings.get(STARTED_BY, "")),
                how=on_page(_how(run, info)),
                bars=bars_of({status.value: count for status, count in info.counts.items()}),
                is_rehearsal=run.base_url == SANDBOX,
                is_active=run.id in active,
                undo_href=f"/runs/{run.id}/undo" if run.id not in active and created_monitors(store, run) else "",
            )
        )
    return lines


def _how(run: Run, info: RunInfo) -> str:
    how = headline(info)
    if info.stopped:
        return f"{how} Stopped early: {_STOPPED.get(info.stopped, info.stopped)}"
    return how if run.finished else f"Not finished. {how}"


def view_of_run(store: Store, run: Run, info: RunInfo, job: Job | None) -> RunView:
    """A run; `job` works on it now."""
    again = sum(info.counts.get(status, 0) for status in TO_REPEAT)
    not_sent = info.counts.get(Status.NOT_ATTEMPTED, 0)
    is_tried = "first" in info.settings and not info.stopped and not_sent == again > 0
    label = (
        f"Create the other {number_of(not_sent, 'monitor')}"
        if is_tried
        else f"Resume: {number_of(again, 'row')} to run again"
    )
    fixable = sum(info.counts.get(status, 0) for status in TO_FIX)
    stopped = info.stopped
    if is_stopped_on_request := stopped in _STOPPED:
        stopped = f"{_STOPPED[stopped]} Nothing is lost: you can go on where it stopped."
    if job is None and not run.finished:
        stopped = (
            "This run is not finished: the process that worked on it has ended, or another bulkload, in a terminal or"
            " from cron, is working on it now. Nothing is lost."
        )
    return RunView(
        href=f"/runs/{run.id}",
        run_id=run.id,
        name=printable(Path(run.input).name or run.input),
        headline=on_page(headline(info)),
        stopped=on_page(stopped) if job is None else "",
        is_stopped_on_request=is_stopped_on_request and run.finished,
        undone=printable(_undone(info)) if job is None else "",
        is_active=job is not None,
        as_of=f"{datetime.now():%H:%M:%S}" if job is not None else "",
        is_tried=is_tried,
        facts=_facts(info),
        downloads=[Download(href=f"/runs/{run.id}/results.{suffix}", label=label) for suffix, label in _DOWNLOADS],
        events_href=f"/jobs/{job.id}/events" if job is not None else "",
        can_resume=job is None and again > 0 and run.read_whole,
        resume_label=label,
        can_fix=fixable if job is None else 0,
        can_undo=created_monitors(store, run) if job is None else 0,
    )


def _undone(info: RunInfo) -> str:
    what, by = info.settings.get(UNDONE, ""), info.settings.get(UNDONE_BY, "")
    return f"{what}, by {by}." if what and by else f"{what}." if what else ""


def _facts(info: RunInfo) -> list[Fact]:
    facts = []
    for section in sections(info):
        for label, text in section.facts:
            if label.casefold() not in _HIDDEN_SETTINGS:
                name = f"Requests {label.lower()}" if section.title == "Requests" else label
                facts.append(Fact(label=printable(name), text=printable(text)))
    return facts
