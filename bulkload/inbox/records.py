"""What a visit to the folder came to, as records.

In: nothing. Out: a `Visit` with a `Filed` for every file, for whoever has to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bulkload.errors import ExitCode
from bulkload.model import RunInfo

Fate = Literal["done", "failed", "working"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """What became of one file."""

    name: str  # as it was called when it waited
    fate: Fate
    place: Path  # where the file is now
    exit_code: ExitCode
    info: RunInfo | None = None  # None: it could not be read
    results: Path | None = None
    problem: str = ""  # why it could not be read, or was stopped, or why nothing was deleted
    gone: int = 0  # monitors that are gone from the sheet
    deleted: int = 0  # of those, deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What one visit came to."""

    folder: Path
    started: float  # seconds since 1970
    seconds: float = 0.0
    files: tuple[Filed, ...] = ()
    unsettled: tuple[str, ...] = ()  # files that somebody still writes
    overdue: tuple[str, ...] = ()  # of those, the ones that have been like that for too long
    problem: str = ""  # what ended the visit, if anything did
    exit_code: ExitCode = ExitCode.DONE
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """True if there was nothing to do and nothing to say."""
        return not (self.files or self.overdue or self.problem or self.exit_code)
