"""Prune: delete monitors that are no longer in a recurring file.

In: the run of the current version of a recurring file. Out: the number of deleted monitors, or the reason why none was
deleted. Only monitors that runs of this file created are deleted, unless they are in another file of the folder or were
edited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from bulkload.errors import ExitCode, Forbidden, RunStopped
from bulkload.model import RunInfo, Status
from bulkload.operations.removal import Removal, RemovalResult, remove_unless_edited
from bulkload.operations.session import run_session
from bulkload.stages.concurrent import for_each
from bulkload.stages.context import RunContext
from bulkload.stages.listing import profile_of
from bulkload.store.arrivals import Arrival
from bulkload.store.dropped import DroppedMonitor, DroppedMonitors, Origin
from bulkload.store.row_records import RowChange

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.monitors.display_profile import DisplayProfile
    from bulkload.operations.session import StopRequest

LOCK_DETAIL = "lock file"  # in the report of a run: the file may have been open in a spreadsheet program
DOUBTFUL_STATUSES = (  # of rows that may refer to a monitor that no row is matched to
    *(Status.INVALID, Status.DUPLICATE, Status.REJECTED),
    *(Status.FAILED, Status.UNKNOWN, Status.NOT_ATTEMPTED),
)
MAX_PROBLEMS = 3  # problems that are listed one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """The result of pruning."""

    deleted: int = 0
    problem: str = ""  # why nothing, or not everything, was deleted
    exit_code: ExitCode = ExitCode.DONE
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)


def prune(context: RunContext, dropped: DroppedMonitors, arrival: Arrival) -> PruneResult:
    """Delete the monitors that runs of the file created and that it no longer has, or give the reason why not."""
    store, run, options = context.store, context.run, context.options
    ours = list(dropped.of(run, "ours"))
    still_wanted = dropped.still_wanted(run, ours) if ours else set()
    to_delete = [monitor for monitor in ours if monitor.monitor_id not in still_wanted]
    if not to_delete:
        return PruneResult()
    subject = "monitor is" if len(to_delete) == 1 else "monitors are"
    summary = f"{len(to_delete):,} {subject} no longer in {arrival.name}"
    if doubt := _doubt(store.info(run)):
        return _refused(f"{summary}, but {doubt}; nothing was deleted.")
    allowed = _allowed(options.prune_limit, created := dropped.count_created(arrival, run))
    if len(to_delete) > allowed:
        return _refused(
            f"{summary}, but --prune-limit {options.prune_limit} allows {allowed:,} of {created:,}; nothing was"
            " deleted. To delete them, raise --prune-limit."
        )
    return _delete(context, dropped, arrival, to_delete)


def _doubt(info: RunInfo) -> str:
    """Why the current version of the file may not be complete, as part of a sentence; empty if it is."""
    if info.stopped:
        return "its run was stopped"
    for status in DOUBTFUL_STATUSES:
        if count := info.counts.get(status, 0):
            rows = "1 of its rows is" if count == 1 else f"{count:,} of its rows are"
            return f"{rows} {status.replace('_', ' ')} and may refer to them"
    if info.not_whole:
        return info.not_whole
    if info.translated is not None and info.translated.errors:
        return "objects that could not be translated may refer to them"
    if LOCK_DETAIL in info.details:
        return f"the lock file {info.details[LOCK_DETAIL]} says that the file is open in a spreadsheet program"
    return ""


def _refused(problem: str) -> PruneResult:
    return PruneResult(problem=problem, exit_code=ExitCode.ROWS_LEFT)


def _delete(
    context: RunContext, dropped: DroppedMonitors, arrival: Arrival, to_delete: list[DroppedMonitor]
) -> PruneResult:
    removals: dict[str, Removal] = {}  # by monitor ID

    async def work(api: Api, stop: StopRequest) -> None:
        async def remove(monitor: DroppedMonitor) -> None:
            if (origin := dropped.origin(arrival, context.run, monitor)) is None:
                return
            try:
                removal = await _remove(api, monitor, origin, profile_of(context.record))
            except Forbidden as error:
                raise RunStopped(f"The account may not delete its monitors (role or permissions): {error}") from error
            if not removal.result.kept:
                context.rows.apply([RowChange(run=origin.run, position=origin.position, state=Status.REMOVED)])
                dropped.set_state(context.run, monitor.monitor_id, "deleted")
            removals[monitor.monitor_id] = removal

        await for_each(to_delete, remove, context.options.concurrency, is_stopping=lambda: stop.reason is not None)
        if stop.reason is not None:
            raise stop.reason

    session = run_session(context.account, context.options, work)
    kept = [
        (monitor, removal)
        for monitor in to_delete
        if (removal := removals.get(monitor.monitor_id)) is not None and removal.result.kept
    ]
    problems = [
        f"{monitor.name} (monitor {monitor.monitor_id}) was kept. {removal.reason}" for monitor, removal in kept
    ]
    has_failed = any(removal.result is not RemovalResult.EDITED for _, removal in kept)
    if session.stopped is not None:
        problems.append(f"Deleting dropped monitors was stopped: {session.stopped}")
    exit_code = ExitCode.ROWS_LEFT if has_failed else ExitCode.DONE
    more = f" … and {len(problems) - MAX_PROBLEMS:,} more." if len(problems) > MAX_PROBLEMS else ""
    return PruneResult(
        deleted=len(removals) - len(kept),
        problem=" ".join(problems[:MAX_PROBLEMS]) + more,
        exit_code=session.stopped.exit_code if session.stopped is not None else exit_code,
        seconds=session.seconds,
        requests=session.requests,
    )


async def _remove(api: Api, monitor: DroppedMonitor, origin: Origin, profile: DisplayProfile) -> Removal:
    """Delete a monitor unless it differs from what each version of the file requested."""
    removal = None
    for body in origin.bodies:
        removal = await remove_unless_edited(api, monitor.monitor_id, origin.type, json.loads(body), profile)
        if removal.result is not RemovalResult.EDITED:
            break
    assert removal is not None  # `bodies` is never empty
    return removal


def _allowed(limit: str, created: int) -> int:
    """The number of monitors that may be deleted at once; a percentage is rounded down."""
    return int(created * Fraction(limit[:-1]) / 100) if limit.endswith("%") else int(limit)
