"""Delete the monitors that the rows of a file name by their IDs.

In: a file with a column `monitor_id`, as results files and exports have. Out: its monitors are deleted, except those
that differ from their rows, and its rows are written as results. First the account is listed once, to show what would
happen; then, if the user agrees, each monitor is read and deleted. A monitor that is gone needs nothing, so a delete
that was interrupted is repeated with the same file. Deleted monitors that this program created count as undone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import ExitCode, Forbidden, Rejected, RunStopped, UsageError
from bulkload.model import Input
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
from bulkload.operations.results import check_results_writable, write_results
from bulkload.operations.results_names import without_replacing
from bulkload.operations.session import Session, StopRequest, run_session, unless_stopped
from bulkload.protocols import MONITOR_TYPES
from bulkload.settings import Account, Options
from bulkload.stages.concurrent import for_each
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Listing, profile_of, reliable_listing
from bulkload.stages.observer import NOBODY, Observer, Phase
from bulkload.store.named_rows import NamedRow, NamedRows

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

ROW_HAS_ERRORS = "The row has errors, so its monitor cannot be compared with it; --include-edited deletes it."
DIFFERS = "The account differs from the row"  # begins the reason why a monitor is kept
NO_ID = "The row has no monitor_id, so nothing was deleted for it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """How a delete ended."""

    outcome: Outcome
    counts: Mapping[RemovalResult, int] = field(default_factory=dict)  # if not `done`, what would happen
    without_id: int = 0  # rows that name no monitor
    done: bool = True  # False: it was only previewed
    session: Session = field(default_factory=Session)


def delete_file(
    source: Input,
    account: Account,
    options: Options,
    results: Sequence[Path],
    on_monitor: OnMonitor,
    agree: Callable[[Mapping[RemovalResult, int], int], bool],
    on_start: OnStart,
    *,
    include_edited: bool = False,
    dry_run: bool = False,
    observer: Observer = NOBODY,
) -> Deleted:
    """Show every monitor that a row of a file names; delete them if `agree` returns True.

    `agree` gets the counts, and the number of rows without an ID. Exit code 0: none of the monitors is left, or it was
    a dry run. 1: some are left, or the user did not agree.
    """
    if not dry_run:
        check_results_writable(results, source.path)
    with locked_store(options, "delete") as store:
        context = begin(store, source, account, options, command="delete", observer=observer)
        try:
            return _Delete(context, results, include_edited).run(on_monitor, agree, on_start, dry_run=dry_run)
        finally:
            store.forget(context.run, keep_calls=True)


class _Delete:
    def __init__(self, context: RunContext, results: Sequence[Path], include_edited: bool) -> None:
        self._context = context
        self._results = results
        self._include_edited = include_edited
        self._rows = NamedRows(context.store, context.rows, context.account_id)
        self._planned: list[tuple[NamedRow, PlannedRemoval]] = []
        self._counts: Counter[RemovalResult] = Counter()

    def run(
        self,
        on_monitor: OnMonitor,
        agree: Callable[[Mapping[RemovalResult, int], int], bool],
        on_start: OnStart,
        *,
        dry_run: bool,
    ) -> Deleted:
        store, run = self._context.store, self._context.run
        without_id = self._rows.count_unnamed()
        named = list(self._rows)
        if not named:
            raise UsageError(
                f"{run.input}: no row has a monitor_id, so there is nothing to delete. Use a results file or an export."
            )
        self._preview(named, on_monitor)
        planned = Counter(each.removal.result for _, each in self._planned)
        if not agree(planned, without_id):
            left = not dry_run and any(result is not RemovalResult.GONE for result in planned)
            outcome = Outcome(info=store.info(run), results=(), exit_code=ExitCode.ROWS_LEFT if left else ExitCode.DONE)
            return Deleted(outcome=outcome, counts=planned, without_id=without_id, done=False)
        store.begin_call(run)
        session = run_session(
            self._context.account, self._context.options, lambda api, stop: self._delete(api, stop, on_start)
        )
        self._rows.mark_unnamed(NO_ID)
        self._context.observer.on_phase(Phase.WRITING)
        left = sum(self._counts.values()) < len(named) or any(result.kept for result in self._counts)
        exit_code = ExitCode.ROWS_LEFT if left else ExitCode.DONE
        if session.stopped is not None:
            exit_code = session.stopped.exit_code
        results = without_replacing(store, run, self._results, self._context.options)
        store.end(run, exit_code, session.stopped, session.seconds, session.requests, results)
        outcome = write_results(store, run, results, self._context.options, exit_code)
        return Deleted(outcome=outcome, counts=self._counts, without_id=without_id, session=session)

    def _preview(self, named: Sequence[NamedRow], on_monitor: OnMonitor) -> None:
        async def work(api: Api, stop: StopRequest) -> None:
            observe(self._context.observer, api, stop)
            options = self._context.options
            listing = await unless_stopped(reliable_listing(self._context.record, api, options), stop)
            for row in named:
                planned = _planned(row, listing, self._include_edited)
                self._planned.append((row, planned))
                on_monitor(planned)

        if (stopped := run_session(self._context.account, self._context.options, work).stopped) is not None:
            raise stopped

    async def _delete(self, api: Api, stop: StopRequest, on_start: OnStart) -> None:
        observe(self._context.observer, api, stop)
        self._context.observer.on_phase(Phase.DELETING)
        on_progress = on_start(len(self._planned))

        async def remove(planned: tuple[NamedRow, PlannedRemoval]) -> None:
            row, foreseen = planned
            self._record(row, await self._remove(api, row, foreseen))
            on_progress(1)

        await for_each(
            self._planned, remove, self._context.options.concurrency, is_stopping=lambda: stop.reason is not None
        )
        if stop.reason is not None:
            raise stop.reason

    async def _remove(self, api: Api, row: NamedRow, planned: PlannedRemoval) -> Removal:
        removal = planned.removal
        if removal.result.kept:
            return removal
        if removal.result is RemovalResult.GONE:  # the list may omit a new monitor, and does omit other types
            if await api.get(row.monitor_id) is None:
                return removal
            return Removal(
                result=RemovalResult.REFUSED,
                reason="It exists, but is not in the account's list of mail monitors.",
            )
        try:
            return await remove_unless_edited(
                api,
                row.monitor_id,
                planned.type,
                json.loads(row.body) if row.body else {},
                profile_of(self._context.record),
                include_edited=self._include_edited,
                lead=DIFFERS,
            )
        except (Forbidden, Rejected) as error:
            if not self._counts[RemovalResult.DELETED]:
                raise RunStopped(f"The account may not delete its monitors (role or permissions): {error}") from error
            return Removal(result=RemovalResult.REFUSED, reason=f"The API refuses to delete it: {error}")

    def _record(self, row: NamedRow, removal: Removal) -> None:
        """Record what happened to a monitor; a deletion is on disk before its worker takes the next monitor."""
        self._counts[removal.result] += 1
        if removal.result.kept:
            self._rows.set_kept(row, f"Not deleted. {removal.reason}")
        elif removal.result is RemovalResult.GONE:
            self._rows.set_removed(row, f"The account has no monitor {row.monitor_id}. {CREATE_AGAIN}")
        else:
            self._rows.set_removed(row, f"Deleted by bulkload delete. {CREATE_AGAIN}")


def _planned(row: NamedRow, listing: Listing, include_edited: bool) -> PlannedRemoval:
    item = listing.monitors.get(row.monitor_id)
    body = json.loads(row.body) if row.body else {}
    if item is None:
        removal = Removal(result=RemovalResult.GONE, reason="not in the account's list of mail monitors")
        shown = body
    else:
        shown = dict(item)
        removal = _difference(row, body, listing) or Removal(result=RemovalResult.DELETED)
        if include_edited and removal.result is RemovalResult.EDITED:
            removal = replace(removal, result=RemovalResult.DELETED)
    host = shown.get("hostname") or shown.get("smtp_hostname") or ""
    return PlannedRemoval(
        row=row.source_row,
        monitor_id=row.monitor_id,
        type=_listed_type(row, listing),
        name=str(shown.get("name") or ""),
        host=str(host),
        removal=removal,
    )


def _difference(row: NamedRow, body: Mapping[str, object], listing: Listing) -> Removal | None:
    """Why the monitor is not the one that the row describes; None if it is."""
    if not row.body:
        return Removal(result=RemovalResult.EDITED, reason=ROW_HAS_ERRORS)
    if (listed := _listed_type(row, listing)) != row.type:
        reason = f"The monitor is of type {listed}, and the row says {row.type}."
        return Removal(result=RemovalResult.EDITED, reason=reason)
    return edit_of(body, listing.monitors[row.monitor_id], listing.profile, DIFFERS)


def _listed_type(row: NamedRow, listing: Listing) -> str:
    """The type that the account shows for a row's monitor; that of the row if it is not known."""
    item = listing.monitors.get(row.monitor_id, {})
    if item.get("type") in MONITOR_TYPES:
        return str(item["type"])
    identity = listing.identities.get(row.monitor_id)
    return (identity.type if identity is not None else "") or row.type
