"""What the heading of a draft's pages says: its file, how it was read, how many rows are ready.

In: a draft in the store. Out: views for the templates.
"""

from __future__ import annotations

from dataclasses import replace

from bulkload.files.printable import printable
from bulkload.operations.draft_columns import HEADER_ROW, proposals_of
from bulkload.reports.summary import number_of
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import IGNORED, LEFT_OUT
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft
from bulkload.store.runs import Store
from bulkload.web.views import Choice, DraftView, ReadingView
from bulkload.web.wording import on_page

BAD = ("invalid", "duplicate")
_WITHOUT_HEADER_ROW = ("json", "jsonl", "yaml", "parquet")
_SHOWN_DETAILS = ("encoding", "delimiter", "sheet", "other sheets")


def view_of(store: Store, draft: Draft, step: str) -> DraftView:
    """A draft for the heading of its pages."""
    counts, (edits, last_edit) = DraftPages(store, draft).counts(), DraftRows(store, draft).edits()
    bad = sum(counts.get(status, 0) for status in BAD)
    out = counts.get(LEFT_OUT, 0) + counts.get(IGNORED, 0)
    total = sum(counts.values())
    view, notes = view_of_unread(draft), list[str]()
    if draft.fields is not None and draft.fields != tuple(column.field for column in proposals_of(draft)):
        notes.append("What the columns mean was chosen by a person, not found by their names; see Columns.")
    translated = draft.source.translated if draft.source is not None else None
    if translated is not None:
        notes.append(
            f"{number_of(translated.objects, 'object')} of another tool's configuration: {translated.rows:,} became"
            f" rows, {translated.skipped:,} were skipped, {translated.errors:,} could not be translated."
        )
        notes.extend(translated.missing)
    return replace(
        view,
        notes=[*view.notes, *map(on_page, notes)],
        rows=f"{total:,}",
        ready=total - bad - out,
        bad=bad,
        left_out=counts.get(LEFT_OUT, 0),
        edits=edits,
        last_edit=printable(last_edit),
        step=step,
        converted_href=f"/drafts/{draft.id}/converted.xlsx" if translated is not None and draft.upload else "",
    )


def view_of_unread(draft: Draft) -> DraftView:
    """A draft that has no rows yet."""
    return DraftView(
        href=f"/drafts/{draft.id}",
        name=printable(draft.name),
        version=draft.version,
        read_as=_read_as(draft),
        notes=[on_page(note) for note in _notes(draft)],
        rows="0",
        ready=0,
        bad=0,
        left_out=0,
        edits=0,
        last_edit="",
        step="columns",
    )


def _read_as(draft: Draft) -> str:
    source = draft.source
    if source is None:
        return ""
    return printable(", ".join([source.format, *(source.details[n] for n in _SHOWN_DETAILS if n in source.details)]))


def _notes(draft: Draft) -> list[str]:
    """What the reader says about the file."""
    source = draft.source
    if source is None:
        return []
    return [*source.notes, *([f"There may be more rows: {source.not_whole}."] if source.not_whole else [])]


def reading_view(draft: Draft) -> ReadingView:
    """How the file was read."""
    source = draft.source
    sheet = draft.reading.get("sheet", source.details.get("sheet", "") if source is not None else "")
    names = list(dict.fromkeys([*([sheet] if sheet else []), *(source.sheets if source is not None else ())]))
    is_text = source is None or source.format == "csv"
    return ReadingView(
        sheets=[Choice(value=name, label=printable(name), is_chosen=name == sheet) for name in names]
        if len(names) > 1
        else (),
        encoding=draft.reading.get("encoding", ""),
        has_encoding=is_text and bool(draft.upload),
        header_row=draft.reading.get(HEADER_ROW, ""),
        has_header_row=bool(draft.upload) and (source is None or source.format not in _WITHOUT_HEADER_ROW),
    )
