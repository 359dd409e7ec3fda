"""The sizes of the benchmarks: full, and small to test that they still work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The sizes of all benchmarks."""

    turns: int  # of which the median is reported
    throughput_turns: int  # the same for whole runs, whose figures differ most from turn to turn
    throughput: tuple[tuple[int, int], ...]  # whole runs: rows, and requests at a time
    loop_rows: int  # for the documented loop, which is slow
    rates: tuple[int, ...]  # requests per second
    pace_seconds: float  # duration at each rate
    limited_rows: int  # sent to a server with an unknown limit
    memory_rows: tuple[int, ...]  # of CSV files that are checked
    run_memory_rows: tuple[int, ...]  # of those that are run
    workbook_memory_rows: tuple[int, ...]
    store_rows: tuple[int, int]  # of a small and a large file that are planned
    unchanged_rows: int  # of a workbook that is run again
    near_rows: int  # new, and as many monitors, on one host
    history: tuple[int, int]  # runs, and the rows of each
    sheet_rows: int  # of workbooks read and written
    starts: int  # of the program, of which the median is reported
    counted_rows: int  # whose requests are counted
    slow_rows: int  # sent at 20 per second
    health_rows: int  # of a run during which the upload page is asked for its health
    page_rows: int  # of a draft on the upload page
    page_history: tuple[int, int]  # its runs, and the rows of each
    page_drafts: int


FULL = Scale(
    turns=3,
    throughput_turns=9,
    throughput=((20_000, 32), (50_000, 50)),
    loop_rows=3_000,
    rates=(5, 50, 500, 1_500),
    pace_seconds=6.0,
    limited_rows=1_200,
    memory_rows=(10_000, 100_000, 1_000_000),
    run_memory_rows=(10_000, 100_000, 300_000),
    workbook_memory_rows=(100_000, 400_000),
    store_rows=(100_000, 1_000_000),
    unchanged_rows=50_000,
    near_rows=10_000,
    history=(200, 5_000),
    sheet_rows=100_000,
    starts=15,
    counted_rows=1_000,
    slow_rows=600,
    health_rows=20_000,
    page_rows=10_000,
    page_history=(300, 1_000),
    page_drafts=50,
)
SMALL = Scale(
    turns=1,
    throughput_turns=1,
    throughput=((100, 8), (300, 50)),
    loop_rows=30,
    rates=(50, 500),
    pace_seconds=0.5,
    limited_rows=30,
    memory_rows=(100, 200),
    run_memory_rows=(100, 200),
    workbook_memory_rows=(100, 200),
    store_rows=(100, 200),
    unchanged_rows=60,
    near_rows=30,
    history=(3, 5),
    sheet_rows=200,
    starts=1,
    counted_rows=40,
    slow_rows=10,
    health_rows=300,
    page_rows=120,
    page_history=(3, 5),
    page_drafts=2,
)
