"""The records of a draft's rows: what a check and the account say about them, what is shown, what is changed.

In: nothing. Out: records for `draft_rows`, `draft_checks` and `draft_pages`, and for the operations that use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bulkload.model import Issue

READY, LEFT_OUT = "ready", "left out"  # statuses of a draft's row, besides those of `Status`
IGNORED = "not a row"  # it has only 0 or FALSE

KindKey = tuple[str, str]  # code of issues, and the index of their column as text; "" for whole rows


class CheckedRow(NamedTuple):
    """What a check says about a row."""

    number: int
    state: str  # READY, LEFT_OUT, IGNORED, or a `Status`
    error: str = ""  # of the whole row, if no issue says it
    issues: tuple[Issue, ...] = ()
    key: str | None = None  # of the monitor that it means, whether an earlier row means it too or not
    given_id: str | None = None


class PlannedRow(NamedTuple):
    """What the account has for a row."""

    number: int
    status: str  # "will create", "exists", …
    monitor_id: str
    error: str  # what differs


class ShownRow(NamedTuple):
    """A row with everything that a page shows."""

    number: int
    cells: tuple[str, ...]
    original: tuple[str, ...] | None  # as read, if it was changed
    status: str
    left_out: bool
    error: str
    issues: tuple[Issue, ...]
    planned: str | None
    planned_id: str
    planned_error: str


class RowChange(NamedTuple):
    """A change of one row; None: unchanged."""

    number: int
    cells: tuple[str, ...] | None = None
    left_out: bool | None = None
    accepted: bool | None = None  # the row is meant as it is shown, whatever the reader found about it


class Kind(NamedTuple):
    """All issues of one code and severity in one column."""

    code: str
    column: int | None  # None: of whole rows
    severity: str
    rows: int
    first: Issue  # of its first row
    suggestions: int  # rows for which the right value is known

    @property
    def key(self) -> KindKey:
        """What names the kind in a filter."""
        return self.code, "" if self.column is None else str(self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """Which rows to show."""

    status: str = ""
    kind: KindKey | None = None
    search: str = ""


def issue_record(issue: Issue) -> dict[str, Any]:
    """An issue for the store, with the index of its column."""
    return {**issue.record(), **({} if issue.index is None else {"index": issue.index})}


def issue_of(record: Mapping[str, Any]) -> Issue:
    """The issue of a record."""
    return Issue(**record)
