"""The guarantees hold in all generated scenarios."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.torture.runner import run_scenario
from tests.torture.scenario import Scenario
from tests.torture.strategies import scenarios

ALL = bool(os.environ.get("BULKLOAD_ALL_TESTS"))
EXAMPLES = 40 if ALL else 6
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
REGRESSIONS = Path(__file__).parent / "regressions"


def _run(scenario: Scenario) -> None:
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        run_scenario(scenario, Path(folder))


@SETTINGS
@given(scenarios())
def test_nothing_is_created_twice_or_lost_in_a_generated_scenario(scenario: Scenario) -> None:
    _run(scenario)


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: str(path.stem))
def test_a_scenario_that_once_broke_a_guarantee(path: Path) -> None:
    _run(Scenario.from_json(path.read_text("utf-8")))


@given(scenarios())
def test_a_scenario_is_the_same_as_its_json(scenario: Scenario) -> None:
    assert Scenario.from_json(scenario.to_json()) == scenario


@pytest.mark.skipif(
    "BULKLOAD_TORTURE_MINUTES" not in os.environ, reason="soak test: python -m tests.torture --minutes N"
)
def test_the_guarantees_hold_in_a_long_soak() -> None:
    """Run new scenarios until the time is up."""
    end = time.monotonic() + 60 * float(os.environ.get("BULKLOAD_TORTURE_MINUTES", "0"))
    runs = 0

    @settings(SETTINGS, derandomize=False, max_examples=25, phases=(Phase.generate, Phase.shrink), print_blob=True)
    @given(scenarios(), st.integers())
    def run_scenarios(scenario: Scenario, _: int) -> None:
        nonlocal runs
        runs += 1
        _run(scenario)

    while time.monotonic() < end:
        run_scenarios()
    assert runs
