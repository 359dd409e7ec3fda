"""The account's mail monitors at one moment, and how far they can be relied on.

In: what the API lists, and what the store knows. Out: a `Listing`: which of its monitors this program made, who they
are, and what their list teaches about how the account shows monitors. What the store knows goes first: a monitor that
this program made is recognised by its ID, and what the account does not show of it is what was asked for.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from bulkload import clock
from bulkload.monitors.alterations import Way
from bulkload.monitors.display_profile import Seen, Showing, exercised, filled, learned
from bulkload.monitors.identity import Identity, listed_identity
from bulkload.protocols import PLAIN_PORTS
from bulkload.stages.candidates import Candidates
from bulkload.store.rows import Ledger
from bulkload.store.runs import digest

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

SAMPLES = 3  # monitors that are asked for one by one
SHRUNKEN = 10  # monitors of ours that must be missing, and more than half, before a list counts as shrunken

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The account's mail monitors at one moment."""

    asked: str  # the moment before the list was asked for, see `clock`
    monitors: Mapping[str, Mapping[str, Any]]  # by ID
    shown: Mapping[str, Identity]  # by ID, as shown
    identities: Mapping[str, Identity]  # the same; of ours as it was asked for, but for what is shown otherwise
    ours: Mapping[str, bytes]  # those that this program made → the identity that they got
    ids: Mapping[bytes, Sequence[str]]  # by identity, of those that show theirs whole
    showing: Showing
    recognised: int  # of ours, how many are recognised by what is shown of them alone

    @property
    def can_prove_absence(self) -> bool:
        """True if most of ours are recognised by what is shown, so that one which is not found is not there."""
        return 0 < len(self.ours) <= 2 * self.recognised

    def candidates(self, without: Collection[str] = ()) -> Candidates:
        """Give the monitors that this program did not make, as an index of what they may be."""
        others = (
            (monitor_id, identity)
            for monitor_id, identity in self.identities.items()
            if monitor_id not in self.ours and monitor_id not in without
        )
        return Candidates(others, self.showing, _types_with_ports(self.shown))

    def reach(self, ledger: Ledger) -> str | None:
        """When the newest of our monitors was sent that the list shows.

        A moment after the list itself is of a clock that was wrong then, and says nothing.
        """
        shown = (at for monitor_id, _, at in ledger.made() if monitor_id in self.monitors)
        return next((at for at in shown if not clock.is_later(at, self.asked)), None)

    def with_ours(self, ledger: Ledger) -> Listing:
        """Give the same list after rows got monitors of it."""
        made = ledger.made_keys()
        return replace(self, ours={one: made[one] for one in self.monitors if one in made})

    def twins(self) -> Iterator[tuple[bytes, str, Sequence[str]]]:
        """Give an identity, a monitor that has it, and the IDs of others that are shown just the same.

        Two of ours that were asked for otherwise are no twins, however they are shown. A port that is not shown is the
        type's own, unless the account is known to hide ports.
        """
        alike: defaultdict[str, list[str]] = defaultdict(list)
        for monitor_id, identity in self.shown.items():
            if identity.name and None not in identity.servers and not self._hides_port(monitor_id):
                alike[identity.key].append(monitor_id)
        for monitor_ids in alike.values():
            for monitor_id in monitor_ids if len(monitor_ids) > 1 else ():
                key = self.ours.get(monitor_id) or digest(self.shown[monitor_id].key)
                others = [one for one in monitor_ids if one != monitor_id and self.ours.get(one, key) == key]
                if others and not self._is_cut(monitor_id):
                    yield key, monitor_id, others

    def _hides_port(self, monitor_id: str) -> bool:
        asked = self.identities[monitor_id]
        is_other = asked.port not in (None, PLAIN_PORTS.get(asked.type))
        return self.shown[monitor_id].port is None and (Way.NO_PORT in self.showing.ways or is_other)

    def _is_cut(self, monitor_id: str) -> bool:
        return self.showing.cut is not None and len(self.shown[monitor_id].name or "") >= self.showing.cut


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many monitors this program made in the account, and how many of them a list shows."""

    made: int
    seen: int

    @staticmethod
    def of(ledger: Ledger, listing: Listing) -> Coverage:
        """Count."""
        made = ledger.made_keys()
        return Coverage(len(made), sum(map(made.__contains__, listing.monitors)))

    @property
    def believable(self) -> bool:
        """False if so many are missing that the list itself is doubtful."""
        missing = self.made - self.seen
        return not missing or (self.seen > 0 and (missing < SHRUNKEN or missing <= self.seen))


async def lacks_ours(ledger: Ledger, api: Api, listing: Listing) -> bool:
    """True if the account has a monitor that this program made, and its list does not show it, or not yet.

    Such a list proves nothing about what it does not show. A few monitors are asked for, the newest first, if a row is
    in doubt, so that it matters.
    """
    if not ledger.doubts():
        return False
    for monitor_id, _, _ in list(islice(ledger.made_unlisted(listing.monitors), SAMPLES)):
        if await api.get(monitor_id) is not None:
            log.info("the account's list does not show monitor %s, which is there", monitor_id)
            return True
    return False


async def look(ledger: Ledger, api: Api, fresh: Collection[str] = ()) -> Listing:
    """List the account's mail monitors, and learn from it; `fresh` are those that were made just now."""
    asked = clock.moment()
    return recognise(ledger, asked, await api.list_mail_monitors(), fresh)


