"""The time for each row of a large CSV file, from the file into the store: it does not grow with the number of rows."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import run_stub
from tests.benchmarks.processes import BULKLOAD, account_env, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

MAX_GROWTH = 1.2


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Plan the small file, the large file and the small file again; the large one takes minutes."""
    small, large = scale.store_rows
    with run_stub(folder / "nginx") as server:
        env = account_env(server.base_url)

        def microseconds_per_row(rows: int) -> float:
            sheet, output = inputs.write_csv(folder / "rows.csv", rows), folder / "output"
            seconds = run_process((*BULKLOAD, "plan", str(sheet), "--output", str(output), "--quiet"), env=env).wall
            shutil.rmtree(output)
            return seconds / rows * 1e6

        before, of_large, after = map(microseconds_per_row, (small, large, small))
    of_small = statistics.mean((before, after))
    yield Measurement(
        measure=f"plan of {large:,} rows",
        ours=f"{of_large:.0f} µs a row",
        peer=f"plan of {small:,} rows",
        theirs=f"{of_small:.0f} µs a row",
        ratio=f"{of_large / of_small:.2f}",
        aim=f"≤ {MAX_GROWTH}",
        met=of_large <= MAX_GROWTH * of_small,
    )
