"""Write the rows of a draft as a workbook with the errors marked, to be corrected elsewhere and brought back.

In: a draft whose rows are checked. Out: the file that `check --results` would write of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bulkload import clock
from bulkload.model import ReportRow, RunInfo, Status, errors_of, in_order
from bulkload.monitors.columns import map_columns
from bulkload.reports import formats
from bulkload.store.draft_rows import IGNORED, LEFT_OUT, READY, DraftRows, ShownRow
from bulkload.store.drafts import Draft
from bulkload.store.runs import Store, new_run_id

BATCH = 500  # rows fetched at a time
_STATUS = {READY: Status.WILL_CREATE, LEFT_OUT: Status.NOT_ATTEMPTED, IGNORED: Status.NOT_ATTEMPTED}


def write_marked(store: Store, draft: Draft, path: Path) -> None:
    """Write the marked workbook; rows that are left out are in it as `not_attempted`."""
    rows, now = DraftRows(store, draft), time.time()
    mapping = map_columns(draft.header, draft.fields or (), given=tuple(draft.defaults))
    counts: Counter[Status] = Counter()
    for shown, count in rows.counts().items():
        counts[_status(shown)] += count
    info = RunInfo(
        run_id=new_run_id(now),
        input=draft.name,
        header=tuple(draft.header[index] for index in mapping.user_columns),
        started=clock.utc(now),
        counts=in_order(counts),
        details={"format": draft.source.format, **draft.source.details} if draft.source is not None else {},
    )

    def report_rows() -> Iterator[ReportRow]:
        after = -1
        while batch := rows.after(after, BATCH):
            after = batch[-1].number
            for row in batch:
                yield _report_row(row, mapping.user_columns)

    formats.write(path, info, report_rows())


def _report_row(row: ShownRow, user_columns: tuple[int, ...]) -> ReportRow:
    error, error_columns = errors_of(row.issues)
    return ReportRow(
        source_row=row.number,
        cells=tuple(row.cells[index] for index in user_columns),
        status=_status(row.status),
        monitor_id=row.planned_id,
        error=" ".join(filter(None, (error or row.error, row.planned_error))),
        error_columns=error_columns,
        issues=row.issues,
    )


def _status(shown: str) -> Status:
    return _STATUS[shown] if shown in _STATUS else Status(shown)
