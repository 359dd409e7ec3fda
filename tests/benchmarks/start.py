"""Start-up time of the program, which matters at the terminal and when cron starts it every minute."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.processes import (
    BULKLOAD,
    PYTHON,
    account_env,
    measure_alternately,
    median_ratio,
    run_process,
)
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

AIMS = {"bulkload --version": 0.15, "bulkload inbox, nothing there": 0.35}  # seconds


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Start bulkload and Python alternately."""
    waiting = folder / "waiting"
    waiting.mkdir()
    inbox = (*BULKLOAD, "inbox", str(waiting), "--output", str(folder / "output"), "--quiet")
    env = account_env("http://127.0.0.1:9/api/v3")  # no server listens there
    version, empty, python = measure_alternately(
        scale.starts,
        lambda: run_process((*BULKLOAD, "--version")).wall,
        lambda: run_process(inbox, env=env).wall,
        lambda: run_process((PYTHON, "-c", "pass")).wall,
    )
    for (name, aim), figures in zip(AIMS.items(), (version, empty), strict=True):
        yield Measurement(
            measure=f"start: {name}",
            ours=f"{statistics.median(figures):.3f} s",
            peer="python -c pass",
            theirs=f"{statistics.median(python):.3f} s",
            ratio=f"{median_ratio(figures, python):.1f}",
            aim=f"≤ {aim} s",
            met=statistics.median(figures) <= aim,
        )
