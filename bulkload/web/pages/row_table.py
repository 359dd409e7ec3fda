"""The table of rows, for a draft and for a run: one page of it, its filters, and the problems at the cells.

In: rows of the store, and the query of the address. Out: a `RowTable` for the templates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from bulkload.files.printable import printable
from bulkload.model import ACCOUNT_ISSUE, Issue, ReportRow, Status
from bulkload.monitors.header import column_letters
from bulkload.monitors.values import show
from bulkload.operations.draft_edits import can_accept
from bulkload.reports.palette import css_class
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import Kind as KindOfIssue
from bulkload.store.draft_records import KindKey, RowFilter, ShownRow
from bulkload.store.run_pages import RunPages
from bulkload.web.kind_texts import kind_text
from bulkload.web.pages.texts import bars_of
from bulkload.web.views import CellView, Fix, Kind, Pager, RowTable, RowView
from bulkload.web.wording import on_page

ROWS_OF_PAGE = 50
MOST_CELLS, FEWEST_ROWS = 5_000, 5  # of a page of a wide file
_STILL_OPEN = (Status.NOT_ATTEMPTED, Status.UNKNOWN)  # while the run goes on
_LONGEST_SEARCH = 200  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuery:
    """What of a table the address asks for."""

    path: str
    status: str = ""
    kind: str = ""
    search: str = ""
    page: int = 1
    rows: int = ROWS_OF_PAGE  # of a page
    edit: int = 0  # number of the row whose cells are all fields

    @classmethod
    def of(cls, path: str, query: Mapping[str, str]) -> TableQuery:
        """The query of an address; what cannot be read counts as missing."""
        return cls(
            path=path,
            status=query.get("status", ""),
            kind=query.get("kind", ""),
            search=query.get("q", "").strip()[:_LONGEST_SEARCH],
            page=_number(query.get("page", "")) or 1,
            edit=_number(query.get("edit", "")),
        )

    @property
    def kind_key(self) -> KindKey | None:
        """The kind of issue."""
        return kind_of(self.kind) if self.kind else None

    def link(self, **changed: object) -> str:
        """The address of the same table with another filter or page."""
        values = {"status": self.status, "kind": self.kind, "q": self.search, "page": 1} | changed
        query = {name: value for name, value in values.items() if value and (name, value) != ("page", 1)}
        return f"{self.path}?{urlencode(query)}" if query else self.path

    def pager(self, total: int) -> Pager:
        """The pager for a number of rows."""
        last = max(1, -(-total // self.rows))
        page = min(self.page, last)
        first_row = (page - 1) * self.rows + 1
        text = f"{first_row:,}–{min(total, first_row + self.rows - 1):,} of {total:,}" if total else "no rows"
        return Pager(
            text=text,
            first_href=self.link(page=1) if page > 1 else "",
            previous_href=self.link(page=page - 1) if page > 1 else "",
            next_href=self.link(page=page + 1) if page < last else "",
            last_href=self.link(page=last) if page < last else "",
        )

    def offset(self, total: int) -> int:
        """How many rows come before the page."""
        return (min(self.page, max(1, -(-total // self.rows))) - 1) * self.rows

    def for_columns(self, columns: int) -> TableQuery:
        """The same with fewer rows on a page if the file is wide."""
        return replace(self, rows=max(FEWEST_ROWS, min(ROWS_OF_PAGE, MOST_CELLS // max(1, columns))))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def kind_of(key: str) -> KindKey:
    """Code and column from the key of a kind."""
    code, _, column = key.partition(":")
    return code, column


def draft_table(
    rows: DraftPages, query: TableQuery, *, with_account: bool = False, fixed: Collection[int] = ()
) -> RowTable:
    """One page of a draft's rows, to be corrected or, `with_account`, to be compared with the account.

    Nobody can change the columns that are `fixed`.
    """
    header = rows.draft.header
    query = query.for_columns(len(header))
    wanted = RowFilter(status=query.status, kind=query.kind_key, search=query.search)
    total, counts = rows.count(wanted), rows.counts()
    names = _names(header)
    shown = rows.page(wanted, query.offset(total), query.rows)
    return RowTable(
        header=names,
        fixed=frozenset(fixed),
        rows=[_draft_row(row, query, fixed) for row in shown],
        statuses=bars_of(counts, lambda status: query.link(status=status, kind=""), query.status),
        kinds=() if with_account else [_kind(kind, names, query) for kind in rows.kinds()],
        search=query.search,
        clear_href=query.path if query.status or query.kind or query.search else "",
        pager=query.pager(total),
        action=query.path,
        hidden=[(name, value) for name, value in (("status", query.status), ("kind", query.kind)) if value],
        query=query.link(page=query.page).partition("?")[2],
        has_account=with_account or any(row.planned is not None for row in shown),
    )


def run_table(pages: RunPages, counts: Mapping[str, int], query: TableQuery) -> RowTable:
    """One page of a run's rows."""
    total, header = pages.count(), pages.run.header
    query = query.for_columns(len(header))
    place = {text or column_letters(index): index for index, text in reversed([*enumerate(header)])}
    return RowTable(
        header=_names(header),
        rows=[_run_row(row, place, is_active=pages.is_active) for row in pages.page(query.offset(total), query.rows)],
        statuses=bars_of(counts, lambda status: query.link(status=status), query.status),
        kinds=(),
        search=query.search,
        clear_href=query.path if query.status or query.search else "",
        pager=query.pager(total),
        action=query.path,
        hidden=[("status", query.status)] if query.status else [],
        has_monitors=True,
    )


