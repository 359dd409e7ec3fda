"""Match rows with the monitors of the account that they mean.

In: a run's pending rows and a listing. Out: the same rows as `exists`, or to be updated, or `unknown` where the match
is ambiguous; the rest stays pending, to be created. The order is: the ID that the file gives; the monitor that the
store knows for the row's identity; a created monitor that displays this identity; a monitor that this program did not
create and that displays it, or may be the row's, if the account may alter it so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bulkload.model import State, Status
from bulkload.monitors.alterations import Alteration
from bulkload.monitors.display_profile import (
    HIDDEN_FIELDS,
    DisplayProfile,
    alterations_between,
    without_display_differences,
)
from bulkload.monitors.identity import (
    asked_identity,
    differences,
    identity_in,
    listed_identity,
    may_be_of_type,
    spelled_out,
)
from bulkload.monitors.values import show
from bulkload.stages.candidates import Candidate, assign_candidates, name_monitors
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Listing
from bulkload.store.row_records import PendingRow, RowChange, RowInDoubt, RowToMatch
from bulkload.store.rows import RunRows
from bulkload.store.stored_rows import digest, to_json

BATCH = 500  # rows fetched from the store at a time
IDENTIFYING_FIELDS = ("name", "hostname", "port", "smtp_hostname", "pop3_hostname")
IF_ANOTHER = "if it is another one, run this row alone with --create-lookalikes."

log = logging.getLogger(__name__)


def match_rows(context: RunContext, listing: Listing) -> None:
    """Match the pending rows of a run, and store the result."""
    matching = Matching(context, listing, context.rows)
    context.rows.apply([*matching.by_given_id(), *matching.by_store(), *matching.by_identity()])
    context.rows.apply([*matching.by_candidates()])
    context.record.keep_lookalikes(context.run.number, matching.lookalikes)
    if count := len(matching.lookalikes):
        subject = "row was matched to a monitor that is" if count == 1 else "rows were matched to monitors that are"
        log.warning("%d %s displayed differently from the request; the error text says how", count, subject)


class Matching:
    """One pass over a listing; a monitor is matched to one row, and a row to one monitor."""

    def __init__(self, context: RunContext, listing: Listing, rows: RunRows) -> None:
        self.lookalikes: list[tuple[int, str]] = []  # position of a row, and the altered monitor that it matches
        self._context = context
        self._rows = rows
        self._listing = listing
        self._options = context.options
        self._matched_positions: set[int] = set()
        self._matched_keys: set[bytes] = set()  # of some rows with a monitor, so that they are not fetched again
        self._matched_ids: set[str] = set()
        self._renamed: dict[str, RowToMatch] = {}  # monitor → the row that gives its ID with another identity

    def by_given_id(self) -> Iterator[RowChange]:
        """Rows whose file gives the ID of their monitor."""
        if not self._rows.gives_ids():
            return
        for monitor_id, item in self._listing.monitors.items():
            for row in self._rows.naming(monitor_id, self._listing.key_of(monitor_id)):
                if row.other_identity:
                    self._renamed[monitor_id] = row
                yield self._match(row, item)

    def by_store(self) -> Iterator[RowChange]:
        """Rows whose identity has a monitor that this program created."""
        for monitor_id, key in self._listing.created.items():
            if monitor_id not in self._renamed and (row := self._unmatched_row(key)) is not None:
                self._matched_keys.add(key)
                yield self._match(row, self._listing.monitors[monitor_id])

    def by_identity(self) -> Iterator[RowChange]:
        """Rows whose identity is displayed by a monitor that this program created for another row, which is gone."""
        for key, monitor_ids in self._listing.by_key.items():
            free_ids = [
                monitor_id
                for monitor_id in monitor_ids
                if monitor_id in self._listing.created and monitor_id not in self._matched_ids
            ]
            other = self._renamed.get(monitor_ids[0]) if self._options.on_existing != "update" else None
            if not (free_ids or other) or (row := self._unmatched_row(key)) is None:
                continue
            if free_ids:
                yield self._match(row, self._listing.monitors[free_ids[0]])
            elif other is not None:
                message = f"Row {other.source_row} gives monitor {monitor_ids[0]}, which is the same monitor."
                self._matched_positions.add(row.position)
                yield RowChange(position=row.position, state=Status.DUPLICATE, error=message)

    def by_candidates(self) -> Iterator[RowChange]:
        """Rows that match, or may match, a monitor that this program did not create."""
        if not self._options.create_lookalikes:
            yield from self._as_before()
        candidates = self._listing.candidates(without=self._matched_ids)
        if not candidates:
            return
        # A monitor that a row in doubt may have created is not matched to another row
        possible: dict[int | RowInDoubt, Sequence[Candidate]] = {
            doubt: candidates.of(identity_in(doubt.type, doubt.body)) for doubt in self._context.record.rows_in_doubt()
        }
        rows: dict[int, RowToMatch] = {}
        for pending in self._pending():
            identity = identity_in(pending.type, pending.body)
            found = candidates.of(identity)
            if self._options.create_lookalikes:
                found = [candidate for candidate in found if self._is_same(candidate)]
            row = self._unmatched_row(digest(identity.key)) if found else None
            if row is not None and row.position == pending.position:
                possible[row.position] = found
                rows[row.position] = row
        own, shared = assign_candidates(possible)
        for position, row in rows.items():
            if (candidate := own.get(position)) is not None:
                item = self._listing.monitors[candidate.monitor_id]
                yield self._match(row, item, None if self._is_same(candidate) else candidate)
            elif not self._options.create_lookalikes:
                yield RowChange(position=position, state=Status.UNKNOWN, error=_ambiguous(shared[position]))

    def _as_before(self) -> Iterator[RowChange]:
        """Rows that an earlier run matched to an altered monitor."""
        for key, monitor_id in self._context.record.lookalikes().items():
            displayed = self._listing.identities.get(monitor_id)
            if displayed is None or monitor_id in self._matched_ids or monitor_id in self._listing.created:
                continue
            if (row := self._unmatched_row(key)) is None:
                continue
            alterations = alterations_between(identity_in(row.type, row.body), displayed, frozenset(Alteration))
            candidate = Candidate(monitor_id, alterations or frozenset(), displayed)
            is_same = alterations is not None and self._is_same(candidate)
            yield self._match(row, self._listing.monitors[monitor_id], None if is_same else candidate)

    def _pending(self) -> Iterator[PendingRow]:
        after = -1
        while batch := self._rows.pending(after, BATCH):
            after = batch[-1].position
            yield from (row for row in batch if row.monitor_id is None and row.position not in self._matched_positions)

    def _unmatched_row(self, key: bytes) -> RowToMatch | None:
        if key in self._matched_keys:  # a run has one row with a key
            return None
        row = self._rows.pending_with(key)
        if row is not None and row.position in self._matched_positions:
            self._matched_keys.add(key)
            return None
        return row

    def _is_same(self, candidate: Candidate) -> bool:
        """True if only what the account is known to alter differs; with --create-lookalikes, if nothing does."""
        known = frozenset() if self._options.create_lookalikes else self._listing.profile.alterations - HIDDEN_FIELDS
        return candidate.alterations <= known

    def _match(self, row: RowToMatch, item: Mapping[str, Any], lookalike: Candidate | None = None) -> RowChange:
        """Match a row with a monitor; `lookalike`: the monitor only may be the row's."""
        monitor_id = str(item["id"])
        self._matched_positions.add(row.position)
        self._matched_ids.add(monitor_id)
        if lookalike is not None:
            self.lookalikes.append((row.position, monitor_id))
        return matched(self._context, row, item, self._listing.profile, lookalike)


