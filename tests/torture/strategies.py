"""Strategies of hypothesis for scenarios. Simple values come first, so shrinking leads to readable scenarios.

In: nothing. Out: scenarios with all faults except those that break an assumption of the design: monitors that become
visible out of order (`lag`), lists that hide part of the account permanently (`list-shrunk`, `page-gap`), creates that
take effect twice (`create-twice`), and endless responses, which have their own tests.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bulkload.sandbox import KINDS, Faults, Rule
from bulkload.sandbox.alterations import DISPLAY_RULES
from tests.torture.scenario import SPELLINGS, ExistingMonitor, Round, Scenario, ScenarioRow

MONITORS = 8  # different monitors in a file
MAX_LATENESS = 0.1  # seconds; far less than `grace`, since a busy machine adds to it
BREAKS_ASSUMPTIONS = ("lag", "list-shrunk", "page-gap")
ENDS_PAGES = "list-empty"  # an empty page ends the list, so monitors after it are hidden
CREATES_TWICE = ("create-twice",)  # "no monitor exists twice" cannot hold
ENDLESS = ("gzip-bomb", "endless", "endless-list")  # each takes seconds, and does not depend on timing
EXCLUDED = (*BREAKS_ASSUMPTIONS, *CREATES_TWICE, *ENDLESS)
SECONDS = {"late": MAX_LATENESS, "slow": 0.3, "throttle": 1.0}
FAULTS = tuple(name for name in KINDS if name not in EXCLUDED)
DISPLAY_OPTIONS = (*DISPLAY_RULES, "cut=20", "cut-bytes=20")  # how the account displays monitors
LAGS = (0.0, 0.2, 1.0)  # seconds


@st.composite
def rows(draw: st.DrawFn) -> ScenarioRow:
    """A row of the file."""
    monitor = draw(st.integers(0, MONITORS - 1))
    return ScenarioRow(
        monitor=monitor,
        spelling=draw(st.sampled_from(SPELLINGS)),
        is_invalid=draw(st.sampled_from((False, False, False, False, True))),
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """A rule by which a fault occurs: at certain requests, with a probability, or a number of times."""
    fault = draw(st.sampled_from(FAULTS))
    when: dict[str, Any] = draw(
        st.one_of(
            st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True).map(lambda at: {"at": tuple(sorted(at))}),
            st.sampled_from((0.2, 0.5)).map(lambda probability: {"probability": probability}),
            st.integers(1, 3).map(lambda times: {"times": times}),
        )
    )
    fault_kind = KINDS[fault]
    on = draw(
        st.sampled_from([(), *((operation,) for operation in fault_kind.fits if operation in ("create", "list"))])
    )
    if on == ("list",) or fault_kind.on == ("list",) or fault_kind.on == ("login",):
        when = {"times": draw(st.integers(1, 2))} | {key: value for key, value in when.items() if key == "at"}
    status = draw(st.sampled_from((None, 200, 503))) if fault.startswith("page") else None
    return Rule(fault=fault, on=on, seconds=SECONDS.get(fault), status=status, **when)


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    """A process that is killed or stopped."""
    if draw(st.sampled_from((False, False, True))):
        return Round(resume=draw(st.booleans()), step=draw(st.integers(1, 120)))
    return Round(
        resume=draw(st.booleans()),
        requests=draw(st.integers(0, 16)),
        milliseconds=draw(st.sampled_from((0, 0, 1, 3, 10, 30, 100, 300))),
        end=draw(st.sampled_from(("kill", "kill", "kill", "term", "int", "int-int"))),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """A complete scenario."""
    visible_after = draw(st.sampled_from(LAGS))
    grace = 0.5
    existing = draw(st.lists(st.integers(0, MONITORS - 1), max_size=3, unique=True))
    shows = draw(st.one_of(st.just([]), st.lists(st.sampled_from(DISPLAY_OPTIONS), max_size=2, unique=True)))
    second_folder = draw(st.booleans())
    drawn_rules = draw(st.lists(rules(), max_size=4))
    page_size = draw(st.sampled_from((0, 0, 3)))
    return Scenario(
        rows=tuple(draw(st.lists(rows(), min_size=1, max_size=12))),
        existing=tuple(ExistingMonitor(monitor=monitor, differs=draw(st.booleans())) for monitor in existing),
        faults=Faults(
            seed=draw(st.integers(0, 99)),
            rules=tuple(rule for rule in drawn_rules if not (page_size and rule.fault == ENDS_PAGES)),
            rate_limit=draw(st.sampled_from((0, 0, 0, 10))),
            retry_after=draw(st.sampled_from(("seconds", "date", "none"))),
            visible_after=visible_after,
            hide_single=draw(st.booleans()) if visible_after < grace / 2 else False,
            shows=tuple(shows),
        ),
        rounds=tuple(draw(st.lists(rounds(), max_size=4))),
        finish_by_resume=draw(st.booleans()),
        rate=draw(st.sampled_from(("unlimited", "50"))),
        concurrency=draw(st.sampled_from((1, 4, 12))),
        on_existing=draw(st.sampled_from(("skip", "update"))),
        first=draw(st.sampled_from((0, 0, 0, 3))),
        page_size=page_size,
        grace=grace,
        after=visible_after + MAX_LATENESS + 2 * grace,
        timeout=draw(st.sampled_from((3.0, 0.2))),
        unusual_names=draw(st.booleans()),
        second_folder=second_folder,
        second_kill=draw(st.sampled_from((-1, 0, 2, 4, 8))) if second_folder else -1,
    )
