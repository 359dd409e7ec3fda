"""Run a file, and resume a run: what the command line asks for.

In: an `Input`, or the ID of a run in the store. Out: an `Outcome`, and the results files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bulkload.errors import ExitCode, UsageError
from bulkload.model import Input, RunInfo
from bulkload.operations.first_creates import Agree
from bulkload.operations.outcome import Outcome
from bulkload.operations.pipeline import OnStart, begin, begin_again, carry_out, locked_store
from bulkload.operations.results import check_results_writable, if_complete, write_results
from bulkload.operations.results_names import results_by_default, results_of
from bulkload.operations.run_retention import delete_older
from bulkload.settings import Account, Options
from bulkload.stages.observer import NOBODY, Observer
from bulkload.store.arrivals import path_in_inbox
from bulkload.store.runs import Run, Store


def run_file(
    source: Input,
    account: Account,
    options: Options,
    results: Sequence[Path],
    on_start: OnStart,
    agree: Agree | None = None,
    observer: Observer = NOBODY,
) -> Outcome:
    """Create one monitor per row of a file, and write the results.

    `agree` is asked before the first run that creates many monitors in an account; see `first_creates`.
    """
    check_results_writable(results, source.path)
    with locked_store(options) as store:
        began = time.time()
        context = begin(store, source, account, options, results=results, observer=observer)
        outcome = carry_out(context, results, on_start, agree=agree)
        if outcome.stopped is None:
            delete_older(store, options.keep, began)
        return outcome


def resume(
    run_id: str | None,
    account: Account,
    options: Options,
    on_start: OnStart,
    on_run: Callable[[RunInfo], None] = lambda info: None,
    agree: Agree | None = None,
    observer: Observer = NOBODY,
) -> Outcome:
    """Resume a run in the store, without its file; without an ID, the newest run with rows to run again.

    `on_run` gets the run before anything is sent. A run whose rows are all final sends nothing: `resumed` is False.
    """
    with locked_store(options, "resume", must_exist=True) as store:
        run = store.run(run_id) if run_id is not None else unfinished_run(store)
        on_run(store.info(run))
        results = results_of(store, run, options)
        if not results and path_in_inbox(store, run) is None:  # the inbox writes those of its files when it is called
            results = results_by_default(store, run, options)
        if not options.verify and _is_finished(store, run):
            begin(store, run, account, options)  # raises for another account
            results = if_complete(store, run, results)
            return replace(write_results(store, run, results, options, None), resumed=False)
        context = begin_again(store, run, account, options, observer=observer)
        return carry_out(context, results, on_start, agree=agree)


def unfinished_run(store: Store) -> Run:
    """The newest run with rows to run again. Raises `UsageError` if there is none."""
    for run in store.runs():
        if run.read_whole and any(status.next_step == "run again" for status in store.counts(run)):
            return run
    raise UsageError("There is no run to resume: every row of every run is done or must be fixed.")


def _is_finished(store: Store, run: Run) -> bool:
    """True if another session of a run has nothing to do: it ended, and every row is done or must be fixed."""
    if not run.read_whole or run.exit_code not in (ExitCode.DONE, ExitCode.ROWS_LEFT):
        return False
    info = store.info(run)
    return not info.stopped and not any(status.next_step == "run again" for status in info.counts)