def matched(
    context: RunContext,
    row: RowToMatch,
    item: Mapping[str, Any],
    profile: DisplayProfile,
    lookalike: Candidate | None = None,
) -> RowChange:
    """What becomes of a row whose monitor exists; if it only may be the row's, `lookalike` says what differs."""
    monitor_id = str(item["id"])
    is_update = context.options.on_existing == "update"
    if row.attempts and row.patch is None and _is_new(context, monitor_id):
        return RowChange(position=row.position, state=Status.CREATED, monitor_id=monitor_id)  # ours, listed late
    if not may_be_of_type(item, row.type):
        message = f"Monitor {monitor_id} is of type {item.get('type')}; a monitor cannot change its type."
        return RowChange(position=row.position, state=Status.INVALID, error=message)
    body = json.loads(row.body)
    fields = without_display_differences(differences(body, item), body, item, profile)
    remark = ""
    if lookalike is not None:
        fields = {field: values for field, values in fields.items() if field not in IDENTIFYING_FIELDS}
        remark = _lookalike_remark(item, lookalike)
    if fields and is_update and lookalike is None:
        updated_before = {
            field
            for field in fields
            if field in IDENTIFYING_FIELDS and context.rows.was_updated_before(row, monitor_id, field)
        }
        if updated_before and _may_be_altered(row, body, item):
            fields = {field: values for field, values in fields.items() if field not in updated_before}
            remark = f"Displayed differently even after an update: {' and '.join(sorted(updated_before))}."
    if fields and is_update:
        patch = to_json({field: body[field] for field in body if field in fields or _is_sent_along(field, fields)})
        message = " ".join(filter(None, (remark, spelled_out(fields))))
        return RowChange(position=row.position, state=State.PENDING, monitor_id=monitor_id, patch=patch, error=message)
    if row.attempts and row.patch is not None:
        sent = json.loads(row.patch)
        if not without_display_differences(differences(sent, item), sent, item, profile):  # its response was lost
            return RowChange(position=row.position, state=Status.UPDATED, monitor_id=monitor_id, error=row.note)
    message = " ".join(filter(None, (remark, f"Not changed: {spelled_out(fields)}." if fields else "")))
    return RowChange(position=row.position, state=Status.EXISTS, monitor_id=monitor_id, error=message)


