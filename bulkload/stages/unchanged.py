"""Runs of an unchanged input: as long as all their monitors exist as before, no row is stored again.

In: a run that shares the rows of an earlier run, and the account's list. Out: whether the run can go on sharing. Rows
are matched by the same rules as all others.
"""

from __future__ import annotations

from itertools import chain

from bulkload.model import Status
from bulkload.stages.account_duplicates import duplicate_warnings
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Listing
from bulkload.stages.matching import Matching
from bulkload.store.shared_rows import SharedRows
from bulkload.store.sharing import source_of


def exist_as_before(context: RunContext, listing: Listing) -> bool:
    """True if a run shares the rows of an earlier run, and all their monitors exist as before.

    If they do not, the run gets its own copy of the rows, which are pending.
    """
    source = source_of(context.store.db, context.run.number)
    if source is None:
        return False
    rows = SharedRows(context.store, context.run, context.account_id, source)
    if _all_exist(context, listing, rows):
        rows.keep_shared()
        return True
    rows.copy()
    return False


def _all_exist(context: RunContext, listing: Listing, rows: SharedRows) -> bool:
    """True if each row exists with the monitor that it had, and the message, if it existed in the earlier run."""
    record = context.record
    is_usual = (
        context.options.on_existing != "fail"
        and not record.rows_in_doubt()
        and next(record.unlisted(listing.monitors), None) is None
        and next(duplicate_warnings(rows, listing), None) is None
    )
    if not is_usual:
        return False
    matching = Matching(context, listing, rows)
    count = 0
    for change in chain(matching.by_given_id(), matching.by_store(), matching.by_identity(), matching.by_candidates()):
        if change.state is not Status.EXISTS or (change.monitor_id, change.error) != rows.before[change.position]:
            return False
        count += 1
    return count == rows.count_to_match() and not matching.lookalikes
