"""Compare the rows of a draft with the account: what a run would do with each, without doing it.

In: a draft whose rows are checked, an account, options. Out: the predicted status of each row, and facts about the
whole, in the draft. Only a login and GET requests are sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bulkload.model import ACCOUNT_ISSUE, ReportRow, Status
from bulkload.operations.drafts import draft_input
from bulkload.operations.forecast_texts import Fact, facts
from bulkload.operations.outcome import Outcome
from bulkload.operations.pipeline import SANDBOX
from bulkload.operations.preview import plan_input
from bulkload.settings import Account, Options
from bulkload.stages.observer import NOBODY, Observer
from bulkload.store.draft_checks import DraftChecks
from bulkload.store.draft_records import PlannedRow
from bulkload.store.drafts import Draft, Drafts
from bulkload.store.runs import Run, Store

BATCH = 1000  # rows a transaction
_KNOWN_OFFLINE = (Status.INVALID, Status.DUPLICATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftForecast:
    """What a comparison with the account said about a draft as a whole."""

    counts: dict[str, int]  # rows by predicted status
    facts: list[Fact]
    creates: int
    updates: int
    warnings: int  # rows that nearly match monitors of the account, and the like
    stopped: str  # why the account could not be read; empty if it was
    account: str  # see `account_name`


def plan_draft(
    store: Store,
    draft_id: str,
    account: Account,
    options: Options,
    *,
    version: int | None = None,
    observer: Observer = NOBODY,
) -> Outcome:
    """Predict what a run of the draft would do in this account now, with a store that is locked."""
    draft = Drafts(store).get(draft_id)
    source = draft_input(store, draft_id, version=draft.version if version is None else version)
    checks = DraftChecks(store, draft)
    checks.forget_planned()
    batch: list[PlannedRow] = []
    warnings = 0

    def on_row(row: ReportRow) -> None:
        nonlocal warnings
        warnings += any(issue.code.startswith(ACCOUNT_ISSUE) for issue in row.issues)
        if row.status not in _KNOWN_OFFLINE:
            batch.append(PlannedRow(row.source_row, row.status.value, row.monitor_id, row.error))
        if len(batch) == BATCH:
            checks.save_planned(batch)
            batch.clear()

    outcome = plan_input(store, source, account, options, on_row, observer=observer)
    stopped = outcome.info.stopped
    checks.save_planned(batch)
    if stopped:
        checks.forget_planned()  # the account was not read completely
    forecast = outcome.forecast
    planned: dict[str, Any] = {
        "counts": {status.value: count for status, count in outcome.info.counts.items()},
        "facts": facts(forecast) if forecast is not None and not stopped else [],
        "creates": forecast.creates if forecast is not None else 0,
        "updates": forecast.updates if forecast is not None else 0,
        "warnings": warnings,
        "stopped": stopped,
        "account": account_name(account, options),
    }
    Drafts(store).set_planned(draft, planned)
    return outcome


def forecast_of_draft(draft: Draft) -> DraftForecast | None:
    """What the last comparison with the account said; None if there was none."""
    if draft.planned is None:
        return None
    values: dict[str, Any] = dict(draft.planned)
    return DraftForecast(**values | {"facts": [Fact(*fact) for fact in values["facts"]]})


def account_name(account: Account, options: Options) -> str:
    """What tells one account from another: a comparison with one says nothing about another."""
    return SANDBOX if options.sandbox else f"{account.base_url} {account.username}"


def account_name_of_run(run: Run) -> str:
    """The same of the account that a run belongs to."""
    return SANDBOX if run.base_url == SANDBOX else f"{run.base_url} {run.username}"
