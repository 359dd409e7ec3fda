"""Undo a run: first what would be deleted, then the deletion.

In: a run. Out: a preview as a job, its result as a page, and the undo as a job.
"""

from __future__ import annotations

from aiohttp import web

from bulkload.files.printable import printable
from bulkload.operations.pipeline import SANDBOX
from bulkload.operations.removal import RemovalResult
from bulkload.web.access import read_form
from bulkload.web.jobs import JobState
from bulkload.web.pages.runs import submit_for_run, view_of_run
from bulkload.web.site import frame_of, go_to, page, run_named, site_of
from bulkload.web.views import RemovalLine, RemovalView

_ACTIONS = {
    RemovalResult.DELETED: "delete",
    RemovalResult.GONE: "already gone",
    RemovalResult.EDITED: "keep",
    RemovalResult.REFUSED: "keep",
}


async def preview(request: web.Request) -> web.Response:
    """Show what would be deleted; without a preview, make one first."""
    site, run_id = site_of(request), request.match_info["run"]
    job = site.jobs.get(request.query.get("job", ""))
    if job is None or job.state.run != run_id or job.state.kind != "undo_preview" or job.state.ended is None:
        return await submit_for_run(request, "undo_preview")
    run = await site.store(lambda store: run_named(store, run_id))
    includes_edited = request.query.get("edited") == "1"
    frame = frame_of(
        request, "Undo: delete what this run created?", section="runs", is_rehearsal=run.base_url == SANDBOX
    )
    account = "sandbox" if run.base_url == SANDBOX else run.username
    view = await site.store(lambda store: view_of_run(store, run, store.info(run), None))
    return page(
        request, "undo.html", frame, run=view, job=job.id, removal=_removal(job.state, account, includes_edited)
    )


async def undo(request: web.Request) -> web.Response:
    """Delete the monitors of a run, unless they were edited since."""
    form = await read_form(request)
    if not form.get("monitors"):
        return go_to(request, f"/runs/{request.match_info['run']}")
    return await submit_for_run(request, "undo", include_edited=form.get("edited") == "1")


def _removal(state: JobState, account: str, includes_edited: bool) -> RemovalView:
    ended = state.ended
    assert ended is not None
    counts = {result: ended.removals.get(str(result), 0) for result in RemovalResult}
    edited = counts[RemovalResult.EDITED]
    lines = []
    for line in ended.planned:
        result = RemovalResult(line.result)
        if includes_edited and result is RemovalResult.EDITED:
            result = RemovalResult.DELETED
        lines.append(
            RemovalLine(
                row=line.row,
                monitor_id=printable(line.monitor_id),
                type=line.type,
                name=printable(line.name),
                host=printable(line.host),
                action=_ACTIONS[result],
                reason=printable(line.reason),
            )
        )
    return RemovalView(
        lines=lines,
        deletes=counts[RemovalResult.DELETED] + (edited if includes_edited else 0),
        edited=edited,
        gone=counts[RemovalResult.GONE],
        includes_edited=includes_edited,
        account=printable(account),
    )
