"""List the runs in the store, and write the results of one again.

In: an output folder with a store. Out: its runs, or results files.
"""

from __future__ import annotations

from bulkload.errors import ExitCode
from bulkload.model import RunInfo
from bulkload.operations.outcome import Outcome
from bulkload.operations.results import results_by_default, write_results
from bulkload.settings import Options
from bulkload.store.runs import Run, Store


def list_runs(options: Options) -> list[tuple[Run, RunInfo]]:
    """All runs in the store, newest first."""
    with Store(options.output, must_exist=True) as store:
        return [(run, store.info(run)) for run in store.runs()]


def write_results_again(run_id: str | None, options: Options) -> Outcome:
    """Write the results of a run again, as it stands in the store."""
    with Store(options.output, must_exist=True) as store:
        run = store.run(run_id)
        results = options.results or results_by_default(store, run, options)
        return write_results(store, run, results, ExitCode(run.exit_code) if run.exit_code is not None else None)