def recognise(
    ledger: Ledger,
    asked: str,
    items: Iterable[Mapping[str, Any]],
    fresh: Collection[str] = (),
    *,
    aloud: bool = True,
) -> Listing:
    """Tell who is who in what the API listed at a moment, and keep what it teaches in the store; `aloud`: say that."""
    monitors = {str(item["id"]): item for item in items}
    shown = {one: found for one, item in monitors.items() if (found := listed_identity(item)) is not None}
    made = ledger.made_keys() if monitors else {}
    ours = _Ours()
    for monitor_id in shown.keys() & made.keys():
        ours.add(ledger, monitor_id, made[monitor_id], shown[monitor_id])
    before = ledger.showing()
    showing = ours.taught(before, shown, fresh)
    if showing != before:
        ledger.keep_showing(showing)
        for sentence in showing.sentences(before) if aloud else ():
            log.warning("%s bulkload allows for that when it compares rows with monitors.", sentence)
    identities = shown | ours.identities(shown, showing)
    return Listing(
        asked=asked,
        monitors=monitors,
        shown=shown,
        identities=identities,
        ours=ours.keys,
        ids=_by_key(identities, showing),
        showing=showing,
        recognised=ours.recognised(showing),
    )


@dataclass(slots=True)
class _Ours:
    """The listed monitors that this program made."""

    keys: dict[str, bytes] = field(default_factory=dict)
    plain: list[str] = field(default_factory=list)  # those that are shown as they were asked for
    seen: dict[str, Seen] = field(default_factory=dict)  # the others
    asked: dict[str, Identity] = field(default_factory=dict)  # of these

    def add(self, ledger: Ledger, monitor_id: str, key: bytes, shown: Identity) -> None:
        """Compare one with what was asked for."""
        self.keys[monitor_id] = key
        if digest(shown.key) == key:
            self.plain.append(monitor_id)
        elif (asked := ledger.asked_for(key)) is not None:
            self.seen[monitor_id] = Seen.of(asked, shown)
            self.asked[monitor_id] = asked

    def taught(self, before: Showing, shown: Mapping[str, Identity], fresh: Collection[str]) -> Showing:
        """Learn; where nothing differs from what is known, nothing needs to be looked at."""
        if not self.keys or (before.known and not self.seen and not before.ways):
            return before
        seen = self.seen | {monitor_id: _as_asked(shown[monitor_id]) for monitor_id in self.plain}
        just_made = [seen.pop(monitor_id) for monitor_id in fresh if monitor_id in seen]
        return learned(learned(before, just_made, fresh=True), seen.values())

    def identities(self, shown: Mapping[str, Identity], showing: Showing) -> dict[str, Identity]:
        """Who those are that are shown otherwise: as asked for, if the account is known to show that so."""
        return {
            monitor_id: asked if _explains(showing, self.seen[monitor_id]) else filled(shown[monitor_id], asked)
            for monitor_id, asked in self.asked.items()
        }

    def recognised(self, showing: Showing) -> int:
        """How many are recognised by what is shown of them alone."""
        hiding = {Way.TYPE, Way.NO_NAME, Way.NO_HOST}
        others = (one for one in self.seen.values() if one.ways is not None and not one.ways & hiding)
        return len(self.plain) + sum(_explains(showing, one) for one in others)


def _as_asked(shown: Identity) -> Seen:
    asked = shown._replace(port=shown.port or PLAIN_PORTS.get(shown.type, 0))
    return Seen(frozenset(), exercised(asked), shown.name or "")


def _explains(showing: Showing, seen: Seen) -> bool:
    return seen.ways is not None and seen.ways <= showing.ways


def _by_key(identities: Mapping[str, Identity], showing: Showing) -> Mapping[bytes, Sequence[str]]:
    """Group the monitors that are shown whole by their identities."""
    found: defaultdict[bytes, list[str]] = defaultdict(list)
    for monitor_id in _shown_whole(identities, showing):
        found[digest(identities[monitor_id].key)].append(monitor_id)
    return found


def _shown_whole(identities: Mapping[str, Identity], showing: Showing) -> Iterator[str]:
    """Give the monitors of which nothing is hidden that could tell them from others.

    A port that is not shown is the type's own, if ports are known to be shown, or other monitors of the type show one.
    """
    with_ports = _types_with_ports(identities)
    for monitor_id, identity in identities.items():
        port_is_known = identity.port is not None or Way.NO_PORT in showing.exact or identity.type in with_ports
        if port_is_known and identity.type and identity.name and None not in identity.servers:
            yield monitor_id


def _types_with_ports(identities: Mapping[str, Identity]) -> set[str]:
    """The types of which some monitor shows a port that is not the type's own, so that ports are shown."""
    return {one.type for one in identities.values() if one.port not in (None, 0, PLAIN_PORTS.get(one.type))}
