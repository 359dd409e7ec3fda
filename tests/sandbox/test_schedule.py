"""Faults are plain data, chance depends on the seed alone, and the rate limit is exact."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.sandbox import KINDS, OPERATIONS, Faults, Rule
from bulkload.sandbox.alterations import DISPLAY_RULES
from bulkload.sandbox.rate_window import RateWindow
from bulkload.sandbox.schedule import Schedule, Subject, chance

CREATE = Subject(operation="create", key="email-imap\nmx1\nmx1.example.com", name="mx1")


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any rule that is allowed."""
    fault = draw(st.sampled_from(sorted(KINDS)))
    return Rule(
        fault=fault,
        on=tuple(draw(st.lists(st.sampled_from(KINDS[fault].fits), unique=True))),
        probability=draw(st.floats(0, 1)),
        at=tuple(draw(st.lists(st.integers(1, 1000), max_size=3))),
        every=draw(st.integers(0, 100)),
        names=tuple(draw(st.lists(st.text(), max_size=2))),
        attempts=draw(st.integers(0, 5)),
        times=draw(st.integers(0, 5)),
        seconds=draw(st.none() | st.floats(0, 1000)),
        status=draw(st.none() | st.integers(200, 599)),
    )


FAULTS = st.builds(
    Faults,
    seed=st.integers(-(2**63), 2**63 - 1),
    rules=st.lists(rules(), max_size=4).map(tuple),
    rate_limit=st.integers(0, 1000),
    rate_window=st.floats(0.001, 100),
    retry_after=st.sampled_from(["seconds", "date", "none"]),
    retry_after_seconds=st.integers(0, 1000),
    visible_after=st.floats(0, 1000),
    hide_single=st.booleans(),
    shows=st.lists(st.sampled_from([*DISPLAY_RULES, "cut=7"]), max_size=3).map(tuple),
)


@given(FAULTS)
def test_faults_survive_the_way_through_json(faults: Faults) -> None:
    assert Faults.from_json(faults.to_json()) == faults
    assert Faults.from_json(json.dumps(json.loads(faults.to_json())).encode()) == faults


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "the text"),
        ("[]", "the text"),
        ('{"sed": 1}', "sed"),
        ('{"rules": [{"fault": "drop-after", "probabilty": 1}]}', "probabilty"),
        ('{"rules": [{"fault": "meteor"}]}', "fault 'meteor'"),
        ('{"rules": [{}]}', "fault"),
        ('{"rules": [{"fault": "late", "on": ["list"]}]}', "late cannot apply to list"),
        ('{"rate_window": 0}', "window"),
        ('{"retry_after": "sometimes"}', "retry_after"),
        ('{"shows": ["sideways"]}', "rule 'sideways'"),
        ('{"shows": "blanks"}', "shows"),
    ],
)
def test_invalid_faults_raise_one_sentence_that_names_the_place(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="Invalid faults at") as caught:
        Faults.from_json(text)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"fault": "nothing"},
        {"fault": "drop-after", "probability": 1.1},
        {"fault": "drop-after", "probability": -0.1},
        {"fault": "drop-after", "probability": float("nan")},
        {"fault": "list-empty", "on": ("create",)},
        {"fault": "drop-after", "at": (0,)},
        {"fault": "drop-after", "every": -1},
        {"fault": "late", "seconds": -1.0},
        {"fault": "page-before", "status": 99},
    ],
)
def test_an_invalid_rule_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Rule(**fields)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("drop-after=0.1", Rule(fault="drop-after", probability=0.1)),
        ("drop-after=1", Rule(fault="drop-after")),
        ("drop-after=0", Rule(fault="drop-after", probability=0)),
        ("drop-after", Rule(fault="drop-after")),
        ("list:error-before=.5", Rule(fault="error-before", on=("list",), probability=0.5)),
        ("drop-after@7,9", Rule(fault="drop-after", at=(7, 9))),
        (" token-401/50 ", Rule(fault="token-401", every=50)),
    ],
)
def test_a_rule_can_be_written_short(text: str, rule: Rule) -> None:
    assert Rule.parse(text) == rule


