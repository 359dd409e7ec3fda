"""Show a run in a notebook: its outcome as a bar, its counts, and the first rows that need something.

In: a `RunInfo`, one sentence about it, and its rows, read until enough are found. Out: a piece of HTML with its own
style, for a page that is light or dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from bulkload.files.printable import printable
from bulkload.model import ReportRow, RunInfo, why_not_done
from bulkload.reports.chart import CHART_WIDTH
from bulkload.reports.html_page import bars, templates
from bulkload.reports.summary import TO_FIX, TO_REPEAT

FIRST_ROWS = 5


def notebook_card(
    run: RunInfo, summary: str, notes: Sequence[str], rows: Iterable[ReportRow], label: Callable[[ReportRow], str]
) -> str:
    """The card; `label` is how its reader knows a row."""
    left = TO_FIX + TO_REPEAT
    to_do = (
        (printable(label(row)), row.status.value, printable(column or ""), printable(message))
        for row in rows
        if row.status in left
        for column, message in (why_not_done(row),)
    )
    return (
        templates()
        .get_template("card.html")
        .render(
            summary=printable(summary),
            notes=[printable(note) for note in notes],
            run_id=run.run_id,
            bars=bars(run) if run.rows else [],
            chart_width=CHART_WIDTH,
            rows=list(islice(to_do, FIRST_ROWS)),
            more=max(0, sum(run.counts.get(status, 0) for status in left) - FIRST_ROWS),
        )
    )
