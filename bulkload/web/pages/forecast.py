"""The page before anything is sent: where the rows go, what would happen there, and the buttons that begin a run.

In: a draft, and the forms of this page. Out: a comparison with the account as a job, or a run as a job.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from aiohttp import web

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.operations.draft_plan import account_name, account_name_of_run, forecast_of_draft
from bulkload.operations.drafts import draft_options
from bulkload.reports.summary import number_of
from bulkload.settings import has_credentials
from bulkload.store.draft_pages import DraftPages
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.runs import Store
from bulkload.web.access import access_of, read_form
from bulkload.web.jobs import InUse
from bulkload.web.messages import Kind, Task
from bulkload.web.pages.draft_view import view_of
from bulkload.web.pages.row_table import TableQuery, draft_table
from bulkload.web.pages.texts import bars_of
from bulkload.web.site import draft_of, frame_of, go_to, page, site_of
from bulkload.web.state import OPTIONS
from bulkload.web.views import Choice, ForecastView
from bulkload.web.wording import on_page

TRIED_ROWS = 2  # of "Try 2 rows"
SANDBOX_LABEL = "Sandbox: a rehearsal, nothing is created in AlertSite"


async def show(request: web.Request) -> web.Response:
    """Show where the rows go, and what would happen there."""
    site, draft = site_of(request), await draft_of(request)
    if draft.state is not DraftState.CHECKED:
        return go_to(request, f"/drafts/{draft.id}")
    account = site.account_of(request)
    only_sandbox = request.app[OPTIONS].sandbox
    needs_login = not (draft.is_rehearsal or only_sandbox or has_credentials(account))
    name = account.username or "AlertSite"
    targets = [Choice(value="sandbox", label=SANDBOX_LABEL, is_chosen=draft.is_rehearsal or only_sandbox)]
    if not only_sandbox:
        label = f"AlertSite, account {name}" if has_credentials(account) else "AlertSite: your account, after a login"
        targets.insert(0, Choice(value="account", label=printable(label), is_chosen=not draft.is_rehearsal))
    on_existing = [
        Choice(value="skip", label="leave it as it is", is_chosen=draft.on_existing == "skip"),
        Choice(value="update", label="change the fields that differ", is_chosen=draft.on_existing == "update"),
    ]
    query = TableQuery.of(f"/drafts/{draft.id}/start", request.query)

    def gather(store: Store) -> dict[str, Any]:
        forecast = _forecast(request, draft)
        shows_rows = forecast is not None and not forecast.problem
        return {
            "draft": view_of(store, draft, "start"),
            "forecast": forecast,
            "table": draft_table(DraftPages(store, draft), query, with_account=True) if shows_rows else None,
        }

    context = await site.store(gather)
    frame = frame_of(request, "Compare and create", section="start", is_rehearsal=draft.is_rehearsal)
    return page(
        request,
        "forecast.html",
        frame,
        target="the sandbox" if targets[-1].is_chosen else "AlertSite",
        targets=targets,
        on_existing=on_existing,
        allowed={"trust_list": draft.trust_list, "create_lookalikes": draft.create_lookalikes},
        needs_login=needs_login,
        **context,
    )


async def plan(request: web.Request) -> web.Response:
    """Choose where the rows go, and compare them with what is there."""
    site, form = site_of(request), await read_form(request)
    is_rehearsal = form.get("target") == "sandbox" or request.app[OPTIONS].sandbox
    on_existing = "update" if form.get("on_existing") == "update" else "skip"
    chosen = (is_rehearsal, on_existing, "trust_list" in form, "create_lookalikes" in form)
    async with site.draft_locks[request.match_info["draft"]]:
        draft = await draft_of(request)
        if draft.state is not DraftState.CHECKED:
            return go_to(request, f"/drafts/{draft.id}")
        if chosen != (draft.is_rehearsal, draft.on_existing, draft.trust_list, draft.create_lookalikes):
            await site.store(
                lambda store: Drafts(store).set_target(
                    draft,
                    is_rehearsal=chosen[0],
                    on_existing=chosen[1],
                    trust_list=chosen[2],
                    create_lookalikes=chosen[3],
                )
            )
            draft = await draft_of(request)
        if not is_rehearsal and not has_credentials(site.account_of(request)):
            return go_to(request, f"/drafts/{draft.id}/start")
        try:
            job = site.jobs.submit(_task(request, draft, "plan"))
        except InUse as error:
            return go_to(request, f"/jobs/{error.job.id}", str(error), is_problem=True)
    return go_to(request, f"/jobs/{job.id}")


async def begin(request: web.Request) -> web.Response:
    """Begin a run of the rows as they were shown, or of the first ones."""
    site, form, options = site_of(request), await read_form(request), request.app[OPTIONS]
    first = {"all": None, str(TRIED_ROWS): TRIED_ROWS}.get(str(form.get("first", "")), 0)
    if first == 0:
        raise UsageError("The form is not complete; load the page again.")
    async with site.draft_locks[request.match_info["draft"]]:
        draft = await draft_of(request)
        address = f"/drafts/{draft.id}/start"
        if (job := site.jobs.of_draft(draft.id)) is not None and job.state.ended is None:
            return go_to(request, f"/jobs/{job.id}")  # a double click
        forecast = _forecast(request, draft)
        own_options = draft_options(draft, options)
        account = account_name(site.account_of(request), own_options)
        shown = (str(draft.version), "sandbox" if own_options.sandbox else "account", draft.on_existing)
        if (form.get("version"), form.get("target"), form.get("on_existing")) != shown:
            problem = (
                "The rows were changed in another window since this page was opened, so nothing was sent. Look again."
            )
            return go_to(request, address, problem, is_problem=True)
        if forecast is None or not forecast.is_current or forecast.problem:
            problem = "The rows were not compared with this account yet, so nothing was sent. Compare first."
            return go_to(request, address, problem, is_problem=True)
        if draft.run_id is not None and draft.is_run_current and await site.store(_was_run_in, draft, account):
            return go_to(
                request,
                f"/runs/{draft.run_id}",
                "These rows were run already, and nothing was changed since: this is that run.",
            )
        job = site.jobs.submit(_task(request, draft, "run", first=first))
    return go_to(request, f"/jobs/{job.id}")


def _was_run_in(store: Store, draft: Draft, account: str) -> bool:
    """Whether the last run of a draft was in this account."""
    with suppress(UsageError):  # it is no longer in the store
        return account_name_of_run(store.run(draft.run_id)) == account
    return False


def _task(request: web.Request, draft: Draft, kind: Kind, *, first: int | None = None) -> Task:
    return Task(
        kind=kind,
        account=site_of(request).account_of(request),
        options=draft_options(draft, request.app[OPTIONS]),
        draft=draft.id,
        version=draft.version,
        name=draft.name,
        first=first,
        user=access_of(request).user,
    )


def _forecast(request: web.Request, draft: Draft) -> ForecastView | None:
    """What the last comparison said; it is out of date if the rows or the account are others by now."""
    forecast = forecast_of_draft(draft)
    if forecast is None:
        return None
    account = account_name(site_of(request).account_of(request), draft_options(draft, request.app[OPTIONS]))
    warnings = []
    if forecast.warnings:
        rows = number_of(forecast.warnings, "row")
        warnings.append(f"{rows} nearly match or differ from monitors of the account; the table below says how.")
    return ForecastView(
        bars=bars_of(forecast.counts) if not forecast.stopped else (),
        facts=forecast.facts,
        warnings=warnings,
        problem=on_page(forecast.stopped),
        is_current=draft.is_plan_current and forecast.account == account,
        creates=forecast.creates,
        updates=forecast.updates,
    )
