"""The plan: settle every row that needs no request, by one look at the account.

In: a run's pending rows and the account's list of mail monitors. Out: `exists` rows with their IDs, rows that are to
be patched, and the rest still pending, to be created. A list that cannot be true stops the run before anything is sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bulkload import clock
from bulkload.api import Api
from bulkload.errors import AlreadyThere, Distrusted
from bulkload.identity import differences, listed_key, spelled_out
from bulkload.ledger import Change, Ledger, Match
from bulkload.model import State, Status
from bulkload.near import NEAR_MISS, near_misses
from bulkload.settle import Listing, Patience, Shown, settle
from bulkload.store import digest, to_json

POLL = 2.0  # seconds between looks at a list that may only be lagging
SAMPLES = 3  # of the older monitors of ours that a list does not show, how many are asked for in any case

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the user wants done about monitors that are there already."""

    on_existing: Literal["skip", "update", "fail"] = "skip"
    trust_list: bool = False  # the user deleted monitors by hand; their absence is true


async def look(api: Api) -> Listing:
    """List the account's mail monitors."""
    asked = clock.moment()
    return Listing.of(asked, await api.list_mail_monitors())


async def plan(ledger: Ledger, api: Api, terms: Terms, patience: Patience) -> Listing:
    """Settle what needs no request; returns the list that it went by.

    Raises `Distrusted` or `AlreadyThere` before anything is sent.
    """
    listing = await believable_list(ledger, api, terms, patience)
    if terms.trust_list:
        ledger.forget_all_but(listing.monitors)
    else:
        await _probe(ledger, listing, api, patience)
    settle(ledger, listing, patience)
    ledger.note_earlier(listing.monitors)
    ledger.hold_back()
    ledger.unmatch()
    match_rows(ledger, listing, terms)
    if not terms.trust_list:
        await _match_unlisted(ledger, listing, api, terms, patience)
        _finished_but_gone(ledger)
    ledger.refuse_repeats()
    if ledger.count(State.PENDING) and (near := ledger.remark(NEAR_MISS, near_misses(ledger, listing))):
        log.warning("rows that nearly match monitors that are there: %d; the error text names the monitors", near)
    if terms.on_existing == "fail" and (there := ledger.count_final(Status.EXISTS)):
        said = "row has its monitor" if there == 1 else "rows have their monitors"
        raise AlreadyThere(f"{there:,} {said} already, and --on-existing is fail. Nothing was created.")
    return listing


def match_rows(ledger: Ledger, listing: Listing, terms: Terms) -> None:
    """Give pending rows the monitors that they mean: by the ID that the file names, else by identity."""
    ledger.apply(list(_matched(ledger, listing, terms)))


def _matched(ledger: Ledger, listing: Listing, terms: Terms) -> Iterator[Change]:
    taken: set[int] = set()  # positions of rows whose file names their monitor
    renamed: dict[str, Match] = {}  # monitor → the row that names it under another identity
    for monitor_id, item in listing.monitors.items():
        for row in ledger.naming(monitor_id, _key(item)):
            taken.add(row.position)
            if row.other_identity:
                renamed[monitor_id] = row
            yield _meet(ledger, row, item, terms)
    for key, monitor_ids in listing.ids.items():
        twin = ledger.pending_with(key)
        if twin is None or twin.position in taken:
            continue
        free = [monitor_id for monitor_id in monitor_ids if monitor_id not in renamed]
        if free:
            yield _meet(ledger, twin, listing.monitors[free[0]], terms)
        elif terms.on_existing != "update":
            other = renamed[monitor_ids[0]]
            words = f"Row {other.source_row} names monitor {monitor_ids[0]}, which is this very monitor."
            yield Change(position=twin.position, state=Status.DUPLICATE, error=words)


def _meet(ledger: Ledger, row: Match, item: Mapping[str, Any], terms: Terms) -> Change:
    """What becomes of a row whose monitor is there."""
    monitor_id = str(item["id"])
    if row.attempts and row.patch is None and not ledger.was_earlier(monitor_id) and not ledger.is_made(monitor_id):
        return Change(position=row.position, state=Status.CREATED, monitor_id=monitor_id)  # ours, seen late
    if item.get("type") != row.type:
        words = f"Monitor {monitor_id} is of type {item.get('type')}; a monitor cannot change its type."
        return Change(position=row.position, state=Status.INVALID, error=words)
    body = json.loads(row.body)
    found = differences(body, item)
    if found and terms.on_existing == "update":
        patch = to_json({field: body[field] for field in body if field in found or _goes_along(field, found)})
        return Change(
            position=row.position, state=State.PENDING, monitor_id=monitor_id, patch=patch, error=spelled_out(found)
        )
    if row.attempts and row.patch is not None and not differences(json.loads(row.patch), item):
        return Change(position=row.position, state=Status.UPDATED, monitor_id=monitor_id, error=row.note)  # answer lost
    words = f"Left as it is: {spelled_out(found)}." if found else ""
    return Change(position=row.position, state=Status.EXISTS, monitor_id=monitor_id, error=words)


