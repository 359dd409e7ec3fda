"""Read rows that are Python values: a list of objects, or the rows of a frame.

In: names of columns, and rows of values. Out: a `Source`, whose rows are numbered as in a spreadsheet with these
columns in row 1. A value that no cell can hold is an issue of its cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkload.errors import InputError
from bulkload.files.formulas import restore
from bulkload.model import Issue, RawRow, Source
from bulkload.monitors.header import column_letters, field_of, renamed_by
from bulkload.monitors.invisible import has_visible
from bulkload.monitors.result_columns import results_prefix
from bulkload.readers.python_values import UnusableValue, shown_text, value_text
from bulkload.readers.table import MAX_COLUMNS, header_cell

FIRST_ROW = 2  # the header is row 1
NO_ROWS = ("type", "name", "hostname", "billing_plancode")  # columns of a source that has neither rows nor columns


def records_source(
    columns: Sequence[object],
    rows: Iterable[Sequence[Any]],
    *,
    name: str,
    source_format: str,
    mapping: Mapping[str, str],
    notes: Sequence[str] = (),
    may_be_protected: bool = False,
) -> Source:
    """A source of these rows; `mapping` is --map, because what a list means depends on its field.

    If the columns are those of a results file that may have been read as CSV (`may_be_protected`), a text that may have
    an apostrophe against formulas is an issue. Raises `InputError`, which does not name the source, for too many
    columns and for none.
    """
    header = header_of(columns)
    if len(header) > MAX_COLUMNS:
        raise InputError(f"it has {len(header):,} columns; {MAX_COLUMNS:,} are allowed.")
    if not header:
        raise InputError("it has no columns; type, name and hostname are needed.")
    texts = filled_rows(text_rows(header, rows, mapping))
    if may_be_protected and results_prefix(header) is not None:
        texts = (_without_protection(row, header) for row in texts)
    return Source(
        path=Path(name),
        name=name,
        format=source_format,
        header=header,
        rows=texts,
        notes=tuple(notes),
    )


def header_of(columns: Iterable[object]) -> tuple[str, ...]:
    """The names of columns as a header has them."""
    return tuple(header_cell(shown_text(column)) for column in columns)


def text_rows(header: Sequence[str], rows: Iterable[Sequence[Any]], mapping: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows as text, also the empty ones."""
    renamed = renamed_by(mapping)
    fields = tuple(field_of(name, renamed) for name in header)
    for number, values in enumerate(rows, FIRST_ROW):
        try:
            cells = tuple(map(value_text, values, fields))
        except UnusableValue:
            yield _with_issues(number, header, values, fields)
        else:
            yield RawRow(number=number, cells=cells)


def filled_rows(rows: Iterable[RawRow]) -> Iterator[RawRow]:
    """Leave out empty rows, as in a file."""
    return (row for row in rows if row.issues or has_visible("".join(row.cells)))


def _without_protection(row: RawRow, header: Sequence[str]) -> RawRow:
    """Add an issue to each cell that would be another text in the file that it may come from."""
    doubtful = [index for index, cell in enumerate(row.cells) if restore(cell) != cell]
    if not doubtful:
        return row
    message = (
        "The text begins with an apostrophe, as results in CSV have it before =, +, - and @. If these rows were read"
        " from such a file, give its path instead; if the apostrophe is meant, leave out the column run_id."
    )
    issues = (
        Issue(
            code="cell.apostrophe", message=message, column=header[i] or column_letters(i), index=i, value=row.cells[i]
        )
        for i in doubtful
    )
    return row._replace(issues=(*row.issues, *issues))


def _with_issues(number: int, header: Sequence[str], values: Sequence[Any], fields: Sequence[str | None]) -> RawRow:
    cells, issues = [], []
    for index, (value, field) in enumerate(zip(values, fields, strict=True)):
        try:
            cells.append(value_text(value, field))
        except UnusableValue as error:
            cells.append(error.text)
            column = header[index] or column_letters(index)
            issue = Issue(code=f"cell.{error.reason}", message=error.message, value=error.text, field=field)
            issues.append(replace(issue, column=column, index=index))
    return RawRow(number=number, cells=tuple(cells), issues=tuple(issues))


def columns_of_objects(objects: Iterable[Mapping[Any, Any]]) -> list[Any]:
    """The keys of all objects, in the order in which they first occur."""
    return list(dict.fromkeys(key for item in objects for key in item))


def values_of(objects: Iterable[Mapping[Any, Any]], columns: Sequence[Any]) -> Iterator[list[Any]]:
    """The values of each object; a key that it lacks is an empty cell."""
    return ([item.get(column) for column in columns] for item in objects)
