"""The rows of a result: those of a run, or of an export.

In: what the caller gave, and the rows as the engine reports them. Out: frames and workbooks; see `result.Table`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.model import ReportRow, RunInfo
from bulkload.monitors.header import own_columns
from bulkload.operations.export import write_rows
from bulkload.python.inputs import CallerRows
from bulkload.readers.records import FIRST_ROW
from bulkload.reports import formats
from bulkload.reports.summary import headline, number_of

if TYPE_CHECKING:
    import pandas


@dataclass(kw_only=True, eq=False)
class RunTable:
    """The rows of a check, a plan, a run or an undo."""

    info: RunInfo
    outcomes: Sequence[ReportRow]  # without cells if the caller has them
    caller: CallerRows | None = None  # the caller's rows; None: they are in a file or in the store
    undo: Mapping[int, str] | None = None  # of a dry run of `undo`: row in the file → what would become of its monitor
    sentence: str = ""  # about the whole, if it is not about the rows

    def frame(self) -> pandas.DataFrame:
        """The caller's columns, and the results."""
        from bulkload.python import frames

        if self.caller is None:
            own = frames.text_frame(self.info.header, [row.cells for row in self.outcomes])
        else:
            own = self.caller.as_frame().iloc[:, list(self._own_columns(self.caller))]
        frame = frames.with_results(own, self.info.header, self._rows_of_frame(), self.info.run_id)
        if self.undo is None:
            return frame
        undo = frames.texts(self.undo.get(row.source_row) for row in self.outcomes)
        return frames.with_columns(frame, {"undo": undo})

    def issue_frame(self) -> pandas.DataFrame:
        """The issues, with the caller's index."""
        from bulkload.python.frames import issue_frame

        index = range(len(self.outcomes)) if self.caller is None else self.caller.as_frame().index
        return issue_frame(index, self._rows_of_frame())

    def needs_something(self) -> Sequence[bool]:
        """The rows with a next step."""
        return [row is not None and bool(row.status.next_step) for row in self._rows_of_frame()]

    def label(self, row: ReportRow) -> str:
        """The caller's index, or the row in the file."""
        if self.caller is None:
            return f"row {row.source_row}"
        label = self.caller.label(row.source_row - FIRST_ROW)
        return f"index {', '.join(map(str, label)) if isinstance(label, tuple) else label}"

    def summary(self) -> str:
        """How many rows are done, to fix and to run again."""
        return self.sentence or headline(self.info)

    def write(self, path: Path) -> None:
        """Write the results workbook."""
        rows = self.outcomes if self.caller is None else self._with_cells(self.caller)
        formats.write(path, self.info, rows)

    def _with_cells(self, caller: CallerRows) -> Iterator[ReportRow]:
        """The rows with the caller's values as text."""
        columns, texts = self._own_columns(caller), caller.as_texts()
        for row in self.outcomes:
            raw = next(raw for raw in texts if raw.number == row.source_row)
            yield row._replace(cells=tuple(raw.cells[index] for index in columns))

    def _own_columns(self, caller: CallerRows) -> tuple[int, ...]:
        """The caller's columns that bulkload did not add to an earlier result."""
        return own_columns(caller.columns, caller.mapping)

    def _rows_of_frame(self) -> Sequence[ReportRow | None]:
        """The row of each line of the frame; None for one that was empty."""
        if self.caller is None:
            return self.outcomes
        by_number = {row.source_row: row for row in self.outcomes}
        return [by_number.get(number) for number in range(FIRST_ROW, FIRST_ROW + len(self.caller))]


@dataclass(kw_only=True, eq=False)
class ExportTable:
    """The monitors of an account."""

    info: RunInfo
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]  # about what is omitted, or would be read differently
    outcomes: Sequence[ReportRow] = ()

    def frame(self) -> pandas.DataFrame:
        """One row per monitor, with the columns of an input file."""
        from bulkload.python.frames import monitor_frame

        return monitor_frame(self.header, self.rows)

    def issue_frame(self) -> pandas.DataFrame:
        """The notes, which belong to no row."""
        from bulkload.python.frames import note_frame

        return note_frame("export.note", self.notes)

    def needs_something(self) -> Sequence[bool]:
        """None of the monitors."""
        return [False] * len(self.rows)

    def label(self, row: ReportRow) -> str:
        """The row in the frame."""
        return f"row {row.source_row}"

    def summary(self) -> str:
        """How many monitors there are."""
        return f"{number_of(len(self.rows), 'mail monitor')} of {self.info.account or 'the account'}."

    def write(self, path: Path) -> None:
        """Write the workbook of `bulkload export`."""
        write_rows(path, self.header, self.rows, len(self.rows))
