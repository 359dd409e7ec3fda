"""Build the columns that results files add to the user's.

In: the user's header, and a `ReportRow`. Out: the header of the result columns, and their values for the row.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkload.model import ReportRow, Status
from bulkload.monitors.result_columns import RESULT_COLUMNS, RESULT_PREFIX, normalise

COLUMN_SEPARATOR = "; "  # in error_columns; names are more likely to contain a comma
_STATUS_CELLS = {status: (status.value, status.next_step) for status in Status}


def result_header(user_header: Sequence[str]) -> tuple[str, ...]:
    """The names of the result columns; all have a prefix if the user has a column of one of these names.

    The user may even have a column with the prefixed name: of equal names, the last one is the result column.
    """
    if {normalise(name) for name in user_header}.isdisjoint(map(normalise, RESULT_COLUMNS)):
        return RESULT_COLUMNS
    return tuple(RESULT_PREFIX + name for name in RESULT_COLUMNS)


def result_cells(row: ReportRow, run_id: str) -> tuple[str | int, ...]:
    """The result of a row, in the order of `RESULT_COLUMNS`."""
    status, next_step = _STATUS_CELLS[row.status]
    return (
        status,
        row.id_to_keep,
        row.error,
        COLUMN_SEPARATOR.join(row.error_columns),
        next_step,
        row.attempts,
        row.source_row,
        run_id,
    )
