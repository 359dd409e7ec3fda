"""The records of a run's rows: what the store is given, what it hands out, and the changes that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bulkload.model import Issue, State, Status


class NewRow(NamedTuple):
    """A row as it enters the store."""

    source_row: int
    cells: tuple[str, ...]
    state: State | Status
    type: str | None = None
    key: str | None = None  # the monitor's identity
    body: str | None = None  # of the create request, as JSON
    given_monitor_id: str | None = None  # in the file's own column monitor_id
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
    monitor_id: str | None  # set: this monitor is updated with the body; None: create
    note: str  # what an update changes, for the results


@dataclass(frozen=True, slots=True, kw_only=True)
class RowToMatch:
    """A pending row for which a monitor of the account is found, or not."""

    position: int
    source_row: int
    type: str
    body: str  # JSON
    patch: str | None  # JSON: what an earlier session of the run wanted to change
    attempts: int
    note: str
    other_identity: bool = False  # the file gives the monitor's ID, but another type, name, host or port


@dataclass(frozen=True, slots=True, kw_only=True)
class RowInDoubt:
    """A row whose request left and whose outcome is not known."""

    run: int
    position: int
    key: bytes
    attempts: int
    at: str  # the latest moment its request can have left
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
    at: str | None = (
        None  # doubt: the latest moment its request can have left; created: when it left, None: found in a list
    )
    patch: str | None = None  # JSON: what to change about the monitor; None: unchanged
    attempt: bool = False  # one more request leaves
