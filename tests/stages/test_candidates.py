"""Which monitors a row may be: few to look at, cut names only where they are long enough, each monitor to one row."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.monitors.alterations import Alteration
from bulkload.monitors.display_profile import UNKNOWN, DisplayProfile, alterations_between
from bulkload.monitors.identity import Identity
from bulkload.stages.candidates import CUT_ENDS, MOST_CANDIDATES, ONE_CASE, Candidate, Candidates, assign_candidates

MANY = 5_000  # monitors, and rows


def imap(name: str | None, host: str | None = "mx.example.com", port: int | None = 143) -> Identity:
    return Identity("email-imap", (host,), port, name)


def candidates(shown: Iterable[Identity], profile: DisplayProfile = UNKNOWN) -> Candidates:
    return Candidates(((str(number), one) for number, one in enumerate(shown)), profile)


def ids(found: Iterable[Candidate]) -> list[str]:
    return [one.monitor_id for one in found]


@contextmanager
def comparing() -> Iterator[list[int]]:
    """Count how often two identities are compared."""
    count = [0]

    def watch(frame: FrameType, event: str, _: object) -> None:
        count[0] += event == "call" and frame.f_code is alterations_between.__code__

    sys.setprofile(watch)
    try:
        yield count
    finally:
        sys.setprofile(None)


# ── how many are looked at ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["mail {}", "東京 {}", "Ünï & <b> {} 🟢", "{} & a name that is longer than names are {}"]
)
def test_many_names_on_one_host_are_found_without_looking_at_the_others(name: str) -> None:
    rows = [imap(name.format(number, number)) for number in range(MANY)]
    index = candidates(rows)
    with comparing() as count:
        found = [ids(index.of(row)) for row in rows]
    assert found == [[str(number)] for number in range(MANY)]
    assert MANY <= count[0] <= 3 * MANY


@pytest.mark.parametrize(
    "shown",
    [imap("??"), imap(None), imap(""), imap("東京", None), imap(None, None), imap("東京", None, None)],
    ids=["question marks", "null", "empty", "no host", "neither", "only the name"],
)
def test_where_all_look_the_same_no_row_looks_at_more_than_it_needs(shown: Identity) -> None:
    """Names beyond ASCII of which nothing is left, hidden names and hosts: the number of candidates is limited."""
    index = candidates([shown] * MANY)
    with comparing() as count:
        for _ in range(MANY):
            assert len(index.of(imap("東京"))) == MOST_CANDIDATES
    assert count[0] == MOST_CANDIDATES * MANY


def test_equal_names_on_many_hosts_are_told_apart_by_their_hosts() -> None:
    rows = [imap("IMAP", f"mx{number}.example.com") for number in range(MANY)]
    index = candidates(rows)
    with comparing() as count:
        assert all(ids(index.of(row)) == [str(number)] for number, row in enumerate(rows))
    assert count[0] <= 2 * MANY


def test_names_that_are_cut_at_many_lengths_are_found_by_their_beginnings() -> None:
    """Many accounts in one: the work of a row does not grow with the monitors."""
    rows = [imap(f"{number} {'a long name ' * 5}") for number in range(MANY)]
    index = candidates(row._replace(name=str(row.name)[:50]) for row in rows)
    with comparing() as count:
        assert all(ids(index.of(row)) == [str(number)] for number, row in enumerate(rows))
    assert count[0] <= 3 * MANY


# ── cut names ─────────────────────────────────────────────────────────────────────────────────────────────

LONG = "mail server of the north wing, second floor, room 210"


@pytest.mark.parametrize(
    ("length", "longest", "profile", "may_be"),
    [
        (20, 20, UNKNOWN, True),
        (20, 20 + CUT_ENDS - 1, UNKNOWN, True),
        (20, 20 + CUT_ENDS, UNKNOWN, False),
        (11, 11, UNKNOWN, False),
        (20, 20, DisplayProfile(longest=(21, 21, 21)), False),
        (20, 20, DisplayProfile(longest=(20, 20, 20)), True),
        (20, 20, DisplayProfile(alterations=frozenset({Alteration.CUT}), cut=20), True),
        (20, 20, DisplayProfile(alterations=frozenset({Alteration.CUT}), cut=50), False),
        (48, 48, DisplayProfile(alterations=frozenset({Alteration.CUT}), cut=50), True),
    ],
)
def test_a_name_may_be_cut_if_it_is_as_long_as_names_get(
    length: int, longest: int, profile: DisplayProfile, may_be: bool
) -> None:
    """As the longest of the list, as the longest that came out whole, and as what the account is known to keep."""
    index = candidates([imap(LONG[:length]), imap("x" * longest, "other.example.com")], profile)
    assert ids(index.of(imap(LONG))) == (["0"] if may_be else [])


def test_cut_names_may_be_measured_in_bytes_or_without_escapes() -> None:
    for shown, asked in (("東京" * 8, "東京" * 20), (f"{'&amp; ' * 20}x", f"{'& ' * 20}xy")):
        others = [imap("y" * 48, "other.example.com"), imap("&lt;" * 30, "other.example.com")]
        assert ids(candidates([imap(shown), *others[: 1 if shown[0] != "&" else 2]]).of(imap(asked))) == ["0"]


# ── letter case ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["MAIL A", "MAIL B", "MAIL C"], ["0"]),
        (["mail a", "mail b", "mail c"], ["0"]),
        (["MAIL A", "MAIL B"], []),
        (["MAIL A", "MAIL B", "123", "456"], []),
        (["MAIL A", "MAIL B", "MAIL c"], []),
    ],
)
def test_letter_case_counts_unless_all_of_three_names_are_in_one(shown: list[str], found: list[str]) -> None:
    assert len([name for name in shown if name.isupper() or name.islower()]) >= ONE_CASE or not found
    assert ids(candidates(map(imap, shown)).of(imap("Mail A"))) == found


def test_letter_case_does_not_count_where_it_is_known_to_be_changed() -> None:
    assert ids(
        candidates([imap("MAIL A")], DisplayProfile(alterations=frozenset({Alteration.CASE}))).of(imap("Mail A"))
    ) == ["0"]


# ── each monitor to one row ───────────────────────────────────────────────────────────────────────────────

SOME = st.dictionaries(
    st.integers(0, 9),
    st.lists(
        st.builds(
            Candidate,
            st.sampled_from("abcdefgh"),
            st.frozensets(st.sampled_from(Alteration), max_size=3),
            st.sampled_from([imap("one"), imap("other")]),
        ),
        max_size=4,
        unique_by=lambda one: one.monitor_id,
    ),
    max_size=8,
)


@given(SOME)
def test_a_monitor_is_given_to_at_most_one_row_and_only_if_no_other_row_may_be_it(
    rows: dict[int, Sequence[Candidate]],
) -> None:
    own, shared = assign_candidates(rows)
    assert not own.keys() & shared.keys()
    assert {row for row, some in rows.items() if some} == own.keys() | shared.keys()
    given_away = ids(own.values())
    assert len(set(given_away)) == len(given_away)
    for row, candidate in own.items():
        assert candidate in rows[row]
        assert all(len(candidate.alterations) <= len(other.alterations) for other in rows[row])
        assert all(not set(ids(rows[row])) & set(ids(rows[other])) for other in rows if other != row)
    for row, some in shared.items():
        assert some == rows[row]
        fewest = min(len(candidate.alterations) for candidate in some)
        nearest = [candidate for candidate in some if len(candidate.alterations) == fewest]
        assert len(nearest) > 1 or any(set(ids(some)) & set(ids(rows[other])) for other in rows if other != row)


def test_an_empty_list_holds_nothing() -> None:
    assert not candidates([])
    assert candidates([]).of(imap("mail")) == []
