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

WORKERS = 50  # concurrent requests, also of the peers; rows that wait at the same time share a commit


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Compare with loops that only send requests."""
    require("requests")
    sheet = inputs.write_csv(folder / "rows.csv", scale.rows)
    with run_stub(folder / "nginx") as server:

        def ours() -> float:
            output = folder / f"output-{len(list(folder.glob('output-*')))}"  # a new store each time
            files = ("--output", str(output), "--results", str(output / "results.csv"))
            speed = ("--rate", "unlimited", "--concurrency", str(WORKERS))
            command = (*BULKLOAD, "run", str(sheet), *speed, *files)
            return scale.rows / run_process(command, env=account_env(server.base_url)).wall

        def bare(*loop: str) -> float:
            command = program_command("bare_aiohttp", server.base_url, scale.rows, WORKERS, *loop)
            return scale.rows / run_process(command).wall

        def documented() -> float:
            command = program_command("documented_requests", server.base_url, scale.loop_rows)
            return scale.loop_rows / run_process(command).wall

        figures_of_each = measure_alternately(scale.turns, ours, bare, lambda: bare("uvloop"), documented)
    own, *peers = figures_of_each
    for name, aim, figures in zip(
        ("bare aiohttp loop", "bare aiohttp loop on uvloop", "documented `requests` loop"),
        (0.85, None, 5.0),
        peers,
        strict=True,
    ):
        ratio = median_ratio(own, figures)
        yield Measurement(
            measure=f"whole run of {scale.rows:,} rows, {WORKERS} at a time",
            ours=f"{statistics.median(own):,.0f} rows/s",
            peer=name,
            theirs=f"{statistics.median(figures):,.0f} rows/s",
            ratio=f"{ratio:.2f}",
            aim=f"≥ {aim:g}" if aim else "",
            met=ratio >= aim if aim else None,
        )
