"""Intake: read a file, map its columns, check its rows, and store them in order.

In: an `Input` and the options about its columns. Out: a run whose rows are all in the store, bad ones with every issue.
Rows are streamed in batches; the file is not needed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bulkload.errors import InputError
from bulkload.model import HEADER, NOT_WHOLE, Input, Issue, RawRow, Source, State, Status, Translated, errors_of
from bulkload.monitors.columns import map_columns
from bulkload.monitors.header import ColumnMapping, column_letters, is_header, map_header
from bulkload.monitors.result_columns import normalise
from bulkload.monitors.validate import Invalid, Valid, Validator
from bulkload.readers.encoding import ISSUE_CODE as ENCODING_ISSUE
from bulkload.readers.encoding import replace_non_ascii
from bulkload.readers.opening import open_source
from bulkload.readers.secret_cells import without_secrets
from bulkload.settings import Options
from bulkload.stages.duplicates import DuplicateFinder
from bulkload.stages.example_rows import Examples, without_examples
from bulkload.stages.fingerprint import fingerprint_of
from bulkload.stages.row_templates import RowTemplates
from bulkload.stages.zero_rows import ZeroRows, is_zero_row
from bulkload.store.row_records import NewRow
from bulkload.store.runs import Run, Store
from bulkload.store.shared_rows import begin_with_same_rows
from bulkload.store.stored_rows import to_json

REMOVED_EARLIER = "Removed earlier. To create it again, empty this row's monitor_id and run this file."
_NAME_A_MONITOR = ("name", "hostname", "smtp_hostname", "pop3_hostname")
_BEGIN_A_ROW = ("type", "hostname", "smtp_hostname")  # the rest of a divided row has a wrong one, or none


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedInput:
    """An opened input whose rows are checked as they are read."""

    header: tuple[str, ...]  # of the user's own columns
    fields: tuple[str | None, ...]  # what each of these is sent as; None: it is not sent
    details: Mapping[str, str]  # how the file was read; what its rows add is there after the last of them
    rows: Iterator[NewRow]
    translated: Translated | None  # of another tool's configuration


@contextmanager
def open_input(
    source: Input,
    options: Options,
    *,
    map_if_present: bool = False,
    with_bodies: bool = True,
    examples: Examples = "allow",
) -> Iterator[OpenedInput]:
    """Open an input for one pass over its rows. Raises `InputError` or `UsageError`, now or while rows are read.

    With `map_if_present`, a column of --map that the input does not have is no error. Without `with_bodies`, the rows
    have no request bodies. `examples` says what becomes of rows with reserved example hosts.
    """
    with source.open() if source.open is not None else _open_file(source.path, options) as opened:
        opened = without_secrets(opened, options.map)
        optional = options.map.keys() if map_if_present else options.map_of_file
        if optional:
            names = set(map(normalise, opened.header))
            mapping = {
                column: field
                for column, field in options.map.items()
                if column not in optional or normalise(column) in names
            }
            options = options.model_copy(update={"map": mapping})
        layout = _mapped(opened, options)
        details = {"format": opened.format, **opened.shown_details}
        if notes := (*opened.notes, *_header_doubts(opened)):
            details["notes"] = " ".join(notes)
        if opened.not_whole:
            details[NOT_WHOLE] = opened.not_whole
        header = tuple(layout.header[index] for index in layout.user_columns)
        with DuplicateFinder() as duplicates:
            checked = check_rows(opened.rows, layout, defaults=options.set, details=details, with_bodies=with_bodies)
            if examples != "allow":
                checked = without_examples(checked, layout, examples)
            rows = map(duplicates.mark, checked)
            fields = tuple(layout.fields[index] for index in layout.user_columns)
            yield OpenedInput(header=header, fields=fields, details=details, rows=rows, translated=opened.translated)


def read_into(
    store: Store,
    source: Input,
    options: Options,
    *,
    command: str,
    account_id: int | None,
    settings: Mapping[str, str],
    examples: Examples = "allow",
) -> Run:
    """Read an input into a new run. Raises `InputError` or `UsageError`; the store then has no trace of it.

    In an inbox a file without a row is an error: it would look as if all rows had been removed from it.
    """
    reading = fingerprint_of(source, options) if command == "run" and account_id is not None else None
    if reading is not None and account_id is not None:
        shared = begin_with_same_rows(
            store,
            reading,
            account_id=account_id,
            input_path=source.name,
            settings=settings,
            arrival=source.arrival,
        )
        if shared is not None:
            return shared
    with open_input(source, options, examples=examples) as opened:
        known = dict(opened.details)
        run = store.begin(
            command,
            source.name,
            opened.header,
            account_id=account_id,
            details=opened.details,
            settings=settings,
            arrival=source.arrival,
            translated=opened.translated,
        )
        try:
            if not store.add(run, 0, opened.rows) and source.arrival is not None:
                raise InputError(_why_empty(source.name, opened))
            for name, detail in opened.details.items() - known.items():  # what the rows have shown
                store.note_detail(run, name, detail)
        except BaseException:
            store.forget(run)
            raise
    is_known = reading is not None and opened.translated is None and reading == fingerprint_of(source, options)
    store.mark_read_whole(run, reading if is_known else None)  # another tool's configuration may be in several files
    return run


def _open_file(path: Path, options: Options) -> AbstractContextManager[Source]:
    return open_source(
        path,
        sheet=options.sheet,
        skip_hidden=options.skip_hidden,
        encoding=options.encoding,
        is_header=partial(is_header, given=tuple(options.set), mapping=options.map),
        tool=options.from_,
        skip_private=options.skip_private,
        header_row=options.header_row,
    )


def _mapped(opened: Source, options: Options) -> ColumnMapping:
    """Map the columns; raise `InputError` for a header that is not certain, unless its column is not sent.

    A person who chose the fields has seen the cells of each column, so the header need not be certain then.
    """
    if opened.fields is not None:
        return map_columns(opened.header, opened.fields, given=tuple(options.set))
    doubts = _header_doubts(opened)
    try:
        layout = map_header(
            opened.header,
            mapping=options.map,
            given=tuple(options.set),
            ignore_unknown=options.ignore_unknown,
            place=opened.shown_details.get(HEADER, ""),
        )
    except InputError as error:
        # how a spreadsheet was read may explain the problem: a hidden column, another worksheet
        notes = opened.notes if opened.translated is None else ()
        raise InputError("\n  ".join([str(error), *doubts, *notes])) from None
    if any(layout.fields[index] is not None for index in opened.header_doubts):
        raise InputError("\n  ".join(["The header is not certain:", *doubts]))
    return layout


def _header_doubts(opened: Source) -> list[str]:
    return [f"Column {column_letters(index)}: {doubt}" for index, doubt in opened.header_doubts.items()]


def _why_empty(name: str, opened: OpenedInput) -> str:
    translated = opened.translated
    if translated is None:
        notes = f" {opened.details['notes']}" if "notes" in opened.details else ""
        return f"{name}: there is no row below the header; at least one is needed.{notes}"
    return (
        f"{name}: none of its {translated.objects:,} objects becomes a row: {translated.skipped:,} are skipped,"
        f" {translated.errors:,} could not be translated; bulkload convert lists them with the reason."
    )


def check_rows(
    rows: Iterable[RawRow],
    layout: ColumnMapping,
    *,
    defaults: Mapping[str, str] | None = None,
    details: dict[str, str] | None = None,
    skip_zero_rows: bool = True,
    with_bodies: bool = True,
) -> Iterator[NewRow]:
    """Check rows, and yield them in order; what they show about the file is added to `details`.

    Duplicates are not looked for. A row waits for the one after it, which shows whether it is whole. Rows that hold
    only 0 or FALSE are left out, unless `skip_zero_rows` is false: then each row is yielded. The request bodies are
    left out unless `with_bodies`.

    Raises `UsageError` for invalid defaults, before a row is read.
    """
    validator = Validator(layout, defaults=defaults)
    return _checked(rows, layout, validator, details, skip_zero_rows=skip_zero_rows, with_bodies=with_bodies)


def _checked(
    rows: Iterable[RawRow],
    layout: ColumnMapping,
    validator: Validator,
    details: dict[str, str] | None,
    *,
    skip_zero_rows: bool,
    with_bodies: bool,
) -> Iterator[NewRow]:
    templates = RowTemplates(layout, with_bodies=with_bodies)
    zero_rows = ZeroRows([index for index, field in enumerate(layout.fields) if field in _NAME_A_MONITOR])
    only_user_columns = layout.user_columns == tuple(range(len(layout.header)))
    new_row: NewRow | None = None
    short: tuple[RawRow, NewRow] | None = None  # a good row that ends early; the next row shows whether it is whole
    for row in rows:
        cells = row.cells if only_user_columns else tuple(row.cells[index] for index in layout.user_columns)
        if (new_row := templates.apply(row, cells)) is None:
            match validator.check(row):
                case Valid() as valid:
                    templates.remember(valid)
                    new_row = _good(valid, cells, with_body=with_bodies)
                case Invalid() as invalid:
                    new_row = _bad(invalid, _without_guesses(cells, invalid, layout.user_columns))
        is_rest = short is not None and _is_rest(row, new_row, short[0], len(layout.header))
        if short is not None and not short[0].left_out:
            yield _split(short[1], row.number) if is_rest else short[1]
        may_go_on = row.ends_at is not None and new_row.state is State.PENDING
        short = (row, new_row) if may_go_on else None
        if may_go_on or row.left_out:
            continue
        if skip_zero_rows and new_row.state is Status.INVALID and not is_rest and is_zero_row(row):
            zero_rows.add(row)
        else:
            yield new_row
    if short is not None and not short[0].left_out:
        yield short[1]
    if details is None:
        return
    if zero_rows.note:
        details["notes"] = " ".join(filter(None, (details.get("notes"), zero_rows.note)))
    if zero_rows.lost:
        details.setdefault(NOT_WHOLE, zero_rows.lost)
    if new_row is not None and any(issue.code == "row.end" for issue in new_row.issues):
        details[NOT_WHOLE] = "it may have been cut off in its last row"


def _is_rest(row: RawRow, new_row: NewRow, above: RawRow, width: int) -> bool:
    """True if a row can be what a line break without quotes cut off from the row above it."""
    if row.ends_at is None or above.ends_at is None or above.ends_at + row.ends_at > width + 1:
        return False
    return any(issue.severity == "error" and issue.field in _BEGIN_A_ROW for issue in new_row.issues)


def _split(row: NewRow, number_below: int) -> NewRow:
    message = (
        f"The row ends early, and row {number_below} is not a whole row either, so a line break may divide one row; "
        "put a cell with a line break in quotes, or complete the row."
    )
    issue = Issue(code="row.split", message=message)
    return row._replace(
        state=Status.INVALID, type=None, key=None, body=None, error=message, issues=(issue, *row.issues)
    )


def _good(valid: Valid, cells: tuple[str, ...], *, with_body: bool = True) -> NewRow:
    finished = valid.earlier is not None and bool(valid.monitor_id)
    removed = finished and valid.earlier is Status.REMOVED
    return NewRow(
        source_row=valid.row.number,
        cells=cells,
        state=Status.REMOVED if removed else State.PENDING,
        type=valid.config.type,
        key=valid.config.key,
        body=to_json(valid.config.body()) if with_body else None,
        given_monitor_id=valid.monitor_id or None,
        finished_in_file=finished and valid.earlier is not None and valid.earlier.done,
        monitor_id=valid.monitor_id if removed else None,
        error=REMOVED_EARLIER if removed else "",
        issues=valid.warnings,
    )


def _without_guesses(cells: tuple[str, ...], invalid: Invalid, columns: tuple[int, ...]) -> tuple[str, ...]:
    """Replace text whose encoding is a guess: in a results file, which is Unicode, it would look certain."""
    doubtful = {issue.index for issue in invalid.issues if issue.code == ENCODING_ISSUE and issue.severity == "error"}
    if not doubtful:
        return cells
    return tuple(
        replace_non_ascii(cell) if None in doubtful or column in doubtful else cell
        for cell, column in zip(cells, columns, strict=True)
    )


def _bad(invalid: Invalid, cells: tuple[str, ...]) -> NewRow:
    error, error_columns = errors_of(invalid.issues)
    return NewRow(
        source_row=invalid.row.number,
        cells=cells,
        state=Status.INVALID,
        given_monitor_id=invalid.monitor_id or None,
        error=error,
        error_columns=error_columns,
        issues=invalid.issues,
    )
