"""The stages in their order; the one place that knows it.

    read (intake) ─▶ plan ─▶ execute and settle ─▶ report

In: a file, or a run that is in the store. Out: an `Outcome`. A stop of any kind still writes the report of what
happened so far. Nothing in here knows whether it talks to AlertSite or to a stand-in.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload import clock
from bulkload.errors import BulkloadError, ExitCode, LockLost, StoppedByOption, StoreError, TooManyErrors, UsageError
from bulkload.model import ReportRow, RunInfo, State, Status, in_order, status_of
from bulkload.reports import formats as report
from bulkload.settings import Account, Options, check_credentials
from bulkload.stages.intake import opened, read_into
from bulkload.store.runs import Run, Store, new_run_id, to_json

if TYPE_CHECKING:
    from bulkload.operations.session import Session
    from bulkload.stages.listing import Listing
    from bulkload.stages.verify import Verified

SANDBOX = "sandbox"  # the stand-in's address and user in the store; its port changes from run to run
NOT_GOOD = (Status.INVALID, Status.DUPLICATE, Status.REJECTED, Status.FAILED)
_SHOWN = ("rate", "concurrency", "on_existing", "first", "max_errors", "request_timeout", "set", "map", "sheet")
_PATHS_APART = "\n"  # between results files in the store

log = logging.getLogger(__name__)

OnRow = Callable[[ReportRow], None]
OnStart = Callable[[int], "OnProgress"]  # rows to be sent
OnProgress = Callable[[int], None]  # rows that became final just now
OnListing = Callable[["Listing"], None]  # the account's monitors, as the plan saw them


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run, a check or a plan ended."""

    info: RunInfo
    results: tuple[Path, ...]
    exit_code: ExitCode
    verified: Verified | None = None


def check_file(path: Path, options: Options, on_row: OnRow) -> Outcome:
    """Check a file offline; `on_row` sees every row of which there is something to say. Nothing is sent or kept."""
    _check_results([path], options)
    began = time.time()
    if options.results:  # they begin with counts, so all rows have to be known before the first is written
        with tempfile.TemporaryDirectory(prefix="bulkload-") as folder, Store(Path(folder)) as store:
            run = read_into(store, path, options, command="check", account=None, settings={})
            store.end(run, ExitCode.DONE, None, time.time() - began, {})
            return _foretell(store, run, options, lambda row: on_row(row) if row.issues or row.error else None)
    counts: Counter[Status] = Counter()
    with opened(path, options) as intake:
        for row in intake.rows:
            status = Status.WILL_CREATE if row.state is State.PENDING else status_of(row.state)
            counts[status] += 1
            if row.issues or row.error:
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
    info = RunInfo(
        run_id=new_run_id(began),
        input=str(path),
        header=intake.header,
        started=clock.utc(began),
        seconds=time.time() - began,
        counts=in_order(counts),
        details=intake.details,
        translated=intake.translated,
    )
    return Outcome(info=info, results=(), exit_code=_exit_code(info))


def plan_file(path: Path, account: Account, options: Options, on_row: OnRow) -> Outcome:
    """Say what a run would do in this account now, with nothing but a login and GETs."""
    _check_results([path], options)
    with locked(options) as store:
        number = account_number(store, account, options)
        run = read_into(store, path, options, command="plan", account=number, settings={})
        try:
            session = _planned(store, run, number, account, options)
            store.end(run, ExitCode.DONE, session.stopped, session.seconds, session.requests)
            return _foretell(store, run, options, on_row, session.stopped)
        finally:
            store.forget(run)


def run_file(path: Path, account: Account, options: Options, results: Sequence[Path], on_start: OnStart) -> Outcome:
    """Create what is in a file, and write its results."""
    with locked(options) as store:
        number = account_number(store, account, options)
        kept = {"results": _PATHS_APART.join(str(path) for path in results), "sha256": _fingerprint(path)}
        settings = shown_settings(options) | kept
        run = read_into(store, path, options, command="run", account=number, settings=settings)
        return carry_through(store, run, number, account, options, results, on_start)


