"""The account's mail monitors at one moment, and how far their list can be relied on.

In: what the API lists, and what the store knows. Out: a `Listing`: which of its monitors this program created, their
identities, and what they teach about how the account displays monitors. What the store knows goes first: a monitor that
this program created is identified by its ID, and what the account hides of it is as requested.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from bulkload import clock
from bulkload.errors import ApiUnreliable
from bulkload.monitors.alterations import Alteration
from bulkload.monitors.display_profile import (
    DisplayProfile,
    Observation,
    fill_hidden,
    learn_profile,
    testable_alterations,
)
from bulkload.monitors.identity import Identity, identity_in, listed_identity
from bulkload.protocols import PLAIN_PORTS
from bulkload.settings import Options
from bulkload.stages.candidates import Candidates
from bulkload.store.account_record import AccountRecord
from bulkload.store.stored_rows import digest

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

POLL = 2.0  # seconds between requests for a list that may only be late
SAMPLES = 3  # monitors that are requested one by one
SHRUNKEN = 10  # created monitors that must be missing, and more than half, before a list counts as unreliable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The account's mail monitors at one moment."""

    requested_at: str  # the moment before the list was requested, see `clock`
    monitors: Mapping[str, Mapping[str, Any]]  # by ID
    displayed: Mapping[str, Identity]  # by ID, as displayed
    identities: Mapping[str, Identity]  # by ID; of created monitors what the account hides or alters is as requested
    created: Mapping[str, bytes]  # those that this program created → their identity keys in the store
    by_key: Mapping[bytes, Sequence[str]]  # identity key → IDs, of those that display theirs in full
    profile: DisplayProfile
    recognised: int  # of the created ones, how many would be recognised by what is displayed alone

    @property
    def can_prove_absence(self) -> bool:
        """True if most created monitors are recognised by what is displayed, so one that is not found is not there."""
        return 0 < len(self.created) <= 2 * self.recognised

    def key_of(self, monitor_id: str) -> bytes | None:
        """The identity key of a listed monitor; None if it is no mail monitor."""
        identity = self.identities.get(monitor_id)
        return digest(identity.key) if identity is not None else None

    def candidates(self, without: Collection[str] = ()) -> Candidates:
        """Index the monitors that this program did not create by the rows that they may belong to."""
        others = (
            (monitor_id, identity)
            for monitor_id, identity in self.identities.items()
            if monitor_id not in self.created and monitor_id not in without
        )
        return Candidates(others, self.profile, _types_with_ports(self.displayed))

    def newest_created_at(self, record: AccountRecord) -> str | None:
        """When the request for the newest listed monitor left that this program created.

        A moment after the list itself comes from a clock that was wrong then, and is ignored.
        """
        moments = (at for monitor_id, _, at in record.newest_created() if monitor_id in self.monitors)
        return next((at for at in moments if not clock.is_later(at, self.requested_at)), None)

    def with_created(self, record: AccountRecord) -> Listing:
        """The same list after rows were settled with monitors of it."""
        keys = record.created_keys()
        return replace(
            self, created={monitor_id: keys[monitor_id] for monitor_id in self.monitors if monitor_id in keys}
        )

    def duplicates(self) -> Iterator[tuple[bytes, str, Sequence[str]]]:
        """Yield an identity key, a monitor that has it, and the IDs of others that are displayed exactly alike.

        Two created monitors whose requests differ are no duplicates, however they are displayed. A port that is not
        displayed is the type's own, unless the account is known to hide ports.
        """
        alike: defaultdict[str, list[str]] = defaultdict(list)
        for monitor_id, identity in self.displayed.items():
            if identity.name and None not in identity.servers and not self._hides_port(monitor_id):
                alike[identity.key].append(monitor_id)
        for monitor_ids in alike.values():
            for monitor_id in monitor_ids if len(monitor_ids) > 1 else ():
                key = self.created.get(monitor_id) or digest(self.displayed[monitor_id].key)
                others = [other for other in monitor_ids if other != monitor_id and self.created.get(other, key) == key]
                if others and not self._is_cut(monitor_id):
                    yield key, monitor_id, others

    def _hides_port(self, monitor_id: str) -> bool:
        identity = self.identities[monitor_id]
        has_other_port = identity.port not in (None, PLAIN_PORTS.get(identity.type))
        hides_ports = Alteration.NO_PORT in self.profile.alterations
        return self.displayed[monitor_id].port is None and (hides_ports or has_other_port)

    def _is_cut(self, monitor_id: str) -> bool:
        return self.profile.cut is not None and len(self.displayed[monitor_id].name or "") >= self.profile.cut


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many monitors this program created in the account, and how many of them a list contains."""

    created: int
    listed: int

    @classmethod
    def of(cls, record: AccountRecord, listing: Listing) -> Coverage:
        """Count them."""
        keys = record.created_keys()
        return cls(len(keys), sum(map(keys.__contains__, listing.monitors)))

    @property
    def is_reliable(self) -> bool:
        """False if so many are missing that the list itself is doubtful."""
        missing = self.created - self.listed
        return not missing or (self.listed > 0 and (missing < SHRUNKEN or missing <= self.listed))


async def list_monitors(record: AccountRecord, api: Api, new: Collection[str] = ()) -> Listing:
    """List the account's mail monitors, and learn from them; `new` are the IDs of those created just now."""
    requested_at = clock.moment()
    return identify(record, requested_at, await api.list_mail_monitors(), new)


