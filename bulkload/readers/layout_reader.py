"""Read the table of a worksheet as its layout shows it: merged cells filled, hidden rows and columns named or left out.

In: the records of a worksheet and its `SheetLayout`. Out: a `Table`, and notes for the user.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bulkload.monitors.header import column_letters
from bulkload.readers.merged_cells import MergedCells, area_name
from bulkload.readers.sheet_layout import SheetLayout, Span
from bulkload.readers.table import MAX_COLUMNS, IsHeader, Record, Table, clean_header, find_table, shorten

_MAX_LISTED = 8  # rows, columns or areas that a note lists


class LayoutReader:
    """Reads the table of one worksheet."""

    def __init__(self, layout: SheetLayout, *, first_column: int, skip_hidden: bool) -> None:
        self._layout = layout
        self._first_column = first_column  # cells of a record begin with this column
        self._hidden_columns = tuple(
            column - first_column
            for first, last in layout.hidden_columns
            for column in range(max(first, first_column), min(last, first_column + MAX_COLUMNS - 1) + 1)
        )
        self._skips = skip_hidden and bool(layout.hidden_rows or layout.hidden_columns)
        self._merged = MergedCells(layout.merged, first_column)
        self._whole_lines: dict[int, Sequence[str]] = {}  # lines that may be the header, with hidden columns
        self._header: Sequence[str] = ()  # with hidden columns
        self._header_number = 0

    def find_table(
        self,
        records: Iterable[Record],
        is_header: IsHeader,
        *,
        headerless: bool = False,
        header_row: int | None = None,
    ) -> Table | None:
        """Return the table of these records, as `table.find_table` does; None if no record has content."""
        if not (self._layout.merged or self._skips):
            table = find_table(records, is_header, headerless=headerless, header_row=header_row)
        elif header_row is not None:
            stream, seen = iter(records), list[Record]()
            table = self._unknown_table(seen, _remembered(stream, seen), is_header, header_row=header_row)
        else:
            stream, seen = iter(records), list[Record]()
            table = find_table(self._header_lines(_remembered(stream, seen), is_header), is_header)
            if table is not None and table.recognised:
                table = self._table_below(table, stream, is_header)
            elif table is not None:
                table = self._unknown_table(seen, stream, lambda cells: False, headerless=headerless)
        if table is not None:
            self._header_number = table.header_number
            self._header = clean_header(self._whole_lines.get(table.header_number, table.header))
        self._whole_lines.clear()
        return table

    def notes(self) -> list[str]:
        """Sentences about what is merged and hidden."""
        notes = hidden_rows_notes(self._layout, skips=self._skips, first_row=self._header_number - 1)
        columns = [
            self._letters(index) + (f' "{shorten(self._header[index])}"' if self._header[index] else "")
            for index in self._hidden_columns
            if index < len(self._header) and (self._header[index] or self._skips)
        ]
        if columns:
            shown = columns[:_MAX_LISTED]
            more = len(columns) - len(shown)
            notes.append(_hidden_note("Column", shown, more=more, is_one=len(columns) == 1, skips=self._skips))
        areas = self._merged.filled()
        if names := [area_name(area) for area in itertools.islice(areas, _MAX_LISTED)]:
            listed = _listed(names, sum(1 for _ in areas))
            notes.append(f"The value of the merged cells {listed} counts for each of their rows.")
        return notes

    def _header_lines(self, records: Iterator[Record], is_header: IsHeader) -> Iterator[Record]:
        for record in records:
            self._merged.follow(record)
            if not self._is_left_out(record):
                yield self._visible_line(self._merged.header_line(record, is_header))

    def _table_below(self, table: Table, stream: Iterator[Record], is_header: IsHeader) -> Table:
        """Return the table whose header was found in the records before; the header may have further lines."""
        for record in stream:
            self._merged.follow(record)
            line = None if self._is_left_out(record) else self._merged.next_header_line(record, is_header)
            if line is None:
                stream = itertools.chain((record,), stream)
                break
            table = replace(table, header=clean_header(self._visible_line(line).cells), header_number=line.number)
        first_number = self._merged.begin_rows(table.header, table.header_number)
        skipped = tuple(number for number in table.skipped if number < first_number)
        return replace(table, skipped=skipped, records=self._rows(stream))

    def _unknown_table(
        self,
        seen: list[Record],
        stream: Iterator[Record],
        is_header: IsHeader,
        *,
        headerless: bool = False,
        header_row: int | None = None,
    ) -> Table | None:
        """Return the table if no row is a known header, or the user named one; `seen` are the records read so far."""
        self._merged = MergedCells(self._layout.merged, self._first_column)
        self._whole_lines.clear()
        records = itertools.chain(tuple(seen), stream)
        visible = (self._visible(record) for record in records if not self._is_left_out(record))
        table = find_table(visible, is_header, headerless=headerless, header_row=header_row)
        if table is None:
            return None
        for record in seen:
            if record.number <= table.header_number:
                self._merged.follow(record)
            if record.number == table.header_number:
                self._whole_lines[record.number] = record.cells
        self._merged.begin_rows(table.header, table.header_number)
        return replace(table, records=self._rows(table.records))

    def _rows(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            self._merged.follow(record)
            if not self._is_left_out(record):
                yield self._merged.row(self._visible(record))
            if self._merged.is_over and not self._skips:
                yield from records

    def _is_left_out(self, record: Record) -> bool:
        if not self._skips:
            return False
        row = record.number - 1
        index = bisect.bisect_right(self._layout.hidden_rows, (row, 1 << 62)) - 1
        return index >= 0 and row <= self._layout.hidden_rows[index][1]

    def _visible_line(self, record: Record) -> Record:
        visible = self._visible(record)
        if visible is not record:
            self._whole_lines[record.number] = record.cells
        return visible

    def _visible(self, record: Record) -> Record:
        """Empty the cells of hidden columns if they are left out; the other columns keep their places."""
        if not self._skips or not self._hidden_columns:
            return record
        cells = list(record.cells)
        for index in self._hidden_columns:
            if index < len(cells):
                cells[index] = ""
        findings = [finding for finding in record.findings if finding[0] not in self._hidden_columns]
        return record._replace(cells=cells, findings=findings)

    def _letters(self, index: int) -> str:
        return column_letters(index + self._first_column)


def _remembered(records: Iterator[Record], seen: list[Record]) -> Iterator[Record]:
    for record in records:
        seen.append(record)
        yield record


def hidden_rows_notes(layout: SheetLayout, *, skips: bool, first_row: int = 0, worksheet: str = "") -> list[str]:
    """Return a note on the hidden rows, unless there are none; rows above `first_row` count only if left out."""
    spans = [(max(first, 0 if skips else first_row), last) for first, last in layout.hidden_rows]
    spans = [(first, last) for first, last in spans if first <= last]
    if not spans:
        return []
    shown = spans[:_MAX_LISTED]
    return [
        _hidden_note(
            "Row",
            [str(first + 1) if first == last else f"{first + 1}–{last + 1}" for first, last in shown],
            more=_count(spans) - _count(shown),
            is_one=_count(spans) == 1,
            skips=skips,
            where=f" of the worksheet {worksheet!r}" if worksheet else "",
            cause=" (by a filter)" if layout.is_filtered else "",
        )
    ]


def _hidden_note(
    noun: str, names: Sequence[str], *, more: int, is_one: bool, skips: bool, where: str = "", cause: str = ""
) -> str:
    subject = f"{noun} {_listed(names, more)}{where} is" if is_one else f"{noun}s {_listed(names, more)}{where} are"
    if skips:
        return f"{subject} hidden{cause} and left out, because of --skip-hidden."
    is_read, it = ("it is", "it") if is_one else ("they are", "them")
    return f"{subject} hidden{cause}; {is_read} read like the others; --skip-hidden leaves {it} out."


def _listed(names: Sequence[str], more: int) -> str:
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _count(spans: Sequence[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)
