"""Check and plan: show what a run would do, without doing it.

In: an input. Out: an `Outcome` with predicted statuses. A check sends nothing; a plan sends a login and GET requests.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bulkload import clock
from bulkload.errors import BulkloadError, ExitCode
from bulkload.model import Input, ReportRow, RunInfo, State, Status, in_order, status_of
from bulkload.operations.outcome import Outcome, exit_code_of
from bulkload.operations.results_names import check_results, without_edited
from bulkload.reports import formats
from bulkload.settings import Account, Options
from bulkload.stages.example_rows import Examples
from bulkload.stages.intake import open_input, read_into
from bulkload.stages.observer import NOBODY, Observer
from bulkload.store.runs import Run, Store, new_run_id

OnRow = Callable[[ReportRow], None]


def check_file(source: Input, options: Options, on_row: OnRow, *, every_row: bool = False) -> Outcome:
    """Check a file offline; nothing is sent or stored.

    `on_row` gets every row with an issue or an error; with `every_row`, the good ones as well.
    """
    check_results([source.path], options)
    examples: Examples = "allow" if options.sandbox else "warn"  # which account the rows are for is not known
    began = time.time()
    if options.results:  # they begin with counts, so all rows must be read before the first is written
        with tempfile.TemporaryDirectory(prefix="bulkload-") as folder, Store(Path(folder)) as store:
            run = read_into(store, source, options, command="check", account_id=None, settings={}, examples=examples)
            store.end(run, ExitCode.DONE, None, time.time() - began, {})
            return _outcome(
                store, run, options, lambda row: on_row(row) if every_row or row.issues or row.error else None
            )
    counts: Counter[Status] = Counter()
    without_issues = 0  # of the rows that will be created
    with open_input(source, options, with_bodies=False, examples=examples) as opened:
        for row in opened.rows:
            if row.state is State.PENDING and not (every_row or row.issues or row.error):
                without_issues += 1
                continue
            status = Status.WILL_CREATE if row.state is State.PENDING else status_of(row.state)
            counts[status] += 1
            if every_row or row.issues or row.error:
                on_row(
                    ReportRow(
                        source_row=row.source_row,
                        cells=row.cells,
                        status=status,
                        error=row.error,
                        error_columns=row.error_columns,
                        issues=row.issues,
                    )
                )
    if without_issues:
        counts[Status.WILL_CREATE] += without_issues
    info = RunInfo(
        run_id=new_run_id(began),
        input=source.name,
        header=opened.header,
        started=clock.utc(began),
        seconds=time.time() - began,
        counts=in_order(counts),
        details=opened.details,
        translated=opened.translated,
    )
    return Outcome(info=info, results=(), exit_code=exit_code_of(info))


def plan_file(source: Input, account: Account, options: Options, on_row: OnRow) -> Outcome:
    """Predict what a run would do in this account now; `on_row` gets every row."""
    from bulkload.operations.pipeline import locked_store  # a check starts quicker without it

    check_results([source.path], options)
    with locked_store(options, "plan") as store:
        return plan_input(store, source, account, options, on_row)


def plan_input(
    store: Store, source: Input, account: Account, options: Options, on_row: OnRow, *, observer: Observer = NOBODY
) -> Outcome:
    """Predict what a run would do in this account now, with a store that is locked."""
    from bulkload.operations.forecast import plan_with_forecast
    from bulkload.operations.pipeline import begin

    context = begin(store, source, account, options, command="plan", observer=observer)
    try:
        session, forecast = plan_with_forecast(context)
        store.end(context.run, ExitCode.DONE, session.stopped, session.seconds, session.requests)
        return replace(_outcome(store, context.run, options, on_row, session.stopped), forecast=forecast)
    finally:
        store.forget(context.run)


def _outcome(store: Store, run: Run, options: Options, on_row: OnRow, stopped: BulkloadError | None = None) -> Outcome:
    """The outcome with predicted statuses, unless the plan was stopped before it could predict them."""
    info = store.info(run)
    counts: Counter[Status] = Counter()

    def predicted_rows() -> Iterator[ReportRow]:
        rows = store.report_rows(run)
        return map(_predicted, rows) if stopped is None else rows

    for row in predicted_rows():
        counts[row.status] += 1
        on_row(row)
    info = replace(info, counts=in_order(counts))
    results = without_edited(options.results, options)
    for path in results:
        formats.write(path, info, predicted_rows(), is_stored=False)
    return Outcome(info=info, results=tuple(results), exit_code=exit_code_of(info, stopped), stopped=stopped)


def _predicted(row: ReportRow) -> ReportRow:
    if row.status is not Status.NOT_ATTEMPTED:
        return row
    return row._replace(status=Status.WILL_UPDATE if row.monitor_id else Status.WILL_CREATE)
