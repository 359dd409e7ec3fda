"""Rows per second of a whole run without a rate limit, with the store and CSV results."""

from __future__ import annotations

import statistics
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
    require,
    run_process,
)
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

PEERS = ("bare aiohttp loop", "bare aiohttp loop on uvloop", "documented `requests` loop")
AIMS = {32: (0.85, None, None), 50: (0.95, None, 5.0)}  # requests at a time → least ratio to each peer


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Compare with loops that only send requests."""
    require("requests")
    for rows, workers in scale.throughput:
        own, *others = _rows_per_second(scale, folder / f"{rows}", rows, workers)
        for name, aim, figures in zip(PEERS, AIMS.get(workers, (None,) * len(PEERS)), others, strict=True):
            ratio = median_ratio(own, figures)
            yield Measurement(
                measure=f"whole run of {rows:,} rows, {workers} at a time",
                ours=f"{statistics.median(own):,.0f} rows/s",
                peer=name,
                theirs=f"{statistics.median(figures):,.0f} rows/s",
                ratio=f"{ratio:.2f}",
                aim=f"≥ {aim:g}" if aim else "",
                met=ratio >= aim if aim else None,
            )


def _rows_per_second(scale: Scale, folder: Path, rows: int, workers: int) -> list[list[float]]:
    """The figures of bulkload and of each peer; rows that wait at the same time share a commit."""
    folder.mkdir()
    sheet = inputs.write_csv(folder / "rows.csv", rows)
    with run_stub(folder / "nginx") as server:

        def ours() -> float:
            output = folder / f"output-{len(list(folder.glob('output-*')))}"  # a new store each time
            files = ("--output", str(output), "--results", str(output / "results.csv"))
            speed = ("--rate", "unlimited", "--concurrency", str(workers))
            command = (*BULKLOAD, "run", str(sheet), *speed, *files)
            return rows / run_process(command, env=account_env(server.base_url)).wall

        def bare(*loop: str) -> float:
            return rows / run_process(program_command("bare_aiohttp", server.base_url, rows, workers, *loop)).wall

        def documented() -> float:
            command = program_command("documented_requests", server.base_url, scale.loop_rows)
            return scale.loop_rows / run_process(command).wall

        return measure_alternately(scale.throughput_turns, ours, bare, lambda: bare("uvloop"), documented)