async def reliable_listing(record: AccountRecord, api: Api, options: Options) -> Listing:
    """A list that contains the created monitors; requested again while it may only be late.

    Raises `ApiUnreliable` if it does not become reliable, unless the user trusts it.
    """
    while True:
        listing = await list_monitors(record, api)
        coverage = Coverage.of(record, listing)
        if options.trust_list or coverage.is_reliable:
            return listing
        newest = next((at for _, _, at in record.newest_created()), None)
        wait = options.settle_grace - clock.seconds_between(newest, clock.moment()) if newest else 0.0
        if wait <= 0:
            raise ApiUnreliable(
                f"The account's list contains {coverage.listed or 'none'} of the {coverage.created} monitors that"
                f" bulkload created. Nothing was created. {_advice(newest, options)}"
            )
        log.warning("the account's list does not contain the newest created monitors yet; listing again")
        await asyncio.sleep(min(wait, POLL))


def _advice(newest: str | None, options: Options) -> str:
    """What to do about a list that contains too little; one that may only be late must not be trusted."""
    if newest is not None and (age := clock.seconds_between(newest, clock.moment())) < options.settle_after:
        return (
            f"The newest is {age:.0f} seconds old and may not be listed yet: run again in"
            f" {options.settle_after:.0f} seconds. Only if they were deleted by hand, run now with --trust-list."
        )
    return "If they were deleted by hand, run again with --trust-list."


async def omits_created(record: AccountRecord, api: Api, listing: Listing) -> bool:
    """True if the account has a monitor that this program created and its list omits; such a list proves no absence.

    A few monitors are requested, the newest first, and only if a row is in doubt, so that it matters.
    """
    if not record.rows_in_doubt():
        return False
    for monitor_id, _, _ in list(islice(record.unlisted(listing.monitors), SAMPLES)):
        if await api.get(monitor_id) is not None:
            log.info("the account's list does not contain monitor %s, which exists", monitor_id)
            return True
    return False


def identify(
    record: AccountRecord,
    requested_at: str,
    items: Iterable[Mapping[str, Any]],
    new: Collection[str] = (),
    *,
    log_alterations: bool = True,
) -> Listing:
    """Identify the monitors that the API listed at a moment, and store what they teach about the account."""
    monitors = {str(item["id"]): item for item in items}
    displayed = {
        monitor_id: identity for monitor_id, item in monitors.items() if (identity := listed_identity(item)) is not None
    }
    keys = record.created_keys() if monitors else {}
    created = _CreatedMonitors()
    for monitor_id in displayed.keys() & keys.keys():
        created.add(record, monitor_id, keys[monitor_id], displayed[monitor_id])
    before = profile_of(record)
    profile = created.learn(before, displayed, new)
    if profile != before:
        record.keep_display_profile(profile.to_json())
        for sentence in profile.sentences(before) if log_alterations else ():
            log.warning("%s bulkload allows for that when it compares rows with monitors.", sentence)
    identities = displayed | created.identities(displayed, profile)
    return Listing(
        requested_at=requested_at,
        monitors=monitors,
        displayed=displayed,
        identities=identities,
        created=created.keys,
        by_key=_by_key(identities, profile),
        profile=profile,
        recognised=created.recognised(profile),
    )


