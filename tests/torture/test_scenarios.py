"""Whatever is drawn, the promises hold."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.torture.drawing import scenarios
from tests.torture.play import play
from tests.torture.scenario import Scenario

ALL = bool(os.environ.get("BULKLOAD_ALL_TESTS"))
EXAMPLES = 40 if ALL else 6
USUAL = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
KEPT = Path(__file__).parent / "kept"


def _play(scenario: Scenario) -> None:
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        play(scenario, Path(folder))


@USUAL
@given(scenarios())
def test_nothing_twice_and_nothing_lost_whatever_is_drawn(scenario: Scenario) -> None:
    _play(scenario)


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.json")), ids=lambda path: str(path.stem))
def test_a_schedule_that_broke_a_promise_once_does_so_no_more(path: Path) -> None:
    _play(Scenario.from_json(path.read_text("utf-8")))


@given(scenarios())
def test_a_scenario_is_the_same_as_its_json(scenario: Scenario) -> None:
    assert Scenario.from_json(scenario.to_json()) == scenario


@pytest.mark.skipif("BULKLOAD_TORTURE_MINUTES" not in os.environ, reason="a soak: python -m tests.torture --minutes N")
def test_the_promises_hold_in_a_long_soak() -> None:
    """New schedules until the time is up."""
    end = time.monotonic() + 60 * float(os.environ.get("BULKLOAD_TORTURE_MINUTES", "0"))
    played = 0

    @settings(USUAL, derandomize=False, max_examples=25, phases=(Phase.generate, Phase.shrink), print_blob=True)
    @given(scenarios(), st.integers())
    def some(scenario: Scenario, _: int) -> None:
        nonlocal played
        played += 1
        _play(scenario)

    while time.monotonic() < end:
        some()
    assert played
