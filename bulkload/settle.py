"""Rows in doubt are settled by looking, never by guessing.

In: rows whose request left and whose outcome is not known, and the account's list of monitors. Out: the same rows as
`created`, or pending again, or `failed`, or still in doubt.

Found in the list, new since the run began and nobody else's: created. Absent proves "not created" only if the list is
known to reach far enough, and if the monitor would be recognised in it. It reaches far enough if it shows a monitor of
ours that left at least `grace` later (what is visible is assumed to become visible in order, and a gateway's late
create to land within `grace`), or if the request left longer than `after` ago and the list shows our other monitors,
as a true one does. The monitor would be recognised if others of ours are, by what the list shows of them; or if the
list has no monitor at all that came since the run began and is nobody's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulkload import clock
from bulkload.ledger import Change, Doubt, Ledger
from bulkload.likeness import Candidate, told_apart
from bulkload.listing import Coverage, Listing
from bulkload.model import State, Status
from bulkload.ways import Way

MOST_ATTEMPTS = 3  # times that a row is sent in all
_TOO_LITTLE = frozenset({Way.NO_NAME, Way.NO_HOST})  # hidden: too little is left to call a monitor our own
NOT_TOLD = "the account shows monitors otherwise than they were sent, so it cannot be told whether this one was created"
NOT_WHOSE = "the account shows monitors that may be this row's or another's"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the answer to a doubtful request may take to show; all in seconds."""

    grace: float = 30.0  # a doubtful create lands at most this long after it left
    after: float = 600.0  # a list never lags longer than this
    timeout: float = 90.0  # how long a run polls once nothing else is left


def settle(ledger: Ledger, listing: Listing, patience: Patience) -> int:
    """Settle what this list settles, of all runs in the account; returns how many rows changed."""
    doubts = ledger.doubts()
    if not doubts:
        return 0
    found, unclear = _found(ledger, listing, doubts)
    reach = _reach(ledger, listing)
    believable: bool | None = None  # not known yet, and seldom needed
    changes: list[Change] = []
    for doubt in doubts:
        if (monitor_id := found.get(doubt)) is not None:
            changes.append(Change(run=doubt.run, position=doubt.position, state=Status.CREATED, monitor_id=monitor_id))
            continue
        if doubt in unclear:
            changes += _remarked(doubt, NOT_WHOSE)
            continue
        if not proves_absence(doubt.at, listing.asked, reach, patience):
            continue
        if believable is None and not (believable := Coverage.of(ledger, listing).believable):
            log.warning("the account's list does not show the monitors that bulkload created; it settles nothing")
        if not believable:
            continue
        if not listing.can_prove_absence and _has_new(ledger, listing, doubt):
            changes += _remarked(doubt, NOT_TOLD)
        elif doubt.attempts >= MOST_ATTEMPTS:
            words = f"Sent {doubt.attempts} times, and not created: {doubt.error}."
            changes.append(Change(run=doubt.run, position=doubt.position, state=Status.FAILED, error=words))
        else:
            changes.append(Change(run=doubt.run, position=doubt.position, state=State.PENDING))
    if changes:
        ledger.apply(changes)
        log.info("looked up %d rows in doubt, %d of them found", len(doubts), len(found))
    return sum(change.state is not State.DOUBT for change in changes)


def _found(
    ledger: Ledger, listing: Listing, doubts: Sequence[Doubt]
) -> tuple[Mapping[Doubt, str], Mapping[Doubt, Sequence[Candidate]]]:
    """Give the monitors that rows in doubt made, and the rows of which it cannot be told.

    A monitor that only may be a row's is taken for it if its name and host are shown, and no other row can have made
    it: none in doubt, and none that is on its way.
    """
    found: dict[Doubt, str] = {}
    for doubt in doubts:
        taken = set(found.values())
        shown = (one for one in listing.ids.get(doubt.key, ()) if one not in taken and _may_be_new(ledger, one, doubt))
        if (monitor_id := next(shown, None)) is not None:
            found[doubt] = monitor_id
    others = [doubt for doubt in doubts if doubt not in found]
    if not others or not (candidates := listing.candidates(without=set(found.values()))):
        return found, {}
    possible = {
        doubt: [one for one in candidates.of(doubt.identity) if _may_be_new(ledger, one.monitor_id, doubt)]
        for doubt in others
    }
    own, unclear = told_apart({doubt: some for doubt, some in possible.items() if some})
    on_its_way = ledger.count(State.SENDING)
    for doubt, candidate in own.items():
        if on_its_way or not candidate.ways.isdisjoint(_TOO_LITTLE):
            unclear[doubt] = [candidate]
        else:
            found[doubt] = candidate.monitor_id
    return found, unclear


def _may_be_new(ledger: Ledger, monitor_id: str, doubt: Doubt) -> bool:
    """True if a monitor came since the run of a row began, and no row has it."""
    return not ledger.was_earlier(monitor_id, doubt.run) and not ledger.is_made(monitor_id)


def _has_new(ledger: Ledger, listing: Listing, doubt: Doubt) -> bool:
    return any(_may_be_new(ledger, one, doubt) for one in listing.monitors if one not in listing.ours)


def _remarked(doubt: Doubt, reason: str) -> list[Change]:
    """Let a row in doubt say why it stays so."""
    if reason in doubt.error:
        return []
    words = f"{doubt.error}; {reason}"
    return [Change(run=doubt.run, position=doubt.position, state=State.DOUBT, error=words, at=doubt.at)]


def proves_absence(left: str, asked: str, reach: str | None, patience: Patience) -> bool:
    """True if a list proves that a request which is not in it created nothing.

    `left` is when the request left at the latest, `asked` when the list was asked for, `reach` when the newest of our
    monitors that it shows was sent.
    """
    if (waited := clock.seconds_between(left, asked)) > 0 and waited >= patience.after:
        return True
    return reach is not None and (later := clock.seconds_between(left, reach)) > 0 and later >= patience.grace


def _reach(ledger: Ledger, listing: Listing) -> str | None:
    """When the newest of our monitors was sent that the list shows.

    A moment after the list itself is of a clock that was wrong then, and says nothing.
    """
    shown = (at for monitor_id, _, at in ledger.made() if monitor_id in listing.monitors)
    return next((at for at in shown if not clock.is_later(at, listing.asked)), None)
