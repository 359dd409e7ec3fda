"""Delete the monitors that a trial of `doctor` created, however the trial ended.

In: a trial that is recorded in the store, and the account. Out: what happened to its monitors; the record is removed
once none can be left. A monitor is deleted only if it was read right before and contains the trial's token.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from bulkload.errors import Forbidden, Rejected
from bulkload.operations.doctor.finding import Finding, Item
from bulkload.settings import Options
from bulkload.store.trial_monitors import TrialMonitor, TrialMonitors

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

OnFinding = Callable[[Finding], None]


class DeletionResult(enum.Enum):
    """What happened to a trial's monitor, as a clause about it."""

    DELETED = "it was deleted"
    NOT_FOUND = "GET does not find it"
    NOT_OWN = "it does not contain the trial's token, so it was not deleted; check it, and delete it by hand"
    REFUSED = "the API refuses to delete it; delete it by hand"
    STILL_EXISTS = "DELETE succeeds, but it still exists; delete it by hand"


async def delete_monitor(
    api: Api, trials: TrialMonitors, trial: TrialMonitor, monitor_id: str
) -> tuple[DeletionResult, str]:
    """Read a monitor, and delete it if it contains the trial's token. Also returns the API's message to a refusal."""
    item = await api.get(monitor_id)
    if item is None:
        return DeletionResult.NOT_FOUND, ""
    if not trial.is_shown_by(item):
        return DeletionResult.NOT_OWN, ""
    trials.record_seen(trial.token)
    try:
        await api.delete(monitor_id)
    except (Forbidden, Rejected) as error:
        return DeletionResult.REFUSED, str(error)
    is_gone = await api.get(monitor_id) is None
    return (DeletionResult.DELETED if is_gone else DeletionResult.STILL_EXISTS), ""


async def delete_trial_monitors(
    api: Api, trials: TrialMonitors, trial: TrialMonitor, items: Iterable[Item], options: Options
) -> tuple[Mapping[str, tuple[DeletionResult, str]], bool]:
    """Delete the trial's monitors, known by ID or found in a list. Also returns True if none can be left."""
    monitor_ids = [str(item["id"]) for item in trial.among(items)]
    if trial.monitor_id is not None and trial.monitor_id not in monitor_ids:
        monitor_ids.append(trial.monitor_id)
    deletions = {monitor_id: await delete_monitor(api, trials, trial, monitor_id) for monitor_id in monitor_ids}
    results = {result for result, _ in deletions.values()}
    if DeletionResult.DELETED in results:
        is_complete = results <= {DeletionResult.DELETED, DeletionResult.NOT_FOUND}
    elif results <= {DeletionResult.NOT_FOUND}:
        # a monitor that was never displayed may still appear until `settle_after`
        is_complete = trial.seen or trial.age() >= options.settle_after
    else:
        is_complete = False
    if is_complete:
        trials.forget(trial.token)
    return deletions, is_complete


async def delete_leftovers(
    api: Api, trials: TrialMonitors, items: Iterable[Item], options: Options, on_finding: OnFinding
) -> set[str]:
    """Delete the monitors of earlier trials, and report them. Returns the IDs of those that no longer exist."""
    items = list(items)
    deleted_ids = set()
    for trial in trials.open():
        deletions, is_complete = await delete_trial_monitors(api, trials, trial, items, options)
        for monitor_id, (result, message) in deletions.items():
            if result in (DeletionResult.DELETED, DeletionResult.NOT_FOUND):
                deleted_ids.add(monitor_id)
            if result is not DeletionResult.NOT_FOUND:
                on_finding(_leftover(monitor_id, result, message))
        if any(result is not DeletionResult.NOT_FOUND for result, _ in deletions.values()):
            continue
        if is_complete:
            on_finding(
                Finding(
                    topic="leftovers",
                    behaviour="an interrupted trial left no monitor",
                    consequence="nothing to do",
                )
            )
        else:
            wait = max(0.0, options.settle_after - trial.age())
            on_finding(
                Finding(
                    topic="leftovers",
                    behaviour="the monitor of an interrupted trial is not displayed, but may still appear",
                    consequence=f"it is recorded and will be deleted; run doctor again in {wait:.0f} seconds",
                    is_problem=True,
                )
            )
    return deleted_ids


def _leftover(monitor_id: str, result: DeletionResult, message: str) -> Finding:
    return Finding(
        topic="leftovers",
        behaviour=f"an interrupted trial left monitor {monitor_id}{f' ({message})' if message else ''}",
        consequence=result.value,
        is_problem=result is not DeletionResult.DELETED,
    )
