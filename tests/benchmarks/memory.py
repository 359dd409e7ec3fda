"""Peak memory of `check` and `run`: a million rows need no more than a thousand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.children import OURS, account, ran
from tests.benchmarks.nginx import stub
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

MOST_GROWTH = 1.3  # from the last size but one to the last
MOST = 250.0  # MiB


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Check and run files of growing size."""
    peaks: dict[str, list[float]] = {"check": [], "run": []}
    with stub(folder / "nginx") as server:
        for rows in scale.memory_rows:
            sheet = inputs.write_csv(folder / "rows.csv", rows)
            peaks["check"].append(ran((*OURS, "check", str(sheet), "--quiet")).peak)
            output = folder / "output"
            command = (*OURS, "run", str(sheet), "--rate", "unlimited", "--quiet")
            files = ("--output", str(output), "--results", str(output / "results.csv"))
            peaks["run"].append(ran((*command, *files), env=account(server.base_url)).peak)
            shutil.rmtree(output)
    for name, (*_, before, last) in peaks.items():
        sizes = " / ".join(f"{rows:,}" for rows in scale.memory_rows)
        yield Line(
            measure=f"peak memory of {name}, {sizes} rows",
            ours=f"{' / '.join(f'{peak:.0f}' for peak in peaks[name])} MiB",
            ratio=f"{last / before:.2f}",
            aim=f"last ≤ {MOST_GROWTH} × before, < {MOST:.0f} MiB",
            met=last <= MOST_GROWTH * before and last < MOST,
        )
