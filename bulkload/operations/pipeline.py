"""Run the stages in order; no other module knows the order.

    read (intake) ─▶ plan ─▶ execute and settle ─▶ verify ─▶ report

In: an `Input`, or a run in the store. Out: an `Outcome`. Command line and inbox begin a run with `begin` and finish it
with `carry_out`. Whatever stops a run, its results so far are written. Nothing here depends on whether the account is
at AlertSite or in the sandbox.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import (
    BulkloadError,
    ExitCode,
    LockLost,
    StoppedByOption,
    StoreError,
    TooManyErrors,
    UsageError,
)
from bulkload.model import Input, State, Status
from bulkload.operations.failed_calls import remember_failure
from bulkload.operations.first_creates import Agree, ask_before_many
from bulkload.operations.outcome import Outcome, exit_code_of
from bulkload.operations.results import check_results_writable, if_complete, write_results
from bulkload.operations.results_names import results_setting, without_replacing
from bulkload.settings import Account, Options, check_credentials
from bulkload.stages.context import RunContext
from bulkload.stages.fingerprint import FINGERPRINT, hash_of_bytes
from bulkload.stages.intake import read_into
from bulkload.stages.observer import NOBODY, Observer, Phase, session_status
from bulkload.store.runs import Run, Store
from bulkload.store.stored_rows import to_json

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.operations.session import Session, StopRequest
    from bulkload.stages.listing import Listing
    from bulkload.stages.verify import Verified

SANDBOX = "sandbox"  # address and user of the sandbox in the store; its port differs between runs
ERROR_STATUSES = (Status.INVALID, Status.DUPLICATE, Status.REJECTED, Status.FAILED)
SETTINGS_IN_REPORTS = (
    *("rate", "concurrency", "on_existing", "first", "max_errors"),
    *("request_timeout", "set", "map", "sheet"),
)
SETTINGS_OF_FILES = ("header_row", "skip_hidden", "encoding", "ignore_unknown")  # for reading a file

log = logging.getLogger(__name__)

OnStart = Callable[[int], "OnProgress"]  # gets the number of rows to send
OnProgress = Callable[[int], None]  # gets the number of rows that have just become final
OnAccount = Callable[["Api"], Coroutine[None, None, None]]  # asks the account for something more
OnListing = Callable[["Listing"], None]  # gets the list of monitors that the plan is based on


@contextmanager
def locked_store(options: Options, caller: str = "run", *, must_exist: bool = False) -> Iterator[Store]:
    """The store of the output folder, locked. Raises `Locked` if another process holds the lock.

    `caller` is the command or the door that uses the store, for the history.
    """
    with Store(options.output, must_exist=must_exist) as store:
        store.lock(caller)
        yield store


def begin(
    store: Store,
    source: Input | Run,
    account: Account,
    options: Options,
    *,
    command: str = "run",
    results: Sequence[Path] = (),
    observer: Observer = NOBODY,
) -> RunContext:
    """Read an input into the locked store as a new run, or continue a run in the store.

    Raises `InputError` if the input cannot be read; `UsageError` without credentials, or if the run belongs to another
    account. A file that could not become a run is in the history nevertheless.
    """
    try:
        return _begin(store, source, account, options, command=command, results=results, observer=observer)
    except (BulkloadError, KeyboardInterrupt) as error:
        if isinstance(source, Input) and command == "run":
            remember_failure(store, source, error)
        raise


def _begin(
    store: Store,
    source: Input | Run,
    account: Account,
    options: Options,
    *,
    command: str,
    results: Sequence[Path],
    observer: Observer,
) -> RunContext:
    account_id = account_id_of(store, account, options)
    if isinstance(source, Input):
        observer.on_phase(Phase.READING)
        settings = _settings_in_reports(options, SETTINGS_OF_FILES if source.open is None else ())
        if command == "run" and source.arrival is None:  # the inbox chooses the results of its files itself
            settings |= results_setting(results, options)
            if source.open is None:
                settings[FINGERPRINT] = _fingerprint(source.path)
        run = read_into(
            store,
            source,
            options,
            command=command,
            account_id=account_id,
            settings=settings if command == "run" else {},
            examples="allow" if options.sandbox or account.is_stand_in else "refuse",
        )
    elif source.account_id != account_id:
        raise UsageError(f"Run {source.id} belongs to {source.username} at {source.base_url}; log in to that account.")
    else:
        run = source
    observer.on_run(run)
    return RunContext(store=store, run=run, account_id=account_id, account=account, options=options, observer=observer)


def begin_again(
    store: Store, run: Run, account: Account, options: Options, *, observer: Observer = NOBODY
) -> RunContext:
    """Continue a run in the locked store: rows that were given up are to be sent again.

    Raises `UsageError` if its input was not read completely, and as `begin` does.
    """
    context = begin(store, run, account, options, observer=observer)
    if not run.read_whole:
        raise UsageError(f"Run {run.id} ended before {run.input} was read completely; run the file again.")
    before, now = store.info(run).settings.get(FINGERPRINT), _fingerprint(Path(run.input))
    if before and now and before != now:
        log.warning(
            "%s has changed since run %s read it; the run continues with the rows that it read", run.input, run.id
        )
    store.reopen(run)
    return context


def account_id_of(store: Store, account: Account, options: Options) -> int:
    """The account's ID in the store. Raises `UsageError` without credentials."""
    if options.sandbox:
        return store.account_id(SANDBOX, SANDBOX)
    check_credentials(account)
    return store.account_id(account.base_url, account.username)


