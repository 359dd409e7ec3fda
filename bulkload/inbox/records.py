"""The result of a visit to the folder, as records.

In: nothing. Out: a `Visit` with a `FileOutcome` for each file, for messages, metrics and notifications.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bulkload.errors import ExitCode
from bulkload.model import RunInfo, Status

Subfolder = Literal["done", "failed", "working", "waiting"]  # that a file is in after the visit


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that has an error."""

    row: int  # in the file
    status: Status
    errors: tuple[tuple[str, str], ...]  # header of the column, or "" for the whole row; message


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """The outcome of one file."""

    name: str  # while it waited
    subfolder: Subfolder
    path: Path  # of the file now
    exit_code: ExitCode
    info: RunInfo | None = None  # None: the file was not read, or could not be
    results: Path | None = None
    problem: str = ""  # why it was not read or not moved, its run was stopped, or nothing was deleted
    dropped: int = 0  # monitors that are no longer in the file
    deleted: int = 0  # how many of those were deleted
    bad_rows: tuple[BadRow, ...] = ()  # the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The result of one visit."""

    folder: Path
    started: float  # seconds since 1970
    seconds: float = 0.0
    files: tuple[FileOutcome, ...] = ()
    incomplete: tuple[str, ...] = ()  # files that are still being written, or open
    locks: Mapping[str, str] = field(default_factory=dict)  # file that is open in a spreadsheet program → its lock file
    overdue: tuple[str, ...] = ()  # those of them that have been incomplete for too long
    problem: str = ""  # the error that ended the visit
    is_stopped: bool = False  # the account, the API or the store ended it, so that the next visit may end so too
    exit_code: ExitCode = ExitCode.DONE
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        """True if nothing was done and there is nothing to report."""
        return not (self.files or self.locks or self.overdue or self.problem or self.exit_code)

    @property
    def left(self) -> frozenset[str]:
        """Names of the waiting files that could not be taken."""
        return frozenset(file.path.name for file in self.files if file.subfolder == "waiting")
