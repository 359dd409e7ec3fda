"""Read an uploaded file into a draft, and hand its rows to a run as people corrected them.

In: a file in the folder of uploads. Out: a draft in the store, whose rows are checked as soon as its columns are clear;
and an `Input` of its rows for the pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from bulkload.errors import BulkloadError, UsageError
from bulkload.model import Input, Source
from bulkload.monitors.header import is_header
from bulkload.operations.draft_check import OnRows, ignore_rows
from bulkload.operations.draft_columns import HEADER_ROW, NO_HEADER, use_clear_columns
from bulkload.operations.draft_upload import READING, opened_upload
from bulkload.readers.opening import open_source
from bulkload.readers.secret_cells import without_secrets
from bulkload.readers.table import IsHeader
from bulkload.settings import Options
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft, DraftChanged, Drafts, DraftSource, DraftState
from bulkload.store.runs import Store

BATCH = 1000  # rows a transaction
_MAY_COME_LATER = ("type", "name")  # a header without these is one, because a person can still add them
_FOLDER = re.compile(rf"\S*{READING}\w+/")  # in which the upload is read; nobody has to know it
_MOST_DIGITS = 7  # of the number of a row
_MAX_LISTED = 20  # row numbers in a note
_CHANGED = "The rows were changed in the meantime, so nothing was sent. Look at them, and start again."


def read_draft(store: Store, draft: Draft, options: Options, on_rows: OnRows = ignore_rows) -> None:
    """Read the file of a draft into the store, and check its rows if the columns are clear.

    If the file cannot be read, the draft says why. May take long: a file can have a million rows. What `on_rows`
    raises ends the reading, which then has to begin again. Nothing is done if the draft is deleted meanwhile, or read
    once more.
    """
    try:
        try:
            with opened_upload(draft, options) as path:
                source = _read_rows(store, draft, path, options, on_rows)
        except DraftChanged:
            raise
        except BulkloadError as error:
            Drafts(store).set_problem(draft, _FOLDER.sub("", str(error)))
            return
        if problem := _why_no_rows(draft, source, has_rows=bool(DraftRows(store, draft).samples(1))):
            Drafts(store).set_problem(draft, problem)
            return
        Drafts(store).set_source(draft, source)
        use_clear_columns(store, Drafts(store).get(draft.id), on_rows)
    except DraftChanged:
        return


def _why_no_rows(draft: Draft, source: DraftSource, *, has_rows: bool) -> str:
    """Why a file that was read has nothing to check; empty if it has."""
    if has_rows or not source.has_known_header:
        return ""
    if source.translated is None:
        return " ".join([f"{draft.name}: there is no row below the header; at least one is needed.", *source.notes])
    return " ".join([f"{draft.name}: nothing in this file becomes a row.", *source.notes])


def _read_rows(store: Store, draft: Draft, path: Path, options: Options, on_rows: OnRows) -> DraftSource:
    """Read the rows below the header that `check` would find; without one, below what a person may make one."""
    is_known: IsHeader = partial(is_header, given=tuple(options.set), mapping=options.map)
    may_be: IsHeader = partial(is_header, given=(*options.set, *_MAY_COME_LATER), mapping=options.map)
    headerless = NO_HEADER in draft.reading
    header_row = header_row_of(draft.reading[HEADER_ROW]) if HEADER_ROW in draft.reading else options.header_row
    open_upload = partial(
        open_source,
        path,
        sheet=draft.reading.get("sheet"),
        encoding=draft.reading.get("encoding") or options.encoding,
        skip_hidden=options.skip_hidden,
        tool=options.from_,
        skip_private=options.skip_private,
        header_row=None if headerless else header_row,
    )
    with open_upload(is_header=is_known, headerless=headerless) as source:
        opened = without_secrets(source, options.map)
        if headerless or opened.translated is not None or is_known(opened.header):
            _add_rows(store, draft, opened, on_rows)
            return _source_of(opened, options, has_known_header=is_known(opened.header))
    with open_upload(is_header=may_be) as source:
        opened = without_secrets(source, options.map)
        _add_rows(store, draft, opened, on_rows)
        return _source_of(opened, options, has_known_header=False)


def header_row_of(text: str) -> int:
    """The number of a row that a person entered. Raises `ValueError`."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0
    if number < 1:
        raise ValueError(text)
    return number


def _add_rows(store: Store, draft: Draft, opened: Source, on_rows: OnRows) -> None:
    rows, count = DraftRows(store, draft), 0
    while batch := list(islice(opened.rows, BATCH)):
        rows.add(batch)
        count += len(batch)
        on_rows("read", count)


def _source_of(opened: Source, options: Options, *, has_known_header: bool) -> DraftSource:
    return DraftSource(
        format=opened.format,
        header=opened.header,
        details=opened.shown_details,
        notes=opened.notes,
        sheets=opened.sheets,
        not_whole=opened.not_whole,
        translated=opened.translated,
        header_doubts=opened.header_doubts,
        mapping=options.map,
        has_known_header=has_known_header or opened.translated is not None,
    )


def draft_input(store: Store, draft_id: str, *, version: int | None = None) -> Input:
    """The rows of a draft as people corrected them, for the pipeline.

    Raises `UsageError`, also as it is opened, if the draft is no longer in the version that a person saw.
    """
    draft = Drafts(store).get(draft_id)
    if version is not None and draft.version != version:
        raise UsageError(_CHANGED)
    if draft.state is not DraftState.CHECKED or draft.source is None:
        raise UsageError("The draft's columns are not chosen yet.")
    return Input(path=Path(draft.name), name=draft.name, open=partial(_open, store, draft, draft.source))


def draft_options(draft: Draft, options: Options) -> Options:
    """The options for a draft: where its rows go, and the values for empty cells; its columns are chosen already."""
    own = {
        "set": dict(draft.defaults),
        "map": {},
        "ignore_unknown": True,
        "sheet": None,
        "sandbox": draft.is_rehearsal or options.sandbox,
        "on_existing": draft.on_existing,
        "trust_list": draft.trust_list or options.trust_list,
        "create_lookalikes": draft.create_lookalikes or options.create_lookalikes,
    }
    return options.model_copy(update=own)


@contextmanager
def _open(store: Store, draft: Draft, read: DraftSource) -> Iterator[Source]:
    """Open the rows as they are at this moment: edits while they are read are not in the run."""
    with Store(store.path.parent) as snapshot, snapshot.snapshot():
        if Drafts(snapshot).version(draft) != draft.version:
            raise UsageError(_CHANGED)
        rows = DraftRows(snapshot, draft)
        yield Source(
            path=Path(draft.name),
            name=draft.name,
            format=read.format,
            header=read.header,
            rows=rows.raw(),
            details=read.details,
            notes=(*read.notes, *_changes_by_people(rows)),
            not_whole=read.not_whole,
            translated=read.translated,
            header_doubts=read.header_doubts,
            fields=draft.fields,
        )


def _changes_by_people(rows: DraftRows) -> Iterator[str]:
    """Yield sentences about what the results have that the file has not, and the other way round."""
    changed, first_changed, left_out, first_left_out = rows.changed_numbers(_MAX_LISTED)
    for count, numbers, what in ((changed, first_changed, "corrected"), (left_out, first_left_out, "left out")):
        if count:
            subject, noun = ("1 row was", "row") if count == 1 else (f"{count:,} rows were", "rows")
            listed = ", ".join(map(str, numbers)) + (" …" if count > len(numbers) else "")
            yield f"{subject} {what} on the upload page: {noun} {listed}."
