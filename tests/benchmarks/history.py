"""The list of runs, of a store with many rows that is not in memory."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from bulkload.model import Status
from bulkload.store.row_records import NewRow
from bulkload.store.runs import Store
from tests.benchmarks import inputs
from tests.benchmarks.processes import BULKLOAD, measure_alternately, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

MAX_SECONDS = 0.3


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """List the runs, each time after the store was dropped from the memory of the system, and once more."""
    runs, rows = scale.history
    write_history(folder, runs, rows)
    store = folder / "bulkload.sqlite3"

    def cold() -> float:
        drop_from_memory(store)
        return warm()

    def warm() -> float:
        return run_process((*BULKLOAD, "runs", "--output", str(folder))).wall

    first, again = measure_alternately(scale.turns, cold, warm)
    seconds = statistics.median(first)
    yield Measurement(
        measure=f"runs, {runs:,} runs of {rows:,} rows, not in memory",
        ours=f"{seconds:.2f} s",
        peer="the same, in memory",
        theirs=f"{statistics.median(again):.2f} s",
        ratio=f"{seconds / statistics.median(again):.2f}",
        aim=f"≤ {MAX_SECONDS} s",
        met=seconds <= MAX_SECONDS,
    )


def write_history(output: Path, runs: int, rows: int) -> None:
    """Store this many runs, whose rows all have their monitors."""
    stored = [
        NewRow(number + 2, cells, Status.EXISTS, type=f"email-{cells[0]}", key="\t".join(cells[:3]), monitor_id="1")
        for number, cells in enumerate(inputs.input_rows(rows))
    ]
    with Store(output) as store:
        store.lock()
        account_id = store.account_id("sandbox", "sandbox")
        for number in range(runs):
            run = store.begin("run", f"{number}.csv", inputs.COLUMNS, account_id=account_id, details={}, settings={})
            store.add(run, 0, stored)
            store.mark_read_whole(run)
            store.end(run, 0, None, 1.0, {})


def drop_from_memory(path: Path) -> None:
    """Write a file to the disk and drop it from the memory of the system, so that it is read from the disk again."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