def _is_new(context: RunContext, monitor_id: str) -> bool:
    """True if a monitor appeared since the run began, and no row has it."""
    record = context.record
    return not record.existed_before(context.run.number, monitor_id) and not record.is_created(monitor_id)


def _may_be_altered(row: RowToMatch, body: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """True if the account may have been sent what the row requests, and display it differently."""
    displayed = listed_identity(item)
    if displayed is None:
        return False
    return alterations_between(asked_identity(row.type, body), displayed, frozenset(Alteration)) is not None


def _is_sent_along(field: str, fields: Mapping[str, object]) -> bool:
    """A new list of locations may remove the home location, so that is sent again."""
    return field == "home_location" and "locations" in fields


def _lookalike_remark(item: Mapping[str, Any], lookalike: Candidate) -> str:
    """Say why a monitor is matched to a row, and what to do if it is another one."""
    reasons = [
        reason
        for alteration, reason in (
            (Alteration.TYPE, "its type is not displayed as documented"),
            (Alteration.NO_NAME, "its name is not displayed"),
            (Alteration.NO_HOST, "its host is not displayed"),
            (Alteration.NO_PORT, "its port is not displayed"),
        )
        if alteration in lookalike.alterations
    ]
    if lookalike.alterations - HIDDEN_FIELDS:
        reasons.insert(0, f"its name is displayed as {show(str(item.get('name')))}")
    why = f", although {' and '.join(reasons)}" if reasons else ", as before"
    return f"Matched to monitor {item['id']}{why}; {IF_ANOTHER}"


def _ambiguous(candidates: Sequence[Candidate]) -> str:
    monitors = name_monitors([candidate.monitor_id for candidate in candidates])
    return (
        f"M{monitors[1:]} may be this row's or another row's: the account does not display what distinguishes them."
        f" Nothing was sent. Write the right one into the column monitor_id, or {IF_ANOTHER}"
    )
