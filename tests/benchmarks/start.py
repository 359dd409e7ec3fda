"""Start-up time of the program, which matters at the terminal and when cron starts it every minute."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.processes import (
    BULKLOAD,
    PYTHON,
    ROOT,
    account_env,
    measure_alternately,
    median_ratio,
    run_process,
    seconds_until_line,
)
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

AIMS = {  # seconds
    "bulkload --version": 0.15,
    "bulkload check, CSV of 40 rows": 0.2,
    "bulkload inbox, nothing there": 0.35,
    "bulkload run --sandbox of the sample, until its first response": 0.45,
}
SAMPLE = ROOT / "samples" / "mail-hosts.csv"


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Start bulkload and Python alternately."""
    waiting = folder / "waiting"
    waiting.mkdir()
    small = inputs.write_csv(folder / "small.csv", 40)
    env = account_env("http://127.0.0.1:9/api/v3")  # no server listens there
    inbox = (*BULKLOAD, "inbox", str(waiting), "--output", str(folder / "output"), "--quiet")
    runners: tuple[Callable[[], float], ...] = (
        lambda: run_process((*BULKLOAD, "--version")).wall,
        lambda: run_process((*BULKLOAD, "check", str(small), "--quiet")).wall,
        lambda: run_process(inbox, env=env).wall,
        lambda: _until_first_response(folder),
        lambda: run_process((PYTHON, "-c", "pass")).wall,
    )
    *started, python = measure_alternately(scale.starts, *runners)
    for (name, aim), figures in zip(AIMS.items(), started, strict=True):
        yield Measurement(
            measure=f"start: {name}",
            ours=f"{statistics.median(figures):.3f} s",
            peer="python -c pass",
            theirs=f"{statistics.median(python):.3f} s",
            ratio=f"{median_ratio(figures, python):.1f}",
            aim=f"≤ {aim} s",
            met=statistics.median(figures) <= aim,
        )


def _until_first_response(folder: Path) -> float:
    """The sandbox responds at once, so this is about when the first request is sent."""
    output = tempfile.mkdtemp(dir=folder)  # a new account each time
    run = (*BULKLOAD, "run", str(SAMPLE), "--sandbox", "--rate", "unlimited", "--output", output)
    return seconds_until_line((*run, "--quiet", "--log-level", "debug"), "DEBUG: POST /access-tokens")
