"""A file into the store: read, mapped, checked, and noted row by row, in order.

In: a path and the options about its columns. Out: a run whose rows are all in the store, bad ones with every issue.
Rows are streamed in batches; the file is not needed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from bulkload.errors import InputError
from bulkload.model import RawRow, State, Status, Translated
from bulkload.monitors.header import Layout, is_header, map_header
from bulkload.monitors.validate import Invalid, Valid, Validator
from bulkload.readers.opening import open_source
from bulkload.settings import Options
from bulkload.stages.duplicates import Twins
from bulkload.stages.row_templates import Moulds
from bulkload.store.runs import NewRow, Run, Store, to_json

BATCH = 1000  # rows a transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """An opened input whose rows are checked as they are read."""

    header: tuple[str, ...]  # of the user's own columns
    details: Mapping[str, str]  # how the file was read
    rows: Iterator[NewRow]
    translated: Translated | None  # of another tool's configuration


@contextmanager
def opened(path: Path, options: Options) -> Iterator[Intake]:
    """Open a file for one pass over its rows. Raises `InputError` or `UsageError`, now or while rows are read."""
    knows_header = partial(is_header, given=tuple(options.set), mapping=options.map)
    with open_source(
        path,
        sheet=options.sheet,
        is_header=knows_header,
        tool=options.from_,
        skip_private=options.skip_private,
    ) as source:
        layout = map_header(
            source.header, mapping=options.map, given=tuple(options.set), ignore_unknown=options.ignore_unknown
        )
        details = {"format": source.format, **source.details}
        if source.notes:
            details["notes"] = " ".join(source.notes)
        header = tuple(layout.header[index] for index in layout.user_columns)
        with Twins() as twins:
            checked = _checked(source.rows, layout, Validator(layout, defaults=options.set))
            rows = map(twins.told_apart, checked)
            yield Intake(header=header, details=details, rows=rows, translated=source.translated)


def read_into(
    store: Store,
    path: Path,
    options: Options,
    *,
    command: str,
    account: int | None,
    settings: Mapping[str, str],
    called: str | None = None,
    arrival: int | None = None,
) -> Run:
    """Read a file into a new run. Raises `InputError` or `UsageError`; the store then knows nothing of the file.

    `called` is the file's name for people, if it is not its path; `arrival` is its number in an inbox, where a file
    without a row is an error: it would look as if all rows were gone from the sheet.
    """
    with opened(path, options) as intake:
        run = store.begin(
            command,
            called or str(path),
            intake.header,
            account=account,
            details=intake.details,
            settings=settings,
            arrival=arrival,
            translated=intake.translated,
        )
        try:
            position = 0
            while batch := list(islice(intake.rows, BATCH)):
                position = store.add(run, position, batch)
            if arrival is not None and not position:
                raise InputError(_why_empty(called or path.name, intake.translated))
        except BaseException:
            store.forget(run)
            raise
    store.read_whole(run)
    return run


def _why_empty(name: str, translated: Translated | None) -> str:
    if translated is None:
        return f"{name}: there is no row below the header; at least one is needed."
    return (
        f"{name}: none of its {translated.objects:,} objects is a row: {translated.skipped:,} are skipped,"
        f" {translated.errors:,} could not be translated; bulkload convert lists them with the reason."
    )


def _checked(rows: Iterator[RawRow], layout: Layout, validator: Validator) -> Iterator[NewRow]:
    moulds = Moulds(layout)
    whole = layout.user_columns == tuple(range(len(layout.header)))
    for row in rows:
        cells = row.cells if whole else tuple(row.cells[index] for index in layout.user_columns)
        if (made := moulds.cast(row, cells)) is not None:
            yield made
            continue
        match validator.check(row):
            case Valid() as valid:
                moulds.learn(valid)
                yield _good(valid, cells)
            case Invalid() as invalid:
                yield _bad(invalid, cells)


def _good(valid: Valid, cells: tuple[str, ...]) -> NewRow:
    finished = valid.earlier is not None and bool(valid.monitor_id)
    undone = finished and valid.earlier is Status.REMOVED
    return NewRow(
        source_row=valid.row.number,
        cells=cells,
        state=Status.REMOVED if undone else State.PENDING,
        type=valid.config.type,
        key=valid.config.key,
        body=to_json(valid.config.body()),
        names=valid.monitor_id or None,
        finished_in_file=finished and valid.earlier is not None and valid.earlier.done,
        monitor_id=valid.monitor_id if undone else None,
        issues=valid.warnings,
    )


def _bad(invalid: Invalid, cells: tuple[str, ...]) -> NewRow:
    errors = [issue for issue in invalid.issues if issue.severity == "error"]
    columns = dict.fromkeys(issue.column for issue in errors if issue.column is not None)
    return NewRow(
        source_row=invalid.row.number,
        cells=cells,
        state=Status.INVALID,
        names=invalid.monitor_id or None,
        error=" ".join(issue.message for issue in errors),
        error_columns=tuple(columns),
        issues=invalid.issues,
    )
