"""Define how a run, a check or a plan ended.

In: a run, and what stopped it. Out: an `Outcome`, and an exit code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import BulkloadError, ExitCode
from bulkload.model import RunInfo, Status

if TYPE_CHECKING:
    from bulkload.operations.forecast import Forecast
    from bulkload.reports.problems import Problems
    from bulkload.stages.verify import Verified

_SUCCESSFUL = (*(status for status in Status if status.done), Status.WILL_CREATE, Status.WILL_UPDATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run, a check or a plan ended."""

    info: RunInfo
    results: tuple[Path, ...]
    exit_code: ExitCode
    stopped: BulkloadError | None = None  # what stopped it early
    verified: Verified | None = None
    forecast: Forecast | None = None  # of a plan
    resumed: bool = True  # False: every row was final, so nothing was sent
    known_at: float | None = None  # when another run knows about rows in doubt, in seconds since 1970
    problems: Problems | None = None  # what is wrong with the rows; None: no results were written


def exit_code_of(info: RunInfo, stopped: BulkloadError | None = None) -> ExitCode:
    """The exit code of what stopped the run, or else of its rows."""
    if stopped is not None:
        return stopped.exit_code
    if info.translated is not None and not info.translated.good:
        return ExitCode.ROWS_LEFT
    return ExitCode.DONE if all(status in _SUCCESSFUL for status in info.counts) else ExitCode.ROWS_LEFT
