"""Delete one monitor, unless it has been edited.

In: a monitor's ID and the body that was requested for it. Out: what happened to it. The monitor is read right before it
is deleted, because a deletion cannot be undone.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bulkload.alertsite.client import Api
from bulkload.errors import ApiUnreliable, Rejected
from bulkload.monitors.display_profile import DisplayProfile, without_display_differences
from bulkload.monitors.identity import differences, may_be_of_type, spelled_out

EDITED_SINCE = "Edited since"  # begins the reason why a monitor of a run is kept
CREATE_AGAIN = "To create it again, empty this row's monitor_id and run this file."  # of a row in a results file


class RemovalResult(enum.StrEnum):
    """What happened to a monitor, or would happen."""

    DELETED = "deleted"
    GONE = "gone"  # it no longer existed
    EDITED = "edited"  # kept, because it is no longer as requested
    REFUSED = "refused"  # kept, because the API refuses to delete it

    @property
    def kept(self) -> bool:
        """True if the monitor still exists, or would."""
        return self in (RemovalResult.EDITED, RemovalResult.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What happened to one monitor, with the reason why it was kept."""

    result: RemovalResult
    reason: str = ""
    fields: Mapping[str, tuple[object, object]] | None = None  # edited: field → (requested, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRemoval:
    """A monitor, and what would become of it."""

    row: int  # in the file
    monitor_id: str
    type: str
    name: str
    host: str
    removal: Removal


OnMonitor = Callable[[PlannedRemoval], None]


async def remove_unless_edited(
    api: Api,
    monitor_id: str,
    monitor_type: str,
    body: Mapping[str, object],
    profile: DisplayProfile,
    *,
    include_edited: bool = False,
    lead: str = EDITED_SINCE,
) -> Removal:
    """Read a monitor, and delete it if it is still as requested. Safe to repeat. May raise `Forbidden`.

    `lead` begins the reason why it is kept.
    """
    item = await api.get(monitor_id)
    if item is None:
        return Removal(result=RemovalResult.GONE)
    if str(item.get("id")) != monitor_id or not may_be_of_type(item, monitor_type) or "name" not in item:
        raise ApiUnreliable(
            f"The API returned another monitor than {monitor_id}, which is of type {monitor_type}. It was not deleted."
        )
    if not include_edited and (edited := edit_of(body, item, profile, lead)):
        return edited
    try:
        await api.delete(monitor_id)  # "not found" now means that the response to this very request was lost
    except Rejected as error:
        return Removal(result=RemovalResult.REFUSED, reason=f"The API refuses to delete it: {error}")
    return Removal(result=RemovalResult.DELETED)


def edit_of(
    body: Mapping[str, object], item: Mapping[str, Any], profile: DisplayProfile, lead: str = EDITED_SINCE
) -> Removal | None:
    """Compare a monitor with its request; None if nothing differs but the way in which the account displays it."""
    edited = without_display_differences(differences(body, item), body, item, profile)
    if not edited:
        return None
    fields = {field: (requested, stored) for field, (stored, requested) in edited.items()}
    return Removal(result=RemovalResult.EDITED, reason=f"{lead}: {spelled_out(fields)}.", fields=fields)
