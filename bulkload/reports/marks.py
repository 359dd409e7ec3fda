"""Collect the errors and warnings of each cell of a row.

In: a `ReportRow`, and the positions of its columns. Out: a `Mark` per column of the user's row; the key None is the
whole row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bulkload.model import ReportRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The errors and warnings of one cell."""

    severity: Literal["error", "warning"]
    sentences: tuple[str, ...]


def columns_by_name(header: Sequence[str]) -> dict[str, int]:
    """The position of each column by name; of columns with the same name, that of the first."""
    return {name: column for column, name in reversed(list(enumerate(header)))}


def marks(row: ReportRow, column_of: Mapping[str, int]) -> dict[int | None, Mark]:
    """Collect the issues of a row by column.

    A column in `error_columns` without an issue gets the row's error. Errors of the whole row are omitted, because they
    are in its error text.
    """
    columns_with_errors: set[int | None] = set()
    sentences: dict[int | None, list[str]] = {}
    for issue in row.issues:
        column = column_of.get(issue.column) if issue.column is not None else None
        is_error = issue.severity == "error"
        if column is None and is_error:
            continue
        if is_error:
            columns_with_errors.add(column)
        sentence = issue.message if is_error else f"Warning: {issue.message}"
        sentences.setdefault(column, []).append(sentence)
    for name in row.error_columns:
        column = column_of.get(name)
        if column is not None and column not in sentences:
            columns_with_errors.add(column)
            sentences[column] = [row.error]
    return {
        column: Mark(
            severity="error" if column in columns_with_errors else "warning",
            sentences=tuple(text for text in texts if text),
        )
        for column, texts in sentences.items()
    }
