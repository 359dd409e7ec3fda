"""List the runs in the store, and write the results of one again.

In: an output folder with a store. Out: its runs, or results files.
"""

from __future__ import annotations

from pathlib import Path

from bulkload.errors import ExitCode
from bulkload.model import RunInfo
from bulkload.operations.outcome import Outcome
from bulkload.operations.results import default_results, write_results
from bulkload.settings import Options
from bulkload.store.arrivals import path_in_inbox
from bulkload.store.runs import Run, Store


def list_runs(options: Options) -> list[tuple[Run, RunInfo]]:
    """All runs in the store, newest first."""
    with Store(options.output, must_exist=True) as store:
        return [(run, store.info(run)) for run in store.runs()]


def write_results_again(run_id: str | None, options: Options) -> Outcome:
    """Write the results of a run again, as it stands in the store."""
    with Store(options.output, must_exist=True) as store:
        run = store.run(run_id)
        results = options.results or _default_results(store, run, options)
        return write_results(store, run, results, ExitCode(run.exit_code) if run.exit_code is not None else None)


def _default_results(store: Store, run: Run, options: Options) -> list[Path]:
    """The results of a file of an inbox are beside the file: in the inbox itself they would be run."""
    path = path_in_inbox(store, run)
    if path is None:
        return default_results([Path(run.input)], options)[0]
    return default_results([path], options.model_copy(update={"output": options.output / path.parent}))[0]
