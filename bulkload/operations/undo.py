"""Delete the monitors that one run created, and no others.

In: a run in the store. Out: its monitors are deleted, except those that were edited, and its results are written again
with `removed` rows. First the account is listed once, to show what would happen; then, if the user agrees, each monitor
is read and deleted, and each deletion is recorded at once. So an interrupted undo can be repeated.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bulkload.errors import BulkloadError, ExitCode, Forbidden, Rejected, RunStopped, StoreError, UsageError
from bulkload.model import ACCOUNT_ISSUE, Issue, State, Status
from bulkload.operations.outcome import Outcome
from bulkload.operations.pipeline import OnStart, begin, locked_store, observe
from bulkload.operations.removal import (
    CREATE_AGAIN,
    OnMonitor,
    PlannedRemoval,
    Removal,
    RemovalResult,
    edit_of,
    remove_unless_edited,
)
from bulkload.operations.results import if_complete, write_results
from bulkload.operations.results_names import results_of, without_replacing
from bulkload.operations.session import Session, StopRequest, run_session, unless_stopped
from bulkload.reports.summary import moment, number_of
from bulkload.settings import Account, Options
from bulkload.stages.context import RunContext
from bulkload.stages.listing import profile_of, reliable_listing
from bulkload.stages.observer import NOBODY, Observer, Phase
from bulkload.stages.settle import settle_with
from bulkload.store.group_commit import GroupCommit
from bulkload.store.row_records import CreatedMonitor, RowChange
from bulkload.store.runs import Run, Store

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.stages.listing import Listing

KEPT = f"{ACCOUNT_ISSUE}kept"
UNDONE, UNDONE_BY = "undone", "undone by"  # settings of a run in the store: when and what was deleted, and by whom
MOST_NAMED = 10  # unknown rows that are named
BATCH = 500  # monitors fetched from the store at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """How an undo ended."""

    outcome: Outcome
    counts: Mapping[RemovalResult, int] = field(default_factory=dict)  # of monitors; if not `done`, what would happen
    done: bool = True  # False: it was only previewed
    in_doubt: int = 0  # rows of the run that may still turn out to have created a monitor
    session: Session = field(default_factory=Session)


def undo_run(
    run_id: str,
    account: Account,
    options: Options,
    on_monitor: OnMonitor,
    agree: Callable[[Mapping[RemovalResult, int]], bool],
    on_start: OnStart,
    *,
    include_edited: bool = False,
    dry_run: bool = False,
    by: str = "",
    observer: Observer = NOBODY,
    rows: Collection[int] | None = None,
) -> Undone:
    """Show every monitor that a run created, or that these rows of its file did; delete them if `agree` returns True.

    Raises `UsageError` for `rows` that the run does not have. `by` is who undoes it, for the run's report. Exit code 0:
    none of the monitors is left, or it was a dry run. 1: some are left or may still appear, or the user did not agree.
    """
    with locked_store(options, "undo", must_exist=True) as store:
        context = begin(store, store.run(run_id), account, options, observer=observer)
        run = context.run
        if rows is not None:
            _check_rows(store, run, rows)
        counts, in_doubt = _preview(context, on_monitor, include_edited, rows)
        if not counts or not agree(counts):
            some_left = not dry_run and (counts or in_doubt)
            exit_code = ExitCode.ROWS_LEFT if some_left else ExitCode.DONE
            outcome = Outcome(info=store.info(run), results=(), exit_code=exit_code)
            return Undone(outcome=outcome, counts=counts, in_doubt=in_doubt, done=False)
        if by:
            store.note_setting(run, UNDONE_BY, by)
        store.begin_call(run)
        undo = _Undo(context, include_edited, rows, sum(counts.values()))
        session = run_session(account, options, lambda api, stop: undo.run(api, stop, on_start))
        store.note_setting(run, UNDONE, _summary(undo.counts))
        store.keep_counts()
        in_doubt = _in_doubt(context, rows)
        observer.on_phase(Phase.WRITING)
        some_left = bool(in_doubt) or _any_left(context, rows)
        exit_code = ExitCode.ROWS_LEFT if some_left else ExitCode.DONE
        if session.stopped is not None:
            exit_code = session.stopped.exit_code
        results = without_replacing(store, run, if_complete(store, run, results_of(store, run, options)), options)
        store.end_call(run, exit_code, session.stopped, results)
        outcome = write_results(store, run, results, options, exit_code)
        return Undone(outcome=outcome, counts=undo.counts, in_doubt=in_doubt, session=session)


def _check_rows(store: Store, run: Run, rows: Collection[int]) -> None:
    """Raise `UsageError` for rows that are not in the file of a run, or were deleted from the store since."""
    unknown = sorted(set(rows) - {row.source_row for row in store.report_rows(run)})
    if unknown:
        shown = ", ".join(map(str, unknown[:MOST_NAMED])) + (", …" if len(unknown) > MOST_NAMED else "")
        raise UsageError(
            f"Run {run.id} has no row {shown}. Use the numbers in the column source_row of its results. Nothing was"
            " deleted."
        )


def _any_left(context: RunContext, rows: Collection[int] | None) -> bool:
    """True if a monitor of the run, or of these rows, is not deleted."""
    if rows is None:
        return bool(context.record.count_created_by(context.run.number))
    after = -1
    while batch := context.record.created_by(context.run.number, after, BATCH):
        after = batch[-1].position
        if any(monitor.source_row in rows for monitor in batch):
            return True
    return False


def _preview(
    context: RunContext, on_monitor: OnMonitor, include_edited: bool, rows: Collection[int] | None
) -> tuple[Counter[RemovalResult], int]:
    """List the account once, and report what would happen to every monitor of the run."""
    counts: Counter[RemovalResult] = Counter()
    run_number = context.run.number
    if not context.record.created_by(run_number, -1, 1) and not context.rows.count(State.DOUBT):
        return counts, 0

    async def work(api: Api, stop: StopRequest) -> None:
        observe(context.observer, api, stop)
        listing = await unless_stopped(_list_and_settle(context, api), stop)
        after = -1
        while batch := context.record.created_by(run_number, after, BATCH):
            after = batch[-1].position
            for monitor in batch:
                if rows is not None and monitor.source_row not in rows:
                    continue
                planned = _planned_removal(monitor, listing, include_edited)
                counts[planned.removal.result] += 1
                on_monitor(planned)

    if (stopped := run_session(context.account, context.options, work).stopped) is not None:
        raise stopped
    return counts, _in_doubt(context, rows)


def _in_doubt(context: RunContext, rows: Collection[int] | None) -> int:
    """The number of rows, of all or of these, that may still turn out to have created a monitor."""
    if rows is None or not context.rows.count(State.DOUBT):
        return context.rows.count(State.DOUBT)
    report = context.store.report_rows(context.run)
    return sum(row.source_row in rows and row.status is Status.UNKNOWN for row in report)


def _summary(counts: Mapping[RemovalResult, int]) -> str:
    """When the run was undone, and what became of its monitors, as the run's report says it."""
    kept = sum(count for result, count in counts.items() if result.kept)
    parts = [f"{number_of(counts.get(RemovalResult.DELETED, 0), 'monitor')} deleted"]
    parts += [f"{gone:,} already gone"] if (gone := counts.get(RemovalResult.GONE, 0)) else []
    parts += [f"{kept:,} kept"] if kept else []
    return f"{moment(datetime.now(UTC).isoformat())}: {', '.join(parts)}"


