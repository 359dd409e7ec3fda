"""Rows a second of a whole run: no rate limit, durable store, CSV results."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.children import OURS, account, in_turn, median_ratio, program, ran, require
from tests.benchmarks.nginx import stub
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

WORKERS = 50  # requests at a time, for ours and for the peers; rows that wait at one moment share one commit


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Take turns with loops that do nothing but send."""
    require("requests")
    sheet = inputs.write_csv(folder / "rows.csv", scale.rows)
    with stub(folder / "nginx") as server:

        def ours() -> float:
            output = folder / f"output-{len(list(folder.glob('output-*')))}"  # a new store each time
            files = ("--output", str(output), "--results", str(output / "results.csv"))
            speed = ("--rate", "unlimited", "--concurrency", str(WORKERS))
            return scale.rows / ran((*OURS, "run", str(sheet), *speed, *files), env=account(server.base_url)).wall

        def bare(*loop: str) -> float:
            return scale.rows / ran(program("bare_aiohttp", server.base_url, scale.rows, WORKERS, *loop)).wall

        def documented() -> float:
            return scale.loop_rows / ran(program("documented_requests", server.base_url, scale.loop_rows)).wall

        found = in_turn(scale.turns, ours, bare, lambda: bare("uvloop"), documented)
    own, *others = found
    for name, aim, figures in zip(
        ("bare aiohttp loop", "bare aiohttp loop on uvloop", "documented `requests` loop"),
        (0.85, None, 5.0),
        others,
        strict=True,
    ):
        ratio = median_ratio(own, figures)
        yield Line(
            measure=f"whole run of {scale.rows:,} rows, {WORKERS} at a time",
            ours=f"{statistics.median(own):,.0f} rows/s",
            peer=name,
            theirs=f"{statistics.median(figures):,.0f} rows/s",
            ratio=f"{ratio:.2f}",
            aim=f"≥ {aim:g}" if aim else "",
            met=ratio >= aim if aim else None,
        )
