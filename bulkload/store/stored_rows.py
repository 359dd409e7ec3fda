"""A row as the store has it: the columns of its table, and how its issues are packed.

In: a new row, or a row of the table. Out: the values to insert, or a `ReportRow`. A file can have millions of invalid
rows, each with several kilobytes about its cells: their issues are compressed, and their error text follows from these.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable

import pydantic_core

from bulkload.model import ACCOUNT_ISSUE, Issue, ReportRow, Status, errors_of, status_of
from bulkload.store.row_records import NewRow

SELECT_REPORT = "SELECT cells, state, source_row, monitor_id, error, error_columns, issues, attempts, names FROM"
INSERT_ROW = (
    "INSERT INTO rows (run, position, source_row, cells, state, type, key, body, names, finished_in_file,"
    " monitor_id, error, error_columns, issues) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def digest(key: str) -> bytes:
    """The hash of an identity key, short enough for an index."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def report_row(
    cells: str,
    state: str,
    source_row: int,
    monitor_id: str | None,
    error: str,
    columns: str | None,
    packed_issues: bytes | str | None,
    attempts: int,
    given_id: str | None,
) -> ReportRow:
    """A row for a report, from the columns of `SELECT_REPORT`."""
    issues = _unpacked_issues(packed_issues)
    if state == Status.INVALID and not error:
        error, error_columns = errors_of(issues)
    else:
        error_columns = (*(json.loads(columns) if columns else ()), *_columns_of(issues))
        error = _shown_error(error, issues) if issues else error
    return ReportRow(
        source_row=source_row,
        cells=tuple(pydantic_core.from_json(cells)),
        status=status_of(state),
        monitor_id=monitor_id or "",
        error=error,
        error_columns=error_columns,
        attempts=attempts,
        issues=issues,
        named=given_id or "",
    )


def row_values(run: int, position: int, row: NewRow) -> tuple[object, ...]:
    """The values of a new row, in the order of `INSERT_ROW`."""
    return (
        run,
        position,
        row.source_row,
        to_json(row.cells),
        row.state,
        row.type,
        digest(row.key) if row.key is not None else None,
        row.body,
        row.given_monitor_id,
        row.finished_in_file,
        row.monitor_id,
        *_packed_errors(row),
    )


def _packed_errors(row: NewRow) -> tuple[str, str | None, bytes | str | None]:
    """The values of `error`, `error_columns` and `issues`."""
    issues = to_json([issue.record() for issue in row.issues]) if row.issues else None
    if row.state == Status.INVALID and issues and errors_of(row.issues) == (row.error, row.error_columns):
        return "", None, zlib.compress(issues.encode())
    return row.error, to_json(row.error_columns) if row.error_columns else None, issues


def _unpacked_issues(packed: bytes | str | None) -> tuple[Issue, ...]:
    if packed is None:
        return ()
    issues = json.loads(zlib.decompress(packed) if isinstance(packed, bytes) else packed)
    return tuple(Issue(**issue) for issue in issues)


def _columns_of(issues: Iterable[Issue]) -> tuple[str, ...]:
    """The columns in which the account has a different value."""
    return tuple(issue.column for issue in issues if issue.code.startswith(ACCOUNT_ISSUE) and issue.column)


def _shown_error(error: str, issues: Iterable[Issue]) -> str:
    """The error for the report: with the messages about differences in the account."""
    messages = [issue.message for issue in issues if issue.code.startswith(ACCOUNT_ISSUE)]
    full_stop = "." if messages and error and not error.endswith((".", "!", "?")) else ""
    return " ".join([error + full_stop, *messages]).strip()


def to_json(value: object) -> str:
    """Compact JSON, as the store keeps it. Every row is encoded twice, so pydantic's Rust core does it."""
    return pydantic_core.to_json(value, inf_nan_mode="constants").decode()
