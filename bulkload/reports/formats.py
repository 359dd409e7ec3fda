"""The report of a run as a file.

In: a `RunInfo` and the run's `ReportRow`s in input order, as a stream that is read once. Out: one file, whole or
not at all, in the format that its suffix names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.files.atomic import atomic_write
from bulkload.model import ReportRow, RunInfo

FORMATS = (".xlsx", ".csv", ".jsonl", ".html")


def write(path: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Write a run's report; an existing file is replaced only by a finished one.

    Raises `UsageError` for a suffix that is not in `FORMATS`, and `StoreError` when the file cannot be written.
    """
    check_format(path)
    advice = f'; "bulkload report {run.run_id}" writes it again' if run.run_id else ""
    with atomic_write(path, advice=advice) as draft:
        _write_as(path.suffix.lower(), draft, run, rows)


def check_format(path: Path) -> None:
    """Refuse a results file whose suffix names no format, before any work is done."""
    if path.suffix.lower() not in FORMATS:
        found = f"ends in {path.suffix}" if path.suffix else "has no suffix"
        allowed = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]}"
        raise UsageError(f"The results file {path} {found}; allowed are {allowed}.")


def _write_as(suffix: str, draft: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Hand over to the one module that knows the format; each is loaded only when it is wanted."""
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
