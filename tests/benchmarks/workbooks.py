"""Workbooks: a check of one beside reading it alone, and writing the results beside a bare loop."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.children import OURS, in_turn, median_ratio, program, ran
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

MOST_OF_CALAMINE = 2.5


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Read and write by turns; the slowest peer has its turn once."""
    rows = scale.sheet_rows
    sheet = folder / "rows.xlsx"
    ran(program("make_workbook", sheet, rows))
    checked, calamine = in_turn(
        scale.turns,
        lambda: ran((*OURS, "check", str(sheet), "--quiet")).wall,
        lambda: ran(program("read_workbook", "calamine", sheet)).wall,
    )
    pandas = [ran(program("read_workbook", "pandas", sheet)).wall] * len(checked)
    written, openpyxl = in_turn(
        scale.turns,
        lambda: ran(program("write_workbook", "ours", folder / "ours.xlsx", rows)).wall,
        lambda: ran(program("write_workbook", "openpyxl", folder / "peer.xlsx", rows)).wall,
    )
    for what, peer, own, theirs, aim in (
        ("check", "calamine, reading alone", checked, calamine, MOST_OF_CALAMINE),
        ("check", "pandas.read_excel with openpyxl", checked, pandas, None),
        ("writing the results", "bare openpyxl write-only loop", written, openpyxl, 1.0),
    ):
        columns = len(inputs.COLUMNS) + (8 if what != "check" else 0)
        ratio = median_ratio(own, theirs)
        yield Line(
            measure=f"{what}, xlsx of {rows:,} × {columns}",
            ours=f"{statistics.median(own):.1f} s",
            peer=peer,
            theirs=f"{statistics.median(theirs):.1f} s",
            ratio=f"{ratio:.2f}",
            aim=f"≤ {aim:g}" if aim else "",
            met=ratio <= aim if aim else None,
        )
