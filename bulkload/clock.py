"""Moments that can be compared later, also by another process, whatever happens to the wall clock.

A moment is stored as text: the boot it belongs to, the monotonic clock, the wall clock. Two moments of one boot are
compared by the monotonic clock; only across a reboot the wall clock has to do.
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def moment() -> str:
    """This moment, as text for the store."""
    return f"{_boot()}|{time.monotonic():.4f}|{time.time():.4f}"


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one moment to another, never negative: a clock set back must not make anything look older."""
    return max(0.0, _difference(earlier, later))


def is_later(one: str, other: str) -> bool:
    """True if one moment is, or seems to be, later than the other."""
    return _difference(other, one) > 0


def utc(wall: float) -> str:
    """A wall clock time in ISO 8601, UTC, to the second."""
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
