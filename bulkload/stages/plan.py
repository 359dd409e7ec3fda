"""The plan: settle every row that needs no request, by one look at the account.

In: a run's pending rows and the account's list of mail monitors. Out: `exists` rows with their IDs, rows that are to be
updated, and the rest still pending, to be created. A list that cannot be true stops the run before anything is sent.
"""

from __future__ import annotations

import asyncio
import logging

from bulkload import clock
from bulkload.alertsite.client import Api
from bulkload.errors import AlreadyExists, ApiUnreliable
from bulkload.model import State, Status
from bulkload.stages.account_duplicates import warn_of_duplicate_monitors
from bulkload.stages.context import RunContext
from bulkload.stages.listing import SAMPLES, Listing, reliable_listing
from bulkload.stages.matching import match_rows, matched
from bulkload.stages.near_misses import NEAR_MISS, near_misses
from bulkload.stages.settle import settle_with
from bulkload.stages.unchanged import exist_as_before
from bulkload.store.row_records import RowChange

log = logging.getLogger(__name__)


async def plan(context: RunContext, api: Api) -> Listing:
    """Settle what needs no request; returns the list that the plan is based on.

    Raises `ApiUnreliable` or `AlreadyExists` before anything is sent.
    """
    rows, record, options = context.rows, context.record, context.options
    listing = await reliable_listing(record, api, options)
    if options.trust_list:
        record.forget_all_except(listing.monitors)
    if exist_as_before(context, listing):
        return listing
    if not options.trust_list:
        await _check_unlisted(context, listing, api)
    if await settle_with(context, api, listing):
        listing = listing.with_created(record)
    if rows.was_attempted():  # matching has to tell the monitors of earlier sessions from those that existed before
        record.note_existing(context.run.number, listing.monitors)
    rows.hold_back()
    rows.forget_matches()
    match_rows(context, listing)
    if not options.trust_list:
        await _match_unlisted(context, listing, api)
        _mark_removed(context)
    rows.mark_repeats()
    if rows.has_creates() or rows.count(State.WAITING):  # only those can have created a monitor that is found later
        record.note_existing(context.run.number, listing.monitors)
    warn_of_duplicate_monitors(context, listing)
    if rows.count(State.PENDING) and (count := rows.replace_warnings(NEAR_MISS, near_misses(context, listing))):
        log.warning("rows that nearly match existing monitors: %d; the error text names the monitors", count)
    if options.on_existing == "fail" and (count := rows.count_final(Status.EXISTS)):
        subject = "row already has its monitor" if count == 1 else "rows already have their monitors"
        raise AlreadyExists(f"{count:,} {subject}, and --on-existing is fail. Nothing was created.")
    return listing


async def _check_unlisted(context: RunContext, listing: Listing, api: Api) -> None:
    """Request older created monitors that the list lacks one by one: those that a row means, and a few others.

    One that exists proves that the list is incomplete, so rows may mean what it omits. The others are deleted.
    """
    samples = SAMPLES if context.rows.count(State.PENDING) or context.record.rows_in_doubt() else 0
    for monitor_id, key, at in list(context.record.unlisted(listing.monitors)):
        if _is_recent(context, listing, at) or (samples <= 0 and context.rows.pending_with(key) is None):
            continue
        samples -= 1
        if await api.get(monitor_id) is not None:
            raise ApiUnreliable(
                f"The account's list does not contain monitor {monitor_id}, which exists. Nothing was created."
            )
        context.record.forget(monitor_id)


async def _match_unlisted(context: RunContext, listing: Listing, api: Api) -> None:
    """Request monitors one by one that were created so recently that the list may not contain them yet."""
    for monitor_id, key, at in list(context.record.unlisted(listing.monitors)):
        if at is None or not _is_recent(context, listing, at) or (row := context.rows.pending_with(key)) is None:
            continue
        item = await api.get(monitor_id)
        wait = context.options.settle_grace - clock.seconds_between(at, clock.moment())
        if item is None and wait > 0:
            await asyncio.sleep(wait)
            item = await api.get(monitor_id)
        if item is not None:
            context.rows.apply([matched(context, row, {"id": monitor_id} | item, listing.profile)])
        elif _is_recent(context, listing, at):
            message = f"Monitor {monitor_id} was created for this row, and the account does not list it yet."
            context.rows.apply([RowChange(position=row.position, state=Status.UNKNOWN, error=message)])


def _is_recent(context: RunContext, listing: Listing, at: str | None) -> bool:
    """True if a monitor is so new that a list may not contain it yet; one that was found in a list is not."""
    return at is not None and clock.seconds_between(at, listing.requested_at) < context.options.settle_after


def _mark_removed(context: RunContext) -> None:
    """Do not create rows again that are done in a results file, even if their monitor is gone."""
    removed = context.rows.finished_in_file()
    if removed and len(removed) == context.rows.finished_in_file_count():
        raise ApiUnreliable(
            f"The file has monitor IDs for {len(removed):,} of its rows, and the account has none of these monitors."
            " Nothing was created. If they are deleted, or this is another account, run again with --trust-list."
        )
    context.rows.apply(
        RowChange(
            position=position,
            state=Status.REMOVED,
            monitor_id=monitor_id,
            error=f"Monitor {monitor_id} is no longer in the account. To create it again, empty this row's monitor_id.",
        )
        for position, monitor_id in removed
    )
