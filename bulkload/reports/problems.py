"""Group what is wrong with the rows of a file: each kind of problem once, with its rows.

In: the rows of a report, in order. Out: kinds of problems, errors first. However many rows there are, a kind keeps a
few messages and a few ranges of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bulkload.model import ACCOUNT_ISSUE, Issue, ReportRow, all_issues

FIRST_MESSAGES = 3  # of each kind that are kept
FIRST_RANGES = 3  # of rows with the same message that are kept


@dataclass(slots=True)
class RowRanges:
    """Row numbers, as ranges."""

    count: int = 0
    last: int = 0
    _ranges: list[list[int]] = field(default_factory=list)

    def add(self, row: int) -> None:
        """Add a row; rows are added in order, and the same row can be added again."""
        if row == self.last and self.count:
            return
        self.count += 1
        if self._ranges and row == self.last + 1 and self._ranges[-1][1] == self.last:
            self._ranges[-1][1] = row
        elif len(self._ranges) < FIRST_RANGES:
            self._ranges.append([row, row])
        self.last = row

    def __str__(self) -> str:
        """The first ranges: `2–59, 63`, and how many rows there are if that is not all of them."""
        shown = [str(first) if first == last else f"{first}–{last}" for first, last in self._ranges]
        is_whole = sum(last - first + 1 for first, last in self._ranges) == self.count
        return ", ".join(shown) if is_whole else f"{', '.join(shown)}, … ({self.count:,})"


@dataclass(slots=True)
class Kind:
    """One kind of problem: the same rule and the same column."""

    column: str | None  # the header as in the file; None: the whole row
    code: str
    is_error: bool
    rows: RowRanges = field(default_factory=RowRanges)
    messages: dict[str, RowRanges] = field(default_factory=dict)  # the first ones, shortened, each with its rows
    others: RowRanges = field(default_factory=RowRanges)  # rows with other messages

    @property
    def label(self) -> str:
        """What has the problem: the column, or what is wrong with the whole row."""
        return self.column or self.code.removeprefix(ACCOUNT_ISSUE).replace("_", " ").replace(".", " ")


class Problems:
    """The kinds of problems of a file."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[bool, str, str | None], Kind] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def add(self, row: ReportRow) -> None:
        """Add what is wrong with a row; rows are added in the order of the file."""
        if row.issues or row.error:
            for issue in all_issues(row):
                self._add(row.source_row, issue)

    def watching(self, rows: Iterable[ReportRow]) -> Iterator[ReportRow]:
        """The same rows; what is wrong with them is added as they pass."""
        for row in rows:
            self.add(row)
            yield row

    def kinds(self) -> list[Kind]:
        """Errors first, each in the order of their first rows."""
        return sorted(self._kinds.values(), key=lambda kind: not kind.is_error)

    def _add(self, row: int, issue: Issue) -> None:
        key = (issue.severity == "error", issue.code, issue.column)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind(column=issue.column, code=issue.code, is_error=key[0])
        kind.rows.add(row)
        message = _without_repeated_rule(issue, next(iter(kind.messages), ""))
        ranges = kind.messages.get(message)
        if ranges is None:
            is_kept = len(kind.messages) < FIRST_MESSAGES
            ranges = kind.messages.setdefault(message, RowRanges()) if is_kept else kind.others
        ranges.add(row)


def _without_repeated_rule(issue: Issue, first: str) -> str:
    """What was found, if what is allowed is as in the first message of the kind; otherwise the whole message."""
    if issue.message == first:
        return first
    rule_at = first.find("; ")
    while rule_at >= 0:
        found = issue.message.removesuffix(first[rule_at:])
        if found != issue.message and issue.value and issue.value in found:
            return found
        rule_at = first.find("; ", rule_at + 1)
    return issue.message
