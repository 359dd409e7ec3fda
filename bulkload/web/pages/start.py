"""The start page, and how a file becomes a draft.

In: an upload. Out: a draft that is being read, and the page that waits for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from bulkload.operations.draft_columns import NO_HEADER, defaults_by_field
from bulkload.reports.summary import number_of
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import LEFT_OUT
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.runs import Store
from bulkload.web.access import access_of, checks_token_itself
from bulkload.web.pages.draft_view import BAD
from bulkload.web.pages.reading import begin_reading
from bulkload.web.pages.runs import active_runs, run_lines
from bulkload.web.pages.texts import moment
from bulkload.web.site import frame_of, go_to, page, site_of
from bulkload.web.state import OPTIONS, UPLOADS
from bulkload.web.uploads import MAX_UPLOAD
from bulkload.web.views import DraftLine

DRAFTS_SHOWN, RUNS_SHOWN = 12, 5
_HOST_LIST = "Each host of the list is also the name of its monitor; change a name in its row if you want another one."


async def start(request: web.Request) -> web.Response:
    """Show how to give a file, the drafts, and the last runs."""
    site = site_of(request)
    active = active_runs(site.jobs)

    def gather(store: Store) -> dict[str, Any]:
        return {
            "drafts": _draft_lines(store, was_run=False),
            "run_drafts": _draft_lines(store, was_run=True),
            "runs": run_lines(store, active, RUNS_SHOWN),
        }

    context = await site.store(gather)
    return page(
        request,
        "start.html",
        frame_of(request, "Create mail monitors", section="start"),
        limits=f"At most {MAX_UPLOAD >> 20} MB.",
        max_bytes=MAX_UPLOAD,
        **context,
    )


@checks_token_itself
async def upload(request: web.Request) -> web.Response:
    """Make a draft of an uploaded file or of pasted rows, and begin to read it."""
    site, options = site_of(request), request.app[OPTIONS]
    async with request.app[UPLOADS].receive(request) as received:
        draft = await site.store(
            lambda store: Drafts(store).create(
                received.name,
                received.path.name,
                user=access_of(request).user,
                defaults=defaults_by_field(options.set),
                is_rehearsal=options.sandbox,
                on_existing="update" if options.on_existing == "update" else "skip",
                reading={NO_HEADER: "yes"} if received.no_header else {},
            )
        )
        reading = begin_reading(site, options, draft)
    # outside of the block, which would remove the file if the server stops while this waits
    await asyncio.wait({reading}, timeout=site.read_patience)
    message = _HOST_LIST if received.is_host_list else ""
    return go_to(request, f"/drafts/{draft.id}", message)


def _draft_lines(store: Store, *, was_run: bool) -> list[DraftLine]:
    return [
        DraftLine(
            href=f"/drafts/{draft.id}",
            name=draft.name,
            state=_state(store, draft),
            changed=moment(draft.changed),
            is_rehearsal=draft.is_rehearsal,
        )
        for draft in Drafts(store).list(DRAFTS_SHOWN, was_run=was_run)
    ]


def _state(store: Store, draft: Draft) -> str:
    match draft.state:
        case DraftState.READING | DraftState.CHECKING:
            return "Being read."
        case DraftState.UNREADABLE:
            return "It cannot be read."
        case DraftState.COLUMNS:
            return "Next: choose what its columns mean."
    counts = DraftPages(store, draft).counts()
    bad, rows = sum(counts.get(status, 0) for status in BAD), sum(counts.values()) - counts.get(LEFT_OUT, 0)
    checked = f"{number_of(rows, 'row')}, {bad:,} with errors." if bad else f"{number_of(rows, 'row')}, no errors."
    return f"{checked} Run {draft.run_id} was made of it." if draft.run_id else checked