def _goes_along(field: str, found: Mapping[str, object]) -> bool:
    """A new list of locations may take the home location with it, so that is said again."""
    return field == "home_location" and "locations" in found


async def believable_list(ledger: Ledger, api: Api, terms: Terms, patience: Patience) -> Listing:
    """A list that holds the monitors we made. One that does not is asked again while it may only be lagging."""
    while True:
        listing = await look(api)
        shown = Shown.by(ledger, listing)
        if terms.trust_list or shown.believable:
            return listing
        youngest = next((at for _, _, at in ledger.made()), None)
        wait = patience.grace - clock.seconds_between(youngest, clock.moment()) if youngest else 0.0
        if wait <= 0:
            raise Distrusted(
                f"The account's list of monitors shows {shown.seen or 'none'} of the {shown.made} that bulkload"
                f" created there. Nothing was created. {_advice(youngest, patience)}"
            )
        log.warning("the account's list does not show our newest monitors yet; looking again")
        await asyncio.sleep(min(wait, POLL))


def _advice(youngest: str | None, patience: Patience) -> str:
    """What to do about a list that shows too little; one that may only be late must not be trusted."""
    if youngest is not None and (age := clock.seconds_between(youngest, clock.moment())) < patience.after:
        return (
            f"The newest is {age:.0f} seconds old and may not be listed yet: run again in {patience.after:.0f} seconds."
            " Only if they were deleted by hand, run now with --trust-list."
        )
    return "If they were deleted by hand, run again with --trust-list."


async def _probe(ledger: Ledger, listing: Listing, api: Api, patience: Patience) -> None:
    """Ask one by one for older monitors that we made and the list lacks: those that a row means, and some more.

    One that is there proves that the list is not whole, so rows may mean what it leaves out. The others are gone.
    """
    samples = SAMPLES if ledger.count(State.PENDING) or ledger.doubts() else 0
    for monitor_id, key, at in list(ledger.made_unlisted(listing.monitors)):
        if _is_recent(at, listing, patience) or (samples <= 0 and ledger.pending_with(key) is None):
            continue
        samples -= 1
        if await api.get(monitor_id) is not None:
            raise Distrusted(
                f"The account's list of monitors does not show monitor {monitor_id}, which is there."
                " Nothing was created."
            )
        ledger.forget(monitor_id)


async def _match_unlisted(ledger: Ledger, listing: Listing, api: Api, terms: Terms, patience: Patience) -> None:
    """Ask one by one for monitors that we made so recently that the list may not show them yet."""
    for monitor_id, key, at in list(ledger.made_unlisted(listing.monitors)):
        if at is None or not _is_recent(at, listing, patience) or (row := ledger.pending_with(key)) is None:
            continue
        item = await api.get(monitor_id)
        if item is None and (wait := patience.grace - clock.seconds_between(at, clock.moment())) > 0:
            await asyncio.sleep(wait)
            item = await api.get(monitor_id)
        if item is not None:
            ledger.apply([_meet(ledger, row, {"id": monitor_id} | item, terms)])


def _is_recent(at: str | None, listing: Listing, patience: Patience) -> bool:
    """True if a monitor is so new that a list may not show it yet; one that was found by looking is not."""
    return at is not None and clock.seconds_between(at, listing.asked) < patience.after


def _finished_but_gone(ledger: Ledger) -> None:
    """Rows that a results file calls finished are not sent again, also if their monitor is gone."""
    gone = ledger.finished_in_file()
    if gone and len(gone) == ledger.finished_in_file_count():
        raise Distrusted(
            f"The file names monitors for {len(gone):,} of its rows, and the account has none of them."
            " Nothing was created. If they are gone, or this is another account, run again with --trust-list."
        )
    ledger.apply(
        Change(
            position=position,
            state=Status.REMOVED,
            monitor_id=monitor_id,
            error=f"Monitor {monitor_id} is no longer in the account. To create it again, empty this row's monitor_id.",
        )
        for position, monitor_id in gone
    )


def _key(item: Mapping[str, Any]) -> bytes | None:
    key = listed_key(item)
    return digest(key) if key is not None else None
