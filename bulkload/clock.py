"""Moments that can be compared later, even by another process and after the wall clock was changed.

In: moments as text. Out: the current moment, the seconds between two moments, and which of them is later. A moment is
stored as `boot ID|monotonic clock|wall clock`, both clocks in seconds. Two moments of one boot are compared by the
monotonic clock, moments of different boots by the wall clock.
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Reading(NamedTuple):
    """What both clocks show, in seconds; `str` of it is the moment."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> Self:
        """The current moment. To write it as text takes several times as long, and few moments are ever needed."""
        return cls(time.monotonic(), time.time())

    def __str__(self) -> str:
        return f"{_boot()}|{self.monotonic:.4f}|{self.wall:.4f}"


def moment() -> str:
    """The current moment, as text for the store."""
    return str(Reading.now())


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one moment to another, never negative: setting the clock back must not make anything look older."""
    return max(0.0, _difference(earlier, later))


def is_later(at: str, than: str) -> bool:
    """True if the first moment is later than the second, as far as the clocks show."""
    return _difference(than, at) > 0


def is_same_boot(a: str, b: str) -> bool:
    """True if the machine has not been restarted between two moments; False if that is not known."""
    boot = a.partition("|")[0]
    return bool(boot) and boot == b.partition("|")[0]


def wall(at: str) -> float:
    """The wall clock of a moment, in seconds since 1970."""
    return float(at.rpartition("|")[2])


def utc(wall: float) -> str:
    """A wall clock time, in seconds since 1970, as ISO 8601 in UTC with seconds."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _difference(earlier: str, later: str) -> float:
    boot_a, monotonic_a, wall_a = earlier.split("|")
    boot_b, monotonic_b, wall_b = later.split("|")
    if boot_a and boot_a == boot_b:
        return float(monotonic_b) - float(monotonic_a)
    return float(wall_b) - float(wall_a)


@functools.cache
def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
