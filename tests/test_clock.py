"""Moments are compared rightly whatever happens to the wall clock, and by another process, and after a reboot."""

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
def test_within_a_boot_only_the_monotonic_clock_counts(one: float, other: float, wall: float, jumped: float) -> None:
    found = clock.seconds_between(_moment("a", one, wall), _moment("a", other, jumped))
    assert abs(found - max(0.0, other - one)) < 0.001


@given(seconds, seconds, seconds, seconds)
def test_across_boots_only_the_wall_clock_counts(one: float, other: float, wall: float, later: float) -> None:
    found = clock.seconds_between(_moment("a", one, wall), _moment("b", other, later))
    assert abs(found - max(0.0, later - wall)) < 0.001


@given(st.sampled_from("ab"), seconds, seconds, st.sampled_from("ab"), seconds, seconds)
def test_of_two_moments_at_most_one_is_later(
    boot: str, monotonic: float, wall: float, other_boot: str, other_monotonic: float, other_wall: float
) -> None:
    one, other = _moment(boot, monotonic, wall), _moment(other_boot, other_monotonic, other_wall)
    assert not (clock.is_later(one, other) and clock.is_later(other, one))
    assert clock.is_later(other, one) == (clock.seconds_between(one, other) > 0)


def test_where_the_boot_is_not_known_the_wall_clock_has_to_do() -> None:
    assert clock.seconds_between(_moment("", 5, 100), _moment("", 1, 130)) == 30.0


def test_a_clock_set_back_makes_nothing_look_old() -> None:
    assert clock.seconds_between(_moment("a", 1, 5 * DAY), _moment("b", 1, DAY)) == 0.0


def test_moments_go_forward_and_another_process_of_this_boot_agrees() -> None:
    before = clock.moment()
    program = "from bulkload import clock; print(clock.moment())"
    among = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    after = clock.moment()
    assert clock.is_later(among, before)
    assert clock.is_later(after, among)
    assert 0 < clock.seconds_between(before, among) < DAY


def test_a_wall_clock_time_is_written_in_utc() -> None:
    assert clock.utc(0.0) == "1970-01-01T00:00:00Z"
    assert clock.utc(1_773_454_500.9) == "2026-03-14T02:15:00Z"
