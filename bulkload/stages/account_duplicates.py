"""Warnings about rows whose monitor is in the account more than once.

In: a listing. Out: a warning on each of these rows, whoever created the others: a gateway that repeats requests,
another program, a person.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from bulkload.model import ACCOUNT_ISSUE, Issue
from bulkload.stages.candidates import name_monitors
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Listing
from bulkload.store.rows import RunRows

DUPLICATE_MONITOR = f"{ACCOUNT_ISSUE}twin"

log = logging.getLogger(__name__)


def warn_of_duplicate_monitors(context: RunContext, listing: Listing) -> int:
    """Replace these warnings on the rows of the run; returns how many rows have one."""
    if rows := context.rows.replace_warnings(DUPLICATE_MONITOR, list(duplicate_warnings(context.rows, listing))):
        subject = "row has its monitor" if rows == 1 else "rows have their monitors"
        log.warning("%d %s in the account more than once; the error text names the others", rows, subject)
    return rows


def duplicate_warnings(rows: RunRows, listing: Listing) -> Iterator[tuple[int, Issue]]:
    """Yield these warnings, each with the position of its row."""
    for key, monitor_id, other_ids in listing.duplicates():
        if (row := rows.row_with_key(key)) is None or row[1] != monitor_id:
            continue
        position = row[0]
        verb = "looks" if len(other_ids) == 1 else "look"
        message = (
            f"Duplicate monitor: {name_monitors(other_ids)} {verb} the same as monitor {monitor_id} in the account's"
            " list; compare them before you delete one."
        )
        yield position, Issue(code=DUPLICATE_MONITOR, message=message, severity="warning")