async def _list_and_settle(context: RunContext, api: Api) -> Listing:
    listing = await reliable_listing(context.record, api, context.options)
    await settle_with(context, api, listing)
    return listing


def _planned_removal(monitor: CreatedMonitor, listing: Listing, include_edited: bool) -> PlannedRemoval:
    body = json.loads(monitor.body)
    item = listing.monitors.get(monitor.monitor_id)
    if item is None:
        removal = Removal(result=RemovalResult.GONE)
    else:
        removal = edit_of(body, item, listing.profile) or Removal(result=RemovalResult.DELETED)
    if include_edited and removal.result is RemovalResult.EDITED:
        removal = replace(removal, result=RemovalResult.DELETED)
    host = body.get("hostname") or body.get("smtp_hostname") or ""
    return PlannedRemoval(
        row=monitor.source_row,
        monitor_id=monitor.monitor_id,
        type=monitor.type,
        name=str(body.get("name", "")),
        host=str(host),
        removal=removal,
    )


class _Undo:
    """Workers that delete monitor by monitor."""

    def __init__(self, context: RunContext, include_edited: bool, rows: Collection[int] | None, monitors: int) -> None:
        self._source_rows = rows  # None: all
        self._monitors = monitors
        self.counts: Counter[RemovalResult] = Counter()
        self._context = context
        self._include_edited = include_edited
        self._commits = GroupCommit(context.rows)
        self._kept: list[tuple[int, Issue]] = []
        self._batch: list[CreatedMonitor] = []
        self._after = -1
        self._stopped: BulkloadError | None = None

    async def run(self, api: Api, stop: StopRequest, on_start: OnStart) -> None:
        """Delete the monitors that the run created. Raises what stops it; deletions until then are in the store."""
        rows = self._context.rows
        observe(self._context.observer, api, stop)
        self._context.observer.on_phase(Phase.DELETING)
        stop.on_stop = self._stop
        rows.replace_warnings(KEPT, ())
        on_progress = on_start(self._monitors)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._context.options.concurrency):
                    group.create_task(self._worker(api, on_progress))
        finally:
            self._commits.flush()
            rows.replace_warnings(KEPT, self._kept)
        if self._stopped is not None:
            raise self._stopped

    def _stop(self, reason: BulkloadError) -> None:
        self._stopped = self._stopped or reason

    def _next(self) -> CreatedMonitor | None:
        if self._stopped is not None:
            return None
        while True:
            if not self._batch:
                self._batch = self._context.record.created_by(self._context.run.number, self._after, BATCH)[::-1]
            if not self._batch:
                return None
            monitor = self._batch.pop()
            self._after = monitor.position
            if self._source_rows is None or monitor.source_row in self._source_rows:
                return monitor

    async def _worker(self, api: Api, on_progress: Callable[[int], None]) -> None:
        try:
            while (monitor := self._next()) is not None:
                self._record(monitor, await self._remove(api, monitor))
                on_progress(1)
        except (RunStopped, StoreError) as error:
            self._stop(error)

    async def _remove(self, api: Api, monitor: CreatedMonitor) -> Removal:
        try:
            return await remove_unless_edited(
                api,
                monitor.monitor_id,
                monitor.type,
                json.loads(monitor.body),
                profile_of(self._context.record),
                include_edited=self._include_edited,
            )
        except (Forbidden, Rejected) as error:
            if not self.counts[RemovalResult.DELETED]:
                raise RunStopped(f"The account may not delete its monitors (role or permissions): {error}") from error
            return Removal(result=RemovalResult.REFUSED, reason=f"The API refuses to delete it: {error}")

    def _record(self, monitor: CreatedMonitor, removal: Removal) -> None:
        """Record what happened to a monitor; a deletion is on disk before its worker takes the next monitor."""
        self.counts[removal.result] += 1
        if removal.result.kept:
            message = f"Not undone. {removal.reason}"
            self._kept.append((monitor.position, Issue(code=KEPT, message=message, severity="warning")))
            return
        deleted = removal.result is RemovalResult.DELETED
        message = "Deleted by undo." if deleted else "It was already deleted when the run was undone."
        self._commits.record(
            RowChange(position=monitor.position, state=Status.REMOVED, error=f"{message} {CREATE_AGAIN}")
        )
        self._commits.flush()
