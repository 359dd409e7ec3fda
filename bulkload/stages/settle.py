"""Rows in doubt are settled by looking at the account, never by guessing.

In: rows whose request left and whose outcome is not known, and the account's list of monitors. Out: the same rows as
`created`, or pending again, or `failed`, or still in doubt.

Found in the list, new since the run began and no other row's: created. Absence proves "not created" only if the list is
known to be late enough, and if the monitor would be recognised in it. It is late enough if it contains a created
monitor whose request left at least `settle_grace` later (monitors are assumed to become visible in order, and a gateway
to deliver a request within that time), or if the request left longer than `settle_after` ago and the list contains our
other monitors, as a complete one does. The monitor would be recognised if others of ours are, by what the list displays
of them; or if the list has no unexplained monitor that is new since the run began.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from bulkload import clock
from bulkload.model import State, Status
from bulkload.monitors.alterations import Alteration
from bulkload.monitors.identity import identity_in
from bulkload.settings import Options
from bulkload.stages.candidates import Candidate, assign_candidates, name_monitors
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Coverage, Listing, omits_created
from bulkload.store.row_records import PendingRow, RowChange, RowInDoubt

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

MOST_ATTEMPTS = 3  # times that a row is sent in all
MAY_BE_ALTERED = "may be this row's, displayed differently from what was sent"
AMBIGUOUS = "may be this row's or another's; write the right one into monitor_id"
_TOO_LITTLE = frozenset({Alteration.NO_NAME, Alteration.NO_HOST})  # hidden: too little is left to call a monitor ours

log = logging.getLogger(__name__)


async def settle_with(context: RunContext, api: Api, listing: Listing) -> int:
    """Settle what a list settles, after asking the account whether the list omits monitors."""
    return settle(context, listing, is_complete=not await omits_created(context.record, api, listing))


def settle(context: RunContext, listing: Listing, *, is_complete: bool) -> int:
    """Settle what this list settles, of all runs in the account; returns how many rows changed.

    `is_complete` is False if the list is known to omit monitors that exist; it proves no absence then.
    """
    doubts = context.record.rows_in_doubt()
    if not doubts:
        return 0
    created, ambiguous = _assign(context, listing, doubts)
    newest = listing.newest_created_at(context.record)
    is_reliable: bool | None = None if is_complete else False  # None: not known yet, and seldom needed
    changes: list[RowChange] = []
    for doubt in doubts:
        if (monitor_id := created.get(doubt)) is not None:
            changes.append(_change(doubt, Status.CREATED, monitor_id=monitor_id))
            continue
        if doubt in ambiguous:
            changes += _with_reason(
                doubt, f"{name_monitors([candidate.monitor_id for candidate in ambiguous[doubt]])} {AMBIGUOUS}"
            )
            continue
        if not proves_absence(doubt.at, listing.requested_at, newest, context.options):
            continue
        if is_reliable is None and not (is_reliable := Coverage.of(context.record, listing).is_reliable):
            log.warning("the account's list does not contain the monitors that bulkload created; it settles nothing")
        if not is_reliable:
            continue
        if (other_id := _unexplained_monitor(context, listing, doubt, created.values())) is not None:
            changes += _with_reason(doubt, f"monitor {other_id}, which is new in the account, {MAY_BE_ALTERED}")
        elif doubt.attempts >= MOST_ATTEMPTS:
            message = f"Sent {doubt.attempts} times, and not created: {doubt.error}."
            changes.append(_change(doubt, Status.FAILED, error=message))
        else:
            changes.append(_change(doubt, State.PENDING))
    if changes:
        context.rows.apply(changes)
        log.info("looked up %d rows in doubt, found %d of them", len(doubts), len(created))
    return sum(change.state is not State.DOUBT for change in changes)


def proves_absence(sent_at: str, listed_at: str, newest_at: str | None, options: Options) -> bool:
    """True if a list proves that a request whose monitor it does not contain created nothing.

    `sent_at` is the latest moment at which the request can have left, `listed_at` when the list was requested,
    `newest_at` when the request for the newest created monitor left that it contains.
    """
    if (waited := clock.seconds_between(sent_at, listed_at)) > 0 and waited >= options.settle_after:
        return True
    if newest_at is None:
        return False
    later = clock.seconds_between(sent_at, newest_at)
    return later > 0 and later >= options.settle_grace


def _assign(
    context: RunContext, listing: Listing, doubts: Sequence[RowInDoubt]
) -> tuple[Mapping[RowInDoubt, str], Mapping[RowInDoubt, Sequence[Candidate]]]:
    """Give the monitors that rows in doubt created, and the rows for which that cannot be decided.

    A monitor is a row's if it is displayed as the row requests, or may be, and no other row can have created it: none
    in doubt, and none whose request is in flight.
    """
    candidates = listing.candidates()
    possible: dict[RowInDoubt | PendingRow, Sequence[Candidate]] = {}
    for doubt in doubts:
        found = candidates.of(identity_in(doubt.type, doubt.body))
        possible[doubt] = [candidate for candidate in found if _may_be_new(context, candidate.monitor_id, doubt)]
    for row in context.rows.in_flight():
        possible[row] = candidates.of(identity_in(row.type, row.body))
    own, shared = assign_candidates({row: found for row, found in possible.items() if found})
    created: dict[RowInDoubt, str] = {}
    ambiguous: dict[RowInDoubt, Sequence[Candidate]] = {}
    for doubt in doubts:
        if (candidate := own.get(doubt)) is None:
            if doubt in shared:
                ambiguous[doubt] = shared[doubt]
        elif candidate.alterations.isdisjoint(_TOO_LITTLE):
            created[doubt] = candidate.monitor_id
        else:
            ambiguous[doubt] = [candidate]
    return created, ambiguous


def _may_be_new(context: RunContext, monitor_id: str, doubt: RowInDoubt) -> bool:
    """True if a monitor appeared since the row's run began, and no row has it."""
    record = context.record
    return not record.existed_before(doubt.run, monitor_id) and not record.is_created(monitor_id)


def _unexplained_monitor(
    context: RunContext, listing: Listing, doubt: RowInDoubt, assigned: Collection[str]
) -> str | None:
    """A monitor that may be a row's although no known alteration leads from the one to the other.

    It is new since the run began, and no row's. If the account is known to display monitors as they were sent, it must
    have the row's host or name; otherwise any such monitor counts.
    """
    requested = identity_in(doubt.type, doubt.body)
    for monitor_id, displayed in listing.identities.items():
        is_near = displayed.type in (requested.type, "") and (
            displayed.servers == requested.servers
            or None in displayed.servers
            or displayed.name in (requested.name, None)
        )
        is_free = monitor_id not in listing.created and monitor_id not in assigned
        if is_free and (is_near or not listing.can_prove_absence) and _may_be_new(context, monitor_id, doubt):
            return monitor_id
    return None


def _with_reason(doubt: RowInDoubt, reason: str) -> list[RowChange]:
    """Keep a row in doubt, and add the reason to its error."""
    if reason in doubt.error:
        return []
    return [_change(doubt, State.DOUBT, error=f"{doubt.error}; {reason}", at=doubt.at)]


def _change(
    doubt: RowInDoubt, state: State | Status, *, monitor_id: str | None = None, error: str = "", at: str | None = None
) -> RowChange:
    return RowChange(run=doubt.run, position=doubt.position, state=state, monitor_id=monitor_id, error=error, at=at)
