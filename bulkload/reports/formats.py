"""Write the results of a run to a file, in the format of its suffix.

In: a `RunInfo`, and the run's `ReportRow`s in input order, as a stream that is read once. Out: one complete file or
none.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.files.atomic import atomic_write
from bulkload.model import ReportRow, RunInfo

FORMATS = (".xlsx", ".csv", ".jsonl", ".html")


def write(
    path: Path,
    run: RunInfo,
    rows: Iterable[ReportRow],
    *,
    output: Path | None = None,
    is_stored: bool = True,
    before_replacing: Callable[[Path], None] = lambda draft: None,
) -> None:
    """Write a run's results; an existing file is replaced only by a complete one.

    `output` is the folder of the run store, for the message that says how to write them again, unless the run
    `is_stored` nowhere. `before_replacing` gets the complete draft. Raises `UsageError` for a suffix that is not in
    `FORMATS`, and `StoreError` if the file cannot be written.
    """
    check_format(path)
    where = f" --output {shlex.quote(str(output))}" if output is not None else ""
    advice = f"; to write it again, run: bulkload report {run.run_id}{where}" if run.run_id and is_stored else ""
    with atomic_write(path, advice=advice) as draft:
        _write_as(path.suffix.lower(), draft, run, rows)
        before_replacing(draft)


def check_format(path: Path) -> None:
    """Raise `UsageError` unless the suffix of a results file is in `FORMATS`."""
    if path.suffix.lower() not in FORMATS:
        suffix = f"has the suffix {path.suffix}" if path.suffix else "has no suffix"
        allowed = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]}"
        raise UsageError(f"The results file {path} {suffix}; allowed are {allowed}.")


def _write_as(suffix: str, draft: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Call the module of the format, which is imported only if it is used."""
    if suffix == ".xlsx":
        from bulkload.reports.results_workbook import write_workbook

        write_workbook(draft, run, rows)
    elif suffix == ".csv":
        from bulkload.reports.results_csv import write_csv

        write_csv(draft, run, rows)
    elif suffix == ".jsonl":
        from bulkload.reports.json_lines import write_jsonl

        write_jsonl(draft, run, rows)
    else:
        from bulkload.reports.html_page import write_page

        write_page(draft, run, rows)
