"""The records of a run's rows: new rows, rows to work on, and changes.

In: nothing. Out: records for `runs`, `rows` and `account_record`, and for the stages that use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bulkload.model import Issue, State, Status


class NewRow(NamedTuple):
    """A row to add to the store."""

    source_row: int
    cells: tuple[str, ...]
    state: State | Status
    type: str | None = None
    key: str | None = None  # the monitor's identity key
    body: str | None = None  # of the create request, as JSON
    given_monitor_id: str | None = None  # in the column monitor_id of the file
    finished_in_file: bool = False  # the file is a results file in which the row is done
    monitor_id: str | None = None
    error: str = ""
    error_columns: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()


class PendingRow(NamedTuple):
    """A row to be sent."""

    position: int
    type: str
    body: str  # JSON
    monitor_id: str | None  # of the monitor to update with the body; None: create one
    note: str  # what an update changes, for the results


@dataclass(frozen=True, slots=True, kw_only=True)
class RowToMatch:
    """A pending row to be matched to a monitor of the account."""

    position: int
    source_row: int
    type: str
    body: str  # JSON
    patch: str | None  # JSON: the changes that an earlier session of the run requested
    attempts: int
    note: str
    other_identity: bool = False  # the file gives the monitor's ID, but another type, name, host or port


@dataclass(frozen=True, slots=True, kw_only=True)
class RowInDoubt:
    """A row whose request was sent and whose outcome is unknown."""

    run: int
    position: int
    key: bytes
    attempts: int
    at: str  # the latest moment at which its request can have been sent, see `clock`
    error: str
    type: str
    body: str  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedMonitor:
    """A monitor that a row created, and the request for it."""

    position: int
    source_row: int
    monitor_id: str
    type: str
    body: str  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class RowToVerify:
    """A row that was created or updated, and the request for it."""

    position: int
    monitor_id: str
    body: str  # JSON


class RowChange(NamedTuple):
    """What happened to a row."""

    position: int
    state: State | Status
    run: int | None = None  # None: the run whose rows are changed
    monitor_id: str | None = None  # None: unchanged
    error: str = ""
    error_columns: tuple[str, ...] = ()
    at: str | None = None
    """When the request was sent, see `clock`. In doubt: at the latest; `created`: None if found in a list."""
    patch: str | None = None  # JSON: the fields to change in the monitor; None: unchanged
    unsent: bool = False  # the row was marked, but nothing was sent: the attempt does not count
