"""Delete what a trial of `doctor` has made, whatever became of the trial.

In: a trial that is noted in the store, and the account. Out: what became of its monitors, and no note any more once
nothing can be left. A monitor is deleted only if it was read right before and shows the trial's token.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from bulkload.errors import Forbidden, Rejected
from bulkload.operations.doctor.findings import Finding, Item
from bulkload.settings import Options
from bulkload.store.trial_monitors import TrialMonitor, TrialMonitors

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

OnFinding = Callable[[Finding], None]


class Fate(enum.Enum):
    """What became of a monitor that a trial made, as the rest of a sentence about it."""

    DELETED = "it is deleted now"
    NOT_FOUND = "GET does not find it"
    NOT_OURS = "it does not contain the trial's token, so it was not deleted; check it and delete it by hand"
    REFUSED = "the API refuses to delete it; delete it by hand"
    STILL_THERE = "it was deleted, but still exists"


async def take_away(api: Api, trials: TrialMonitors, trial: TrialMonitor, monitor_id: str) -> tuple[Fate, str]:
    """Read a monitor, and delete it if it shows the trial's token. Returns also what the API said to a refusal."""
    item = await api.get(monitor_id)
    if item is None:
        return Fate.NOT_FOUND, ""
    if not trial.is_shown_by(item):
        return Fate.NOT_OURS, ""
    trials.record_seen(trial.token)
    try:
        await api.delete(monitor_id)
    except (Forbidden, Rejected) as error:
        return Fate.REFUSED, str(error)
    return (Fate.DELETED if await api.get(monitor_id) is None else Fate.STILL_THERE), ""


async def clear(
    api: Api, trials: TrialMonitors, trial: TrialMonitor, items: Iterable[Item], options: Options
) -> tuple[Mapping[str, tuple[Fate, str]], bool]:
    """Delete what a trial has made, which is known by its ID, or found in a list. Returns also if that is all of it."""
    found = [str(item["id"]) for item in trial.among(items)]
    if trial.monitor_id is not None and trial.monitor_id not in found:
        found.append(trial.monitor_id)
    fates = {monitor_id: await take_away(api, trials, trial, monitor_id) for monitor_id in found}
    fate_of = [fate for fate, _ in fates.values()]
    if Fate.DELETED in fate_of:
        over = set(fate_of) <= {Fate.DELETED, Fate.NOT_FOUND}
    elif set(fate_of) <= {Fate.NOT_FOUND}:
        over = trial.seen or trial.age() >= options.settle_after  # until then, it may only not be shown yet
    else:
        over = False
    if over:
        trials.forget(trial.token)
    return fates, over


async def clear_leftovers(
    api: Api, trials: TrialMonitors, items: Iterable[Item], options: Options, tell: OnFinding
) -> set[str]:
    """Clear away what earlier trials have left, and say so. Returns the IDs of what is gone."""
    items = list(items)
    gone = set()
    for trial in trials.open():
        fates, over = await clear(api, trials, trial, items, options)
        for monitor_id, (fate, words) in fates.items():
            if fate in (Fate.DELETED, Fate.NOT_FOUND):
                gone.add(monitor_id)
            if fate is not Fate.NOT_FOUND:
                tell(_left_over(monitor_id, fate, words))
        if not over and all(fate is Fate.NOT_FOUND for fate, _ in fates.values()):
            wait = max(0.0, options.settle_after - trial.age())
            tell(
                Finding(
                    topic="left over",
                    account="the monitor of an interrupted trial is not displayed; it may still appear",
                    follows=f"run doctor again in {wait:.0f} seconds; it is recorded, and will be deleted",
                    problem=True,
                )
            )
        elif over and all(fate is Fate.NOT_FOUND for fate, _ in fates.values()):
            tell(
                Finding(
                    topic="left over",
                    account="nothing is left of an interrupted trial",
                    follows="nothing to do",
                )
            )
    return gone


def _left_over(monitor_id: str, fate: Fate, words: str) -> Finding:
    return Finding(
        topic="left over",
        account=f"monitor {monitor_id} of an interrupted trial existed{f' ({words})' if words else ''}",
        follows=fate.value,
        problem=fate is not Fate.DELETED,
    )
