"""Choose the results files of a run.

In: the input files and options, or a run in the store. Out: the paths, which are neither an input nor each other. The
results of `hosts.csv` are in `hosts-results.xlsx`, and those of that file, when it is run, in `hosts-results-2.xlsx`.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.files.names import RESULTS_SUFFIX, numbered, results_stem
from bulkload.reports import formats
from bulkload.settings import Options
from bulkload.stages.fingerprint import FINGERPRINT, hash_of_bytes
from bulkload.store.arrivals import file_in_inbox, path_in_inbox
from bulkload.store.database import STORE_NAME
from bulkload.store.results_files import Found, look_at
from bulkload.store.runs import Run, Store

log = logging.getLogger(__name__)

RESULTS_SETTING = "results"  # of a run in the store
CHOSEN_SETTING = "results_chosen"  # of a run: the user named the results files
CHANGED = "was changed after it was written"  # why a results file is kept
_DEFAULT_NAME = re.compile(r"-results(-\d+)?\.xlsx$")


def results_for(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """The results files of each input. Raises `UsageError` if one would replace an input or another results file."""
    check_results(paths, options)
    return [list(options.results) for _ in paths] if options.results else default_results(paths, options)


def results_of(store: Store, run: Run, options: Options) -> list[Path]:
    """The results files of a run in the store: those requested now, else those of when it began."""
    if options.results:
        return options.results
    settings = store.settings(run)
    paths = _paths_in(settings.get(RESULTS_SETTING, ""))
    if CHOSEN_SETTING in settings or not all(_DEFAULT_NAME.search(path.name) for path in paths):
        return paths
    return [options.output / path.name for path in paths]  # the folder may have been moved


def results_by_default(store: Store, run: Run, options: Options) -> list[Path]:
    """The results files of a run for which none were requested.

    The results of a file of an inbox are beside the file: in the inbox itself they would be run.
    """
    path = path_in_inbox(store, run)
    if path is None:
        return default_results([Path(run.input)], options)[0]
    return default_results([path], options.model_copy(update={"output": options.output / path.parent}))[0]


def results_setting(results: Sequence[Path], options: Options) -> dict[str, str]:
    """The settings from which `results_of` reads the results files of a run."""
    texts = [str(path) for path in results]
    as_text = json.dumps(texts) if any("\n" in text for text in texts) else "\n".join(texts)
    return {RESULTS_SETTING: as_text} | ({CHOSEN_SETTING: "yes"} if options.results else {})


def _paths_in(setting: str) -> list[Path]:
    """The paths in the setting of a run."""
    try:
        texts = json.loads(setting) if setting.startswith("[") else setting.split("\n")
    except ValueError:  # a name that begins with a bracket
        texts = setting.split("\n")
    return [Path(text) for text in texts if text]


def default_results(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """`<output>/<stem>-results.xlsx` for each input; for equal names, with the suffix or a number in the name.

    None of them is one of the inputs.
    """
    inputs = {os.path.realpath(path) for path in paths}
    stems = [results_stem(path.stem) for path in paths]
    counts = Counter(stem.casefold() for stem in stems)
    taken: set[str] = set()
    results = []
    for path, stem in zip(paths, stems, strict=True):
        unique = stem if counts[stem.casefold()] == 1 else results_stem(path.name.replace(".", "-"))
        names = chain([unique], (numbered(unique, number) for number in count(2)))
        name = next(
            name
            for name in names
            if name.casefold() not in taken
            and os.path.realpath(options.output / f"{name}{RESULTS_SUFFIX}") not in inputs
        )
        taken.add(name.casefold())
        results.append([options.output / f"{name}{RESULTS_SUFFIX}"])
    return results


def check_results(paths: Sequence[Path], options: Options) -> None:
    """Raise `UsageError` if a results file has an unknown format, is an input, or is that of several inputs."""
    if options.results and len(paths) > 1:
        raise UsageError("--results works with one input file only; omit it, or name the files one at a time.")
    for results in options.results:
        formats.check_format(results)
        if any(os.path.realpath(results) == os.path.realpath(path) for path in paths):
            raise UsageError(f"--results {results} would replace the input; choose another name.")


def without_replacing(
    store: Store, run: Run, results: Sequence[Path], options: Options, *, taken: Sequence[Path] = ()
) -> list[Path]:
    """The results files that a run can write now: with a number in the name where another file must be kept.

    See `why_kept`; `taken` are others that the run writes.
    """
    free = list(taken)
    for path in dict.fromkeys(results):
        reason = why_kept(store, run, path, options)
        name = path
        if reason or path in free:
            name = next(
                name
                for name in _with_numbers(path)
                if name not in free
                and not why_kept(store, run, name, options)
                and look_at(store, name).found is not Found.NO_FILE
            )
        if reason and (path in options.results or path_in_inbox(store, run) is None):  # the inbox reports it itself
            log.warning("%s %s, so it is kept; the results are in %s", path, reason, name)
            if reason == CHANGED:
                log.warning("to send what you changed in %s, run that file", path)
        free.append(name)
    return free[len(taken) :]


def why_kept(store: Store, run: Run, path: Path, options: Options) -> str:
    """Why a run must not replace a file, as the end of a sentence; empty if it can.

    Kept are the input and a file that was changed since it was written. Unless `options` name the file, one that no run
    in the store wrote is kept as well; and unless it was named when the run began, the results of a newer run and those
    of another input.
    """
    if _is_input(store, run, path):
        return "is the input"
    there = look_at(store, path)
    if there.found is Found.CHANGED:
        return CHANGED
    if path in options.results:
        return ""
    if there.found is Found.UNKNOWN:
        return "was not written by a run of this folder"
    if there.run_id in ("", run.id) or CHOSEN_SETTING in store.settings(run):
        return ""
    if there.run_number > run.number:
        return f"has the results of a newer run, {there.run_id}"
    return "" if _is_same(there.input, run.input) else f"has the results of {there.input}"


def without_edited(results: Sequence[Path], options: Options) -> list[Path]:
    """The files for the results of a check or a plan: with a number where a run's results were changed since."""
    if not results or not (options.output / STORE_NAME).is_file():
        return list(results)
    names = []
    with Store(options.output, must_exist=True) as store:
        for path in results:
            names_from_here = chain([path], _with_numbers(path))
            name = next(name for name in names_from_here if look_at(store, name).found is not Found.CHANGED)
            if name != path:
                log.warning("%s %s, so it is kept; the results are in %s", path, CHANGED, name)
            names.append(name)
    return names


def _with_numbers(path: Path) -> Iterator[Path]:
    """The path with the numbers from 2 on at the end of its name."""
    return (path.with_stem(numbered(path.stem, number, path.suffix)) for number in count(2))


def _is_input(store: Store, run: Run, path: Path) -> bool:
    """True if a file is the input of a run; from another folder than that of the run, its content tells."""
    inbox_file = file_in_inbox(store, run)
    if _is_same(path, run.input) or (inbox_file is not None and _is_same(path, inbox_file)):
        return True
    fingerprint = store.settings(run).get(FINGERPRINT)
    if not fingerprint or os.path.lexists(run.input):
        return False
    try:
        return path.is_file() and hash_of_bytes(path) == fingerprint
    except OSError:
        return False


def _is_same(path: Path | str, other: Path | str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)
