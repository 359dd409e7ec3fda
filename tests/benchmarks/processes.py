"""Runs programs as processes, and measures their time and memory.

In: a command line. Out: wall-clock seconds, CPU seconds and peak memory of that process, from the operating system.
The calling process must use little memory, since the peak of a child is at least the size of its parent.
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
BULKLOAD = (PYTHON, "-m", "bulkload")
KEEPS_NO_CODE = "PYTHONDONTWRITEBYTECODE"  # an installed program is compiled; with this, it would be at each start


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatistics:
    """The resources that a process used, and its output."""

    wall: float  # elapsed seconds
    cpu: float  # seconds, user and system
    peak: float  # memory, MiB
    output: str
    exit_code: int


def run_process(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, allowed: Sequence[int] = (0,)
) -> ProcessStatistics:
    """Run a program and wait until it has ended. Raises `RuntimeError` if its exit code is not in `allowed`."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=_environment(env),
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = exit_code = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if exit_code not in allowed:
            raise RuntimeError(f"{' '.join(command)} ended with {exit_code}: {errors.read()[-2000:]}")
        return ProcessStatistics(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak=usage.ru_maxrss / 1024,
            output=output.read(),
            exit_code=exit_code,
        )


def seconds_until_line(command: Sequence[str], beginning: str) -> float:
    """Run a program that logs to stderr, and return the seconds until the first line with this beginning."""
    start = time.perf_counter()
    with subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment()
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith(beginning.encode()):
                seconds = time.perf_counter() - start
                child.stderr.read()
                return seconds
    raise RuntimeError(f"{' '.join(command)} ended with {child.returncode} and logged no {beginning}")


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != KEEPS_NO_CODE}
    return {**kept, "PYTHONPATH": str(ROOT), **(more or {})}


def program_command(name: str, *arguments: object) -> tuple[str, ...]:
    """The command line of a module in `programs`."""
    return (PYTHON, "-m", f"{PROGRAMS}.{name}", *map(str, arguments))


def require(*modules: str) -> None:
    """Raise `Skipped` if one of the modules is not installed."""
    if missing := [module for module in modules if importlib.util.find_spec(module) is None]:
        raise Skipped(f"{' and '.join(missing)} are missing; install the extra `bench`")


def account_env(base_url: str) -> dict[str, str]:
    """The environment variables with which bulkload uses a stub."""
    return {
        "ALERTSITE_BASE_URL": base_url,
        "ALERTSITE_USERNAME": "benchmark@example.com",
        "ALERTSITE_PASSWORD": "benchmark",
        "NO_PROXY": "127.0.0.1",
    }


def measure_alternately(turns: int, *runners: Callable[[], float]) -> list[list[float]]:
    """Run all in the order A B A B …, and return the figures of each."""
    turn_figures = [[runner() for runner in runners] for _ in range(turns)]
    return [list(figures) for figures in zip(*turn_figures, strict=True)]


def median_ratio(ours: Sequence[float], peers: Sequence[float]) -> float:
    """The median of the ratios of the pairs."""
    return statistics.median(a / b for a, b in zip(ours, peers, strict=True))
