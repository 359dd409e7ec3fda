"""How hypothesis draws scenarios. Simple things come first, so that shrinking leads to a schedule that can be read.

Left out are only faults that break what design §4 assumes: monitors that become visible out of order (`lag`), and
lists that hide part of the account for good (`list-shrunk`, `page-gap`); one that makes twins whatever bulkload does;
and answers without an end, which have tests of their own.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bulkload.sandbox import KINDS, Faults, Rule
from bulkload.sandbox.alterations import DISPLAY_RULES
from tests.torture.scenario import SPELLINGS, Line, Round, Scenario, There

MONITORS = 8  # different monitors that a file can ask for
LONGEST_LATE = 0.1  # seconds; far inside of `grace`, since a loaded machine adds to it
BREAKS_ASSUMPTIONS = ("lag", "list-shrunk", "page-gap")
ENDS_PAGES = "list-empty"  # of a list in pages: an empty one is its end, so what others made behind it is hidden
MAKES_TWINS = ("create-twice",)  # by itself, so that "none is made twice" cannot hold
WITHOUT_END = ("gzip-bomb", "endless", "endless-list")  # each costs seconds, and says nothing about schedules
LEFT_OUT = (*BREAKS_ASSUMPTIONS, *MAKES_TWINS, *WITHOUT_END)
SECONDS = {"late": LONGEST_LATE, "slow": 0.3, "throttle": 1.0}
FAULTS = tuple(name for name in KINDS if name not in LEFT_OUT)
SHOWN = (*DISPLAY_RULES, "cut=20", "cut-bytes=20")  # ways to show monitors otherwise
LAGS = (0.0, 0.2, 1.0)  # seconds


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A line of the file."""
    monitor = draw(st.integers(0, MONITORS - 1))
    return Line(
        monitor=monitor,
        spelling=draw(st.sampled_from(SPELLINGS)),
        bad=draw(st.sampled_from((False, False, False, False, True))),
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Something that goes wrong, often or at certain requests."""
    fault = draw(st.sampled_from(FAULTS))
    when: dict[str, Any] = draw(
        st.one_of(
            st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True).map(lambda at: {"at": tuple(sorted(at))}),
            st.sampled_from((0.2, 0.5)).map(lambda probability: {"probability": probability}),
            st.integers(1, 3).map(lambda times: {"times": times}),
        )
    )
    kind = KINDS[fault]
    on = draw(st.sampled_from([(), *((operation,) for operation in kind.fits if operation in ("create", "list"))]))
    if on == ("list",) or kind.on == ("list",) or kind.on == ("login",):
        when = {"times": draw(st.integers(1, 2))} | {key: value for key, value in when.items() if key == "at"}
    status = draw(st.sampled_from((None, 200, 503))) if fault.startswith("page") else None
    return Rule(fault=fault, on=on, seconds=SECONDS.get(fault), status=status, **when)


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    """A process that does not reach its end."""
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
    """A whole scenario."""
    visible_after = draw(st.sampled_from(LAGS))
    grace = 0.5
    there = draw(st.lists(st.integers(0, MONITORS - 1), max_size=3, unique=True))
    shows = draw(st.one_of(st.just([]), st.lists(st.sampled_from(SHOWN), max_size=2, unique=True)))
    second_folder = draw(st.booleans())
    drawn = draw(st.lists(rules(), max_size=4))
    page_size = draw(st.sampled_from((0, 0, 3)))
    return Scenario(
        lines=tuple(draw(st.lists(lines(), min_size=1, max_size=12))),
        there=tuple(There(monitor=monitor, differs=draw(st.booleans())) for monitor in there),
        faults=Faults(
            seed=draw(st.integers(0, 99)),
            rules=tuple(rule for rule in drawn if not (page_size and rule.fault == ENDS_PAGES)),
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
        after=visible_after + LONGEST_LATE + 2 * grace,
        timeout=draw(st.sampled_from((3.0, 0.2))),
        odd=draw(st.booleans()),
        second_folder=second_folder,
        second_kill=draw(st.sampled_from((-1, 0, 2, 4, 8))) if second_folder else -1,
    )
