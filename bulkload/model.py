"""The records that stages hand each other. Nothing here reads, sends or stores.

reader ─▶ Source of RawRow ─▶ Valid | Invalid ─▶ (store) ─▶ ReportRow and RunInfo ─▶ report
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

HEADER = "header"  # the detail that says where the header is, if it is not row 1 of the first worksheet
NOT_WHOLE = "not whole"  # in `RunInfo.details`: why the file may have more rows than were read
ACCOUNT_ISSUE = "account."  # prefix of the codes of warnings that compare a row with the account


class Status(enum.StrEnum):
    """The outcome of a row, as users read it."""

    CREATED = "created"
    UPDATED = "updated"
    EXISTS = "exists"
    REMOVED = "removed"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"
    # check and plan speak of the future
    WILL_CREATE = "will create"
    WILL_UPDATE = "will update"

    @property
    def done(self) -> bool:
        """True when the row needs nothing more."""
        return self in (Status.CREATED, Status.UPDATED, Status.EXISTS)

    @property
    def next_step(self) -> str:
        """What the user has to do, as in the results file; empty if nothing."""
        return _NEXT_STEP.get(self, "")


_NEXT_STEP = {
    Status.INVALID: "fix the row",
    Status.DUPLICATE: "fix the row",
    Status.REJECTED: "fix the row, or ask the account owner",
    Status.FAILED: "run again",
    Status.UNKNOWN: "run again",
    Status.NOT_ATTEMPTED: "run again",
}


class State(enum.StrEnum):
    """Where a row stands inside the store, besides the statuses that are final."""

    PENDING = "pending"  # to be sent
    SENDING = "sending"  # marked before its request left; not answered yet
    DOUBT = "doubt"  # sent, and what became of it is not known
    WAITING = "waiting"  # an earlier run left a request for the same monitor in doubt


_STATUS_OF: dict[str, Status] = {
    **{status: status for status in Status},
    State.PENDING: Status.NOT_ATTEMPTED,
    State.SENDING: Status.UNKNOWN,
    State.DOUBT: Status.UNKNOWN,
    State.WAITING: Status.UNKNOWN,
}


def status_of(state: str, *, is_active: bool = False) -> Status:
    """The status that people read for a state of the store.

    While its run goes on (`is_active`), a row that is being sent is not in doubt: it has no answer yet.
    """
    return Status.NOT_ATTEMPTED if is_active and state == State.SENDING else _STATUS_OF[state]


def status_counts_of(states: Mapping[str, int], *, is_active: bool = False) -> dict[Status, int]:
    """Counts of rows by status, in the order of `Status`, from counts by state; see `status_of`."""
    counts: dict[Status, int] = {}
    for state, rows in states.items():
        status = status_of(state, is_active=is_active)
        counts[status] = counts.get(status, 0) + rows
    return in_order(counts)


def in_order(counts: Mapping[Status, int]) -> dict[Status, int]:
    """Counts of rows, in the order of `Status`."""
    return {status: counts[status] for status in Status if status in counts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing that is wrong (or worth knowing) about one row.

    `message` is a whole sentence: what was found and what is allowed. Where it was found (file, sheet, row,
    column) is added when it is printed.
    """

    code: str  # stable, for machines: "port.range"
    message: str
    column: str | None = None  # the header as it stands in the file; None: the whole row
    index: int | None = field(default=None, compare=False)  # of that column: two columns can have the same header
    field: str | None = None  # the monitor field
    value: str = ""  # what was found
    severity: Literal["error", "warning"] = "error"
    suggestion: str = ""  # a text for the cell that is probably meant; never applied by itself

    def record(self) -> dict[str, str | None]:
        """The issue for JSON; it has a suggestion only if there is one."""
        record = {name: getattr(self, name) for name in self.__slots__}
        del record["index"]
        if not self.suggestion:
            del record["suggestion"]
        return record


def errors_of(issues: Iterable[Issue]) -> tuple[str, tuple[str, ...]]:
    """The error text of a row with these issues, and its columns with errors."""
    errors = [issue for issue in issues if issue.severity == "error"]
    columns = dict.fromkeys(issue.column for issue in errors if issue.column is not None)
    return " ".join(issue.message for issue in errors), tuple(columns)


class NumberText(str):
    """The text of a cell that a workbook stores as a number of four digits or more: what was typed may be lost.

    10,20 becomes the number 1020, shown as 1,020.
    """

    __slots__ = ()


