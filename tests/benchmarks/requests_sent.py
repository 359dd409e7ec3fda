"""The number of requests for some rows, and for the same rows in a second run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import run_stub
from tests.benchmarks.processes import BULKLOAD, account_env, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

OTHER_REQUESTS = 3  # at most: login, list, and one more


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Count the requests for new rows at the server, and take those of the second run from its JSON output."""
    rows = scale.counted_rows
    sheet = inputs.write_csv(folder / "rows.csv", rows)
    run = (*BULKLOAD, "run", str(sheet), "--rate", "unlimited", "--results", str(folder / "results.csv"), "--json")
    with run_stub(folder / "nginx", logged=True) as server:
        run_process((*run, "--output", str(folder / "output")), env=account_env(server.base_url))
        sent = len(server.log.read_text().splitlines())
    for _ in range(2):
        output = run_process((*run, "--sandbox", "--output", str(folder / "sandbox"))).output
    again = json.loads(output)
    for label, count, most in (
        (f"requests for {rows:,} rows", sent, rows + OTHER_REQUESTS),
        (f"requests for {rows:,} rows already done", again["requests"]["sent"], OTHER_REQUESTS),
    ):
        yield Measurement(measure=label, ours=f"{count:,}", aim=f"≤ {most:,}", met=count <= most)