def plan_run(context: RunContext, on_account: OnAccount | None = None) -> Session:
    """Compare the rows with the account, unless rows with errors stop the run; sends only a login and GET requests.

    `on_account` is called after the plan, in the same session.
    """
    from bulkload.operations.session import Session, run_session, unless_stopped
    from bulkload.stages.plan import plan

    async def work(api: Api, stop: StopRequest) -> None:
        observe(context.observer, api, stop)
        await unless_stopped(plan(context, api), stop)
        if on_account is not None:
            await unless_stopped(on_account(api), stop)

    try:
        _check_bad_rows(context)
    except BulkloadError as error:
        return Session(stopped=error)
    return run_session(context.account, context.options, work)


def observe(observer: Observer, api: Api, stop: StopRequest) -> None:
    """Tell an observer that a session begins; it begins by listing the account."""
    observer.on_phase(Phase.LISTING)
    observer.on_session(lambda: session_status(api, is_stopping=stop.reason is not None), stop.stop_from_outside)


def carry_out(
    context: RunContext,
    results: Sequence[Path],
    on_start: OnStart,
    on_listing: OnListing = lambda listing: None,
    *,
    agree: Agree | None = None,
) -> Outcome:
    """Carry out all stages after reading, as far as possible, and write the results.

    Raises `StoreError` before anything is sent if the results cannot be written.
    """
    store, run = context.store, context.run
    results = if_complete(store, run, results)
    try:
        check_results_writable(results)
    except BulkloadError as error:
        store.end_call(run, error.exit_code, error)
        raise
    session, verified = _send(context, on_start, on_listing, agree)
    context.observer.on_phase(Phase.WRITING)
    results = without_replacing(store, run, results, context.options)
    exit_code = exit_code_of(store.info(run), session.stopped)
    if exit_code is ExitCode.DONE and verified is not None and not verified.good:
        exit_code = ExitCode.ROWS_LEFT
    try:
        if context.options.verify:
            store.note_setting(run, "verify", str(verified or "Not done, because the run stopped."))
        store.end(run, exit_code, session.stopped, session.seconds, session.requests, results)
    except StoreError as error:  # the results may be on another disk
        if isinstance(error, LockLost):
            return replace(
                write_results(store, run, results, context.options, error.exit_code, stopped=str(error)), stopped=error
            )
        write_results(store, run, results, context.options, exit_code)
        raise
    return replace(
        write_results(store, run, results, context.options, exit_code),
        stopped=session.stopped,
        verified=verified,
        known_at=_known_at(context),
    )


def _send(
    context: RunContext, on_start: OnStart, on_listing: OnListing, agree: Agree | None
) -> tuple[Session, Verified | None]:
    """Plan, execute and verify, in one session with the account."""
    from bulkload.operations.session import Session, run_session, unless_stopped
    from bulkload.stages.execute import Execution
    from bulkload.stages.plan import plan
    from bulkload.stages.verify import verify

    verified: list[Verified] = []

    async def work(api: Api, stop: StopRequest) -> None:
        observe(context.observer, api, stop)
        on_listing(await unless_stopped(plan(context, api), stop))
        if agree is not None:
            await unless_stopped(ask_before_many(context, agree), stop)
        on_progress = on_start(context.rows.count(State.PENDING))
        execution = Execution(context, api, bad_rows=bad_rows, most_errors=most_errors, on_progress=on_progress)
        stop.on_stop = execution.stop
        await execution.run()
        if context.options.verify:
            context.observer.on_phase(Phase.VERIFYING)
            verified.append(await unless_stopped(verify(context, api), stop))

    try:
        bad_rows, most_errors = _check_bad_rows(context)
    except BulkloadError as error:
        return Session(stopped=error), None
    session = run_session(context.account, context.options, work)
    return session, verified[0] if verified else None


def _known_at(context: RunContext) -> float | None:
    """When the account's list proves whether rows in doubt were created, in seconds since 1970; None without any."""
    counts = context.rows.count(State.DOUBT), context.rows.count(State.SENDING)
    if not any(counts):
        return None
    last = time.time() if counts[1] else context.store.last_doubt(context.run)
    return None if last is None else last + context.options.settle_after


def _check_bad_rows(context: RunContext) -> tuple[int, int | None]:
    """The number of rows with errors, and its limit.

    Raises `StoppedByOption` or `TooManyErrors` if they stop the run.
    """
    counts = context.store.counts(context.run)
    bad_rows = sum(counts.get(status, 0) for status in ERROR_STATUSES)
    subject = "1 row has errors" if bad_rows == 1 else f"{bad_rows:,} rows have errors"
    if context.options.strict and bad_rows:
        raise StoppedByOption(f"{subject}, so --strict sends nothing.")
    most_errors = _most_errors(context.options.max_errors, sum(counts.values()))
    if most_errors is not None and bad_rows > most_errors:
        raise TooManyErrors(f"{subject}; --max-errors stopped the run before anything was sent.")
    return bad_rows, most_errors


def _most_errors(limit: str | None, rows: int) -> int | None:
    if limit is None:
        return None
    return int(rows * float(limit[:-1]) / 100) if limit.endswith("%") else int(limit)


def _settings_in_reports(options: Options, more: Sequence[str]) -> dict[str, str]:
    settings = {name: getattr(options, name) for name in (*SETTINGS_IN_REPORTS, *more)}
    return {name: value if isinstance(value, str) else to_json(value) for name, value in settings.items() if value}


def _fingerprint(path: Path) -> str:
    """A hash of a file's content; empty if the file cannot be read."""
    try:
        return hash_of_bytes(path)
    except OSError:
        return ""
