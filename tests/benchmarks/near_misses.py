"""A plan of many new rows for a host that has many monitors under other names: each row nearly matches all of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import run_stub
from tests.benchmarks.processes import BULKLOAD, account_env, measure_alternately, median_ratio, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

HOST, PORT = "mail.example.com", 993
MAX_SECONDS = 3.0
MAX_GROWTH = 2.5  # if there are twice as many rows and monitors


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Plan alternately this many rows beside as many monitors, and twice as many of both."""
    rows = scale.near_rows
    half, whole = measure_alternately(
        scale.turns, lambda: _plan(folder / "half", rows), lambda: _plan(folder / "whole", 2 * rows)
    )
    seconds, growth = statistics.median(half), median_ratio(whole, half)
    yield Measurement(
        measure=f"plan of {rows:,} new rows beside {rows:,} monitors on one host",
        ours=f"{seconds:.1f} s",
        peer="twice as many of both",
        theirs=f"{statistics.median(whole):.1f} s",
        ratio=f"{growth:.2f}",
        aim=f"≤ {MAX_SECONDS:g} s, twice as many ≤ {MAX_GROWTH} × as long",
        met=seconds <= MAX_SECONDS and growth <= MAX_GROWTH,
    )


def _plan(folder: Path, count: int) -> float:
    folder.mkdir(exist_ok=True)
    cells = [["imap", f"New monitor {n:06}", HOST, str(PORT), "UBM - A/A"] for n in range(count)]
    sheet = inputs.write_table(folder / "rows.csv", ("type", "name", "hostname", "port", "billing_plancode"), cells)
    monitors = (
        {"id": str(n + 1), "type": "email-imap", "name": f"Old monitor {n:06}", "hostname": HOST, "port": PORT}
        for n in range(count)
    )
    with run_stub(folder / "nginx", monitors=monitors) as server:
        command = (*BULKLOAD, "plan", str(sheet), "--output", str(folder / "output"), "--quiet")
        return run_process(command, env=account_env(server.base_url)).wall
