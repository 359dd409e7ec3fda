"""Make a draft of an uploaded file or of a run's bad rows, choose its columns, and hand it to a run.

In: a file in the folder of uploads, or a run. Out: a draft in the store, whose rows are checked as soon as its columns
are clear; and an `Input` of its rows, as people corrected them, for the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from bulkload.errors import BulkloadError, UsageError
from bulkload.migration.tools.registry import READERS
from bulkload.model import Input, Issue, RawRow, Source, Status
from bulkload.monitors.columns import ColumnProblem, ProposedColumn, column_problems, propose_columns
from bulkload.monitors.header import column_letters, is_header
from bulkload.operations.draft_check import OnRows, check_draft, checked_by, ignore_rows
from bulkload.readers.opening import open_source
from bulkload.settings import Options
from bulkload.store.draft_rows import DraftRows, RowFilter
from bulkload.store.drafts import Draft, DraftChanged, Drafts, DraftSource, DraftState
from bulkload.store.runs import Run, Store

UPLOADS = "uploads"  # folder beside the store
BATCH = 1000  # rows a transaction
TO_FIX = (Status.INVALID, Status.DUPLICATE, Status.REJECTED)
_MAY_COME_LATER = ("type", "name")  # a header without these is one, because a person can still add them
_CONFIGURATIONS = frozenset({".json", ".yaml", ".yml", ".xml"})  # never a spreadsheet without a known header
_MAX_LISTED = 20  # row numbers in a note


def read_draft(store: Store, draft: Draft, options: Options, on_rows: OnRows = ignore_rows) -> None:
    """Read the file of a draft into the store, and check its rows if the columns are clear.

    If the file cannot be read, the draft says why. May take long: a file can have a million rows. What `on_rows`
    raises ends the reading, which then has to begin again. Raises `DraftChanged` if the draft is deleted, or is to be
    read in another way by now.
    """
    drafts = Drafts(store)
    path = options.output / UPLOADS / draft.upload
    try:
        source = _read_rows(store, draft, path, options, on_rows)
    except DraftChanged:
        raise
    except BulkloadError as error:
        drafts.set_problem(draft, str(error).replace(str(path), draft.name).replace(path.name, draft.name))
        return
    if problem := _why_no_rows(draft, source, DraftRows(store, draft).count(RowFilter())):
        drafts.set_problem(draft, problem)
        return
    drafts.set_source(draft, source)
    if draft.reading.get("no_header") and not source.has_known_header:
        make_header_a_row(store, drafts.get(draft.id))
    _check_if_clear(store, drafts.get(draft.id), on_rows=on_rows)


def _why_no_rows(draft: Draft, source: DraftSource, rows: int) -> str:
    """Why a file that was read has nothing to check; empty if it has."""
    if not source.has_known_header:
        is_configuration = Path(draft.name).suffix.lower() in _CONFIGURATIONS and not draft.reading.get("no_header")
        if not is_configuration:
            return ""
        tools = ", ".join(sorted(reader.TITLE for reader in READERS))
        return f"{draft.name}: this is no list of monitors and no configuration of a supported tool: {tools}."
    if rows:
        return ""
    if source.translated is None:
        return " ".join([f"{draft.name}: there is no row below the header; at least one is needed.", *source.notes])
    return " ".join([f"{draft.name}: nothing in this file becomes a row.", *source.notes])


def _check_if_clear(store: Store, draft: Draft, *, was_chosen: bool = False, on_rows: OnRows = ignore_rows) -> None:
    """Check the rows of a draft that was just read if its columns are clear, else leave the choice to a person."""
    drafts, fields = Drafts(store), proposed_fields(store, draft)
    if problems_of(draft, fields, draft.defaults, was_chosen=was_chosen):
        drafts.set_unclear(draft)
    else:
        drafts.set_columns(draft, fields, draft.defaults)
        check_draft(store, drafts.get(draft.id), on_rows)


def _read_rows(store: Store, draft: Draft, path: Path, options: Options, on_rows: OnRows) -> DraftSource:
    is_known_header = partial(is_header, given=_MAY_COME_LATER, mapping=options.map)
    rows, count = DraftRows(store, draft), 0
    with open_source(
        path,
        sheet=draft.reading.get("sheet"),
        encoding=draft.reading.get("encoding"),
        is_header=is_known_header,
        skip_hidden=options.skip_hidden,
        tool=options.from_,
        skip_private=options.skip_private,
    ) as opened:
        while batch := list(islice(opened.rows, BATCH)):
            rows.add(batch)
            count += len(batch)
            on_rows("read", count)
    return DraftSource(
        format=opened.format,
        header=opened.header,
        details=opened.details,
        notes=opened.notes,
        sheets=opened.sheets,
        not_whole=opened.not_whole,
        translated=opened.translated,
        header_doubts=opened.header_doubts,
        has_known_header=opened.translated is not None or is_known_header(opened.header),
    )


def proposals_of(draft: Draft) -> list[ProposedColumn]:
    """What the header says about each column."""
    return propose_columns(draft.header, doubts=draft.source.header_doubts if draft.source is not None else None)


def proposed_fields(store: Store, draft: Draft) -> tuple[str | None, ...]:
    """The field of each column: as chosen, or as a person chose it for an equal header, or by its name."""
    if draft.fields is not None:
        return draft.fields
    chosen = Drafts(store).chosen_fields(draft.header)
    return chosen[0] if chosen is not None else tuple(column.field for column in proposals_of(draft))


def problems_of(
    draft: Draft, fields: Sequence[str | None], defaults: Mapping[str, str], *, was_chosen: bool = False
) -> list[ColumnProblem]:
    """What has to be chosen or corrected before the rows can be checked; `was_chosen`: a person chose every column."""
    filled = {field: text for field, text in defaults.items() if text.strip()}
    problems = list(column_problems(draft.header, fields, given=tuple(filled)))
    if was_chosen or problems:
        return problems
    return [
        ColumnProblem(index=column.index, text=column.hint)
        for column in proposals_of(draft)
        if column.needs_choice and fields[column.index] is None
    ]


def choose_columns(
    store: Store, draft: Draft, fields: Sequence[str | None], defaults: Mapping[str, str]
) -> list[ColumnProblem]:
    """Use the columns and values that a person chose, and check the rows; returns what is wrong with the choice."""
    filled = {field: text.strip() for field, text in defaults.items() if text.strip()}
    if problems := problems_of(draft, fields, filled, was_chosen=True):
        return problems
    checked_by(replace(draft, fields=tuple(fields), defaults=filled), ())  # raises UsageError for a bad value
    drafts = Drafts(store)
    drafts.set_columns(draft, fields, filled)
    if tuple(fields) != tuple(column.field for column in proposals_of(draft)):
        drafts.remember_fields(draft.header, fields)
    check_draft(store, drafts.get(draft.id))
    return []


def make_header_a_row(store: Store, draft: Draft) -> None:
    """Treat the text that was taken as the header as the first row; the columns get letters as names."""
    source = draft.source
    if source is None or source.has_known_header:
        raise UsageError("The file has a header.")
    first = next(iter(DraftRows(store, draft).raw()), None)
    above = (first.number if first is not None else 2) - 1
    header = tuple(f"Column {column_letters(index)}" for index in range(len(source.header)))
    DraftRows(store, draft).add([RawRow(number=above, cells=source.header)])
    drafts = Drafts(store)
    drafts.set_source(draft, replace(source, header=header, has_known_header=True, header_doubts={}))
    if draft.state is not DraftState.READING:
        drafts.set_unclear(drafts.get(draft.id))


def draft_of_run(store: Store, run: Run, user: str) -> Draft:
    """A new draft of the rows of a run that have to be fixed. Raises `UsageError` if there are none."""
    drafts, earlier = Drafts(store), Drafts(store).of_run(run.id)
    info = store.info(run)
    draft = drafts.create(
        run.input,
        "",
        user=user,
        defaults=earlier.defaults if earlier is not None else {},
        is_rehearsal=run.base_url == "sandbox",
        on_existing=info.settings.get("on_existing", "skip"),
    )
    rows = DraftRows(store, draft)
    to_fix = (
        RawRow(number=row.source_row, cells=row.cells, issues=_words_of_the_api(run, row.error, row.status))
        for row in store.report_rows(run)
        if row.status in TO_FIX
    )
    count = 0
    while batch := list(islice(to_fix, BATCH)):
        rows.add(batch)
        count += len(batch)
    if not count:
        drafts.delete(draft)
        raise UsageError(f"Run {run.id} has no row to fix.")
    details = {"format": f"rows to fix of run {run.id}"}
    drafts.set_source(draft, DraftSource(format=details["format"], header=run.header))
    draft = drafts.get(draft.id)
    if earlier is not None and earlier.header == run.header:
        draft = replace(draft, fields=earlier.fields)
    _check_if_clear(store, draft, was_chosen=earlier is not None)
    return drafts.get(draft.id)


def _words_of_the_api(run: Run, error: str, status: Status) -> tuple[Issue, ...]:
    if status is not Status.REJECTED:
        return ()
    message = f"In run {run.id}, the API rejected this row: {error}"
    return (Issue(code="row.rejected", message=message, severity="warning"),)


def draft_input(store: Store, draft_id: str, *, version: int | None = None) -> Input:
    """The rows of a draft as people corrected them, for the pipeline.

    Raises `UsageError`, also as it is opened, if the draft is no longer in the version that a person saw.
    """
    draft = Drafts(store).get(draft_id)
    _check_version(draft, draft.version if version is None else version)
    if draft.state is not DraftState.CHECKED or draft.source is None:
        raise UsageError("The draft's columns are not chosen yet.")
    return Input(path=Path(draft.name), name=draft.name, open=partial(_open, store, draft, draft.source))


def _check_version(draft: Draft, version: int) -> None:
    if draft.version != version:
        raise UsageError("The rows were changed in the meantime, so nothing was sent. Look at them, and start again.")


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


def note_run(store: Store, draft_id: str, run: Run, version: int | None = None) -> None:
    """Record the run that was made of a draft, in the version that a person saw."""
    draft = Drafts(store).get(draft_id)
    Drafts(store).set_run(draft, run.id, draft.version if version is None else version)


@contextmanager
def _open(store: Store, draft: Draft, read: DraftSource) -> Iterator[Source]:
    """Open the rows as they are at this moment: edits while they are read are not in the run."""
    with Store(store.path.parent) as snapshot, snapshot.snapshot():
        _check_version(Drafts(snapshot).get(draft.id), draft.version)
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
