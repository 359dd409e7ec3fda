"""Verify: compare what the account stores with what was requested.

In: the rows of a run that were created or updated. Out: a warning on every row whose monitor is stored differently, and
their count. The account is listed once; only monitors that the list omits are requested,
each by its ID.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkload.alertsite.client import Api
from bulkload.model import ACCOUNT_ISSUE, Issue
from bulkload.monitors.display_profile import DisplayProfile, without_display_differences
from bulkload.monitors.header import columns_of
from bulkload.monitors.identity import differences, spelled_out
from bulkload.stages.account_duplicates import warn_of_duplicate_monitors
from bulkload.stages.concurrent import for_each
from bulkload.stages.context import RunContext
from bulkload.stages.listing import reliable_listing
from bulkload.store.row_records import RowToVerify

STORED_DIFFERENTLY = f"{ACCOUNT_ISSUE}stored_otherwise"
BATCH = 500  # rows fetched from the store at a time
MOST_NAMED = 10  # fields that the sentence about hidden fields names


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of verifying a run."""

    compared: int = 0  # monitors
    different: int = 0  # of them, how many are stored differently from the request
    missing: int = 0  # of these, how many are not in the account at all
    duplicates: int = 0  # rows whose monitor is in the account more than once
    hidden: Mapping[str, int] = field(default_factory=dict)  # fields that the account does not display → how many rows

    @property
    def good(self) -> bool:
        """True if everything that can be compared is as requested."""
        return not self.different and not self.duplicates

    def as_json(self) -> dict[str, object]:
        """The object that `run --json` prints under "verify"."""
        counts = {"compared": self.compared, "otherwise": self.different, "missing": self.missing}
        return {**counts, **({"twins": self.duplicates} if self.duplicates else {}), "unseen": dict(self.hidden)}

    def __str__(self) -> str:
        """Say it in a sentence or two."""
        if not self.compared:
            return "The run created and updated nothing. There was nothing to compare."
        if not self.different:
            subject = "The one monitor is" if self.compared == 1 else f"All {self.compared:,} monitors are"
            sentences = [f"{subject} stored as requested."]
        else:
            missing = f" ({self.missing:,} not found)" if self.missing else ""
            sentences = [
                f"{self.different:,} of {self.compared:,} monitors are stored differently from the request{missing}."
            ]
        if self.duplicates:
            noun = "monitor is" if self.duplicates == 1 else "monitors are"
            sentences.append(f"{self.duplicates:,} {noun} in the account more than once.")
        if self.hidden:
            sentences.append(f"The account does not display {', '.join(list(self.hidden)[:MOST_NAMED])}.")
        return " ".join(sentences)


async def verify(context: RunContext, api: Api) -> Verified:
    """Compare every created and updated row of the run with its monitor."""
    rows = context.rows
    if not rows.to_verify(-1, 1):
        rows.replace_warnings(STORED_DIFFERENTLY, ())
        return Verified()
    listing = await reliable_listing(context.record, api, context.options)
    comparison = _Comparison(columns_of(context.run.header, context.options.map), listing.profile)
    unlisted: list[RowToVerify] = []
    for row in _rows_to_verify(context):
        if (item := listing.monitors.get(row.monitor_id)) is None:
            unlisted.append(row)
        else:
            comparison.add(row, item)
    requested = await _request(context, api, unlisted)
    for row in unlisted:
        comparison.add(row, requested[row.position])
    rows.replace_warnings(STORED_DIFFERENTLY, comparison.warnings)
    return Verified(
        compared=comparison.compared,
        different=len({position for position, _ in comparison.warnings}),
        missing=comparison.missing,
        duplicates=warn_of_duplicate_monitors(context, listing),
        hidden=dict(comparison.hidden),
    )


class _Comparison:
    """Compares monitors with requests, one after the other."""

    def __init__(self, columns: Mapping[str, str], profile: DisplayProfile) -> None:
        self.compared = 0
        self.missing = 0
        self.hidden: Counter[str] = Counter()
        self.warnings: list[tuple[int, Issue]] = []  # with the position of the row
        self._columns = columns  # field → column of the file
        self._profile = profile

    def add(self, row: RowToVerify, item: Mapping[str, Any] | None) -> None:
        """Compare a row's request with its monitor; None: it is not in the account."""
        self.compared += 1
        if item is None:
            self.missing += 1
            self._warn(row, f"Monitor {row.monitor_id} is not in the account.")
            return
        request = json.loads(row.body)
        self.hidden.update(field for field in request if field not in item)
        fields = without_display_differences(differences(request, item), request, item, self._profile)
        for name, (stored, requested) in fields.items():
            self._warn(row, f"Stored differently: {spelled_out({name: (requested, stored)})}.", name)

    def _warn(self, row: RowToVerify, message: str, name: str | None = None) -> None:
        column = self._columns.get(name) if name is not None else None
        issue = Issue(code=STORED_DIFFERENTLY, message=message, field=name, column=column, severity="warning")
        self.warnings.append((row.position, issue))


def _rows_to_verify(context: RunContext) -> Iterator[RowToVerify]:
    after = -1
    while batch := context.rows.to_verify(after, BATCH):
        after = batch[-1].position
        yield from batch


async def _request(context: RunContext, api: Api, rows: Sequence[RowToVerify]) -> Mapping[int, dict[str, Any] | None]:
    """Request the monitors of rows, and once more those not found, since the newest may appear late; by position."""
    found: dict[int, dict[str, Any] | None] = {}

    async def request(row: RowToVerify) -> None:
        found[row.position] = await api.get(row.monitor_id)

    await for_each(rows, request, context.options.concurrency)
    if missing := [row for row in rows if found[row.position] is None]:
        await asyncio.sleep(context.options.settle_grace)
        await for_each(missing, request, context.options.concurrency)
    return found
