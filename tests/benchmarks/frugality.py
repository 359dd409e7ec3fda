"""CPU seconds per 1,000 rows at 20 requests per second, which shows how small a machine may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import run_stub
from tests.benchmarks.processes import BULKLOAD, account_env, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

RATE = 20  # requests per second


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Run once at that rate, and measure the CPU time of the whole process, including its start."""
    sheet = inputs.write_csv(folder / "rows.csv", scale.slow_rows)
    with run_stub(folder / "nginx") as server:
        files = ("--output", str(folder / "output"), "--results", str(folder / "results.csv"))
        slow = run_process(
            (*BULKLOAD, "run", str(sheet), "--rate", str(RATE), *files), env=account_env(server.base_url)
        )
    yield Measurement(
        measure=f"CPU time per 1,000 rows at {RATE}/s",
        ours=f"{slow.cpu / scale.slow_rows * 1_000:.2f} s, {slow.cpu / slow.wall:.1%} of one core",
    )
