"""Peak memory of `check` and `run`: it does not grow with the number of rows.

That of a workbook is the larger one of the program and of its child process, which reads the workbook.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import run_stub
from tests.benchmarks.processes import BULKLOAD, account_env, program_command, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

MAX_GROWTH = 1.3  # ratio of the largest to the second largest file
MAX_PEAK = 250.0  # MiB


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Check and run files of increasing size."""
    yield _measurement("check", scale.memory_rows, [_checked(folder, rows) for rows in scale.memory_rows])
    with run_stub(folder / "nginx") as server:
        env = account_env(server.base_url)
        yield _measurement("run", scale.run_memory_rows, [_run(folder, env, rows) for rows in scale.run_memory_rows])
    peaks = [_checked_workbook(folder, rows) for rows in scale.workbook_memory_rows]
    yield Measurement(
        measure=f"peak memory of check, xlsx of {_joined(scale.workbook_memory_rows)} × {len(inputs.COLUMNS)}",
        ours=f"{_joined(peaks)} MiB",
        ratio=f"{peaks[-1] / peaks[0]:.2f}",
    )


def _checked(folder: Path, rows: int) -> float:
    sheet = inputs.write_csv(folder / "rows.csv", rows)
    return run_process((*BULKLOAD, "check", str(sheet), "--quiet")).peak


def _checked_workbook(folder: Path, rows: int) -> float:
    sheet = folder / "rows.xlsx"
    run_process(program_command("make_workbook", sheet, rows))
    return run_process((*BULKLOAD, "check", str(sheet), "--quiet")).peak


def _run(folder: Path, env: Mapping[str, str], rows: int) -> float:
    sheet = inputs.write_csv(folder / "rows.csv", rows)
    output = folder / "output"
    command = (*BULKLOAD, "run", str(sheet), "--rate", "unlimited", "--quiet")
    peak = run_process((*command, "--output", str(output), "--results", str(output / "results.csv")), env=env).peak
    shutil.rmtree(output)
    return peak


def _measurement(name: str, sizes: Sequence[int], peaks: Sequence[float]) -> Measurement:
    *_, before, last = peaks
    return Measurement(
        measure=f"peak memory of {name}, {_joined(sizes)} rows",
        ours=f"{_joined(peaks)} MiB",
        ratio=f"{last / before:.2f}",
        aim=f"last ≤ {MAX_GROWTH} × before, < {MAX_PEAK:.0f} MiB",
        met=last <= MAX_GROWTH * before and last < MAX_PEAK,
    )


def _joined(numbers: Sequence[float]) -> str:
    return " / ".join(f"{number:,.0f}" for number in numbers)
