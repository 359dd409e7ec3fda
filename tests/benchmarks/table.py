"""Prints measurements as a table: bulkload, the peer, and the ratio.

In: measurements. Out: the table as text for a terminal, or as Markdown.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HEADER = ("Measure", "Ours", "Peer", "Peer's", "Ratio", "Aim", "Met")


class Skipped(Exception):
    """A benchmark cannot be run here; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One row of the table."""

    measure: str
    ours: str
    peer: str = ""
    theirs: str = ""
    ratio: str = ""
    aim: str = ""
    met: bool | None = None  # None: there is no aim, or the benchmark was skipped

    def cells(self) -> tuple[str, ...]:
        """The cells of the row, in the order of `HEADER`."""
        met = {True: "yes", False: "no", None: ""}[self.met]
        return (self.measure, self.ours, self.peer, self.theirs, self.ratio, self.aim, met)


def as_text(measurements: Sequence[Measurement]) -> str:
    """The table with aligned columns."""
    rows = [HEADER, *(measurement.cells() for measurement in measurements)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_markdown(measurements: Sequence[Measurement]) -> str:
    """The table as Markdown, with a description of the machine."""
    rows = [HEADER, ("---",) * len(HEADER), *(measurement.cells() for measurement in measurements)]
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    return f"{table}\n\nMeasured {datetime.now(UTC):%Y-%m-%d} with `python -m tests.benchmarks` on {machine()}.\n"


def machine() -> str:
    """The machine and the versions on which the figures depend."""
    model = next((value for name, value in _colon_lines("/proc/cpuinfo") if name == "model name"), platform.machine())
    memory = next((int(value.split()[0]) for name, value in _colon_lines("/proc/meminfo") if name == "MemTotal"), 0)
    gib = f", {memory / 2**20:.0f} GiB of memory" if memory else ""
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} cores of {model}{gib}, {system}, Python {platform.python_version()}"


def _colon_lines(path: str) -> list[tuple[str, str]]:
    if not Path(path).exists():
        return []
    pairs = (line.partition(":") for line in Path(path).read_text().splitlines())
    return [(name.strip(), value.strip()) for name, _, value in pairs]