@pytest.mark.parametrize(
    "text", ["", "=0.1", "drop-after=", "drop-after=x", "drop-after=2", "drop-after@", "drop-after@0", "fly:drop-after"]
)
def test_a_short_rule_that_cannot_be_read_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+\.$"):
        Rule.parse(text)


def test_every_fault_strikes_by_default_only_what_it_fits() -> None:
    assert all(set(kind.on) <= set(kind.fits) <= set(OPERATIONS) for kind in KINDS.values())


def test_the_first_rule_that_strikes_wins_and_others_get_their_turn() -> None:
    schedule = Schedule(Faults(rules=(Rule(fault="late", times=1), Rule(fault="cut", every=2))))
    struck = [rule.fault if (rule := schedule.strike(CREATE)) else "" for _ in range(5)]
    assert struck == ["late", "cut", "", "cut", ""]


@given(st.integers(), st.permutations([f"mx{number}" for number in range(8)] * 2))
def test_a_monitors_fate_does_not_depend_on_the_order_of_others(seed: int, order: list[str]) -> None:
    faults = Faults(seed=seed, rules=(Rule(fault="drop-after", probability=0.5, attempts=1),))

    def fates(names: list[str]) -> dict[str, list[bool]]:
        schedule, found = Schedule(faults), dict[str, list[bool]]()
        for name in names:
            struck = schedule.strike(Subject(operation="create", key=name, name=name)) is not None
            found.setdefault(name, []).append(struck)
        return found

    assert fates(order) == fates(sorted(order))


def test_a_probability_is_the_share_of_requests_that_are_struck() -> None:
    for seed in range(5):
        subjects = [Subject(operation="create", key=str(number)) for number in range(4_000)]
        share = sum(chance(seed, 0, subject, 1) < 0.1 for subject in subjects) / len(subjects)
        assert 0.08 < share < 0.12


def test_a_second_attempt_has_a_chance_of_its_own() -> None:
    schedule = Schedule(Faults(rules=(Rule(fault="drop-after", probability=0.5),)))
    subjects = [Subject(operation="create", key=str(number)) for number in range(40)]
    first, second = ([schedule.strike(subject) is not None for subject in subjects] for _ in range(2))
    assert first != second


def test_another_seed_strikes_others() -> None:
    subjects = [Subject(operation="create", key=str(number)) for number in range(100)]
    struck = {tuple(chance(seed, 0, subject, 1) < 0.5 for subject in subjects) for seed in range(10)}
    assert len(struck) == 10


@given(
    st.integers(1, 5),
    st.floats(0.01, 10, allow_subnormal=False),
    st.lists(st.floats(0, 3, allow_subnormal=False), max_size=60),
)
def test_no_window_ever_holds_more_than_the_limit_and_none_is_refused_without_need(
    limit: int, seconds: float, gaps: list[float]
) -> None:
    window, now = RateWindow(limit=limit, seconds=seconds), 1_000.0
    admitted: list[float] = []
    for gap in gaps:
        now += gap
        inside = [moment for moment in admitted if moment + seconds > now]
        wait = window.refuse(now)
        assert (wait == 0) == (len(inside) < limit)
        if wait == 0:
            admitted.append(now)
        else:
            assert 0 < wait <= seconds * (1 + 1e-9)


def test_the_window_opens_exactly_one_window_later_and_not_a_moment_before() -> None:
    window = RateWindow(limit=2, seconds=1.0)
    assert [window.refuse(moment) for moment in (10.0, 10.5)] == [0, 0]
    assert window.refuse(10.75) == 0.25
    assert window.refuse(10.999_999) > 0
    assert window.refuse(11.0) == 0
    assert window.refuse(11.0) == 0.5
    assert window.refuse(11.5) == 0


def test_refused_requests_do_not_keep_the_window_shut() -> None:
    window = RateWindow(limit=1, seconds=1.0)
    assert window.refuse(0.0) == 0
    assert all(window.refuse(tenth / 10) > 0 for tenth in range(1, 10))
    assert window.refuse(1.0) == 0
