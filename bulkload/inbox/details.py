"""What is wrong with the files of a visit, line by line, for cron mails, pings and chats.

In: a `Visit`. Out: lines that name the first bad rows with their errors, the full path of the results, and what to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bulkload.files.printable import one_line
from bulkload.inbox.records import BadRow, FileOutcome, Visit
from bulkload.inbox.scan import companion_names
from bulkload.model import ReportRow, RunInfo, Status

MAX_ROWS = 5  # bad rows of a file that are named
MAX_FILES = 10  # files whose bad rows are named
MAX_ERROR = 500  # characters of a row's error
BAD = frozenset({Status.REMOVED, Status.INVALID, Status.DUPLICATE, Status.REJECTED, Status.FAILED, Status.UNKNOWN})
TO_CORRECT = frozenset({Status.INVALID, Status.DUPLICATE, Status.REJECTED})


def bad_row_count(info: RunInfo) -> int:
    """The number of rows with an error of their own; rows that were not attempted have none."""
    return sum(count for status, count in info.counts.items() if status in BAD)


def bad_rows(rows: Iterator[ReportRow], info: RunInfo) -> tuple[BadRow, ...]:
    """The first bad rows; reads no more rows than necessary."""
    wanted = min(MAX_ROWS, bad_row_count(info))
    if not wanted:
        return ()
    bad = (row for row in rows if row.status in BAD)
    return tuple(BadRow(row=row.source_row, status=row.status, errors=_errors(row)) for row in islice(bad, wanted))


def detail_lines(visit: Visit) -> list[str]:
    """The lines that follow the summary; none if no file needs attention."""
    troubled = [file for file in visit.files if file.exit_code and (file.bad_rows or file.subfolder == "failed")]
    lines = [line for file in troubled[:MAX_FILES] for line in _lines(visit, file)]
    if more := len(troubled) - MAX_FILES:
        lines += [f"and {more:,} more files"] if more > 1 else ["and 1 more file"] if more == 1 else []
    return [one_line(line) for line in lines]


def _lines(visit: Visit, file: FileOutcome) -> Iterator[str]:
    if file.bad_rows and file.info is not None:
        yield f"{file.name}:"
        for row in file.bad_rows:
            errors = "; ".join(f"{column}: {message}" if column else message for column, message in row.errors)
            separator = ", " if row.errors and row.errors[0][0] else ": "
            shown = errors if len(errors) <= MAX_ERROR else f"{errors[:MAX_ERROR]}…"
            yield f"row {row.row}{separator}{shown or row.status.value}"
        if more := bad_row_count(file.info) - len(file.bad_rows):
            yield f"and {more:,} more"
    if file.results is not None and file.subfolder == "failed":
        yield f"Results of {file.name}: {_full(file.results)}"
    elif file.subfolder == "failed":
        yield f"File: {_full(file.path)}"
    yield f"What to do: {_advice(visit, file)}"


def _advice(visit: Visit, file: FileOutcome) -> str:
    folder = _full(visit.folder)
    if file.subfolder == "working":
        later = ", and then the file goes to failed, to be corrected" if _has_to_be_corrected(file) else ""
        return f"Nothing now; the next call tries again what is left{later}."
    if file.info is None:
        return f"Correct the file and put it into {folder}."
    if all(status.done for status in file.info.counts):
        gone = file.path.with_name(companion_names(file.path.name)[1])
        listed = f" The monitors that are no longer in the file are in {_full(gone)}." if file.dropped else ""
        return f"Nothing is left to send; see what is said of the file above.{listed}"
    if _has_to_be_corrected(file):
        return f"Correct these rows in the results or in your file, and put it into {folder}; only they are sent."
    return f"Put the results or your file into {folder} again; only rows that are not done are sent."


def _has_to_be_corrected(file: FileOutcome) -> bool:
    return file.info is not None and not TO_CORRECT.isdisjoint(file.info.counts)


def _errors(row: ReportRow) -> tuple[tuple[str, str], ...]:
    """The errors of a row: header of the column or "", and message."""
    issues = tuple((issue.column or "", issue.message) for issue in row.issues if issue.severity == "error")
    return issues or (((("; ".join(row.error_columns)), row.error),) if row.error else ())


def _full(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links stay as the user knows them
