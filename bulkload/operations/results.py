"""Results files: which ones a run has, and writing them.

In: the input files and options, or a run in the store. Out: paths that overwrite neither an input nor each other, and
the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from bulkload.errors import ExitCode, StoreError, UsageError
from bulkload.operations.outcome import Outcome, exit_code_of
from bulkload.reports import formats
from bulkload.settings import Options
from bulkload.store.runs import Run, Store

RESULTS_SETTING = "results"  # of a run in the store
_BETWEEN_PATHS = "\n"  # in that setting


def results_for(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """The results files of each input. Raises `UsageError` if one would overwrite another's or an input."""
    check_results(paths, options)
    if options.results and len(paths) > 1:
        raise UsageError("--results names the results of one file; omit it when several files are run.")
    return [list(options.results) for _ in paths] if options.results else default_results(paths, options)


def results_of(store: Store, run: Run, options: Options) -> list[Path]:
    """The results files of a run in the store: those requested now, else those that it began with."""
    paths = store.info(run).settings.get(RESULTS_SETTING, "")
    return options.results or [Path(path) for path in paths.split(_BETWEEN_PATHS) if path]


def results_setting(results: Sequence[Path]) -> dict[str, str]:
    """The setting from which `results_of` reads the results files of a run."""
    return {RESULTS_SETTING: _BETWEEN_PATHS.join(str(path) for path in results)}


def default_results(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """`<output>/<stem>-results.xlsx`; if that belongs to another input, with the suffix in the name, then a number."""
    stems = Counter(path.stem.casefold() for path in paths)
    taken: set[str] = set()
    results = []
    for path in paths:
        stem = path.stem if stems[path.stem.casefold()] == 1 else path.name.replace(".", "-")
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        results.append([options.output / f"{name}-results.xlsx"])
    return results


def check_results(paths: Sequence[Path], options: Options) -> None:
    """Raise `UsageError` if a results file has an unknown format or is an input."""
    for results in options.results:
        formats.check_format(results)
        if any(results.resolve() == path.resolve() for path in paths):
            raise UsageError(f"--results {results} would replace the input itself; give it another name.")


def write_results(
    store: Store, run: Run, results: Sequence[Path], exit_code: ExitCode | None, *, stopped: str = ""
) -> Outcome:
    """Write the results of a run as it stands in the store. One file that cannot be written costs no other.

    `stopped` is why the run ended, if the store could not record that.
    """
    info = store.info(run)
    if stopped:
        info = replace(info, stopped=stopped)
    failure: StoreError | None = None
    for path in results:
        try:
            formats.write(path, info, store.report_rows(run))
        except StoreError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return Outcome(info=info, results=tuple(results), exit_code=exit_code_of(info) if exit_code is None else exit_code)
