"""The history: list the calls and runs in the store, show one run, and write its results again.

In: an output folder with a store. Out: its calls and runs, or results files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload.errors import ExitCode, UsageError
from bulkload.files.names import results_name
from bulkload.model import ReportRow, RunInfo, Status
from bulkload.operations.outcome import Outcome
from bulkload.operations.results import is_incomplete, why_incomplete, write_results
from bulkload.operations.results_names import results_by_default, results_of
from bulkload.reports.summary import number_of
from bulkload.settings import Options
from bulkload.store.account_record import AccountRecord
from bulkload.store.arrivals import file_in_inbox
from bulkload.store.calls import Call, calls_of
from bulkload.store.results_files import look_at
from bulkload.store.runs import Run, Store

__all__ = [
    "Call",
    "RunRecord",
    "RunView",
    "list_calls_without_run",
    "list_runs",
    "outcome_of",
    "recent_runs",
    "view_run",
    "write_results_again",
]

TO_FIX = (Status.INVALID, Status.DUPLICATE, Status.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run with its calls, the newest first."""

    run: Run
    info: RunInfo
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """Everything that is known about one run."""

    record: RunRecord
    bad_rows: tuple[ReportRow, ...]  # the first of them
    bad_row_count: int
    results: tuple[Path, ...]
    replaced: Mapping[Path, str]  # results files that another run has written since → its ID
    created: int  # monitors of the run that are neither undone nor known to be deleted
    incomplete: str  # why rows are missing; empty if none are


def list_runs(options: Options) -> list[RunRecord]:
    """All runs in the store, newest first."""
    with Store(options.output, must_exist=True) as store:
        calls: dict[int | None, list[Call]] = {}
        for call in calls_of(store):
            calls.setdefault(call.run_number, []).append(call)
        return [
            RunRecord(run=run, info=store.info(run), calls=tuple(calls.get(run.number, ())))
            for run in store.runs()
            if run.command == "run"  # a plan or a delete is there only until it has ended
        ]


def list_calls_without_run(options: Options) -> list[Call]:
    """The calls that are not about a run, newest first."""
    with Store(options.output, must_exist=True) as store:
        return [call for call in calls_of(store) if call.run_number is None]


def view_run(run_id: str, options: Options, *, limit: int | None) -> RunView:
    """One run, with its first bad rows, or all of them without a limit."""
    with Store(options.output, must_exist=True) as store, store.snapshot():
        run = store.run(run_id)
        bad_rows: list[ReportRow] = []
        count = 0
        for row in _bad_rows(store, run):
            count += 1
            if limit is None or count <= limit:
                bad_rows.append(row)
        calls = tuple(calls_of(store, run.number))
        results = _results_now(store, run, calls, options)
        written = {path: look_at(store, path).run_id for path in results}
        return RunView(
            record=RunRecord(run=run, info=store.info(run), calls=calls),
            bad_rows=tuple(bad_rows),
            bad_row_count=count,
            results=results,
            replaced={path: run_id for path, run_id in written.items() if run_id not in ("", run.id)},
            created=AccountRecord(store, run.account_id).count_created_by(run.number) if run.account_id else 0,
            incomplete=why_incomplete(store, run) if is_incomplete(store, run) else "",
        )


def recent_runs(folder: Path, limit: int) -> list[Run]:
    """The newest runs of a folder; none if it has no store."""
    try:
        with Store(folder, must_exist=True) as store:
            return [run for run in store.runs(limit) if run.command == "run"]
    except UsageError:
        return []


def outcome_of(call: Call, info: RunInfo | None = None) -> str:
    """How a call ended, in words; `info` is that of its run, for a call whose counts are not known."""
    if call.ended is None:
        return "running" if call.is_running else "killed (no end was recorded)"
    if call.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        return "interrupted"
    if call.stopped:
        first_line, *more = call.stopped.splitlines()
        return f"stopped: {first_line}{' …' if more else ''}"
    if call.exit_code == ExitCode.DONE:
        return "done"
    counts = call.counts if call.counts is not None else (info.counts if info is not None else {})
    fix = sum(counts.get(status, 0) for status in TO_FIX)
    again = sum(n for status, n in counts.items() if status.next_step == "run again")
    parts = [f"{number_of(fix, 'row')} to fix"] if fix else []
    parts += [f"{number_of(again, 'row')} to run again"] if again else []
    parts = parts or ([f"{number_of(n, 'row')} removed"] if (n := counts.get(Status.REMOVED, 0)) else [])
    return ", ".join(parts) or f"exit code {call.exit_code}"


def write_results_again(run_id: str | None, options: Options) -> Outcome:
    """Write the results of a run again, as it stands in the store.

    Raises `UsageError` if rows of an old run were deleted: the results would lack them.
    """
    with Store(options.output, must_exist=True) as store:
        run = store.run(run_id)
        if is_incomplete(store, run):
            raise UsageError(f"{why_incomplete(store, run)} Its results cannot be written again; no file was replaced.")
        results = options.results or results_by_default(store, run, options)
        return write_results(
            store, run, results, options, ExitCode(run.exit_code) if run.exit_code is not None else None
        )


def _results_now(store: Store, run: Run, calls: Sequence[Call], options: Options) -> tuple[Path, ...]:
    """Where the results of a run are; those of a file of an inbox were moved with it."""
    if (file := file_in_inbox(store, run)) is not None:
        return (file.with_name(results_name(file.name)),)
    named = next((call.results for call in calls if call.results), ())
    return tuple(map(Path, named)) or tuple(results_of(store, run, options))


def _bad_rows(store: Store, run: Run) -> Iterator[ReportRow]:
    return (row for row in store.report_rows(run) if not row.status.done and row.status is not Status.REMOVED)
