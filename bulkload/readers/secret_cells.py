"""Empty the cells of columns that hold secrets, before anything else sees them.

In: an opened input. Out: the same input without the secrets, and with a note that names the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bulkload.model import RawRow, Source
from bulkload.monitors.header import field_of, place_of, renamed_by
from bulkload.monitors.secret_columns import is_secret


def without_secrets(source: Source, mapping: Mapping[str, str]) -> Source:
    """Empty the cells of secret columns; a column that a person has mapped to a field is none."""
    renamed = renamed_by(mapping)
    secret = [
        index
        for index, name in enumerate(source.header)
        if is_secret(name)
        and field_of(name, renamed) is None
        and (source.fields is None or source.fields[index] is None)
    ]
    if not secret:
        return source
    names = ", ".join(place_of(source.header, index) for index in secret)
    verb, whose = ("holds", "its") if len(secret) == 1 else ("hold", "their")
    note = f"{names} {verb} passwords or other secrets by name; {whose} cells are not sent, stored or shown."
    return replace(source, rows=_emptied(source.rows, secret), notes=(*source.notes, note))


def _emptied(rows: Iterator[RawRow], secret: list[int]) -> Iterator[RawRow]:
    for row in rows:
        cells = list(row.cells)
        for index in secret:
            cells[index] = ""
        issues = tuple(issue for issue in row.issues if issue.index not in secret)  # they quote the cell
        yield row._replace(cells=tuple(cells), issues=issues)