def resume(run_id: str | None, account: Account, options: Options, on_start: OnStart) -> Outcome:
    """Go on with a run that is in the store, without its file; without an ID, the newest that is not done."""
    with locked(options, must_exist=True) as store:
        number = account_number(store, account, options)
        run = store.run(run_id) if run_id is not None else _unfinished(store)
        if not run.read_whole:
            raise UsageError(f"Run {run.id} ended before {run.input} was read; run the file again.")
        if run.account != number:
            raise UsageError(f"Run {run.id} belongs to {run.username} at {run.base_url}; log in as that account.")
        read, now = store.info(run).settings.get("sha256"), _fingerprint(Path(run.input))
        if read and now and read != now:
            log.warning("%s has changed since run %s read it; the run goes on with what it read", run.input, run.id)
        store.reopen(run)
        return carry_through(store, run, number, account, options, results_of(store, run, options), on_start)


def rewrite(run_id: str | None, options: Options) -> Outcome:
    """Write the results of a run again."""
    with Store(options.output, must_exist=True) as store:
        run = store.run(run_id)
        results = options.results or default_results([Path(run.input)], options)[0]
        return write_results(store, run, results, ExitCode(run.exit_code) if run.exit_code is not None else None)


def history(options: Options) -> list[tuple[Run, RunInfo]]:
    """All runs of the store, the newest first."""
    with Store(options.output, must_exist=True) as store:
        return [(run, store.info(run)) for run in store.runs()]


