"""Candidates: which monitors of the account may be a row's, if the account alters what it displays.

In: the listed monitors that this program did not create, and the display profile of the account. Out: for a row's
identity, the monitors that may be its own; and for many rows, which of them have one to themselves, and which share
one, so that the match is ambiguous.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple, TypeVar

from bulkload.monitors.alterations import SHORTEST_CUT, Alteration, displayed_letters, lengths, requested_letters
from bulkload.monitors.display_profile import DisplayProfile, alterations_between
from bulkload.monitors.identity import Identity

R = TypeVar("R", bound=Hashable)
MOST_CANDIDATES = 20  # of one row; the first of them are enough to decide
MOST_NAMED = 5  # monitor IDs in a sentence
ONE_CASE = 3  # names needed to conclude that an account displays all in one letter case
CUT_ENDS = (
    3  # bytes or characters by which a cut name may be shorter than another: spaces and half characters are removed
)


class Candidate(NamedTuple):
    """A monitor that may be a row's."""

    monitor_id: str
    alterations: frozenset[Alteration]  # that explain the difference; none: it may be the row's as it is
    shown: Identity


class Candidates:
    """Monitors of a list, found by a row's request in about constant time."""

    def __init__(
        self, shown: Iterable[tuple[str, Identity]], profile: DisplayProfile, with_ports: Collection[str] = ()
    ) -> None:
        """Index monitors; `with_ports` are the types of which some monitor displays an unusual port."""
        self._showing = profile
        self._with_ports = with_ports
        self._identities = dict(shown)
        self._found: defaultdict[Hashable, list[str]] = defaultdict(list)
        self._cut_lengths: set[int] = set()
        names = [identity.name or "" for identity in self._identities.values()]
        self._possible = profile.possible | ({Alteration.CASE} if _is_one_case(names) else set())
        self._longest = [max(measured) for measured in zip(*map(lengths, names), strict=True)]
        self._maybe_cut = {one for one, identity in self._identities.items() if self._may_be_cut(identity.name or "")}
        for monitor_id, identity in self._identities.items():
            servers = None if None in identity.servers else identity.servers
            place = identity.type, servers, identity.port
            kind = "name" if identity.name else "no name"
            for letters in displayed_letters(identity.name) if identity.name else ("",):
                self._found[*place, kind, letters].append(monitor_id)
                if monitor_id in self._maybe_cut:
                    self._found[*place, "cut", letters].append(monitor_id)
                    self._cut_lengths.add(len(letters))

    def __bool__(self) -> bool:
        return bool(self._identities)

    def of(self, asked: Identity) -> list[Candidate]:
        """The monitors that may be a row's."""
        found: dict[str, Candidate] = {}
        cut = self._possible - ({Alteration.NO_PORT} if asked.type in self._with_ports else set())
        whole = cut - {Alteration.CUT}
        for monitor_id in self._near(asked):
            if monitor_id in found:
                continue
            shown = self._identities[monitor_id]
            allowed = cut if monitor_id in self._maybe_cut else whole
            if (ways := alterations_between(asked, shown, allowed)) is not None:
                if shown.port is None and Alteration.NO_PORT in self._showing.alterations:
                    ways |= {Alteration.NO_PORT}  # it may be another port than the row's
                found[monitor_id] = Candidate(monitor_id, ways, shown)
                if len(found) == MOST_CANDIDATES:
                    break
        return list(found.values())

    def _near(self, asked: Identity) -> Iterator[str]:
        possible = self._possible
        types = (asked.type, "") if Alteration.TYPE in possible else (asked.type,)
        hosts = (asked.servers, None) if Alteration.NO_HOST in possible else (asked.servers,)
        may_be_nameless = Alteration.NO_NAME in possible or not (asked.name or "").isascii()
        spellings = requested_letters(asked.name or "")
        for place in product(types, hosts, (asked.port, None)):
            if may_be_nameless:
                yield from self._found.get((*place, "no name", ""), ())
            for letters in spellings:
                yield from self._found.get((*place, "name", letters), ())
                for length in self._cut_lengths:
                    yield from self._found.get((*place, "cut", letters[:length]), ())

    def _may_be_cut(self, name: str) -> bool:
        """True if a name is as long as names in the account get, and as the account is known to allow."""
        profile = self._showing
        if len(name) < SHORTEST_CUT:
            return False
        whole = profile.longest if profile.cut is None else (0, 0, 0)
        cut = profile.cut or 0
        measured = zip(lengths(name), self._longest, whole, strict=True)
        return any(
            length >= shown_whole and length + CUT_ENDS > max(longest, cut) for length, longest, shown_whole in measured
        )


def assign_candidates(
    rows: Mapping[R, Sequence[Candidate]],
) -> tuple[dict[R, Candidate], dict[R, Sequence[Candidate]]]:
    """Give each row that shares no candidate with another its monitor, and the other rows with their candidates.

    Of several candidates of one row, the one with the fewest alterations counts. If several have equally few, the first
    counts if all are displayed exactly as requested, with their ports; otherwise the match is ambiguous.
    """
    wanted = Counter(candidate.monitor_id for candidates in rows.values() for candidate in candidates)
    own: dict[R, Candidate] = {}
    shared: dict[R, Sequence[Candidate]] = {}
    for row, candidates in rows.items():
        fewest = min((len(candidate.alterations) for candidate in candidates), default=0)
        nearest = [candidate for candidate in candidates if len(candidate.alterations) == fewest]
        is_shared = any(wanted[candidate.monitor_id] > 1 for candidate in candidates)
        if is_shared or (len(nearest) > 1 and not all(map(_is_exact, nearest))):
            shared[row] = candidates
        elif nearest:
            own[row] = nearest[0]
    return own, shared


def _is_exact(candidate: Candidate) -> bool:
    return not candidate.alterations and candidate.shown.port is not None


def _is_one_case(names: Iterable[str]) -> bool:
    """True if enough names are all upper case, or all lower case: the account may display them so."""
    with_letters = [name for name in names if name.upper() != name.lower()]
    return len(with_letters) >= ONE_CASE and (
        all(name == name.upper() for name in with_letters) or all(name == name.lower() for name in with_letters)
    )


def name_monitors(monitor_ids: Sequence[str]) -> str:
    """Name monitors in a sentence: "monitor 7", or "monitors 7, 8"; of many, the first."""
    noun = "monitor" if len(monitor_ids) == 1 else "monitors"
    more = " and others" if len(monitor_ids) > MOST_NAMED else ""
    return f"{noun} {', '.join(monitor_ids[:MOST_NAMED])}{more}"
