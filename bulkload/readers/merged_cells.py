"""Give merged cells their value: a spreadsheet program stores it in the first cell, but a person sees it in all.

In: the records of a worksheet, one after the other, and its merged areas. Out: the same records with empty cells
filled, or with issues. Over several rows of one column, the value counts for each row. Over several columns, it is not
clear for which of them it is meant, so that is an issue of the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bulkload.model import Issue
from bulkload.monitors.header import column_letters
from bulkload.readers.sheet_layout import Area
from bulkload.readers.table import IsHeader, Record, clean_header, has_content, shorten

_UNKNOWN = 1 << 30  # the row of a header that is not found yet


class _Merged(NamedTuple):
    """Merged cells of the current row; columns are counted from the first one of the worksheet that has content."""

    area: Area
    left: int
    right: int
    text: str
    issues: tuple[Issue, ...]  # of the cell with the value
    named: tuple[int, ...]  # those of its columns that have a header; none before the header is known

    @property
    def columns(self) -> range:
        return range(max(self.left, 0), self.right + 1)

    @property
    def is_wide(self) -> bool:
        return self.left < self.right


class _HeaderLine(NamedTuple):
    number: int
    cells: Sequence[str]
    merged: tuple[_Merged, ...]  # of this line and of those above that belong to it
    first_number: int  # of those lines


class MergedCells:
    """The merged cells of one worksheet. Each record is given to `follow` first, in order."""

    def __init__(self, areas: Sequence[Area], first_column: int) -> None:
        self._areas = areas  # in order
        self._first_column = first_column
        self._next = 0  # the first area that begins below the current row
        self._current: dict[int, _Merged] = {}  # by first column
        self._line = _HeaderLine(-1, (), (), -1)
        self._header: tuple[str, ...] = ()
        self._header_row = _UNKNOWN
        self._shared_names: dict[int, Area] = {}  # columns whose name is merged with that of another column

    def follow(self, record: Record) -> None:
        """Go to the row of this record, and remember the values of merged cells that begin in it."""
        row = record.number - 1
        for left in [left for left, merged in self._current.items() if merged.area.bottom < row]:
            del self._current[left]
        while self._next < len(self._areas) and self._areas[self._next].top <= row:
            area = self._areas[self._next]
            self._next += 1
            if area.bottom < row:
                continue
            left = area.left - self._first_column
            begins = area.top == row
            self._current[left] = _Merged(
                area=area,
                left=left,
                right=area.right - self._first_column,
                text=_text(record, left).strip() if begins else "",
                issues=tuple(issue for index, issue in record.findings if index == left) if begins else (),
                named=self._named(area),
            )

    def header_line(self, record: Record, is_header: IsHeader) -> Record:
        """Complete a line that may be the header by the lines above that are merged with it."""
        if not has_content(record):
            return record
        row, above = record.number - 1, self._line
        cells = list(record.cells)
        ending = [each for each in self._current.values() if each.text and each.area.top < row == each.area.bottom]
        for merged in ending:
            if not merged.is_wide and 0 <= merged.left < len(cells) and not cells[merged.left].strip():
                cells[merged.left] = merged.text
        merged_here, first_number = tuple(self._current.values()), record.number
        own = clean_header(cells)
        is_whole = is_header(own)
        is_joined = bool(ending) or (not is_whole and self._has_groups_above(record))
        if is_joined and above.number == record.number - 1:
            groups = {column for merged in above.merged if merged.is_wide for column in merged.columns}
            # what stands above and to the right of a whole header is no name of a column
            for column in range(len(own) if is_whole else min(len(cells), len(above.cells))):
                if not cells[column].strip() and column not in groups:
                    cells[column] = _text(above, column)
            merged_here, first_number = above.merged + merged_here, above.first_number
        self._line = _HeaderLine(record.number, cells, merged_here, first_number)
        return record._replace(cells=cells)

    def next_header_line(self, record: Record, is_header: IsHeader) -> Record | None:
        """Complete the line below the header if the header goes on in it: names under the name of their group."""
        header = self._line
        if header.number != record.number - 1 or not has_content(record) or not self._has_groups_above(record):
            return None
        line = self.header_line(record, is_header)
        if is_header(clean_header(line.cells)):
            return line
        self._line = header
        return None

    def begin_rows(self, header: tuple[str, ...], number: int) -> int:
        """Begin with the rows below the header; returns the number of the header's first line."""
        self._header, self._header_row = header, number - 1
        self._current = {left: each._replace(named=self._named(each.area)) for left, each in self._current.items()}
        if self._line.number != number:
            return number
        self._shared_names = {
            column: merged.area
            for merged in self._line.merged
            if merged.is_wide and merged.text
            for column in merged.columns
            if column < len(header) and not header[column]
        }
        return self._line.first_number

    def row(self, record: Record) -> Record:
        """Fill the empty merged cells of a row, and add an issue for those whose value is not clear."""
        if not (self._current or self._shared_names) or not has_content(record):
            return record
        cells, findings = list(record.cells), list(record.findings)
        for merged in self._current.values():
            if merged.area.top > self._header_row and merged.named == (merged.left,):
                self._fill(cells, findings, merged, record)
            elif merged.named:
                findings.extend(self._unclear(merged, record))
        for column, area in self._shared_names.items():
            if text := _text(record, column).strip():
                message = (
                    f"Column {self._letters(column)} has {shorten(text)!r}, but its name in the header is merged with "
                    f"that of another column ({area_name(area)}); unmerge it and give each column its own name."
                )
                findings.append((None, Issue(code="cell.merged", message=message, value=text)))
        return record._replace(cells=cells, findings=findings)

    @property
    def is_over(self) -> bool:
        """True if no cell of this row or below it is merged."""
        return not self._current and not self._shared_names and self._next == len(self._areas)

    def filled(self) -> Iterator[Area]:
        """Yield the areas below the header whose value counts for each of their rows."""
        for area in self._areas:
            if self._header_row < area.top < area.bottom and self._named(area) == (area.left - self._first_column,):
                yield area

    def _fill(
        self, cells: list[str], findings: list[tuple[int | None, Issue]], merged: _Merged, record: Record
    ) -> None:
        column = merged.left
        if record.number - 1 == merged.area.top:
            return
        own = _text(record, column).strip()
        if own and own != merged.text:
            shown = repr(shorten(merged.text)) if merged.text else "nothing"
            message = (
                f"The cell has {shorten(own)!r}, but it is one of the merged cells {area_name(merged.area)}, which "
                f"show {shown}; unmerge them and fill in each cell."
            )
            findings.append((column, Issue(code="cell.merged", message=message, value=own)))
            return
        cells.extend([""] * (column + 1 - len(cells)))
        cells[column] = merged.text
        findings.extend((column, issue) for issue in merged.issues if (column, issue) not in findings)

    def _unclear(self, merged: _Merged, record: Record) -> Iterator[tuple[int, Issue]]:
        """Yield an issue for each named column of merged cells; none if nothing is in them."""
        values = [merged.text, *(_text(record, column).strip() for column in merged.columns)]
        value = next(filter(None, values), "")
        if not value and not merged.issues:
            return
        name = area_name(merged.area)
        if merged.area.top <= self._header_row:
            message = f"The cell is merged with the header ({name}); unmerge them and fill in each cell."
        else:
            message = (
                f"The cells {name} are merged over several columns, so it is not clear for which of them "
                f"{shorten(value)!r} is meant; unmerge them and fill in each cell."
            )
        # a title between the rows needs only one issue
        is_title = not any(_text(record, index).strip() for index in range(len(record.cells)) if index != merged.left)
        for column in merged.named[:1] if is_title else merged.named:
            yield column, Issue(code="cell.merged", message=message, value=value)

    def _has_groups_above(self, record: Record) -> bool:
        """True if two cells of this line stand under merged cells of the line above: their group's name."""
        return any(
            sum(bool(_text(record, column).strip()) for column in merged.columns) > 1
            for merged in self._line.merged
            if merged.is_wide and merged.area.bottom == record.number - 2
        )

    def _named(self, area: Area) -> tuple[int, ...]:
        first, last = max(area.left - self._first_column, 0), area.right - self._first_column
        return tuple(column for column in range(first, min(last + 1, len(self._header))) if self._header[column])

    def _letters(self, column: int) -> str:
        return column_letters(column + self._first_column)


def area_name(area: Area) -> str:
    """Name merged cells as spreadsheet programs do: F2:F4."""
    return f"{column_letters(area.left)}{area.top + 1}:{column_letters(area.right)}{area.bottom + 1}"


def _text(record: Record | _HeaderLine, column: int) -> str:
    return record.cells[column] if 0 <= column < len(record.cells) else ""
