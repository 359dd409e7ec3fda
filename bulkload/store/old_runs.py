"""Delete old runs and rows that nothing depends on any more.

In: a moment before which runs are old. Out: a store without them, except runs with a row that is in doubt, or whose
monitor can still be undone, or that says last what was requested for a created monitor; runs that can be resumed; runs
whose rows others share. The inbox also deletes the other rows of such runs. The space is used again for new rows.
"""

from __future__ import annotations

from bulkload.model import State, Status
from bulkload.store.calls import delete_old_calls
from bulkload.store.row_counts import state_counts
from bulkload.store.runs import Run, Store
from bulkload.store.sharing import is_shared

ROWS_DELETED = "tidied"  # detail of a run that lacks rows; older versions have written it
_CAN_BE_UNDONE = (
    "state = 'created' AND EXISTS (SELECT 1 FROM monitors WHERE account = ?2 AND monitors.monitor_id = rows.monitor_id)"
)
_IS_LAST_REQUEST = (  # for a monitor that was updated by its ID, so that the row that created it has another key
    "key IN (SELECT monitors.key FROM monitors LEFT JOIN rows AS first ON first.run = monitors.run"
    " AND first.position = monitors.position WHERE account = ?2 AND first.key IS NOT monitors.key)"
    " AND NOT EXISTS (SELECT 1 FROM rows AS later WHERE later.key = rows.key AND later.run > rows.run"
    " AND later.body IS NOT NULL)"
)
_NEEDED = f"(state IN ('doubt', 'sending') OR ({_CAN_BE_UNDONE}) OR ({_IS_LAST_REQUEST}))"
_RESUMABLE = (*State, Status.FAILED, Status.UNKNOWN)


def delete_old_runs(store: Store, moment: float) -> int:
    """Delete runs that ended before a moment, in seconds since 1970, and did not come from an inbox; returns how many.

    The inbox decides about its own runs, and a draft of the upload page leads to the run that was made of it.
    """
    with store.errors():
        old = store.db.execute(
            "SELECT id FROM runs WHERE finished < ? AND arrival IS NULL AND command = 'run'"
            " AND id NOT IN (SELECT run FROM drafts WHERE run IS NOT NULL) ORDER BY run DESC",
            (moment,),
        ).fetchall()
    deleted = 0
    for (run_id,) in old:  # the newest first: they may share the rows of older ones
        run = store.run(run_id)
        states = state_counts(store.db, run.number)
        if states.keys().isdisjoint(_RESUMABLE) and not _is_needed(store, run):
            store.forget(run)
            deleted += 1
    delete_old_calls(store, moment)
    return deleted


def _is_needed(store: Store, run: Run) -> bool:
    """True if something depends on a row of a run, which is then kept whole, so that its results stay complete."""
    if is_shared(store.db, run.number):
        return True
    with store.errors():
        needed = store.db.execute(
            f"SELECT 1 FROM rows WHERE run = ?1 AND {_NEEDED} LIMIT 1", (run.number, run.account_id)
        ).fetchone()
    return needed is not None


def delete_rows(store: Store, run: Run) -> bool:
    """Delete the rows of an old run that nothing depends on; returns whether any rows remain.

    A row is needed as long as it is in doubt, or it created a monitor that still exists, or no later row tells what was
    requested for such a monitor. The rows that remain are not those of the input, so no other run may share them.
    """
    if is_shared(store.db, run.number):
        return True
    with store.transaction():
        deleted = store.db.execute(
            f"DELETE FROM rows WHERE run = ?1 AND NOT {_NEEDED}", (run.number, run.account_id)
        ).rowcount
        store.db.execute("UPDATE runs SET reading = NULL WHERE run = ? AND ?", (run.number, deleted))
        store.db.execute("DELETE FROM gone WHERE run = ?", (run.number,))
        (remaining,) = store.db.execute("SELECT count(*) FROM rows WHERE run = ?", (run.number,)).fetchone()
    if remaining and deleted:
        store.note_detail(run, ROWS_DELETED, f"{deleted:,} rows were deleted because of their age.")
    return bool(remaining)
