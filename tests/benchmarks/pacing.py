"""Pacing: the share of the allowed rate that is used, and the most requests that start within a second."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.processes import program_command, require, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

PEERS = ("aiolimiter", "pyrate-limiter")
MIN_SHARE = 0.99  # of the rate


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Start requests at each rate for some seconds, with our limiter and with those of the peers."""
    require("aiolimiter", "pyrate_limiter")
    for rate in scale.rates:
        figures = {name: _pace(name, rate, scale.pace_seconds) for name in ("ours", *PEERS)}
        share, most = figures["ours"]
        for name in PEERS:
            their_share, their_most = figures[name]
            yield Measurement(
                measure=f"pacing at {rate:,}/s",
                ours=f"{share:.1%}, {most:,} in a second",
                peer=name,
                theirs=f"{their_share:.1%}, {their_most:,} in a second",
                ratio=f"{share / their_share:.2f}",
                aim=f"≥ {MIN_SHARE:.0%}, ≤ {rate + 1:,} in a second",
                met=share >= MIN_SHARE and most <= rate + 1,
            )


def most_in_a_second(starts: Sequence[float]) -> int:
    """The most starts within any second."""
    most = first = 0
    for last, start in enumerate(starts):
        while starts[first] <= start - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _pace(name: str, rate: int, seconds: float) -> tuple[float, int]:
    """The used share of the rate, and the most starts within any second.

    The share is that of the second half, so that it does not include a burst at the beginning.
    """
    starts: list[float] = json.loads(run_process(program_command("paced", name, rate, seconds)).output)
    half = starts[len(starts) // 2 :]
    return (len(half) - 1) / (half[-1] - half[0]) / rate, most_in_a_second(starts)
