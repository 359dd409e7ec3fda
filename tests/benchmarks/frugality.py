"""CPU seconds per 1,000 rows at 20 requests a second: what the smallest cloud machine has to give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.children import OURS, account, ran
from tests.benchmarks.nginx import stub
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

RATE = 20  # requests a second


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Run slowly once, and count the CPU time of the whole process, its start included."""
    sheet = inputs.write_csv(folder / "rows.csv", scale.slow_rows)
    with stub(folder / "nginx") as server:
        files = ("--output", str(folder / "output"), "--results", str(folder / "results.csv"))
        slow = ran((*OURS, "run", str(sheet), "--rate", str(RATE), *files), env=account(server.base_url))
    yield Line(
        measure=f"CPU time per 1,000 rows at {RATE}/s",
        ours=f"{slow.cpu / scale.slow_rows * 1_000:.2f} s, {slow.cpu / slow.wall:.1%} of one core",
    )