def _names(header: Sequence[str]) -> list[str]:
    return [printable(text) or f"Column {column_letters(index)}" for index, text in enumerate(header)]


def _draft_row(row: ShownRow, query: TableQuery, fixed: Collection[int]) -> RowView:
    at_cells, whole = _by_cell(row.issues, {})
    cells = []
    for column, text in enumerate(row.cells):
        original = row.original[column] if row.original is not None else text
        shown = _cell(text, column, at_cells.get(column, ()), original if original != text else None)
        cells.append(replace(shown, is_fixed=column in fixed))
    return RowView(
        number=row.number,
        css=css_class(row.status),
        status=row.status,
        cells=cells,
        messages=[*([on_page(row.error)] if row.error else []), *(on_page(issue.message) for issue in whole)],
        has_error=bool(row.error) or any(issue.severity == "error" for issue in row.issues),
        account=on_page(_account(row)),
        is_left_out=row.left_out,
        is_edited=row.original is not None,
        can_accept=can_accept(row.issues, row.cells),
        is_open=row.number == query.edit,
        edit_href=query.link(page=query.page, edit=row.number),
    )


def _account(row: ShownRow) -> str:
    if row.planned is None:
        return ""
    if row.planned == "will create":
        return "new" if not row.planned_error else f"new. {row.planned_error}"
    text = f"monitor {row.planned_id}" if row.planned_id else ""
    return ". ".join(part for part in (text, row.planned_error) if part)


def _run_row(row: ReportRow, place: Mapping[str, int], *, is_active: bool) -> RowView:
    at_cells, whole = _by_cell(row.issues, place)
    said = {issue.message for issues in at_cells.values() for issue in issues} | {issue.message for issue in whole}
    messages = [on_page(issue.message) for issue in whole]
    if row.error and row.error not in said and not all(message in row.error for message in said if said):
        messages = [on_page(row.error), *(message for message in messages if message not in row.error)]
    elif row.error and not said:
        messages = [on_page(row.error)]
    return RowView(
        number=row.source_row,
        css=css_class(row.status),
        status=row.status.value.replace("_", " "),
        cells=[_cell(text, column, at_cells.get(column, ()), None) for column, text in enumerate(row.cells)],
        messages=messages,
        has_error=bool(row.status.next_step),
        monitor_id=printable(row.id_to_keep),
        next_step="" if is_active and row.status in _STILL_OPEN else row.status.next_step,
    )


def _by_cell(issues: Iterable[Issue], place: Mapping[str, int]) -> tuple[dict[int, list[Issue]], list[Issue]]:
    """The issues by column, and those of the whole row; `place` has the columns of issues without an index."""
    at_cells: dict[int, list[Issue]] = {}
    whole = []
    for issue in issues:
        index = issue.index if issue.index is not None else place.get(issue.column or "")
        if index is not None and not issue.code.startswith(ACCOUNT_ISSUE):
            at_cells.setdefault(index, []).append(issue)
        else:
            whole.append(issue)
    return at_cells, whole


def _cell(text: str, column: int, issues: Sequence[Issue], original: str | None) -> CellView:
    severity = "error" if any(issue.severity == "error" for issue in issues) else "warning" if issues else ""
    suggestions = dict.fromkeys(issue.suggestion for issue in issues if issue.suggestion)
    return CellView(
        text=printable(text),
        column=column,
        severity=severity,
        messages=[on_page(issue.message) for issue in issues],
        fixes=[Fix(label=f"Use {printable(show(value))}", value=value) for value in suggestions],
        original=printable(original) if original is not None else None,
    )


def _kind(kind: KindOfIssue, names: Sequence[str], query: TableQuery) -> Kind:
    key = ":".join(kind.key)
    label = ""
    if kind.rows > 1 and kind.suggestions:
        of_all = f" of {kind.rows:,}" if kind.suggestions < kind.rows else ""
        label = f"Use the suggestion in {kind.suggestions:,}{of_all} rows"
    return Kind(
        text=kind_text(kind.first) if kind.rows > 1 else on_page(kind.first.message),
        column=names[kind.column] if kind.column is not None else "",
        rows=f"{kind.rows:,}",
        severity=kind.severity,
        href=query.link(kind="" if key == query.kind else key, status=""),
        is_chosen=key == query.kind,
        key=key,
        fix_label=label,
        can_set=kind.column is not None,
        can_accept=can_accept((kind.first,), ()),
    )
