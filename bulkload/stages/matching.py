"""Which monitor of the account each row means.

In: a run's pending rows and a listing. Out: the same rows as `exists`, or to be patched, or `unknown` where nobody can
tell; the rest stays pending, to be created. The order is: the ID that the file names; the monitor that the store knows
for the row's identity; a monitor of ours that shows this identity; a monitor of somebody else that shows it, or may be
the row's, if accounts may show it so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bulkload.model import State, Status
from bulkload.monitors.alterations import Way
from bulkload.monitors.display_profile import HIDING, Showing, difference, without_ways
from bulkload.monitors.identity import (
    asked_identity,
    differences,
    identity_in,
    listed_identity,
    may_be_of_type,
    spelled_out,
)
from bulkload.monitors.values import show
from bulkload.stages.candidates import Candidate, told_apart
from bulkload.stages.listing import Listing
from bulkload.store.rows import Change, Doubt, Ledger, Match, Task
from bulkload.store.runs import digest, to_json

BATCH = 500  # rows fetched from the store at a time
IDENTIFYING = ("name", "hostname", "port", "smtp_hostname", "pop3_hostname")
ANYWAY = "if it is another one, run this row alone with --create-lookalikes."
MOST_NAMED = 5  # monitors in a sentence

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the user wants done about monitors that are there already."""

    on_existing: Literal["skip", "update", "fail"] = "skip"
    trust_list: bool = False  # the user deleted monitors by hand; their absence is true
    create_lookalikes: bool = False  # a monitor that only may be a row's is not the row's


def match_rows(ledger: Ledger, listing: Listing, terms: Terms) -> None:
    """Give pending rows the monitors that they mean."""
    matching = _Matching(ledger, listing, terms)
    ledger.apply([*matching.by_id(), *matching.by_memory(), *matching.by_identity()])
    ledger.apply([*matching.by_likeness()])
    ledger.keep_lookalikes(matching.lookalikes)
    if number := len(matching.lookalikes):
        noun = "row is taken for a monitor that is" if number == 1 else "rows are taken for monitors that are"
        log.warning("%d %s shown otherwise than asked; the error text says how", number, noun)


class _Matching:
    """One pass over a listing; a monitor is given to one row, and a row gets one monitor."""

    def __init__(self, ledger: Ledger, listing: Listing, terms: Terms) -> None:
        self.lookalikes: list[tuple[int, str]] = []  # position of a row, and the monitor that it was taken for
        self._ledger = ledger
        self._listing = listing
        self._terms = terms
        self._positions: set[int] = set()  # of rows that have their monitor
        self._given: set[str] = set()
        self._renamed: dict[str, Match] = {}  # monitor → the row that names it under another identity

    def by_id(self) -> Iterator[Change]:
        """Rows whose file names their monitor."""
        for monitor_id, item in self._listing.monitors.items():
            identity = self._listing.identities.get(monitor_id)
            key = digest(identity.key) if identity is not None else None
            for row in self._ledger.naming(monitor_id, key):
                if row.other_identity:
                    self._renamed[monitor_id] = row
                yield self._give(row, item)

    def by_memory(self) -> Iterator[Change]:
        """Rows whose identity got a monitor that this program made."""
        for monitor_id, key in self._listing.ours.items():
            if monitor_id not in self._renamed and (row := self._free_row(key)) is not None:
                yield self._give(row, self._listing.monitors[monitor_id])

    def by_identity(self) -> Iterator[Change]:
        """Rows whose identity a monitor shows that this program made for another row, which is gone."""
        for key, monitor_ids in self._listing.ids.items():
            if (row := self._free_row(key)) is None:
                continue
            free = [one for one in monitor_ids if one in self._listing.ours and one not in self._given]
            if free:
                yield self._give(row, self._listing.monitors[free[0]])
            elif self._terms.on_existing != "update" and (other := self._renamed.get(monitor_ids[0])) is not None:
                words = f"Row {other.source_row} names monitor {monitor_ids[0]}, which is this very monitor."
                self._positions.add(row.position)
                yield Change(position=row.position, state=Status.DUPLICATE, error=words)

    def by_likeness(self) -> Iterator[Change]:
        """Rows that a monitor is, or may be, which somebody else made."""
        if not self._terms.create_lookalikes:
            yield from self._as_before()
        candidates = self._listing.candidates(without=self._given)
        if not candidates:
            return
        # what a row in doubt may have made is not given to another row
        possible: dict[int | Doubt, Sequence[Candidate]] = {
            doubt: candidates.of(doubt.identity) for doubt in self._ledger.doubts()
        }
        rows: dict[int, Match] = {}
        for task in self._pending():
            position, identity = task.position, task.identity
            found = candidates.of(identity)
            if self._terms.create_lookalikes:
                found = [one for one in found if self._is_same(one)]
            if found and (row := self._free_row(digest(identity.key))) is not None and row.position == position:
                possible[position] = found
                rows[position] = row
        own, shared = told_apart(possible)
        for position, row in rows.items():
            if (candidate := own.get(position)) is not None:
                item = self._listing.monitors[candidate.monitor_id]
                yield self._give(row, item, None if self._is_same(candidate) else candidate)
            elif not self._terms.create_lookalikes:
                yield Change(position=position, state=Status.UNKNOWN, error=_not_told_apart(shared[position]))

    def _as_before(self) -> Iterator[Change]:
        """Rows that an earlier run took for a monitor."""
        for key, monitor_id in self._ledger.lookalikes().items():
            shown = self._listing.identities.get(monitor_id)
            if shown is None or monitor_id in self._given or monitor_id in self._listing.ours:
                continue
            if (row := self._free_row(key)) is None:
                continue
            ways = difference(identity_in(row.type, row.body), shown, frozenset(Way))
            candidate = Candidate(monitor_id, ways or frozenset(), shown)
            is_same = ways is not None and self._is_same(candidate)
            yield self._give(row, self._listing.monitors[monitor_id], None if is_same else candidate)

    def _pending(self) -> Iterator[Task]:
        after = -1
        while batch := self._ledger.pending(after, BATCH):
            after = batch[-1].position
            yield from (one for one in batch if one.monitor_id is None and one.position not in self._positions)

    def _free_row(self, key: bytes) -> Match | None:
        row = self._ledger.pending_with(key)
        return None if row is None or row.position in self._positions else row

    def _is_same(self, candidate: Candidate) -> bool:
        """True if nothing differs but what the account is known to show otherwise; on request, if nothing does."""
        known = frozenset() if self._terms.create_lookalikes else self._listing.showing.ways - HIDING
        return candidate.ways <= known

    def _give(self, row: Match, item: Mapping[str, Any], like: Candidate | None = None) -> Change:
        """Give a row its monitor; `like`: it only may be the row's."""
        monitor_id = str(item["id"])
        self._positions.add(row.position)
        self._given.add(monitor_id)
        if like is not None:
            self.lookalikes.append((row.position, monitor_id))
        return met(self._ledger, row, item, self._terms, self._listing.showing, like)


