"""Our part of a results file: the names of the columns that are added, and their values.

In: the user's header and a `ReportRow`. Out: the header of our columns, and what stands in them for a row.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkload.model import ReportRow
from bulkload.monitors.result_columns import RESULT_COLUMNS, RESULT_PREFIX, normalise

COLUMN_SEPARATOR = "; "  # between the names in error_columns; a comma is more likely to be part of a name


def result_header(user_header: Sequence[str]) -> tuple[str, ...]:
    """Name our columns; all get a prefix if one of them could be taken for a column of the user's.

    A user's column that has the prefixed name too is no trouble: ours stand behind the user's, and whoever
    reads the file takes the last of equal names for ours.
    """
    if {normalise(name) for name in user_header}.isdisjoint(map(normalise, RESULT_COLUMNS)):
        return RESULT_COLUMNS
    return tuple(RESULT_PREFIX + name for name in RESULT_COLUMNS)


def result_cells(row: ReportRow, run_id: str) -> tuple[str | int, ...]:
    """Give what became of a row in the order of `RESULT_COLUMNS`."""
    return (
        row.status.value,
        row.id_to_keep,
        row.error,
        COLUMN_SEPARATOR.join(row.error_columns),
        row.status.next_step,
        row.attempts,
        row.source_row,
        run_id,
    )
