"""The display profile of an account: how it alters what it is sent, learned from monitors with a known request.

In: a requested identity, and a displayed one. Out: the `Alteration`s that explain the difference, or None; and a
`DisplayProfile`, which is what has been learned about one account. AlertSite documents none of this, so nothing is
assumed: what has not been observed may be or not.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bulkload.monitors.alterations import (
    ALWAYS_CHANGED_TEXTS,
    CHANGEABLE_TEXTS,
    REMOVING_SPACES,
    Alteration,
    Lengths,
    collapsed,
    lengths,
    text_alterations,
)
from bulkload.monitors.identity import Identity, identity_of
from bulkload.protocols import PLAIN_PORTS

_LOST_AT_CUT = 8  # characters at the end of a cut name that may be an ellipsis or half an escape
_RUN_OF_BLANKS = re.compile(r"[ \t]{2}")
HIDDEN_FIELDS = frozenset({Alteration.TYPE, Alteration.NO_NAME, Alteration.NO_HOST, Alteration.NO_PORT})
ALSO_BY_HAND = frozenset(
    {Alteration.CASE, Alteration.CUT, Alteration.NO_PORT}
)  # what a person may have changed as well


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayProfile:
    """What has been learned about how one account displays monitors."""

    alterations: frozenset[Alteration] = frozenset()  # those that it makes
    exact: frozenset[Alteration] = frozenset()  # alterations that it was observed not to make
    longest: Lengths = (0, 0, 0)  # of the longest names that it displayed in full
    cut: int | None = None  # characters after which it cuts names, escapes counted as one
    known: bool = False  # at least one monitor of ours was recognised

    def to_json(self) -> str:
        """The same as a JSON text, for the store."""
        found = {
            "ways": sorted(self.alterations),
            "exact": sorted(self.exact),
            "longest": self.longest,
            "cut": self.cut,
            "known": self.known,
        }
        return json.dumps(found)

    @classmethod
    def from_json(cls, text: str | None) -> DisplayProfile:
        """Read what `to_json` wrote; an unknown alteration counts as not learned."""
        if not text:
            return cls()
        found = json.loads(text)
        known = set(Alteration)
        return cls(
            alterations=frozenset(Alteration(way) for way in found["ways"] if way in known),
            exact=frozenset(Alteration(way) for way in found["exact"] if way in known),
            longest=tuple(found["longest"]),
            cut=found["cut"],
            known=found["known"],
        )

    @property
    def possible(self) -> frozenset[Alteration]:
        """The alterations that the account makes or may make; letter case only if that was observed."""
        return (frozenset(Alteration) - self.exact - {Alteration.CASE}) | self.alterations

    def sentences(self, beside: DisplayProfile) -> list[str]:
        """One sentence for each alteration that this profile has beyond another."""
        new = [way for way in Alteration if way in self.alterations - beside.alterations]
        return [
            f"The account {way.about}{f' after {self.cut} characters' if way is Alteration.CUT else ''}." for way in new
        ]


UNKNOWN = DisplayProfile()


def alterations_between(
    asked: Identity, shown: Identity, allowed: Collection[Alteration]
) -> frozenset[Alteration] | None:
    """The alterations that lead from the one to the other: none if they are equal, None if no alterations do."""
    if shown.type not in (asked.type, "") or len(asked.servers) != len(shown.servers):
        return None
    ways = set() if shown.type else {Alteration.TYPE}
    for ours, theirs in zip(asked.servers, shown.servers, strict=True):
        if theirs is None:
            ways.add(Alteration.NO_HOST)
        elif ours != theirs:
            return None
    if shown.port is None:
        if asked.port != PLAIN_PORTS.get(asked.type):
            ways.add(Alteration.NO_PORT)
    elif shown.port != asked.port:
        return None
    in_name = None if shown.name is None else text_alterations(asked.name or "", shown.name, allowed)
    if in_name is not None:
        ways |= in_name
    elif not shown.name and (shown.name is None or None not in shown.servers):
        ways.add(Alteration.NO_NAME)
    else:
        return None
    return frozenset(ways) if ways <= frozenset(allowed) else None


def testable_alterations(asked: Identity) -> frozenset[Alteration]:
    """The alterations that a monitor would reveal if the account made them; a cut depends on the length."""
    found = {way for way, must_change in ALWAYS_CHANGED_TEXTS.items() if asked.name and must_change(asked.name)}
    if asked.type in PLAIN_PORTS and asked.port != PLAIN_PORTS[asked.type]:
        found.add(Alteration.NO_PORT)
    return frozenset(found | {Alteration.TYPE, Alteration.NO_NAME, Alteration.NO_HOST})


def fill_hidden(shown: Identity, asked: Identity) -> Identity:
    """Replace what the account hides by what was requested."""
    if shown.type not in (asked.type, "") or len(shown.servers) != len(asked.servers):
        return shown
    servers = (
        theirs if theirs is not None else ours for ours, theirs in zip(asked.servers, shown.servers, strict=True)
    )
    return shown._replace(
        type=asked.type,
        servers=tuple(servers),
        port=asked.port if shown.port is None else shown.port,
        name=shown.name or asked.name,
    )


def without_display_differences(
    found: Mapping[str, tuple[object, object]],
    body: Mapping[str, object],
    item: Mapping[str, object],
    profile: DisplayProfile,
) -> dict[str, tuple[object, object]]:
    """Remove from the differing fields (field → old, new) those that differ only because of known alterations."""
    if not profile.alterations or not found:
        return dict(found)
    kept = dict(found)
    kind = str(item.get("type"))
    for field, (old, new) in found.items():
        if (
            field in ("hostname", "smtp_hostname", "pop3_hostname")
            and old is None
            and Alteration.NO_HOST in profile.alterations
        ):
            del kept[field]
        elif field == "port" and Alteration.NO_PORT in profile.alterations:
            if identity_of(kind, item).port is None:
                del kept[field]
        elif field == "name" and not old and Alteration.NO_NAME in profile.alterations:
            del kept[field]
        elif isinstance(new, str) and isinstance(old, str):
            ways = profile.alterations if field == "name" else profile.alterations - {Alteration.CUT}
            if text_alterations(_text(new), _text(old), ways) is not None:
                del kept[field]
    return kept


@dataclass(frozen=True, slots=True)
class Observation:
    """What one created monitor reveals about alterations."""

    alterations: frozenset[Alteration] | None  # those that explain how it is displayed; None: none do
    kept: frozenset[Alteration]  # those that it would reveal, and does not
    name: str  # as it is displayed

    @classmethod
    def of(cls, asked: Identity, shown: Identity) -> Observation:
        """Compare."""
        ways, name = alterations_between(asked, shown, frozenset(Alteration)), shown.name or ""
        if ways is None:
            return cls(None, frozenset(), name)
        if Alteration.CUT in ways:  # what is behind the cut reveals nothing
            surely = max(0, lengths(name)[2] - _LOST_AT_CUT)
            asked = asked._replace(name=(asked.name or "")[:surely].rstrip())
        could = testable_alterations(asked)
        if Alteration.NO_NAME in ways:
            could -= CHANGEABLE_TEXTS.keys()
        if Alteration.SPACES in could - ways and not ways.isdisjoint(REMOVING_SPACES) and collapsed(name) == name:
            if _RUN_OF_BLANKS.search(asked.name or ""):  # leaving characters out does not make it shorter
                ways |= {Alteration.SPACES}
            else:
                could -= {Alteration.SPACES}
        return cls(ways, could - ways, name)


def learn_profile(before: DisplayProfile, seen: Iterable[Observation], *, fresh: bool = False) -> DisplayProfile:
    """Learn from created monitors as one list displays them; `fresh`: they are new, so no person has changed them.

    An alteration is the account's own if monitors reveal it, and none that could reveal it does not. What a person may
    have done as well needs two monitors, unless they are fresh.
    """
    support: dict[Alteration, int] = {}
    kept: set[Alteration] = set()
    longest, cuts = (0, 0, 0), []
    recognised = before.known
    for one in seen:
        if one.alterations is None:
            continue
        recognised = True
        kept |= one.kept
        for way in one.alterations:
            support[way] = support.get(way, 0) + 1
        if Alteration.CUT in one.alterations:
            cuts.append(lengths(one.name))
        else:
            longest = _longer(longest, lengths(one.name))
    longest_cut = functools.reduce(_longer, cuts, (0, 0, 0))
    limit = longest_cut if cuts else (before.cut or sys.maxsize,) * 3
    if all(whole > cut for whole, cut in zip(longest, limit, strict=True)):
        support.pop(Alteration.CUT, None)  # a longer name is shown whole
        kept.add(Alteration.CUT)
    ways = set(before.alterations)
    for way, times in support.items():
        if way not in kept and (fresh or times > 1 or way not in ALSO_BY_HAND):
            ways.add(way)
    ways -= kept - support.keys()
    return DisplayProfile(
        alterations=frozenset(ways),
        exact=(before.exact | kept) - ways - {Alteration.CUT},  # a name may always be too long
        longest=_longer(before.longest, longest),
        cut=max(before.cut or 0, longest_cut[2]) if Alteration.CUT in ways else None,
        known=recognised,
    )


def _longer(one: Lengths, other: Lengths) -> Lengths:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])


def _text(value: str) -> str:
    return value.strip().replace("\r\n", "\n")
