"""Which cells of a row are marked, and what is said about each.

In: a `ReportRow` and where each column stands. Out: a `Mark` per column of the user's row; the key None stands for
the whole row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bulkload.model import ReportRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is said about one cell."""

    severity: Literal["error", "warning"]
    sentences: tuple[str, ...]


def columns_by_name(header: Sequence[str]) -> dict[str, int]:
    """Tell where a column stands; of two with one name it is the first."""
    return {name: column for column, name in reversed(list(enumerate(header)))}


def marks(row: ReportRow, column_of: Mapping[str, int]) -> dict[int | None, Mark]:
    """Collect the issues of a row by cell.

    A column that is named without an issue of its own gets the row's error. Of the issues that belong to no
    column only warnings are kept: what is wrong with a whole row is its error text already.
    """
    wrong: set[int | None] = set()
    sentences: dict[int | None, list[str]] = {}
    for issue in row.issues:
        column = column_of.get(issue.column) if issue.column is not None else None
        is_error = issue.severity == "error"
        if column is None and is_error:
            continue
        if is_error:
            wrong.add(column)
        said = issue.message if is_error else f"Warning: {issue.message}"
        sentences.setdefault(column, []).append(said)
    for name in row.error_columns:
        column = column_of.get(name)
        if column is not None and column not in sentences:
            wrong.add(column)
            sentences[column] = [row.error]
    return {
        column: Mark(severity="error" if column in wrong else "warning", sentences=tuple(text for text in said if text))
        for column, said in sentences.items()
    }
