"""Choose the results files of a run, and write them.

In: the input files and options, or a run in the store. Out: the files, which replace neither an input nor each other.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from bulkload.errors import ExitCode, StoreError, UsageError
from bulkload.files.atomic import check_writable
from bulkload.files.names import MAX_NAME, shorten
from bulkload.operations.outcome import Outcome, exit_code_of
from bulkload.reports import formats
from bulkload.settings import Options
from bulkload.store.arrivals import path_in_inbox
from bulkload.store.old_runs import ROWS_DELETED
from bulkload.store.runs import Run, Store

log = logging.getLogger(__name__)

RESULTS_SETTING = "results"  # of a run in the store
_PATH_SEPARATOR = "\n"  # in that setting
_SUFFIX = "-results.xlsx"
_MAX_STEM = MAX_NAME - len(_SUFFIX)  # bytes
_MAX_RESERVED = 1 << 26  # bytes


def results_for(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """The results files of each input. Raises `UsageError` if one would replace an input or another results file."""
    check_results(paths, options)
    if options.results and len(paths) > 1:
        raise UsageError("--results works with one input file only; omit it, or run the files one at a time.")
    return [list(options.results) for _ in paths] if options.results else default_results(paths, options)


def results_of(store: Store, run: Run, options: Options) -> list[Path]:
    """The results files of a run in the store: those requested now, else those requested when it began."""
    paths = store.info(run).settings.get(RESULTS_SETTING, "")
    return options.results or [Path(path) for path in paths.split(_PATH_SEPARATOR) if path]


def results_by_default(store: Store, run: Run, options: Options) -> list[Path]:
    """The results files of a run for which none were requested.

    The results of a file of an inbox are beside the file: in the inbox itself they would be run.
    """
    path = path_in_inbox(store, run)
    if path is None:
        return default_results([Path(run.input)], options)[0]
    return default_results([path], options.model_copy(update={"output": options.output / path.parent}))[0]


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


def results_setting(results: Sequence[Path]) -> dict[str, str]:
    """The setting from which `results_of` reads the results files of a run."""
    return {RESULTS_SETTING: _PATH_SEPARATOR.join(str(path) for path in results)}


def default_results(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """`<output>/<stem>-results.xlsx` for each input; for equal stems, with the suffix or a number in the name."""
    stems = Counter(path.stem.casefold() for path in paths)
    taken: set[str] = set()
    results = []
    for path in paths:
        stem = path.stem if stems[path.stem.casefold()] == 1 else path.name.replace(".", "-")
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        name = next(short for name in names if (short := shorten(name, _MAX_STEM)).casefold() not in taken)
        taken.add(name.casefold())
        results.append([options.output / f"{name}{_SUFFIX}"])
    return results


def check_results(paths: Sequence[Path], options: Options) -> None:
    """Raise `UsageError` if a results file has an unknown format or is an input."""
    for results in options.results:
        formats.check_format(results)
        if any(results.resolve() == path.resolve() for path in paths):
            raise UsageError(f"--results {results} would replace the input; choose another name.")


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
    store: Store, run: Run, results: Sequence[Path], exit_code: ExitCode | None, *, stopped: str = ""
) -> Outcome:
    """Write the results of a run from the store. If a file cannot be written, the others are written nevertheless.

    `stopped` is why the run ended, if the store could not record it.
    """
    info = store.info(run)
    if stopped:
        info = replace(info, stopped=stopped)
    failure: StoreError | None = None
    for path in results:
        try:
            formats.write(path, info, store.report_rows(run), output=store.path.parent)
        except StoreError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return Outcome(info=info, results=tuple(results), exit_code=exit_code_of(info) if exit_code is None else exit_code)