def met(
    ledger: Ledger,
    row: Match,
    item: Mapping[str, Any],
    terms: Terms,
    showing: Showing,
    like: Candidate | None = None,
) -> Change:
    """What becomes of a row whose monitor is there; of one that only may be the row's, `like` says what differs."""
    monitor_id = str(item["id"])
    if row.attempts and row.patch is None and not ledger.was_earlier(monitor_id) and not ledger.is_made(monitor_id):
        return Change(position=row.position, state=Status.CREATED, monitor_id=monitor_id)  # ours, seen late
    if not may_be_of_type(item, row.type):
        words = f"Monitor {monitor_id} is of type {item.get('type')}; a monitor cannot change its type."
        return Change(position=row.position, state=Status.INVALID, error=words)
    body = json.loads(row.body)
    found = without_ways(differences(body, item), body, item, showing)
    remark = ""
    if like is not None:
        found = {field: values for field, values in found.items() if field not in IDENTIFYING}
        remark = _taken_for(item, like)
    if found and terms.on_existing == "update" and like is None:
        in_vain = {field for field in found if field in IDENTIFYING and ledger.was_patched(row, monitor_id, field)}
        if in_vain and _may_be_shown_so(row, body, item):
            found = {field: values for field, values in found.items() if field not in in_vain}
            remark = f"Shown otherwise, also after it was changed: {' and '.join(sorted(in_vain))}."
    if found and terms.on_existing == "update":
        patch = to_json({field: body[field] for field in body if field in found or _goes_along(field, found)})
        words = " ".join(filter(None, (remark, spelled_out(found))))
        return Change(position=row.position, state=State.PENDING, monitor_id=monitor_id, patch=patch, error=words)
    if row.attempts and row.patch is not None:
        asked = json.loads(row.patch)
        if not without_ways(differences(asked, item), asked, item, showing):  # its answer was lost
            return Change(position=row.position, state=Status.UPDATED, monitor_id=monitor_id, error=row.note)
    words = " ".join(filter(None, (remark, f"Left as it is: {spelled_out(found)}." if found else "")))
    return Change(position=row.position, state=Status.EXISTS, monitor_id=monitor_id, error=words)


def _may_be_shown_so(row: Match, body: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """True if the account may have been sent what the row asks for, and show it otherwise."""
    shown = listed_identity(item)
    return shown is not None and difference(asked_identity(row.type, body), shown, frozenset(Way)) is not None


def _goes_along(field: str, found: Mapping[str, object]) -> bool:
    """A new list of locations may take the home location with it, so that is said again."""
    return field == "home_location" and "locations" in found


def _taken_for(item: Mapping[str, Any], like: Candidate) -> str:
    """Say why a monitor is taken for a row's, and what to do if it is not."""
    parts = [
        part
        for way, part in (
            (Way.TYPE, "its type is not shown as documented"),
            (Way.NO_NAME, "its name is not shown"),
            (Way.NO_HOST, "its host is not shown"),
            (Way.NO_PORT, "its port is not shown"),
        )
        if way in like.ways
    ]
    if like.ways - HIDING:
        parts.insert(0, f"its name is shown as {show(str(item.get('name')))}")
    why = f", although {' and '.join(parts)}" if parts else ", as before"
    return f"Taken for monitor {item['id']}{why}; {ANYWAY}"


def _not_told_apart(some: Sequence[Candidate]) -> str:
    return (
        f"{named(some)} may be this row's or another row's: the account does not show what tells them apart. Nothing"
        f" was sent. Write the right one into the column monitor_id, or {ANYWAY}"
    )


def named(some: Sequence[Candidate]) -> str:
    """Name the monitors that a row may be."""
    ids = [candidate.monitor_id for candidate in some]
    more = " and others" if len(ids) > MOST_NAMED else ""
    return f"Monitor{'s' if len(ids) > 1 else ''} {', '.join(ids[:MOST_NAMED])}{more}"
