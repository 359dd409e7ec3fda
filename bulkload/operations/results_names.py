"""Choose the results files of a run.

In: the input files and options, or a run in the store. Out: the paths, which are neither an input nor each other. The
results of `hosts.csv` are in `hosts-results.xlsx`, and those of that file, when it is run, in `hosts-results-2.xlsx`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.files.names import numbered, results_stem
from bulkload.reports import formats
from bulkload.settings import Options
from bulkload.store.arrivals import path_in_inbox
from bulkload.store.results_files import Found, look_at
from bulkload.store.runs import Run, Store

log = logging.getLogger(__name__)

RESULTS_SETTING = "results"  # of a run in the store
CHANGED = "was changed after it was written"  # why a results file is kept
_PATH_SEPARATOR = "\n"  # in that setting
_SUFFIX = ".xlsx"


def results_for(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """The results files of each input. Raises `UsageError` if one would replace an input or another results file."""
    check_results(paths, options)
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


def results_setting(results: Sequence[Path]) -> dict[str, str]:
    """The setting from which `results_of` reads the results files of a run."""
    return {RESULTS_SETTING: _PATH_SEPARATOR.join(str(path) for path in results)}


def default_results(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """`<output>/<stem>-results.xlsx` for each input; for equal names, with the suffix or a number in the name."""
    stems = [results_stem(path.stem) for path in paths]
    counts = Counter(stem.casefold() for stem in stems)
    taken: set[str] = set()
    results = []
    for path, stem in zip(paths, stems, strict=True):
        unique = stem if counts[stem.casefold()] == 1 else results_stem(path.name.replace(".", "-"))
        names = chain([unique], (numbered(unique, number) for number in count(2)))
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        results.append([options.output / f"{name}{_SUFFIX}"])
    return results


def check_results(paths: Sequence[Path], options: Options) -> None:
    """Raise `UsageError` if a results file has an unknown format, is an input, or is that of several inputs."""
    if options.results and len(paths) > 1:
        raise UsageError("--results works with one input file only; omit it, or name the files one at a time.")
    for results in options.results:
        formats.check_format(results)
        if any(results.resolve() == path.resolve() for path in paths):
            raise UsageError(f"--results {results} would replace the input; choose another name.")


def without_replacing(store: Store, run: Run, results: Sequence[Path], options: Options) -> list[Path]:
    """The results files that a run can write now: with a number in the name where another file must be kept.

    Kept are the input, a file that was changed since it was written, and, where nobody chose its name, a file that no
    run in the store wrote, or a newer one, or one of another input.
    """
    by_default = results_by_default(store, run, options)
    free: list[Path] = []
    for path in dict.fromkeys(results):
        is_chosen = path in options.results or path not in by_default
        reason = _why_kept(store, run, path, is_chosen=is_chosen)
        name, number, is_free = path, 1, not reason and path not in free
        while not is_free:
            number += 1
            name = path.with_stem(numbered(path.stem, number, path.suffix))
            is_free = name not in free and not _why_kept(store, run, name, is_chosen=name in options.results)
        if reason and (path in options.results or path_in_inbox(store, run) is None):  # the inbox reports it itself
            log.warning("%s %s, so it is kept; the results are in %s", path, reason, name)
            if reason == CHANGED:
                log.warning("to send what you changed in %s, run that file", path)
        free.append(name)
    return free


def _why_kept(store: Store, run: Run, path: Path, *, is_chosen: bool) -> str:
    """Why a run must not replace a file, as the end of a sentence; empty if it can."""
    if path.resolve() == Path(run.input).resolve():
        return "is the input"
    there = look_at(store, path)
    if there.found is Found.CHANGED:
        return CHANGED
    if there.found is Found.UNKNOWN and not is_chosen:
        return "was not written by a run of this folder"
    if is_chosen or there.run_id in ("", run.id):
        return ""
    if there.run_number > run.number:
        return f"has the results of a newer run, {there.run_id}"
    return "" if is_same_file(there.input, run.input) else f"has the results of {there.input}"


def is_same_file(path: str, other: str) -> bool:
    """True if two inputs are the same path, in any spelling."""
    return path == other or Path(path).resolve() == Path(other).resolve()
