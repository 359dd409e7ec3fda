"""Compare the rows of a draft with the account: what a run would do with each, without doing it.

In: a draft whose rows are checked, an account, options. Out: the predicted status of each row, in the draft. Only a
login and GET requests are sent.
"""

from __future__ import annotations

from bulkload.model import ReportRow, Status
from bulkload.operations.drafts import draft_input
from bulkload.operations.outcome import Outcome
from bulkload.operations.preview import plan_input
from bulkload.settings import Account, Options
from bulkload.store.draft_rows import DraftRows, PlannedRow
from bulkload.store.drafts import Drafts
from bulkload.store.runs import Store

BATCH = 1000  # rows a transaction
_KNOWN_OFFLINE = (Status.INVALID, Status.DUPLICATE)


def plan_draft(store: Store, draft_id: str, account: Account, options: Options) -> Outcome:
    """Predict what a run of the draft would do in this account now, with a store that is locked."""
    draft = Drafts(store).get(draft_id)
    rows = DraftRows(store, draft)
    batch: list[PlannedRow] = []

    def on_row(row: ReportRow) -> None:
        if row.status not in _KNOWN_OFFLINE:
            batch.append(PlannedRow(row.source_row, row.status.value, row.monitor_id, row.error))
        if len(batch) == BATCH:
            rows.save_planned(batch)
            batch.clear()

    outcome = plan_input(store, draft_input(store, draft_id), account, options, on_row)
    rows.save_planned(batch)
    Drafts(store).set_planned(
        draft,
        {
            "counts": {status.value: count for status, count in outcome.info.counts.items()},
            "stopped": outcome.info.stopped,
            "exit_code": int(outcome.exit_code),
        },
    )
    return outcome


def options_of(draft_defaults: dict[str, str], options: Options, **values: object) -> Options:
    """The options for the rows of a draft: its columns are chosen, so nothing about columns is left to say."""
    return options.model_copy(update={"set": draft_defaults, "map": {}, "ignore_unknown": True, **values})
