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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bulkload import clock
from bulkload.model import State, Status
from bulkload.monitors.alterations import Way
from bulkload.stages.candidates import Candidate, told_apart
from bulkload.stages.listing import Coverage, Listing
from bulkload.store.rows import Change, Doubt, Ledger, Task

MOST_ATTEMPTS = 3  # times that a row is sent in all
_TOO_LITTLE = frozenset({Way.NO_NAME, Way.NO_HOST})  # hidden: too little is left to call a monitor our own
IN_DISGUISE = "may be this row's, shown otherwise than it was sent"
NOT_WHOSE = "the account shows monitors that may be this row's or another's; write the right one into monitor_id"
MOST_NAMED = 5  # monitors in a sentence

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the answer to a doubtful request may take to show; all in seconds."""

    grace: float = 30.0  # a doubtful create lands at most this long after it left
    after: float = 600.0  # a list never lags longer than this
    timeout: float = 90.0  # how long a run polls once nothing else is left


def settle(ledger: Ledger, listing: Listing, patience: Patience, *, is_whole: bool = True) -> int:
    """Settle what this list settles, of all runs in the account; returns how many rows changed.

    `is_whole` is False if the list is known to skip monitors that are there; it proves no absence then.
    """
    doubts = ledger.doubts()
    if not doubts:
        return 0
    found, unclear = _found(ledger, listing, doubts)
    reach = listing.reach(ledger)
    believable: bool | None = None if is_whole else False  # None: not known yet, and seldom needed
    changes: list[Change] = []
    for doubt in doubts:
        if (monitor_id := found.get(doubt)) is not None:
            changes.append(Change(run=doubt.run, position=doubt.position, state=Status.CREATED, monitor_id=monitor_id))
            continue
        if doubt in unclear:
            ids = ", ".join(candidate.monitor_id for candidate in unclear[doubt][:MOST_NAMED])
            changes += _remarked(doubt, f"{NOT_WHOSE} ({ids})")
            continue
        if not proves_absence(doubt.at, listing.asked, reach, patience):
            continue
        if believable is None and not (believable := Coverage.of(ledger, listing).believable):
            log.warning("the account's list does not show the monitors that bulkload created; it settles nothing")
        if not believable:
            continue
        if (other := _in_disguise(ledger, listing, doubt, found.values())) is not None:
            changes += _remarked(doubt, f"monitor {other}, which is new in the account, {IN_DISGUISE}")
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

    A monitor is a row's if it is shown as the row asks, or may be, and no other row can have made it: none in doubt,
    and none that is on its way.
    """
    candidates = listing.candidates()
    possible: dict[Doubt | Task, Sequence[Candidate]] = {
        doubt: [one for one in candidates.of(doubt.identity) if _may_be_new(ledger, one.monitor_id, doubt)]
        for doubt in doubts
    }
    possible |= {task: candidates.of(task.identity) for task in ledger.on_their_way()}
    own, shared = told_apart({row: some for row, some in possible.items() if some})
    found: dict[Doubt, str] = {}
    unclear: dict[Doubt, Sequence[Candidate]] = {}
    for doubt in doubts:
        if (candidate := own.get(doubt)) is None:
            unclear |= {doubt: shared[doubt]} if doubt in shared else {}
        elif candidate.ways.isdisjoint(_TOO_LITTLE):
            found[doubt] = candidate.monitor_id
        else:
            unclear[doubt] = [candidate]
    return found, unclear


def _may_be_new(ledger: Ledger, monitor_id: str, doubt: Doubt) -> bool:
    """True if a monitor came since the run of a row began, and no row has it."""
    return not ledger.was_earlier(monitor_id, doubt.run) and not ledger.is_made(monitor_id)


def _in_disguise(ledger: Ledger, listing: Listing, doubt: Doubt, found: Collection[str]) -> str | None:
    """A monitor that may be a row's although no known way of showing makes the one from the other.

    It came since the run began, and is nobody's. If the account is known to show monitors as they were sent, it must
    have the row's host or name; else any will do.
    """
    asked = doubt.identity
    for monitor_id, shown in listing.identities.items():
        is_near = shown.type in (asked.type, "") and (
            shown.servers == asked.servers or None in shown.servers or shown.name in (asked.name, None)
        )
        is_free = monitor_id not in listing.ours and monitor_id not in found
        if is_free and (is_near or not listing.can_prove_absence) and _may_be_new(ledger, monitor_id, doubt):
            return monitor_id
    return None


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
