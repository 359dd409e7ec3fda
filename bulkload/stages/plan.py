"""The plan: settle every row that needs no request, by one look at the account.

In: a run's pending rows and the account's list of mail monitors. Out: `exists` rows with their IDs, rows that are to
be patched, and the rest still pending, to be created. A list that cannot be true stops the run before anything is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from bulkload import clock
from bulkload.alertsite.client import Api
from bulkload.errors import AlreadyExists, ApiUnreliable
from bulkload.model import Issue, State, Status
from bulkload.stages.listing import SAMPLES, Coverage, Listing, lacks_ours, look
from bulkload.stages.matching import Terms, match_rows, met
from bulkload.stages.near_misses import NEAR_MISS, near_misses
from bulkload.stages.settle import Patience, settle
from bulkload.store.rows import Change, Ledger
from bulkload.store.runs import ACCOUNT_ISSUE

POLL = 2.0  # seconds between looks at a list that may only be lagging
TWIN = f"{ACCOUNT_ISSUE}twin"
MOST_TWINS = 5  # IDs that a warning names

log = logging.getLogger(__name__)


async def plan(ledger: Ledger, api: Api, terms: Terms, patience: Patience) -> Listing:
    """Settle what needs no request; returns the list that it went by.

    Raises `ApiUnreliable` or `AlreadyExists` before anything is sent.
    """
    listing = await believable_list(ledger, api, terms, patience)
    if terms.trust_list:
        ledger.forget_all_but(listing.monitors)
    else:
        await _probe(ledger, listing, api, patience)
    if settle(ledger, listing, patience, is_whole=not await lacks_ours(ledger, api, listing)):
        listing = listing.with_ours(ledger)
    ledger.note_earlier(listing.monitors)
    ledger.hold_back()
    ledger.unmatch()
    match_rows(ledger, listing, terms)
    if not terms.trust_list:
        await _match_unlisted(ledger, listing, api, terms, patience)
        _finished_but_gone(ledger)
    ledger.refuse_repeats()
    warn_of_twins(ledger, listing)
    if ledger.count(State.PENDING) and (near := ledger.remark(NEAR_MISS, near_misses(ledger, listing))):
        log.warning("rows that nearly match monitors that are there: %d; the error text names the monitors", near)
    if terms.on_existing == "fail" and (there := ledger.count_final(Status.EXISTS)):
        said = "row has its monitor" if there == 1 else "rows have their monitors"
        raise AlreadyExists(f"{there:,} {said} already, and --on-existing is fail. Nothing was created.")
    return listing


async def believable_list(ledger: Ledger, api: Api, terms: Terms, patience: Patience) -> Listing:
    """A list that holds the monitors we made. One that does not is asked again while it may only be lagging."""
    while True:
        listing = await look(ledger, api)
        shown = Coverage.of(ledger, listing)
        if terms.trust_list or shown.believable:
            return listing
        youngest = next((at for _, _, at in ledger.made()), None)
        wait = patience.grace - clock.seconds_between(youngest, clock.moment()) if youngest else 0.0
        if wait <= 0:
            raise ApiUnreliable(
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
            raise ApiUnreliable(
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
            ledger.apply([met(ledger, row, {"id": monitor_id} | item, terms, listing.showing)])
        elif _is_recent(at, listing, patience):
            words = f"Monitor {monitor_id} was created for this row, and the account does not show it yet."
            ledger.apply([Change(position=row.position, state=Status.UNKNOWN, error=words)])


def _is_recent(at: str | None, listing: Listing, patience: Patience) -> bool:
    """True if a monitor is so new that a list may not show it yet; one that was found by looking is not."""
    return at is not None and clock.seconds_between(at, listing.asked) < patience.after


def _finished_but_gone(ledger: Ledger) -> None:
    """Rows that a results file calls finished are not sent again, also if their monitor is gone."""
    gone = ledger.finished_in_file()
    if gone and len(gone) == ledger.finished_in_file_count():
        raise ApiUnreliable(
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


def twins(ledger: Ledger, listing: Listing) -> Iterator[tuple[int, Issue]]:
    """Give a warning for each row whose monitor is there more than once, with the position of the row.

    Whoever made the others: a gateway that repeats requests, another program, a person.
    """
    for key, own, others in listing.twins():
        if (row := ledger.with_identity(key)) is None or row[1] != own:
            continue
        position = row[0]
        named = ", ".join(others[:MOST_TWINS]) + (" …" if len(others) > MOST_TWINS else "")
        noun = f"monitor {named} looks" if len(others) == 1 else f"monitors {named} look"
        message = f"Twin: {noun} the same as monitor {own} in the account's list; look at both before you delete one."
        yield position, Issue(code=TWIN, message=message, severity="warning")


def warn_of_twins(ledger: Ledger, listing: Listing) -> int:
    """Put these warnings on the rows; returns how many rows have one."""
    if rows := ledger.remark(TWIN, list(twins(ledger, listing))):
        noun = "row has its monitor" if rows == 1 else "rows have their monitors"
        log.warning("%d %s in the account more than once; the error text names the others", rows, noun)
    return rows
