"""What a function of the Python API returns.

In: how a run, a check, a plan, an undo or an export ended, and its rows. Out: a `Result`, which holds all of it, so
that it can be handed to another process; frames and workbooks are made of it when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bulkload.errors import BulkloadError, ExitCode, RowsFailed, UsageError
from bulkload.model import NOT_WHOLE, ReportRow, RunInfo, Status, why_not_done
from bulkload.python.inputs import independent_copy
from bulkload.python.options import StrPath, as_path, in_python_terms
from bulkload.reports.summary import REQUEST_KINDS, number_of, untranslated

if TYPE_CHECKING:
    import pandas

NAMED_ROWS = 3  # in the message of `RowsFailed`


class Table(Protocol):
    """The rows of a result."""

    info: RunInfo
    outcomes: Sequence[ReportRow]  # what became of each row; without cells if the caller has them

    def frame(self) -> pandas.DataFrame:
        """All rows."""

    def issue_frame(self) -> pandas.DataFrame:
        """One line per issue."""

    def needs_something(self) -> Sequence[bool]:
        """For each row of the frame, whether it is not done."""

    def label(self, row: ReportRow) -> str:
        """How the caller knows a row."""

    def summary(self) -> str:
        """One sentence about all rows."""

    def write(self, path: Path) -> None:
        """Write a workbook."""


@dataclass(kw_only=True, eq=False, repr=False)
class Result:
    """How a call ended, and what became of each row.

    `exit_code` is that of the command line. Frames are made when they are first asked for.
    """

    run_id: str
    counts: Mapping[str, int]  # status → rows
    stopped: BulkloadError | None  # what ended it early
    seconds: float
    requests: Mapping[str, int]  # sent, throttled, retried
    exit_code: int
    removals: Mapping[str, int] = field(default_factory=dict)  # of `undo`: what became of the monitors → monitors
    notes: tuple[str, ...] = ()  # how the data was read: what was skipped; of a plan: what a run would send
    _table: Table

    @classmethod
    def of(
        cls,
        table: Table,
        *,
        exit_code: ExitCode,
        stopped: BulkloadError | None = None,
        removals: Mapping[str, int] | None = None,
        seconds: float | None = None,
        requests: Mapping[str, int] | None = None,
        notes: Sequence[str] = (),
    ) -> Result:
        """The result with these rows; what is not given is that of the run."""
        info = table.info
        if stopped is not None:
            in_python_terms(stopped)
        requests = info.requests if requests is None else requests
        return cls(
            run_id=info.run_id,
            counts={status.value: count for status, count in info.counts.items() if count},
            stopped=stopped,
            seconds=info.seconds if seconds is None else seconds,
            requests={kind: requests.get(kind, 0) for kind in REQUEST_KINDS},
            exit_code=int(exit_code),
            removals=removals or {},
            notes=(*_notes(info), *notes),
            _table=table,
        )

    @property
    def ok(self) -> bool:
        """True if there is nothing left to do; then `exit_code` is 0."""
        return self.exit_code == ExitCode.DONE

    @property
    def frame(self) -> pandas.DataFrame:
        """The caller's rows: their columns, dtypes, order and index, then the columns of a results file.

        Texts that are empty in a results file are `<NA>`. If the caller has a column with one of these names, all of
        ours begin with `bulkload_`. A row without any value has no result. The result does not change with the frame.
        """
        return independent_copy(self._frame)

    @property
    def failed(self) -> pandas.DataFrame:
        """The rows of `frame` that are not done; correct them, and give them to `run`."""
        return self._frame.loc[list(self._table.needs_something())].copy()

    @property
    def issues(self) -> pandas.DataFrame:
        """One line per problem: index, column, field, code, value, message, severity; `index` is that of `frame`."""
        return self._table.issue_frame()

    @cached_property
    def _frame(self) -> pandas.DataFrame:
        return self._table.frame()

    def raise_for_rows(self) -> None:
        """Raise what ended the call early, or `RowsFailed` if rows are not done; the exception's `result` is this."""
        if self.ok and self.stopped is None:
            return
        error = self.stopped or self._rows_failed()
        error.result = self
        raise error

    def to_excel(self, path: StrPath) -> None:
        """Write the workbook that the command line writes, without the index; an existing file is replaced."""
        file = as_path("path", path)
        if file.suffix.lower() != ".xlsx":
            raise UsageError(f"{file} does not end in .xlsx.")
        self._table.write(file)

    def __repr__(self) -> str:
        return f"<bulkload.Result {self.run_id}: {' '.join((self._summary(), *self.notes))}>"

    def _repr_html_(self) -> str:
        from bulkload.reports.notebook_card import notebook_card

        return notebook_card(self._table.info, self._summary(), self.notes, self._table.outcomes, self._table.label)

    def _summary(self) -> str:
        sentence = self._table.summary()
        return sentence if self.stopped is None else f"Stopped early: {self.stopped} {sentence}"

    def _rows_failed(self) -> RowsFailed:
        left = [row for row in self._table.outcomes if row.status.next_step]
        lines = [self._summary()]
        for row in left[:NAMED_ROWS]:
            column, message = why_not_done(row)
            place = "" if column is None else f', column "{column}"'
            lines.append(f"{self._table.label(row)}{place}: {message}")
        if (more := len(left) - NAMED_ROWS) > 0:
            lines.append(f"… and {number_of(more, 'more row')}; result.issues has all problems.")
        is_temporary = bool(left) and all(row.status.next_step == Status.FAILED.next_step for row in left)
        return RowsFailed("\n  ".join(lines), temporary=is_temporary)


def _notes(info: RunInfo) -> Iterator[str]:
    if notes := info.details.get("notes"):
        yield notes
    if reason := info.details.get(NOT_WHOLE):
        yield f"The input may not be whole: {reason}."
    if sentence := untranslated(info):
        yield sentence
