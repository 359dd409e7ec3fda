"""Moments are compared correctly after changes of the wall clock, in another process, and after a reboot."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bulkload import clock

DAY = 24 * 3600.0  # seconds
seconds = st.floats(0, 1e9, allow_nan=False)


def _moment(boot: str, monotonic: float, wall: float) -> str:
    return f"{boot}|{monotonic:.4f}|{wall:.4f}"


@given(seconds, seconds, seconds, seconds)
def test_within_a_boot_only_the_monotonic_clock_counts(
    earlier: float, later: float, wall: float, changed_wall: float
) -> None:
    elapsed = clock.seconds_between(_moment("a", earlier, wall), _moment("a", later, changed_wall))
    assert abs(elapsed - max(0.0, later - earlier)) < 0.001


@given(seconds, seconds, seconds, seconds)
def test_across_boots_only_the_wall_clock_counts(
    monotonic: float, other_monotonic: float, earlier: float, later: float
) -> None:
    elapsed = clock.seconds_between(_moment("a", monotonic, earlier), _moment("b", other_monotonic, later))
    assert abs(elapsed - max(0.0, later - earlier)) < 0.001


@given(st.sampled_from("ab"), seconds, seconds, st.sampled_from("ab"), seconds, seconds)
def test_of_two_moments_at_most_one_is_later(
    boot: str, monotonic: float, wall: float, other_boot: str, other_monotonic: float, other_wall: float
) -> None:
    first, second = _moment(boot, monotonic, wall), _moment(other_boot, other_monotonic, other_wall)
    assert not (clock.is_later(first, second) and clock.is_later(second, first))
    assert clock.is_later(second, first) == (clock.seconds_between(first, second) > 0)


def test_without_a_boot_id_the_wall_clock_counts() -> None:
    assert clock.seconds_between(_moment("", 5, 100), _moment("", 1, 130)) == 30.0


def test_a_clock_that_was_set_back_makes_nothing_look_older() -> None:
    assert clock.seconds_between(_moment("a", 1, 5 * DAY), _moment("b", 1, DAY)) == 0.0


def test_moments_increase_also_across_processes_of_one_boot() -> None:
    before = clock.moment()
    program = "from bulkload import clock; print(clock.moment())"
    between = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    after = clock.moment()
    assert clock.is_later(between, before)
    assert clock.is_later(after, between)
    assert 0 < clock.seconds_between(before, between) < DAY


def test_a_wall_clock_time_is_formatted_in_utc() -> None:
    assert clock.utc(0.0) == "1970-01-01T00:00:00Z"
    assert clock.utc(1_773_454_500.9) == "2026-03-14T02:15:00Z"
