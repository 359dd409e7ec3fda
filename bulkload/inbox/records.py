"""The result of a visit to the folder, as records.

In: nothing. Out: a `Visit` with a `FileOutcome` for each file, for messages, metrics and notifications.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bulkload.errors import ExitCode
from bulkload.model import RunInfo

PlaceName = Literal["done", "failed", "working"]  # the subfolder in which a file ends up


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """What happened to one file."""

    name: str  # as it was called when it waited
    place_name: PlaceName
    path: Path  # where the file is now
    exit_code: ExitCode
    info: RunInfo | None = None  # None: it could not be read
    results: Path | None = None
    problem: str = ""  # why it could not be read, or was stopped, or why nothing was deleted
    dropped: int = 0  # monitors that are no longer in the file
    deleted: int = 0  # of those, deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The result of one visit."""

    folder: Path
    started: float  # seconds since 1970
    seconds: float = 0.0
    files: tuple[FileOutcome, ...] = ()
    unsettled: tuple[str, ...] = ()  # files that are still being written
    overdue: tuple[str, ...] = ()  # of those, the ones that have been incomplete for too long
    problem: str = ""  # what ended the visit, if anything did
    exit_code: ExitCode = ExitCode.DONE
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """True if there was nothing to do and there is nothing to report."""
        return not (self.files or self.overdue or self.problem or self.exit_code)
