"""What each function of the Python API does, as `Background` work.

In: the arguments of the function. Out: work to be waited for, in a program with or without a running event loop.
Whatever is wrong with the arguments is raised at once, in the caller's thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bulkload.errors import ExitCode, UsageError
from bulkload.model import ReportRow, RunInfo, Status
from bulkload.operations.compare import compare_inputs, compare_with_account
from bulkload.operations.comparison import Line, comparison_lines
from bulkload.operations.export_cells import export_header, export_rows
from bulkload.operations.forecast_texts import expectation, recipients_fact
from bulkload.operations.history import list_runs
from bulkload.operations.outcome import Outcome
from bulkload.operations.pipeline import begin, begin_again, carry_out, locked_store
from bulkload.operations.preview import check_file, plan_input
from bulkload.operations.results import check_results_writable
from bulkload.operations.results_names import check_results, results_of
from bulkload.operations.run import unfinished_run
from bulkload.operations.run_retention import delete_older
from bulkload.python.background import Background, Watch
from bulkload.python.inputs import Given, given
from bulkload.python.options import (
    Account,
    CommonOptions,
    CompareOptions,
    InputOptions,
    ResumeOptions,
    RunOptions,
    StrPath,
    as_path,
    check_applies,
    load_options,
    load_settings,
)
from bulkload.python.result import Result
from bulkload.python.tables import ExportTable, RunTable
from bulkload.readers.records import FIRST_ROW
from bulkload.settings import Options

if TYPE_CHECKING:
    import pandas

Named = Mapping[str, Any]  # the options as they were given
FrameLine = tuple[object, str, str, str, str]  # of a comparison: row, change, field, old, new


def check(data: object, options: Named) -> Background[Result]:
    """The work of `check`."""
    settings = load_options("check", options, InputOptions)
    watch = Watch()
    source = _given(data, settings, options, watch)

    def work() -> Result:
        rows: list[ReportRow] = []

        def on_row(row: ReportRow) -> None:
            watch.check()
            rows.append(_without_cells(row, source))

        outcome = check_file(source.input, settings, on_row, every_row=True)
        return _result(outcome, rows, source)

    return Background(work, watch)


def plan(data: object, account: Account | None, store: StrPath, options: Named) -> Background[Result]:
    """The work of `plan`."""
    login, settings = load_settings("plan", options, RunOptions, account=account, store=store)
    watch = Watch()
    source = _given(data, settings, options, watch)

    def work() -> Result:
        rows: list[ReportRow] = []
        with locked_store(settings, "python") as opened:
            outcome = plan_input(
                opened,
                source.input,
                login,
                settings,
                lambda row: rows.append(_without_cells(row, source)),
                observer=watch,
            )
        assert outcome.forecast is not None
        notes = [expectation(outcome.forecast)]
        if (recipients := recipients_fact(outcome.forecast)) is not None:
            notes.append(f"Alerts: {recipients.text}. {recipients.detail}")
        return _result(outcome, rows, source, notes)

    return Background(work, watch)


def run(data: object, account: Account | None, store: StrPath, label: str | None, options: Named) -> Background[Result]:
    """The work of `run`."""
    login, settings = load_settings("run", options, RunOptions, account=account, store=store)
    watch = Watch()
    source = _given(data, settings, options, watch, label)

    def work() -> Result:
        check_results_writable(settings.results, source.input.path if source.rows is None else None)
        with locked_store(settings, "python") as opened:
            began = time.time()
            context = begin(opened, source.input, login, settings, results=settings.results, observer=watch)
            outcome = carry_out(context, settings.results, watch.on_start)
            if outcome.stopped is None:
                delete_older(opened, settings.keep, began)
            rows = [_without_cells(row, source) for row in opened.report_rows(context.run)]
            return _result(outcome, rows, source)

    return Background(work, watch, continues="resume('{0}')")


def resume(run: str | Result | None, account: Account | None, store: StrPath, options: Named) -> Background[Result]:
    """The work of `resume`."""
    login, settings = load_settings("resume", options, ResumeOptions, account=account, store=store)
    run_id = None if run is None else run_id_of(run)
    watch = Watch()

    def work() -> Result:
        with locked_store(settings, "python", must_exist=True) as opened:
            stored = opened.run(run_id) if run_id is not None else unfinished_run(opened)
            context = begin_again(opened, stored, login, settings, observer=watch)
            outcome = carry_out(context, results_of(opened, stored, settings), watch.on_start)
            return _result(outcome, list(opened.report_rows(stored)))

    return Background(work, watch, continues="resume('{0}')")


def export(account: Account | None, store: StrPath, options: Named) -> Background[Result]:
    """The work of `export`."""
    from bulkload.operations.export import list_account

    login, settings = load_settings("export", options, CommonOptions, account=account, store=store)
    watch = Watch()

    def work() -> Result:
        monitors, session = list_account(login, settings, observer=watch)
        notes: list[str] = []
        header = export_header(monitors, notes)
        rows = list(export_rows(monitors, header, notes))
        info = RunInfo(
            run_id="export",
            input="export",
            header=header,
            account=login.username,
            counts={Status.EXISTS: len(rows)},
            seconds=session.seconds,
            requests=session.requests,
        )
        return Result.of(ExportTable(info=info, header=header, rows=rows, notes=notes), exit_code=ExitCode.DONE)

    return Background(work, watch)


def compare(old: object, new: object, store: StrPath, options: Named) -> Background[pandas.DataFrame]:
    """The work of `compare`."""
    login = None
    if isinstance(old, Account):
        login, settings = load_settings("compare", options, CompareOptions, account=old, store=store)
    else:
        settings = load_options("compare", options, CompareOptions)
    watch = Watch()
    before = given(old, settings.map, watch) if login is None else None
    after = given(new, settings.map, watch)
    is_file = after.rows is None or (before is not None and before.rows is None)
    check_applies(options, is_file=is_file)

    def work() -> pandas.DataFrame:
        from bulkload.python.frames import comparison_frame

        if before is not None:
            comparison = compare_inputs(before.input, after.input, settings)
        else:
            assert login is not None
            comparison = compare_with_account(after.input, login, settings, observer=watch)
        return comparison_frame([_frame_line(line, before, after) for line in comparison_lines(comparison)])

    return Background(work, watch)


def _frame_line(line: Line, before: Given | None, after: Given) -> FrameLine:
    """A line for the frame, with the caller's index; a monitor that is new or gone is known by its name."""
    field, old, new = line.field, line.old, line.new
    if line.change == "new":
        field, new = "name", line.name
    elif line.change == "gone":
        field, old = "name", line.name
    return _label(line, before if line.is_old else after), line.change, field, old, new


