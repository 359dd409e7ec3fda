"""One visit to the folder: unfinished files, then waiting files, then monitors to prune.

In: a folder, an account, options. Out: a `Visit` with the outcome of each file. Unfinished files come first and waiting
files in the order of their arrival, so that the account ends up as if each file had been run when it arrived. Trouble
of one file is reported, and the visit goes on. If the account, the API or the store stops a run, the visit stops too,
and files that still wait stay where they are.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import BulkloadError, ExitCode, Interrupted, Locked, LockLost, MoveError, UsageError
from bulkload.inbox.filing import Filing
from bulkload.inbox.late_writes import take_back_written
from bulkload.inbox.moves import move_to_destination, move_to_working, recover_unrecorded, working_path
from bulkload.inbox.processing import FileProcessor
from bulkload.inbox.records import Subfolder, Visit
from bulkload.inbox.retention import delete_old
from bulkload.inbox.scan import WaitingFiles, find_waiting, safe_name
from bulkload.settings import Account, Options
from bulkload.store.arrivals import SECONDS_PER_DAY, Arrival, Arrivals
from bulkload.store.dropped import DroppedMonitors
from bulkload.store.runs import Store

if TYPE_CHECKING:
    from bulkload.operations.pipeline import OnStart

MAX_SENDINGS = 2  # times that the process may be killed while it sends a file's rows, before other files go first

log = logging.getLogger(__name__)


def visit(
    folder: Path, account: Account, options: Options, on_start: OnStart, on_locked: Callable[[], None] = lambda: None
) -> Visit:
    """Run all files that are ready; `on_locked` is called once the store is locked.

    Whatever ends the visit early is in its result, also a signal or a bug. Raises `Locked` if another process has
    locked the store.
    """
    started, begun = time.time(), time.monotonic()
    result = Visit(folder=folder, started=started)
    runner: _VisitRunner | None = None
    try:
        with Store(options.output) as store:
            store.lock("inbox")
            on_locked()
            runner = _VisitRunner(folder, store, account, options, on_start)
            try:
                runner.run()
            except UsageError as error:  # such as a missing password
                from bulkload.operations.failed_calls import remember_visit

                remember_visit(store, folder, error)
                raise
    except Locked:
        raise
    except BulkloadError as error:
        result = replace(result, problem=str(error), exit_code=error.exit_code, is_stopped=True)
    except KeyboardInterrupt as signal:
        interrupted = Interrupted(ExitCode.after(*signal.args) if signal.args else ExitCode.INTERRUPTED)
        result = replace(result, problem=str(interrupted), exit_code=interrupted.exit_code, is_stopped=True)
    except Exception as error:
        log.debug("the traceback", exc_info=True)
        result = replace(result, problem=describe_bug(error), exit_code=ExitCode.ROWS_LEFT, is_stopped=True)
    if runner is not None:
        result = runner.add_outcomes(result)
    return replace(result, seconds=time.monotonic() - begun)


def describe_bug(error: Exception) -> str:
    """A sentence about an unexpected exception."""
    return f"This is a bug in bulkload: {type(error).__name__}: {error}."


class _VisitRunner:
    """Carries out one visit, with the store locked."""

    def __init__(self, folder: Path, store: Store, account: Account, options: Options, on_start: OnStart) -> None:
        self._folder = folder
        self._store = store
        self._options = options
        self._arrivals = Arrivals(store, folder)
        dropped = DroppedMonitors(store, self._arrivals.folder)
        self._filing = Filing(folder, store, self._arrivals, dropped, options)
        self._processor = FileProcessor(
            folder, store, self._arrivals, self._filing, dropped, account, options, on_start
        )
        self._left: set[Path] = set()  # waiting files that could not be taken
        self._changed: set[Path] = set()  # waiting files that changed when they were to be taken
        self._incomplete: dict[str, float] = {}  # file still being written → since when, in seconds since 1970
        self._locks: dict[str, str] = {}  # file that is open in a spreadsheet program → its lock file
        self._is_stopped = False

    def run(self) -> None:
        """Resume unfinished files, run waiting files, prune, and delete what is old."""
        try:
            self._process_files()
            while not self._is_stopped and self._processor.to_prune:
                arrival, run, outcome = self._processor.to_prune.pop(0)
                self._attempt(arrival, partial(self._processor.prune_and_move, arrival, run, outcome))
        finally:
            with contextlib.suppress(BulkloadError):
                for arrival, _, outcome in self._processor.to_prune:
                    self._filing.keep(arrival, outcome)
        delete_old(self._folder, self._store, self._arrivals, self._options.keep)

    def add_outcomes(self, result: Visit) -> Visit:
        """Add the outcomes of the files to the result of the visit."""
        allowed = self._options.retry_for * SECONDS_PER_DAY
        overdue = [name for name, since in self._incomplete.items() if time.time() - since > allowed]
        exit_codes = [result.exit_code, *(file.exit_code for file in self._filing.outcomes)]
        if overdue:
            exit_codes.append(ExitCode.ROWS_LEFT)
        return replace(
            result,
            files=tuple(self._filing.outcomes),
            incomplete=tuple(self._incomplete),
            locks=self._locks,
            overdue=tuple(overdue),
            is_stopped=result.is_stopped or self._is_stopped,
            exit_code=max(exit_codes),
            requests=dict(self._processor.requests),
        )

    def _process_files(self) -> None:
        written = take_back_written(self._folder, self._arrivals, self._filing, self._options.unchanged_for)
        recover_unrecorded(self._folder, self._arrivals, self._report_unrecorded)
        unfinished = self._arrivals.unfinished()
        postponed = [each for each in unfinished if self._arrivals.unended_sendings(each) >= MAX_SENDINGS]
        self._process_all(each for each in unfinished if each not in postponed)
        while not self._is_stopped and (waiting := self._find_waiting(written)).ready:
            self._take(waiting)
        self._process_all(postponed)

    def _find_waiting(self, written: set[str]) -> WaitingFiles:
        """Find the waiting files that have not been tried, and record those that are still being written."""
        waiting = find_waiting(self._folder, self._options.unchanged_for)
        self._locks = dict(waiting.locks)
        changed = (safe_name(path.name) for path in self._changed if path in waiting.ready)
        names = {*waiting.incomplete, *changed, *written, *self._processor.incomplete}
        self._incomplete = self._arrivals.record_incomplete(sorted(names))
        return replace(waiting, ready=tuple(path for path in waiting.ready if path not in self._left | self._changed))

    def _take(self, waiting: WaitingFiles) -> None:
        """Take the files that are ready, and process them."""
        for path in waiting.ready:
            self._processor.account_id()  # before a file is moved: without credentials, every file stays where it is
            try:
                arrival = move_to_working(self._folder, self._arrivals, path, waiting.states[path])
            except MoveError as error:
                self._left.add(path)
                self._filing.report_trouble(safe_name(path.name), "waiting", path, str(error))
                continue
            if arrival is None:
                self._changed.add(path)
                continue
            if path in waiting.stale_locks:
                self._processor.note_stale_lock(arrival, waiting.stale_locks[path])
            self._process_all([arrival], is_new=True)
            if self._is_stopped:
                return

    def _process_all(self, arrivals: Iterable[Arrival], *, is_new: bool = False) -> None:
        """Process files until one stops the visit."""
        for arrival in arrivals:
            if self._is_stopped:
                return
            self._is_stopped = bool(self._attempt(arrival, partial(self._processor.process, arrival, is_new=is_new)))

    def _attempt(self, arrival: Arrival, work: Callable[[], bool | None]) -> bool | None:
        """Do some work on a file. An error that is not one of the settings or the store is reported as the file's."""
        try:
            return work()
        except (Locked, LockLost, UsageError):
            raise
        except BulkloadError as error:
            problem, exit_code = str(error), error.exit_code
        except Exception as error:
            log.debug("the traceback", exc_info=True)
            problem, exit_code = describe_bug(error), ExitCode.ROWS_LEFT
        self._store.check_writable()
        self._report_trouble(arrival, problem, exit_code)
        return None

    def _report_trouble(self, arrival: Arrival, problem: str, exit_code: ExitCode) -> None:
        """Report what is wrong with a file, which the next call tries again unless it has been tried for too long."""
        subfolder: Subfolder = "working"
        path, run = working_path(self._folder, arrival), self._arrivals.run_of(arrival)
        if self._processor.is_too_old(arrival) and arrival.destination is None:
            with contextlib.suppress(BulkloadError):
                path = move_to_destination(self._folder, self._arrivals, arrival, "failed")
                subfolder = "failed"
        self._filing.report_trouble(arrival.name, subfolder, path, problem, exit_code, run)

    def _report_unrecorded(self, path: Path, error: MoveError) -> None:
        self._filing.report_trouble(safe_name(path.name), "working", path, str(error))
