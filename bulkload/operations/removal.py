"""Delete one monitor, unless somebody has edited it.

In: a monitor's ID and what was asked for when it was made. Out: what became of it. The monitor is read right before it
is deleted, because a deletion cannot be taken back.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkload.alertsite.client import Api
from bulkload.errors import ApiUnreliable, Rejected
from bulkload.monitors.display_profile import Showing, without_ways
from bulkload.monitors.identity import differences, may_be_of_type, spelled_out


class Fate(enum.StrEnum):
    """What became of a monitor, or would."""

    DELETED = "deleted"
    GONE = "gone"  # it was not there any more
    EDITED = "edited"  # kept, because it is not what was asked for any more
    REFUSED = "refused"  # kept, because the API does not let it go


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What became of one monitor, with the reason why it was kept."""

    fate: Fate
    reason: str = ""
    fields: Mapping[str, tuple[object, object]] | None = None  # edited: field → (asked for, now)

    @property
    def kept(self) -> bool:
        """True if the monitor is still there."""
        return self.fate in (Fate.EDITED, Fate.REFUSED)


async def remove_unless_edited(
    api: Api,
    monitor_id: str,
    kind: str,
    asked: Mapping[str, object],
    showing: Showing,
    *,
    even_edited: bool = False,
) -> Removal:
    """Read a monitor, and delete it if it still is what was asked for. Safe to repeat. May raise `Forbidden`."""
    item = await api.get(monitor_id)
    if item is None:
        return Removal(fate=Fate.GONE)
    if str(item.get("id")) != monitor_id or not may_be_of_type(item, kind) or "name" not in item:
        raise ApiUnreliable(f"Monitor {monitor_id}, of type {kind}, came back as something else. It was not deleted.")
    if not even_edited and (edited := edit_of(asked, item, showing)):
        return edited
    try:
        await api.delete(monitor_id)  # "not found" now means that an answer to this very request was lost
    except Rejected as error:
        return Removal(fate=Fate.REFUSED, reason=f"The API refuses to delete it: {error}")
    return Removal(fate=Fate.DELETED)


def edit_of(asked: Mapping[str, object], item: Mapping[str, Any], showing: Showing) -> Removal | None:
    """Compare a monitor with what was asked for; None if nothing is otherwise but the account's way of showing it."""
    found = without_ways(differences(asked, item), asked, item, showing)
    fields = {field: (new, old) for field, (old, new) in found.items()}
    return Removal(fate=Fate.EDITED, reason=f"Edited since: {spelled_out(fields)}.", fields=fields) if fields else None
