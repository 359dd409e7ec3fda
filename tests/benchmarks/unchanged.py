"""A workbook that is run again: unchanged, and with one more part, which means nothing.

All of its monitors are in the account, so neither run has anything to do.
"""

from __future__ import annotations

import itertools
import json
import statistics
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import run_stub
from tests.benchmarks.processes import (
    BULKLOAD,
    account_env,
    measure_alternately,
    median_ratio,
    program_command,
    run_process,
)
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

MAX_STORE_GROWTH = 0.1  # MB of each run


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Run the workbook once, then alternately as it was at the last run and changed."""
    rows, output = scale.unchanged_rows, folder / "output"
    sheet = folder / "rows.xlsx"
    run_process(program_command("make_workbook", sheet, rows))
    numbers = itertools.count()
    growth: list[float] = []
    with run_stub(folder / "nginx", monitors=inputs.monitors(rows)) as server:
        results = ("--results", str(output / "results.csv"))
        command = (*BULKLOAD, "run", str(sheet), "--output", str(output), *results, "--json")

        def run() -> float:
            done = run_process(command, env=account_env(server.base_url))
            counts = json.loads(done.output)["counts"]
            assert counts == {"exists": rows}, counts
            return done.wall

        def unchanged() -> float:
            before = _store_size(output)
            seconds = run()
            growth.append((_store_size(output) - before) / 1e6)
            return seconds

        def changed() -> float:
            with zipfile.ZipFile(sheet, "a") as package:
                package.writestr(f"xl/unused{next(numbers)}.bin", b"")
            return run()

        run()
        again, otherwise = measure_alternately(scale.turns, unchanged, changed)
    yield Measurement(
        measure=f"unchanged xlsx of {rows:,} rows, run again",
        ours=f"{statistics.median(again):.1f} s, the store grows {statistics.median(growth):.1f} MB",
        peer="one meaningless part added",
        theirs=f"{statistics.median(otherwise):.1f} s",
        ratio=f"{median_ratio(again, otherwise):.2f}",
        aim=f"the store grows ≤ {MAX_STORE_GROWTH} MB",
        met=statistics.median(growth) <= MAX_STORE_GROWTH,
    )


def _store_size(output: Path) -> int:
    """The bytes of the store, with what is not yet written back into its main file."""
    return sum(path.stat().st_size for path in output.glob("bulkload.sqlite3*"))
