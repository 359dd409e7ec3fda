"""Make a draft of the rows of a run that have to be fixed.

In: a run. Out: a draft of its invalid, duplicate and rejected rows, with the columns and values of the run, what the
reader found about them, and the words of the API. Each row still names the monitor that it named in the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.model import Issue, RawRow, ReportRow, Status
from bulkload.monitors.columns import map_columns, propose_columns
from bulkload.monitors.header import column_letters
from bulkload.operations.draft_columns import defaults_by_field, use_clear_columns
from bulkload.operations.pipeline import SANDBOX
from bulkload.reports.summary import TO_FIX
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import RowFilter
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft, Drafts, DraftSource
from bulkload.store.runs import Run, Store

BATCH = 1000  # rows a transaction
_MONITOR_ID = "monitor_id"  # a field, and the name of a column for it
_FOUND_BY_READER = ("cell.", "row.")  # prefixes of codes
_REJECTED, _REPEATED = "row.rejected", "row.repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The columns of the draft: those of the run, and one for the monitor IDs if none has them."""

    header: tuple[str, ...]
    fields: tuple[str | None, ...]
    is_chosen: bool  # by a person; otherwise, the columns have these names
    id_column: int | None

    def cells(self, row: ReportRow) -> tuple[str, ...]:
        """The cells of a row; the ID that the row named in the run goes before the user's own."""
        cells = [*row.cells, *[""] * (len(self.header) - len(row.cells))]
        if self.id_column is not None and row.named:
            cells[self.id_column] = row.named
        return tuple(cells)

    def index_of(self, issue: Issue) -> int | None:
        """The column of an issue; None if it is not certain."""
        if issue.field in self.fields and issue.field is not None:
            return self.fields.index(issue.field)
        names = [name or column_letters(index) for index, name in enumerate(self.header)]
        return names.index(issue.column) if issue.column is not None and names.count(issue.column) == 1 else None


def known_draft_of_run(store: Store, run: Run) -> Draft | None:
    """The draft that has the rows to fix of a run already; None if there is none, or if more rows failed since.

    Two drafts of the same row would be corrected in two ways, and make two monitors of it.
    """
    counts = store.counts(run)
    to_fix = sum(counts.get(status, 0) for status in TO_FIX)
    for draft in Drafts(store).list():
        if draft.source is not None and draft.source.format == _format(run) and not draft.upload:
            return draft if DraftPages(store, draft).count(RowFilter()) == to_fix else None
    return None


def draft_of_run(store: Store, run: Run, user: str) -> Draft:
    """A new draft of the rows of a run that have to be fixed. Raises `UsageError` if there are none."""
    if not any(store.counts(run).get(status) for status in TO_FIX):
        raise UsageError(f"Run {run.id} has no row to fix.")
    drafts, settings = Drafts(store), store.info(run).settings
    draft = drafts.create(
        Path(run.input).name or run.input,
        "",
        user=user,
        defaults=defaults_by_field(_mapping(settings, "set")),
        is_rehearsal=run.base_url == SANDBOX,
        on_existing=settings.get("on_existing", "skip"),
    )
    columns = _columns(store, run)
    rows, to_fix = DraftRows(store, draft), _rows_to_fix(store, run)
    while batch := [_raw_row(run, row, columns) for row in islice(to_fix, BATCH)]:
        rows.add(batch)
    source = DraftSource(format=_format(run), header=columns.header, mapping=_mapping(settings, "map"))
    drafts.set_source(draft, source)
    draft = drafts.get(draft.id)
    if columns.is_chosen:
        drafts.set_columns(draft, columns.fields, draft.defaults)
    use_clear_columns(store, drafts.get(draft.id))
    return drafts.get(draft.id)


def _format(run: Run) -> str:
    return f"rows to fix of run {run.id}"


def _rows_to_fix(store: Store, run: Run) -> Iterator[ReportRow]:
    return (row for row in store.report_rows(run) if row.status in TO_FIX)


def _mapping(settings: Mapping[str, str], name: str) -> dict[str, str]:
    """A setting of the run that is a mapping, such as --set."""
    values: dict[str, str] = json.loads(settings.get(name, "{}"))
    return values


def _columns(store: Store, run: Run) -> _Columns:
    chosen, header = _chosen_fields(store, run), run.header
    by_name = propose_columns(header, mapping=_mapping(store.info(run).settings, "map"))
    fields = tuple(column.field for column in by_name) if chosen is None else chosen
    id_column = fields.index(_MONITOR_ID) if _MONITOR_ID in fields else None
    if id_column is None and any(row.named for row in _rows_to_fix(store, run)):
        id_column = len(header)
        header, fields = (*header, _MONITOR_ID), (*fields, _MONITOR_ID)
    return _Columns(header=header, fields=fields, is_chosen=chosen is not None, id_column=id_column)


def _chosen_fields(store: Store, run: Run) -> tuple[str | None, ...] | None:
    """The fields of the run's columns in the draft of which it was made; None if there is no such draft."""
    draft = Drafts(store).of_run(run.id)
    if draft is None or draft.fields is None:
        return None
    mapping = map_columns(draft.header, draft.fields, given=tuple(draft.defaults))
    header = tuple(draft.header[index] for index in mapping.user_columns)
    return tuple(draft.fields[index] for index in mapping.user_columns) if header == run.header else None


def _raw_row(run: Run, row: ReportRow, columns: _Columns) -> RawRow:
    return RawRow(
        number=row.source_row,
        cells=columns.cells(row),
        issues=(*_words_of_the_run(run, row), *_findings(row, columns)),
    )


def _words_of_the_run(run: Run, row: ReportRow) -> Iterator[Issue]:
    """What the rows alone do not tell: the answer of the API, and which row of the run this one repeats."""
    if row.status is Status.REJECTED:
        message = f"In run {run.id}, the API rejected this row: {row.error}"
        yield Issue(code=_REJECTED, message=message, severity="warning")
    elif row.status is Status.DUPLICATE:
        yield Issue(code=_REPEATED, message=f"In run {run.id}: {row.error}", severity="warning")


def _findings(row: ReportRow, columns: _Columns) -> Iterator[Issue]:
    """What the reader found about a row, or about its cells; one whose column is not certain is about the row."""
    for issue in row.issues:
        if not issue.code.startswith(_FOUND_BY_READER) or issue.code in (_REJECTED, _REPEATED):
            continue
        if issue.code.startswith("cell."):  # a warning only because its column was not sent
            issue = replace(issue, severity="error")
        if issue.column is None or (index := columns.index_of(issue)) is None:
            yield replace(issue, column=None, field=None)
        else:
            yield replace(issue, index=index, column=columns.header[index] or column_letters(index))
