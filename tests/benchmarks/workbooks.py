"""Workbooks: checking one compared with only reading it, and writing results compared with a simple loop."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.processes import BULKLOAD, measure_alternately, median_ratio, program_command, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

MAX_RATIO_TO_CALAMINE = 2.5
MAX_RATIO_TO_OPENPYXL = 0.25


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Read and write alternately; the slowest peer is measured only once."""
    rows = scale.sheet_rows
    sheet = folder / "rows.xlsx"
    run_process(program_command("make_workbook", sheet, rows))
    checked, calamine = measure_alternately(
        scale.turns,
        lambda: run_process((*BULKLOAD, "check", str(sheet), "--quiet")).wall,
        lambda: run_process(program_command("read_workbook", "calamine", sheet)).wall,
    )
    pandas = [run_process(program_command("read_workbook", "pandas", sheet)).wall] * len(checked)
    written, openpyxl = measure_alternately(
        scale.turns,
        lambda: run_process(program_command("write_workbook", "ours", folder / "ours.xlsx", rows)).wall,
        lambda: run_process(program_command("write_workbook", "openpyxl", folder / "peer.xlsx", rows)).wall,
    )
    for label, peer, own, theirs, aim in (
        ("check", "calamine, reading alone", checked, calamine, MAX_RATIO_TO_CALAMINE),
        ("check", "pandas.read_excel with openpyxl", checked, pandas, None),
        ("writing the results", "bare openpyxl write-only loop", written, openpyxl, MAX_RATIO_TO_OPENPYXL),
    ):
        columns = len(inputs.COLUMNS) + (8 if label != "check" else 0)
        ratio = median_ratio(own, theirs)
        yield Measurement(
            measure=f"{label}, xlsx of {rows:,} × {columns}",
            ours=f"{statistics.median(own):.1f} s",
            peer=peer,
            theirs=f"{statistics.median(theirs):.1f} s",
            ratio=f"{ratio:.2f}",
            aim=f"≤ {aim:g}" if aim else "",
            met=ratio <= aim if aim else None,
        )