def profile_of(record: AccountRecord) -> DisplayProfile:
    """What has been learned about how the account displays monitors."""
    return DisplayProfile.from_json(record.display_profile())


@dataclass(slots=True)
class _CreatedMonitors:
    """The listed monitors that this program created."""

    keys: dict[str, bytes] = field(default_factory=dict)
    unaltered: list[str] = field(default_factory=list)  # those that are displayed as requested
    observations: dict[str, Observation] = field(default_factory=dict)  # of the others
    requested: dict[str, Identity] = field(default_factory=dict)  # by these

    def add(self, record: AccountRecord, monitor_id: str, key: bytes, displayed: Identity) -> None:
        """Compare one with its request."""
        self.keys[monitor_id] = key
        if digest(displayed.key) == key:
            self.unaltered.append(monitor_id)
        elif (request := record.requested(key)) is not None:
            requested = identity_in(*request)
            self.observations[monitor_id] = Observation.of(requested, displayed)
            self.requested[monitor_id] = requested

    def learn(self, before: DisplayProfile, displayed: Mapping[str, Identity], new: Collection[str]) -> DisplayProfile:
        """Learn; where nothing differs from what is known, nothing is compared."""
        if not self.keys or (before.known and not self.observations and not before.alterations):
            return before
        observations = self.observations | {
            monitor_id: _unaltered(displayed[monitor_id]) for monitor_id in self.unaltered
        }
        of_new = [observations.pop(monitor_id) for monitor_id in new if monitor_id in observations]
        return learn_profile(learn_profile(before, of_new, fresh=True), observations.values())

    def identities(self, displayed: Mapping[str, Identity], profile: DisplayProfile) -> dict[str, Identity]:
        """Identities of those that are displayed altered: as requested, if the account is known to alter that so."""
        return {
            monitor_id: requested
            if _explains(profile, self.observations[monitor_id])
            else fill_hidden(displayed[monitor_id], requested)
            for monitor_id, requested in self.requested.items()
        }

    def recognised(self, profile: DisplayProfile) -> int:
        """How many would be recognised by what is displayed alone."""
        hiding = {Alteration.TYPE, Alteration.NO_NAME, Alteration.NO_HOST}
        visible = (
            observation
            for observation in self.observations.values()
            if observation.alterations is not None and not observation.alterations & hiding
        )
        return len(self.unaltered) + sum(_explains(profile, observation) for observation in visible)


def _unaltered(displayed: Identity) -> Observation:
    requested = displayed._replace(port=displayed.port or PLAIN_PORTS.get(displayed.type, 0))
    return Observation(frozenset(), testable_alterations(requested), displayed.name or "")


def _explains(profile: DisplayProfile, observation: Observation) -> bool:
    return observation.alterations is not None and observation.alterations <= profile.alterations


def _by_key(identities: Mapping[str, Identity], profile: DisplayProfile) -> Mapping[bytes, Sequence[str]]:
    """Group the monitors that are displayed in full by their identity keys."""
    groups: defaultdict[bytes, list[str]] = defaultdict(list)
    for monitor_id in _displayed_in_full(identities, profile):
        groups[digest(identities[monitor_id].key)].append(monitor_id)
    return groups


def _displayed_in_full(identities: Mapping[str, Identity], profile: DisplayProfile) -> Iterator[str]:
    """Yield the monitors of which nothing is hidden that could distinguish them from others.

    A port that is not displayed is the type's own, if ports are known to be displayed, or other monitors of the type
    display one.
    """
    with_ports = _types_with_ports(identities)
    for monitor_id, identity in identities.items():
        port_is_known = identity.port is not None or Alteration.NO_PORT in profile.exact or identity.type in with_ports
        if port_is_known and identity.type and identity.name and None not in identity.servers:
            yield monitor_id


def _types_with_ports(identities: Mapping[str, Identity]) -> set[str]:
    """The types of which some monitor displays a port that is not the type's own, so that ports are displayed."""
    return {
        identity.type
        for identity in identities.values()
        if identity.port not in (None, 0, PLAIN_PORTS.get(identity.type))
    }
