"""The addresses of the pages, and what they share while the server runs.

In: the application. Out: the same, with its pages.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from bulkload.operations.draft_retention import delete_old_drafts
from bulkload.operations.draft_upload import UPLOADS
from bulkload.web.jobs import Jobs
from bulkload.web.pages import account, columns, drafts, forecast, jobs, runs, start, template, undo
from bulkload.web.pages.reading import finish_interrupted
from bulkload.web.site import SITE, Site, StoreThread
from bulkload.web.state import OPTIONS

DRAFT, RUN, JOB = "/drafts/{draft}", "/runs/{run}", "/jobs/{job}"


def add_pages(app: web.Application) -> None:
    """Add all pages, and open and close what they share with the application."""
    app.router.add_routes(
        [
            web.get("/", start.start),
            web.post("/drafts", start.upload),
            web.get(DRAFT, drafts.show),
            web.get(f"{DRAFT}/columns", columns.show),
            web.post(f"{DRAFT}/columns", columns.choose),
            web.post(f"{DRAFT}/read", columns.read_again),
            web.post(f"{DRAFT}/edit", drafts.edit),
            web.post(f"{DRAFT}/fix", drafts.fix),
            web.post(f"{DRAFT}/fill", drafts.fill),
            web.post(f"{DRAFT}/leave-out", drafts.leave_out),
            web.post(f"{DRAFT}/accept", drafts.accept),
            web.post(f"{DRAFT}/take-back", drafts.take_back),
            web.post(f"{DRAFT}/delete", drafts.delete),
            web.get(f"{DRAFT}/marked.xlsx", drafts.marked),
            web.get(f"{DRAFT}/converted.xlsx", drafts.converted),
            web.get(f"{DRAFT}/start", forecast.show),
            web.post(f"{DRAFT}/plan", forecast.plan),
            web.post(f"{DRAFT}/start", forecast.begin),
            web.get(JOB, jobs.show),
            web.get(f"{JOB}/events", jobs.events),
            web.post(f"{JOB}/stop", jobs.stop),
            web.get("/runs", runs.history),
            web.get(RUN, runs.show),
            web.get(f"{RUN}/results.{{format:xlsx|csv|html}}", runs.results),
            web.post(f"{RUN}/stop", runs.stop),
            web.post(f"{RUN}/resume", runs.resume),
            web.post(f"{RUN}/fix", runs.fix),
            web.get(f"{RUN}/undo", undo.preview),
            web.post(f"{RUN}/undo", undo.undo),
            web.get("/account", account.show),
            web.post("/account", account.log_in),
            web.get("/template.xlsx", template.show),
        ]
    )
    app.on_startup.append(_open)
    app.on_shutdown.append(_end_jobs)
    app.on_cleanup.append(_close)


async def _open(app: web.Application) -> None:
    site = Site(store=StoreThread(app[OPTIONS]), jobs=Jobs())
    app[SITE] = site
    await site.store(delete_old_drafts, app[OPTIONS].output / UPLOADS)
    await finish_interrupted(site, app[OPTIONS])


async def _end_jobs(app: web.Application) -> None:
    await app[SITE].jobs.close()


async def _close(app: web.Application) -> None:
    site = app[SITE]
    site.ends_reading.set()
    await asyncio.gather(*site.reading, return_exceptions=True)
    await site.store.close()
