"""Requests sent for N rows, and for the same rows again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.children import OURS, account, ran
from tests.benchmarks.nginx import stub
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

OTHERS = 3  # requests beside the creates: login, list, and one more


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Count at the server for new rows, and ask the program about rows that are done."""
    rows = scale.counted_rows
    sheet = inputs.write_csv(folder / "rows.csv", rows)
    run = (*OURS, "run", str(sheet), "--rate", "unlimited", "--results", str(folder / "results.csv"), "--json")
    with stub(folder / "nginx", logged=True) as server:
        ran((*run, "--output", str(folder / "output")), env=account(server.base_url))
        sent = len(server.log.read_text().splitlines())
    again = [json.loads(ran((*run, "--sandbox", "--output", str(folder / "sandbox"))).output) for _ in range(2)][1]
    for what, found, most in (
        (f"requests for {rows:,} rows", sent, rows + OTHERS),
        (f"requests for {rows:,} rows already done", again["requests"]["sent"], OTHERS),
    ):
        yield Line(measure=what, ours=f"{found:,}", aim=f"≤ {most:,}", met=found <= most)
