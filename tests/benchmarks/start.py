"""Start-up: what a person, or cron every minute, waits for before anything happens."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.children import OURS, PYTHON, account, in_turn, median_ratio, ran
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

AIMS = {"bulkload --version": 0.15, "bulkload inbox, nothing there": 0.35}  # seconds


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Start by turns."""
    waiting = folder / "waiting"
    waiting.mkdir()
    inbox = (*OURS, "inbox", str(waiting), "--output", str(folder / "output"), "--quiet")
    env = account("http://127.0.0.1:9/api/v3")  # nobody listens there
    version, empty, python = in_turn(
        scale.starts,
        lambda: ran((*OURS, "--version")).wall,
        lambda: ran(inbox, env=env).wall,
        lambda: ran((PYTHON, "-c", "pass")).wall,
    )
    for (name, aim), figures in zip(AIMS.items(), (version, empty), strict=True):
        yield Line(
            measure=f"start: {name}",
            ours=f"{statistics.median(figures):.3f} s",
            peer="python -c pass",
            theirs=f"{statistics.median(python):.3f} s",
            ratio=f"{median_ratio(figures, python):.1f}",
            aim=f"≤ {aim} s",
            met=statistics.median(figures) <= aim,
        )
