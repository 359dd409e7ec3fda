"""Write the results files of a run.

In: a run in the store, and the paths of the files. Out: the files, each complete or as it was.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bulkload.errors import ExitCode, StoreError
from bulkload.files.atomic import check_writable
from bulkload.model import RunInfo
from bulkload.operations.outcome import Outcome, exit_code_of
from bulkload.operations.results_names import why_kept, without_replacing
from bulkload.reports import formats
from bulkload.reports.problems import Problems
from bulkload.settings import Options
from bulkload.store.old_runs import ROWS_DELETED
from bulkload.store.results_files import note_draft, note_written
from bulkload.store.runs import Run, Store

log = logging.getLogger(__name__)

_MAX_RESERVED = 1 << 26  # bytes


def is_incomplete(store: Store, run: Run) -> bool:
    """True if rows of an old run were deleted, so that results of it would lack rows."""
    return ROWS_DELETED in store.info(run).details


def why_incomplete(store: Store, run: Run) -> str:
    """Why results of a run would lack rows, as a sentence."""
    return f"Run {run.id} is old: {store.info(run).details[ROWS_DELETED]}"


def if_complete(store: Store, run: Run, results: Sequence[Path]) -> list[Path]:
    """The results files to write: none, with a warning, if they would lack rows of an old run."""
    if not results or not is_incomplete(store, run):
        return list(results)
    log.warning("%s The results files are not written again.", why_incomplete(store, run))
    return []


def check_results_writable(results: Sequence[Path], source: Path | None = None) -> None:
    """Raise `StoreError` if a results file could not be written, `UsageError` for its format; before anything is sent.

    How large it becomes is not known yet; it is at least as large as the input.
    """
    size = 0
    with contextlib.suppress(OSError):  # a missing input is reported when it is read
        size = min(source.stat().st_size, _MAX_RESERVED) if source is not None else 0
    for path in results:
        formats.check_format(path)
        check_writable(path, size=size)


def write_results(
    store: Store,
    run: Run,
    results: Sequence[Path],
    options: Options,
    exit_code: ExitCode | None,
    *,
    stopped: str = "",
) -> Outcome:
    """Write the results of a run from the store. If a file cannot be written, the others are written nevertheless.

    The names are those of `without_replacing`; a file that was changed while its new content was written is kept, too.
    `stopped` is why the run ended, if the store could not record it.
    """
    info = store.info(run)
    if stopped:
        info = replace(info, stopped=stopped)
    if run.command == "delete":
        info = replace(info, run_id="")  # it is in the store only until it has ended
    failure: StoreError | None = None
    problems: Problems | None = None
    written: list[Path] = []
    for path in without_replacing(store, run, results, options):
        try:
            name, found = _write_free(path, store, run, info, options, written)
        except StoreError as error:
            failure = failure or error
        else:
            written.append(name)
            problems = problems or found
    if failure is not None:
        raise failure
    return Outcome(
        info=info,
        results=tuple(written),
        exit_code=exit_code_of(info) if exit_code is None else exit_code,
        problems=problems,
    )


class _Kept(Exception):
    """A file must not be replaced."""


def _write_free(
    path: Path, store: Store, run: Run, info: RunInfo, options: Options, written: Sequence[Path]
) -> tuple[Path, Problems]:
    """Write a results file, or one with a number if somebody changes the file meanwhile; returns its path."""
    while True:
        try:
            return path, _write(path, store, run, info, options)
        except _Kept:
            (path,) = without_replacing(store, run, [path], options, taken=written)


def _write(path: Path, store: Store, run: Run, info: RunInfo, options: Options) -> Problems:
    """Write one results file, and record its content, by which a later run knows whether it was changed since.

    Where the store cannot record it, the file is written nevertheless: it counts as changed, and is kept.
    """
    digests: list[bytes] = []

    def note(draft: Path) -> None:
        with contextlib.suppress(StoreError):
            if why_kept(store, run, path, options):
                raise _Kept
            digests.append(note_draft(store, path, draft, run.number))

    problems = Problems()
    rows = problems.watching(store.report_rows(run))
    formats.write(path, info, rows, output=store.path.parent, before_replacing=note)
    for digest in digests:
        with contextlib.suppress(StoreError):
            note_written(store, path, digest)
    return problems
