"""Programs run as processes of their own: how long they took, what they cost, what they said.

In: a command line. Out: wall and CPU seconds and the peak of memory, as the operating system counted them for that
process alone. This process must stay small, since a child's peak can not be less than its parent's size.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.table import Skipped

ROOT = Path(__file__).parents[2]
PROGRAMS = "tests.benchmarks.programs"
PYTHON = sys.executable
OURS = (PYTHON, "-m", "bulkload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How one process went."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak: float  # MiB
    output: str
    exit_code: int


def ran(command: Sequence[str], *, env: Mapping[str, str] | None = None, allowed: Sequence[int] = (0,)) -> Ran:
    """Run a program to its end. Raises `RuntimeError` for an exit code that is not allowed."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = code = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if code not in allowed:
            raise RuntimeError(f"{' '.join(command)} ended with {code}: {errors.read()[-2000:]}")
        return Ran(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak=usage.ru_maxrss / 1024,
            output=output.read(),
            exit_code=code,
        )


def program(name: str, *arguments: object) -> tuple[str, ...]:
    """The command line of one of `programs`."""
    return (PYTHON, "-m", f"{PROGRAMS}.{name}", *map(str, arguments))


def require(*modules: str) -> None:
    """Raise `Skipped` where a peer is not installed."""
    if missing := [module for module in modules if importlib.util.find_spec(module) is None]:
        raise Skipped(f"{' and '.join(missing)} are missing; install the extra `bench`")


def account(base_url: str) -> dict[str, str]:
    """The environment in which bulkload talks to a stub."""
    return {
        "ALERTSITE_BASE_URL": base_url,
        "ALERTSITE_USERNAME": "benchmark@example.com",
        "ALERTSITE_PASSWORD": "benchmark",
        "NO_PROXY": "127.0.0.1",
    }


def in_turn(turns: int, *runners: Callable[[], float]) -> list[list[float]]:
    """Measure by turns, A B A B …; gives the figures of each."""
    found = [[runner() for runner in runners] for _ in range(turns)]
    return [list(figures) for figures in zip(*found, strict=True)]


def median_ratio(ours: Sequence[float], peers: Sequence[float]) -> float:
    """The median of the ratios, pair by pair."""
    return statistics.median(a / b for a, b in zip(ours, peers, strict=True))