def results_for(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """The results files of each input; refuses what would overwrite another's or the input itself."""
    _check_results(paths, options)
    if options.results and len(paths) > 1:
        raise UsageError("--results names the results of one file; leave it out when several files are run.")
    return [list(options.results) for _ in paths] if options.results else default_results(paths, options)


def results_of(store: Store, run: Run, options: Options) -> list[Path]:
    """The results files of a run that is in the store: those asked for now, else those it was begun with."""
    kept = store.info(run).settings.get("results", "")
    return options.results or [Path(text) for text in kept.split(_PATHS_APART) if text]


def default_results(paths: Sequence[Path], options: Options) -> list[list[Path]]:
    """`<output>/<stem>-results.xlsx`; where that is another input's, the suffix goes in, and then a number."""
    stems = Counter(path.stem.casefold() for path in paths)
    taken: set[str] = set()
    found = []
    for path in paths:
        stem = path.stem if stems[path.stem.casefold()] == 1 else path.name.replace(".", "-")
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        found.append([options.output / f"{name}-results.xlsx"])
    return found


def carry_through(
    store: Store,
    run: Run,
    number: int,
    account: Account,
    options: Options,
    results: Sequence[Path],
    on_start: OnStart,
    on_listing: OnListing = lambda listing: None,
) -> Outcome:
    """Take a run whose rows are in the locked store as far as it goes, and write its results."""
    from bulkload.operations.session import Session, carry_out
    from bulkload.stages.execute import Limits

    try:
        bad_rows, most_errors = _bad_rows(store, run, options)
        limits = Limits(
            concurrency=options.concurrency, first=options.first, most_errors=most_errors, wait=options.wait
        )
        session = carry_out(
            store,
            run,
            number,
            account,
            options,
            limits=limits,
            bad_rows=bad_rows,
            on_start=on_start,
            on_listing=on_listing,
        )
    except BulkloadError as error:
        session = Session(stopped=error)
    exit_code = _exit_code(store.info(run), session.stopped)
    if exit_code is ExitCode.DONE and session.verified is not None and not session.verified.good:
        exit_code = ExitCode.ROWS_LEFT
    try:
        if options.verify:
            store.note_setting(run, "verify", str(session.verified or "It was not done, since the run stopped."))
        store.end(run, exit_code, session.stopped, session.seconds, session.requests)
    except StoreError as error:  # what can be read may have a place to go all the same
        if isinstance(error, LockLost):
            return write_results(store, run, results, error.exit_code, stopped=str(error))
        write_results(store, run, results, exit_code)
        raise
    return replace(write_results(store, run, results, exit_code), verified=session.verified)


def write_results(
    store: Store, run: Run, results: Sequence[Path], exit_code: ExitCode | None, *, stopped: str = ""
) -> Outcome:
    """Write the results of a run as it stands in the store. One file that cannot be written costs no other.

    `stopped` is why it ended, where the store could not be told.
    """
    info = store.info(run)
    if stopped:
        info = replace(info, stopped=stopped)
    failure: StoreError | None = None
    for path in results:
        try:
            report.write(path, info, store.report_rows(run))
        except StoreError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return Outcome(info=info, results=tuple(results), exit_code=_exit_code(info) if exit_code is None else exit_code)


@contextmanager
def locked(options: Options, *, must_exist: bool = False) -> Iterator[Store]:
    """The store of the output folder, held by this process. Raises `Locked` if another one holds it."""
    with Store(options.output, must_exist=must_exist) as store:
        store.lock()
        yield store


def account_number(store: Store, account: Account, options: Options) -> int:
    """The account's number in the store. Raises `UsageError` if there is no way to log in."""
    if options.sandbox:
        return store.account(SANDBOX, SANDBOX)
    check_credentials(account)
    return store.account(account.base_url, account.username)


def shown_settings(options: Options) -> dict[str, str]:
    """The settings that a report shows."""
    found = {name: getattr(options, name) for name in _SHOWN}
    return {name: value if isinstance(value, str) else to_json(value) for name, value in found.items() if value}


def _fingerprint(path: Path) -> str:
    """What tells a file's content apart from any other; empty if there is no such file."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _check_results(paths: Sequence[Path], options: Options) -> None:
    for results in options.results:
        report.check_format(results)
        if any(results.resolve() == path.resolve() for path in paths):
            raise UsageError(f"--results {results} would replace the input itself; give it another name.")


def _planned(store: Store, run: Run, number: int, account: Account, options: Options) -> Session:
    """Plan a run, unless its bad rows alone would stop it."""
    from bulkload.operations.session import Session, plan_run

    try:
        _bad_rows(store, run, options)
    except BulkloadError as error:
        return Session(stopped=error)
    return plan_run(store, run, number, account, options)


def _bad_rows(store: Store, run: Run, options: Options) -> tuple[int, int | None]:
    """How many rows are not good, and how many may be. Raises `StoppedByOption` or `TooManyErrors`."""
    counts = store.counts(run)
    bad = sum(counts.get(status, 0) for status in NOT_GOOD)
    said = "1 row is not good" if bad == 1 else f"{bad:,} rows are not good"
    if options.strict and bad:
        raise StoppedByOption(f"{said}, and --strict sends nothing then.")
    most = _most_errors(options.max_errors, sum(counts.values()))
    if most is not None and bad > most:
        raise TooManyErrors(f"{said}; --max-errors stopped the run before anything was sent.")
    return bad, most


def _foretell(store: Store, run: Run, options: Options, on_row: OnRow, stopped: BulkloadError | None = None) -> Outcome:
    """The outcome of a check or a plan, which speak of the future, if nothing kept them from seeing it."""
    info = store.info(run)
    counts: Counter[Status] = Counter()

    def foretold() -> Iterator[ReportRow]:
        rows = store.report_rows(run)
        return map(_future, rows) if stopped is None else rows

    for row in foretold():
        counts[row.status] += 1
        on_row(row)
    info = replace(info, counts=in_order(counts))
    for path in options.results:
        report.write(path, info, foretold())
    return Outcome(info=info, results=tuple(options.results), exit_code=_exit_code(info, stopped))


def _future(row: ReportRow) -> ReportRow:
    if row.status is not Status.NOT_ATTEMPTED:
        return row
    return row._replace(status=Status.WILL_UPDATE if row.monitor_id else Status.WILL_CREATE)


def _exit_code(info: RunInfo, stopped: BulkloadError | None = None) -> ExitCode:
    if stopped is not None:
        return stopped.exit_code
    if info.translated is not None and not info.translated.good:
        return ExitCode.ROWS_LEFT
    good = (*(status for status in Status if status.done), Status.WILL_CREATE, Status.WILL_UPDATE)
    return ExitCode.DONE if all(status in good for status in info.counts) else ExitCode.ROWS_LEFT


def _most_errors(text: str | None, rows: int) -> int | None:
    if text is None:
        return None
    return int(rows * float(text[:-1]) / 100) if text.endswith("%") else int(text)


def _unfinished(store: Store) -> Run:
    for run in store.runs():
        if run.read_whole and any(status.next_step == "run again" for status in store.counts(run)):
            return run
    raise UsageError("There is no run to go on with: every row of every run is done or needs a change of its row.")
