"""Read-back: what the account stores, compared with what was asked for.

In: the rows of a run that were created or updated. Out: a warning on every row whose monitor is stored otherwise, and
how many there are. The account is listed once; only monitors that the list does not show are asked for one by one.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkload.alertsite.client import Api
from bulkload.model import Issue
from bulkload.monitors.display_profile import Showing, without_ways
from bulkload.monitors.identity import differences, spelled_out
from bulkload.stages.matching import Terms
from bulkload.stages.plan import believable_list, warn_of_twins
from bulkload.stages.settle import Patience
from bulkload.store.rows import Ledger, Stored
from bulkload.store.runs import ACCOUNT_ISSUE

STORED_OTHERWISE = f"{ACCOUNT_ISSUE}stored_otherwise"
BATCH = 500  # rows fetched from the store at a time
MOST_NAMED = 10  # fields that the sentence about unseen fields names


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What comparing came to."""

    compared: int = 0  # monitors
    otherwise: int = 0  # of them, how many are not stored as asked for
    missing: int = 0  # of them, how many are not in the account at all
    twins: int = 0  # rows whose monitor is there more than once
    unseen: Mapping[str, int] = field(default_factory=dict)  # fields that the account does not show → how many rows

    @property
    def good(self) -> bool:
        """True if everything that can be seen is as it was asked for."""
        return not self.otherwise and not self.twins

    def __str__(self) -> str:
        """Say it in a sentence or two."""
        if not self.compared:
            return "There was nothing to compare."
        if not self.otherwise:
            said = "The one monitor is" if self.compared == 1 else f"All {self.compared:,} monitors are"
            said += " stored as asked."
        else:
            gone = f" ({self.missing:,} not there)" if self.missing else ""
            said = f"{self.otherwise:,} of {self.compared:,} monitors are not stored as asked{gone}."
        if self.twins:
            noun = "monitor is" if self.twins == 1 else "monitors are"
            said += f" {self.twins:,} {noun} there more than once."
        if self.unseen:
            said += f" The account does not show {', '.join(list(self.unseen)[:MOST_NAMED])}."
        return said


async def verify(ledger: Ledger, api: Api, terms: Terms, patience: Patience, columns: Mapping[str, str]) -> Verified:
    """Compare every created and updated row of the run; `columns` names the file's column of a field."""
    if not ledger.stored(-1, 1):
        ledger.remark(STORED_OTHERWISE, ())
        return Verified()
    listing = await believable_list(ledger, api, terms, patience)
    found: list[tuple[int, Issue]] = []
    unseen: Counter[str] = Counter()
    unlisted: list[Stored] = []
    compared = 0
    for row in _rows(ledger):
        compared += 1
        if (item := listing.monitors.get(row.monitor_id)) is None:
            unlisted.append(row)
        else:
            found += _compared(row, item, columns, unseen, listing.showing)
    missing = 0
    for row, item in await _ask_for(api, unlisted, patience):
        if item is None:
            missing += 1
            found.append((row.position, _issue(f"Monitor {row.monitor_id} is not in the account.")))
        else:
            found += _compared(row, item, columns, unseen, listing.showing)
    ledger.remark(STORED_OTHERWISE, found)
    otherwise = len({position for position, _ in found})
    twins = warn_of_twins(ledger, listing)
    return Verified(compared=compared, otherwise=otherwise, missing=missing, twins=twins, unseen=dict(unseen))


def _rows(ledger: Ledger) -> Iterator[Stored]:
    after = -1
    while batch := ledger.stored(after, BATCH):
        after = batch[-1].position
        yield from batch


async def _ask_for(api: Api, rows: list[Stored], patience: Patience) -> list[tuple[Stored, dict[str, Any] | None]]:
    """Ask for monitors one by one, and once more for those not found, since the newest may take a while to show."""
    found = [(row, await api.get(row.monitor_id)) for row in rows]
    if any(item is None for _, item in found):
        await asyncio.sleep(patience.grace)
        found = [(row, await api.get(row.monitor_id) if item is None else item) for row, item in found]
    return found


def _compared(
    row: Stored, item: Mapping[str, Any], columns: Mapping[str, str], unseen: Counter[str], showing: Showing
) -> Iterator[tuple[int, Issue]]:
    asked = json.loads(row.body)
    unseen.update(name for name in asked if name not in item)
    for name, (now, wanted) in without_ways(differences(asked, item), asked, item, showing).items():
        message = f"Stored otherwise than asked: {spelled_out({name: (wanted, now)})}."
        yield row.position, _issue(message, name, columns.get(name))


def _issue(message: str, name: str | None = None, column: str | None = None) -> Issue:
    return Issue(code=STORED_OTHERWISE, message=message, field=name, column=column, severity="warning")
