"""The Python API: what `import bulkload` adds to Python's own start, and the memory of checking a frame."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.processes import PROGRAMS, PYTHON, measure_alternately, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

MOST_SECONDS = 0.03  # beyond Python's own start
MOST_MEMORY = 1.5  # times that of the frame alone


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Start Python with and without the import, and build a frame with and without a check."""
    imported, python = measure_alternately(
        scale.starts,
        lambda: run_process((PYTHON, "-c", "import bulkload")).wall,
        lambda: run_process((PYTHON, "-c", "pass")).wall,
    )
    added = statistics.median(imported) - statistics.median(python)
    yield Measurement(
        measure="start: import bulkload, beyond Python's own",
        ours=f"{added * 1000:.0f} ms",
        peer="python -c pass",
        theirs=f"{statistics.median(python) * 1000:.0f} ms",
        aim=f"≤ {MOST_SECONDS * 1000:.0f} ms",
        met=added <= MOST_SECONDS,
    )
    rows = scale.memory_rows[-1]
    program = (PYTHON, "-m", f"{PROGRAMS}.check_frame", str(rows))
    checked, alone = run_process((*program, "yes")), run_process((*program, "no"))
    yield Measurement(
        measure=f"peak memory of bulkload.check, a frame of {rows:,} × 10",
        ours=f"{checked.peak:.0f} MiB, {float(checked.output):.1f} s",
        peer="building the frame alone",
        theirs=f"{alone.peak:.0f} MiB",
        ratio=f"{checked.peak / alone.peak:.2f}",
        aim=f"≤ {MOST_MEMORY}",
        met=checked.peak <= MOST_MEMORY * alone.peak,
    )