def _label(line: Line, side: Given | None) -> object:
    """The caller's index of a row, or its row in a file; of a monitor that only the account has, its ID."""
    if line.row is None:
        return line.monitor_id or None
    return line.row if side is None or side.rows is None else side.rows.label(line.row - FIRST_ROW)


def runs(store: StrPath) -> pandas.DataFrame:
    """The frame of `runs`."""
    from bulkload.python.frames import runs_frame

    return runs_frame(
        [(record.info, record.run.exit_code) for record in list_runs(Options(output=as_path("store", store)))]
    )


def _given(data: object, settings: Options, options: Named, watch: Watch, label: str | None = None) -> Given:
    source = given(data, settings.map, watch, label)
    check_applies(options, is_file=source.rows is None)
    check_results([source.input.path] if source.rows is None else [], settings)
    return source


def _without_cells(row: ReportRow, source: Given) -> ReportRow:
    """The row as a result keeps it: the caller's own values are there already."""
    return row if source.rows is None else row._replace(cells=())


def _result(
    outcome: Outcome, rows: Sequence[ReportRow], source: Given | None = None, notes: Sequence[str] = ()
) -> Result:
    table = RunTable(info=outcome.info, outcomes=rows, caller=source.rows if source is not None else None)
    return Result.of(table, exit_code=outcome.exit_code, stopped=outcome.stopped, notes=notes)


def run_id_of(run: object) -> str:
    """The ID of a run, which may be given by its result. Raises `UsageError`."""
    if isinstance(run, Result):
        return run.run_id
    if not isinstance(run, str):
        raise UsageError(f"run_id is of the type {type(run).__name__}; the ID of a run, or its Result, is allowed.")
    return run
