"""See how the account displays the first monitor that a run creates, before it creates others.

In: the ID of that monitor. Out: what it teaches, in the store; and whether the account displays it so that it cannot be
recognised, while rows may mean monitors that exist already.
"""

from __future__ import annotations

from dataclasses import replace

from bulkload.alertsite.client import Api
from bulkload.stages.account_duplicates import warn_of_duplicate_monitors
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Listing, identify, list_monitors
from bulkload.stages.near_misses import near_misses


async def read_back(context: RunContext, api: Api, monitor_id: str) -> Listing:
    """List the account; if the list is late with a new monitor, request that one."""
    listing = await list_monitors(context.record, api, new=[monitor_id])
    if listing.monitors and monitor_id not in listing.monitors:
        item = await api.get(monitor_id)
        if item is not None and str(item.get("id")) == monitor_id:
            single = identify(context.record, listing.requested_at, [item], new=[monitor_id])
            listing = replace(listing, profile=single.profile)
    warn_of_duplicate_monitors(context, listing)
    return listing


def is_unrecognisable(context: RunContext, listing: Listing) -> bool:
    """True if the new monitor is not recognised, so that rows may mean monitors that exist already."""
    is_recognised = not listing.created or listing.recognised > 0
    has_others = len(listing.monitors) > len(listing.created)
    if is_recognised or not has_others or context.options.create_lookalikes:
        return False
    return next(near_misses(context, listing), None) is not None
