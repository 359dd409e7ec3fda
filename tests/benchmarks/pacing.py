"""Pacing: how near the allowed speed, and how many starts in the worst second."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.children import program, ran, require
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

PEERS = ("aiolimiter", "pyrate-limiter")
LEAST_SHARE = 0.99  # of the ideal speed


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Keep each rate for a while, ours and the peers' limiters one after the other."""
    require("aiolimiter", "pyrate_limiter")
    for rate in scale.rates:
        found = {name: _kept(name, rate, scale.pace_seconds) for name in ("ours", *PEERS)}
        share, most = found["ours"]
        for name in PEERS:
            their_share, their_most = found[name]
            yield Line(
                measure=f"pacing at {rate:,}/s",
                ours=f"{share:.1%}, {most:,} in a second",
                peer=name,
                theirs=f"{their_share:.1%}, {their_most:,} in a second",
                ratio=f"{share / their_share:.2f}",
                aim=f"≥ {LEAST_SHARE:.0%}, ≤ {rate + 1:,} in a second",
                met=share >= LEAST_SHARE and most <= rate + 1,
            )


def most_in_a_second(starts: Sequence[float]) -> int:
    """How many starts the fullest second has, wherever it begins."""
    most = first = 0
    for last, start in enumerate(starts):
        while starts[first] <= start - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _kept(name: str, rate: int, seconds: float) -> tuple[float, int]:
    """The share of the ideal speed, and the most starts in any second.

    A burst at the beginning must not look like speed, so the share is taken from the second half.
    """
    starts: list[float] = json.loads(ran(program("paced", name, rate, seconds)).output)
    half = starts[len(starts) // 2 :]
    return (len(half) - 1) / (half[-1] - half[0]) / rate, most_in_a_second(starts)
