"""Peak memory of `check` and `run`: it does not grow with the number of rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import run_stub
from tests.benchmarks.processes import BULKLOAD, account_env, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

MAX_GROWTH = 1.3  # ratio of the largest to the second largest file
MAX_PEAK = 250.0  # MiB


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Check and run files of increasing size."""
    peaks: dict[str, list[float]] = {"check": [], "run": []}
    with run_stub(folder / "nginx") as server:
        for rows in scale.memory_rows:
            sheet = inputs.write_csv(folder / "rows.csv", rows)
            peaks["check"].append(run_process((*BULKLOAD, "check", str(sheet), "--quiet")).peak)
            output = folder / "output"
            command = (*BULKLOAD, "run", str(sheet), "--rate", "unlimited", "--quiet")
            files = ("--output", str(output), "--results", str(output / "results.csv"))
            peaks["run"].append(run_process((*command, *files), env=account_env(server.base_url)).peak)
            shutil.rmtree(output)
    for name, (*_, before, last) in peaks.items():
        sizes = " / ".join(f"{rows:,}" for rows in scale.memory_rows)
        yield Measurement(
            measure=f"peak memory of {name}, {sizes} rows",
            ours=f"{' / '.join(f'{peak:.0f}' for peak in peaks[name])} MiB",
            ratio=f"{last / before:.2f}",
            aim=f"last ≤ {MAX_GROWTH} × before, < {MAX_PEAK:.0f} MiB",
            met=last <= MAX_GROWTH * before and last < MAX_PEAK,
        )
