"""Rows in doubt are settled by looking, never by guessing.

In: rows whose request left and whose outcome is not known, and the account's list of monitors. Out: the same rows as
`created`, or pending again, or `failed`, or still in doubt.

Found in the list, new since the run began and nobody else's: created. Absent proves "not created" only if the list is
known to reach far enough: it shows a monitor of ours that left at least `grace` later (what is visible is assumed to
become visible in order, and a gateway's late create to land within `grace`), or the request left longer than `after`
ago and the list shows our other monitors, as a true one does.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulkload import clock
from bulkload.identity import listed_key
from bulkload.ledger import Change, Doubt, Ledger
from bulkload.model import State, Status
from bulkload.store import digest

MOST_ATTEMPTS = 3  # times that a row is sent in all
SHRUNKEN = 10  # monitors of ours that must be missing, and more than half, before a list counts as shrunken

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the answer to a doubtful request may take to show; all in seconds."""

    grace: float = 30.0  # a doubtful create lands at most this long after it left
    after: float = 600.0  # a list never lags longer than this
    timeout: float = 90.0  # how long a run polls once nothing else is left


@dataclass(frozen=True, slots=True)
class Listing:
    """The account's mail monitors at one moment."""

    asked: str  # the moment before the list was asked for, see `clock`
    monitors: Mapping[str, Mapping[str, Any]]  # by ID
    ids: Mapping[bytes, Sequence[str]]  # by identity

    @staticmethod
    def of(asked: str, items: Sequence[Mapping[str, Any]]) -> Listing:
        """Index what the API listed."""
        ids: defaultdict[bytes, list[str]] = defaultdict(list)
        for item in items:
            if (key := listed_key(item)) is not None:
                ids[digest(key)].append(str(item["id"]))
        return Listing(asked, {str(item["id"]): item for item in items}, ids)


@dataclass(frozen=True, slots=True)
class Shown:
    """How many monitors this program made in the account, and how many of them a list shows."""

    made: int
    seen: int

    @staticmethod
    def by(ledger: Ledger, listing: Listing) -> Shown:
        """Count."""
        return Shown(ledger.made_count(), sum(map(ledger.is_made, listing.monitors)))

    @property
    def believable(self) -> bool:
        """False if so many are missing that the list itself is doubtful."""
        missing = self.made - self.seen
        return not missing or (self.seen > 0 and (missing < SHRUNKEN or missing <= self.seen))


def settle(ledger: Ledger, listing: Listing, patience: Patience) -> int:
    """Settle what this list settles, of all runs in the account; returns how many rows changed."""
    doubts = ledger.doubts()
    reach = _reach(ledger, listing)
    believable: bool | None = None  # not known yet, and seldom needed
    changes: list[Change] = []
    taken: set[str] = set()
    for doubt in doubts:
        found = _own(ledger, listing, doubt, taken)
        if found is not None:
            taken.add(found)
            changes.append(Change(run=doubt.run, position=doubt.position, state=Status.CREATED, monitor_id=found))
        elif proves_absence(doubt.at, listing.asked, reach, patience):
            if believable is None and not (believable := Shown.by(ledger, listing).believable):
                log.warning("the account's list does not show the monitors that we made there; it settles nothing")
            if not believable:
                continue
            if doubt.attempts >= MOST_ATTEMPTS:
                words = f"Sent {doubt.attempts} times, and not created: {doubt.error}."
                changes.append(Change(run=doubt.run, position=doubt.position, state=Status.FAILED, error=words))
            else:
                changes.append(Change(run=doubt.run, position=doubt.position, state=State.PENDING))
    if changes:
        ledger.apply(changes)
        log.info("looked up %d rows in doubt, %d of them found", len(doubts), len(taken))
    return len(changes)


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


def _own(ledger: Ledger, listing: Listing, doubt: Doubt, taken: set[str]) -> str | None:
    for monitor_id in listing.ids.get(doubt.key, ()):
        if monitor_id not in taken and not ledger.was_earlier(monitor_id, doubt.run) and not ledger.is_made(monitor_id):
            return monitor_id
    return None
