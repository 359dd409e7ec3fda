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
from bulkload.model import Issue, RawRow, Source
from bulkload.monitors.header import column_letters, field_of, renamed_by
from bulkload.monitors.invisible import has_visible
from bulkload.readers.python_values import UnusableValue, value_text
from bulkload.readers.table import MAX_COLUMNS, header_cell

FIRST_ROW = 2  # the header is row 1


def records_source(
    columns: Sequence[object],
    rows: Iterable[Sequence[Any]],
    *,
    name: str,
    source_format: str,
    mapping: Mapping[str, str],
    notes: Sequence[str] = (),
) -> Source:
    """A source of these rows; `mapping` is --map, because what a list means depends on its field.

    Raises `InputError` for too many columns.
    """
    header = header_of(columns)
    if len(header) > MAX_COLUMNS:
        raise InputError(f"{name} has {len(header):,} columns; {MAX_COLUMNS:,} are allowed.")
    if not header:
        raise InputError(f"{name} has no columns; type, name and hostname are needed.")
    return Source(
        path=Path(name),
        name=name,
        format=source_format,
        header=header,
        rows=filled_rows(text_rows(header, rows, mapping)),
        notes=tuple(notes),
    )


def header_of(columns: Iterable[object]) -> tuple[str, ...]:
    """The names of columns as a header has them."""
    return tuple(header_cell(str(column).encode("utf-8", "replace").decode()) for column in columns)


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