class RawRow(NamedTuple):
    """One data row of a source, as text."""

    number: int  # as the spreadsheet program numbers it; the header is row 1 in a plain file
    cells: tuple[str, ...]  # one per column of the header, never more, never fewer
    issues: tuple[Issue, ...] = ()  # what the reader found: row that is too long, error cell
    ends_at: int | None = None  # cells that the file has, if fewer than the header; the others are empty
    left_out: bool = False  # a person left it out: it is not checked, but shows whether the row above is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """What became of the objects of another tool's configuration."""

    rows: int
    skipped: int  # left out for a reason that needs no attention
    errors: int  # should have become rows; they need attention
    missing: Sequence[str] = ()  # sentences: pages that the source says it has; each counts as one error

    @property
    def objects(self) -> int:
        """How many objects the input holds; a check of several ports is one for each."""
        return self.rows + self.skipped + self.errors - len(self.missing)

    @property
    def good(self) -> bool:
        """True if the rows are all that there is to do."""
        return not self.errors and self.rows > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a run reads: given on the command line, found in an inbox, or uploaded."""

    path: Path
    name: str  # for people: in messages, results and the history
    arrival: int | None = None  # its number among the files of an inbox
    open: Callable[[], AbstractContextManager[Source]] | None = None  # opens its rows, if no file at `path` has them

    @classmethod
    def at(cls, path: Path) -> Input:
        """The file at a path, under the name by which the user gave it."""
        return cls(path=path, name=str(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An opened input: its header, and its rows as a stream that can be read once."""

    path: Path
    name: str  # the file name, for people
    format: str  # "csv", "xlsx", "nagios", …
    header: tuple[str, ...]
    rows: Iterator[RawRow]
    details: Mapping[str, str] = field(default_factory=dict)  # what was assumed: encoding, delimiter, sheet, …
    notes: tuple[str, ...] = ()  # sentences worth showing: hidden sheets, skipped title lines
    sheets: tuple[str, ...] = ()  # names of all worksheets of a workbook
    not_whole: str = ""  # why there are more rows than `rows`, as part of a sentence
    translated: Translated | None = None  # None: no other tool's configuration
    header_doubts: Mapping[int, str] = field(default_factory=dict)  # column → why its header is not certain
    header_place: str = ""  # "sheet Overview, row 4"; empty if it is row 1 of the first worksheet
    fields: tuple[str | None, ...] | None = None  # of each column, as a person chose them; None: by the header

    @property
    def shown_details(self) -> dict[str, str]:
        """The details, with the place of the header."""
        return {**self.details, **({HEADER: self.header_place} if self.header_place else {})}


class ReportRow(NamedTuple):
    """One row of a run as the report shows it."""

    source_row: int
    cells: tuple[str, ...]
    status: Status
    monitor_id: str = ""
    error: str = ""
    error_columns: tuple[str, ...] = ()  # headers as in the file
    attempts: int = 0
    issues: tuple[Issue, ...] = ()  # for comments on cells; errors and warnings
    named: str = ""  # the monitor that the file itself names, whatever became of the row

    @property
    def id_to_keep(self) -> str:
        """The ID for a results file: a corrected file that is run again must still name the monitor of each row."""
        return self.monitor_id or self.named


def all_issues(row: ReportRow) -> Iterator[Issue]:
    """The issues of a row; what is said about the whole row, such as the API's answer, is one as well.

    It is an error if the row is not done.
    """
    yield from row.issues
    account_messages = " ".join(issue.message for issue in row.issues if issue.code.startswith(ACCOUNT_ISSUE))
    is_said = any(issue.severity == "error" for issue in row.issues) or row.error == account_messages
    if row.error and not is_said:
        column = row.error_columns[0] if len(row.error_columns) == 1 else None
        severity: Literal["error", "warning"] = "error" if row.status.next_step else "warning"
        yield Issue(code=row.status.value.replace(" ", "_"), message=row.error, column=column, severity=severity)


def why_not_done(row: ReportRow) -> tuple[str | None, str]:
    """The column and the sentence that say best why a row is not done."""
    for issue in all_issues(row):
        if issue.severity == "error":
            return issue.column, issue.message
    return None, f"{row.status.value.replace('_', ' ').capitalize()}; {row.status.next_step}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What the report says about the run as a whole."""

    run_id: str
    input: str  # path as the user gave it
    header: tuple[str, ...]
    account: str = ""  # user name; empty for check
    base_url: str = ""
    started: str = ""  # ISO 8601, UTC
    finished: str = ""
    seconds: float = 0.0
    counts: Mapping[Status, int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)  # how the file was read
    settings: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)  # sent, throttled, retried
    stopped: str = ""  # why the run stopped early, if it did
    translated: Translated | None = None  # None: the input is no other tool's configuration

    @property
    def not_whole(self) -> str:
        """Why the file may have more rows than were read, as part of a sentence; empty if it has not."""
        if self.translated is not None and self.translated.missing:
            return "it does not have the whole list"
        return self.details.get(NOT_WHOLE, "")

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return sum(self.counts.values())
