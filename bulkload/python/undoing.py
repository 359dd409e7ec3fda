"""What `undo` of the Python API does, as `Background` work.

In: a run, and whether to delete its monitors or only to say what would be deleted. Out: a `Result` with the run's rows.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bulkload.errors import Interrupted, RunStopped, UsageError
from bulkload.model import Issue, ReportRow
from bulkload.operations.removal import PlannedRemoval, RemovalResult
from bulkload.operations.undo import KEPT, undo_run
from bulkload.python.background import Background, Watch
from bulkload.python.options import Account, StrPath, UndoOptions, load_settings
from bulkload.python.result import Result
from bulkload.python.tables import RunTable
from bulkload.python.work import run_id_of
from bulkload.settings import Options
from bulkload.store.runs import Store

_DONE = {
    RemovalResult.DELETED: "deleted",
    RemovalResult.GONE: "already gone",
    RemovalResult.EDITED: "kept, because they were edited since",
    RemovalResult.REFUSED: "kept, because the API refuses to delete them",
}
_PLANNED = _DONE | {RemovalResult.DELETED: "to delete"}


def undo(
    run: str | Result,
    account: Account | None,
    store: StrPath,
    options: Mapping[str, Any],
    *,
    dry_run: bool,
    include_edited: bool,
    rows: Iterable[int] | None,
) -> Background[Result]:
    """The work of `undo`."""
    selected = None if rows is None else _row_numbers(rows)
    login, settings = load_settings("undo", options, UndoOptions, account=account, store=store)
    run_id = run_id_of(run)
    watch = Watch()

    def work() -> Result:
        planned: dict[int, PlannedRemoval] = {}  # by row of the file

        def on_monitor(monitor: PlannedRemoval) -> None:
            planned[monitor.row] = monitor

        try:
            undone = undo_run(
                run_id,
                login,
                settings,
                on_monitor,
                lambda counts: not dry_run,
                watch.on_start,
                include_edited=include_edited,
                dry_run=dry_run,
                observer=watch,
                rows=selected,
            )
        except (RunStopped, Interrupted) as error:  # before anything was deleted
            return Result.of(_rows(run_id, settings), exit_code=error.exit_code, stopped=error)
        return Result.of(
            _rows(run_id, settings, undone.counts, planned if dry_run else None),
            exit_code=undone.outcome.exit_code,
            stopped=undone.session.stopped,
            removals={result.value: count for result, count in undone.counts.items() if count},
            seconds=undone.session.seconds,
            requests=undone.session.requests,
        )

    return Background(work, watch, continues="" if dry_run else "undo('{0}', dry_run=False)")


def _row_numbers(rows: Iterable[int]) -> frozenset[int]:
    """The numbers as a set, also those of numpy and pandas. Raises `UsageError` for anything else."""
    try:
        return frozenset(map(operator.index, rows))
    except TypeError:
        raise UsageError(f"rows is {rows!r}; give the numbers of rows, as in the column source_row.") from None


def _rows(
    run_id: str,
    settings: Options,
    counts: Mapping[RemovalResult, int] | None = None,
    planned: Mapping[int, PlannedRemoval] | None = None,
) -> RunTable:
    """The rows of the run as they are now; of a dry run, with what would become of their monitors (`planned`)."""
    with Store(settings.output, must_exist=True) as store:
        run = store.run(run_id)
        info, rows = store.info(run), list(store.report_rows(run))
    texts = _DONE if planned is None else _PLANNED
    parts = ", ".join(f"{count:,} {texts[result]}" for result, count in (counts or {}).items() if count)
    lead = "Monitors of the run" if planned is None else "Dry run, nothing was deleted; monitors of the run"
    return RunTable(
        info=replace(info, stopped="", seconds=0.0, requests={}),
        outcomes=[_with_reason(row, (planned or {}).get(row.source_row)) for row in rows],
        undo=None if planned is None else {n: each.removal.result.value for n, each in planned.items()},
        sentence=f"{lead}: {parts or 'none left'}.",
    )


def _with_reason(row: ReportRow, planned: PlannedRemoval | None) -> ReportRow:
    """The row with a warning if its monitor would be kept."""
    if planned is None or not planned.removal.result.kept:
        return row
    message = f"Would not be undone. {planned.removal.reason}"
    return row._replace(issues=(*row.issues, Issue(code=KEPT, message=message, severity="warning")))
