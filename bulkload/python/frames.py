"""Build the frames of a result.

In: the caller's columns as a frame, and `ReportRow`s. Out: a frame with the result columns, and one of the issues.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas

from bulkload.model import ReportRow, RunInfo, Status, all_issues
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.result_columns import RESULT_COLUMNS
from bulkload.monitors.values import SWITCH_WORDS
from bulkload.operations.comparison import KINDS, NOT_COMPARED
from bulkload.readers.dataframe import RESULT_MARK
from bulkload.reports.result_cells import result_cells, result_header

TEXT = "string"  # dtype of texts, in which a missing value is <NA>
WHOLE = "Int64"  # of numbers
_DTYPES: Mapping[str, Any] = {
    **dict.fromkeys(RESULT_COLUMNS, TEXT),
    "status": pandas.CategoricalDtype([status.value for status in Status]),
    "attempts": WHOLE,
    "source_row": WHOLE,
}
ISSUE_COLUMNS = ("index", "column", "field", "code", "value", "message", "severity")


def text_frame(header: Sequence[str], rows: Iterable[Sequence[str]]) -> pandas.DataFrame:
    """A frame of the texts of cells; an empty one is None, and any value can take the place of one."""
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    cells = {
        index: pandas.Series([text or None for text in column], dtype=object) for index, column in enumerate(columns)
    }
    frame = pandas.DataFrame(cells)
    frame.columns = pandas.Index(list(header), dtype=object)
    return frame


def monitor_frame(header: Sequence[str], rows: Iterable[Sequence[str]]) -> pandas.DataFrame:
    """A frame of exported monitors: numbers and switches have dtypes of their own, everything else is text."""
    frame = text_frame(header, rows)
    for name in header:
        frame[name] = _typed(name, frame[name])
    return frame


def _typed(name: str, column: pandas.Series[Any]) -> pandas.Series[Any]:
    cell_type = FIELDS[name].cell_type if name in FIELDS and name != "monitor_id" else "text"
    if cell_type == "switch":
        switches = [None if text is None else SWITCH_WORDS.get(text, text) for text in column]
        return pandas.Series(switches, dtype=object if any(isinstance(each, str) for each in switches) else "boolean")
    if cell_type == "number" and all(text is None or (text.isdecimal() and len(text) < 18) for text in column):
        return pandas.Series([None if text is None else int(text) for text in column], dtype=WHOLE)
    return texts(column)


def with_results(
    own: pandas.DataFrame, header: Sequence[str], rows: Sequence[ReportRow | None], run_id: str
) -> pandas.DataFrame:
    """The caller's columns as they are, then the result columns. A row without a result (None) was empty.

    `header` are the names of the caller's columns as texts: they decide whether the result columns need a prefix.
    """
    empty: tuple[None, ...] = (None,) * len(RESULT_COLUMNS)
    values = [empty if row is None else result_cells(row, run_id) for row in rows]
    columns = list(zip(*values, strict=True)) or [()] * len(RESULT_COLUMNS)
    added = [
        pandas.Series([None if cell == "" else cell for cell in cells], dtype=_DTYPES[name])
        for name, cells in zip(RESULT_COLUMNS, columns, strict=True)
    ]
    frame = with_columns(own, dict(zip(result_header(header), added, strict=True)))
    frame.attrs[RESULT_MARK] = run_id
    return frame


def with_columns(own: pandas.DataFrame, added: Mapping[str, pandas.Series[Any]]) -> pandas.DataFrame:
    """Add columns at the end, by the position of their rows, also if a column has such a name already."""
    is_repeated = not frozenset(own.columns).isdisjoint(added)
    frame = own.set_flags(allows_duplicate_labels=True) if is_repeated else own.copy(deep=False)
    for name, column in added.items():
        frame.insert(frame.shape[1], name, column.array, allow_duplicates=is_repeated)
    return frame


def issue_frame(index: Iterable[Any], rows: Sequence[ReportRow | None]) -> pandas.DataFrame:
    """One line per issue, with the index of its row in the result's frame."""
    lines = [
        (label, issue.column, issue.field, issue.code, issue.value, issue.message, issue.severity)
        for label, row in zip(index, rows, strict=True)
        if row is not None and (row.issues or row.error)
        for issue in all_issues(row)
    ]
    return _issue_frame(lines)


def note_frame(code: str, notes: Sequence[str]) -> pandas.DataFrame:
    """The same for notes that belong to no row."""
    return _issue_frame([(None, None, None, code, "", note, "warning") for note in notes])


def _issue_frame(lines: Sequence[tuple[object, ...]]) -> pandas.DataFrame:
    frame = pandas.DataFrame(lines, columns=pandas.Index(ISSUE_COLUMNS))
    severities = pandas.CategoricalDtype(["error", "warning"])
    dtypes = dict.fromkeys(ISSUE_COLUMNS[1:-1], TEXT) | {"severity": severities}
    return frame.astype(dtypes)


def comparison_frame(lines: Sequence[tuple[object, str, str, str, str]]) -> pandas.DataFrame:
    """Lines of row, change, field, old and new."""
    rows, changes, fields, old, new = zip(*lines, strict=True) if lines else ((), (), (), (), ())
    return pandas.DataFrame(
        {
            "row": pandas.Series(rows, dtype=object),  # labels of two frames, and numbers of rows in files
            "change": pandas.Series(changes, dtype=pandas.CategoricalDtype([*KINDS, NOT_COMPARED])),
            "field": texts(fields),
            "old": texts(old),
            "new": texts(new),
        }
    )


def runs_frame(runs: Sequence[tuple[RunInfo, int | None]]) -> pandas.DataFrame:
    """One line per run, the newest first: what it was, its rows by status, and its exit code."""
    statuses = [status for status in Status if status not in (Status.WILL_CREATE, Status.WILL_UPDATE)]
    columns: dict[str, pandas.Series[Any]] = {
        "run_id": texts(info.run_id for info, _ in runs),
        "started": _moments(info.started for info, _ in runs),
        "finished": _moments(info.finished for info, _ in runs),
        "seconds": pandas.Series([info.seconds for info, _ in runs], dtype="float64"),
        "input": texts(info.input for info, _ in runs),
        "account": texts(info.account for info, _ in runs),
        "base_url": texts(info.base_url for info, _ in runs),
        "rows": pandas.Series([info.rows for info, _ in runs], dtype=WHOLE),
        **{
            status.value: pandas.Series([info.counts.get(status, 0) for info, _ in runs], dtype=WHOLE)
            for status in statuses
        },
        "exit_code": pandas.Series([code for _, code in runs], dtype=WHOLE),
        "stopped": texts(info.stopped for info, _ in runs),
    }
    return pandas.DataFrame(columns)


def texts(texts: Iterable[str | None]) -> pandas.Series[Any]:
    """A column of texts; an empty one is missing."""
    return pandas.Series([text or None for text in texts], dtype=TEXT)


def _moments(texts: Iterable[str]) -> pandas.Series[Any]:
    return pandas.to_datetime(pandas.Series([text or None for text in texts], dtype=object), utc=True)
